"""The trader's command line, ``hft``. It needs the extra ``cli``: ``pip install 'hft-client[cli]'``.

Exit codes: see `hft_client.cli.endings`.
"""

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from hft_client.cli.commands import cli
    except ModuleNotFoundError as missing:
        if missing.name not in ("rich", "rich_click", "click"):
            raise
        sys.exit("The command line needs two more packages: pip install 'hft-client[cli]'")
    cli()
