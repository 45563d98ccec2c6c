"""The command line as a whole."""

import rich_click as click
from click.shell_completion import get_completion_class

from hft_client.cli import account, market, trade
from hft_client.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="hft-client", prog_name="hft")
def cli() -> None:
    """Trades at an HFT Trading Engine, from a terminal.

    HFT_URL names the engine, HFT_USER the account, HFT_TOKEN a bearer token. Without them it is account 1 of the local run at
    http://127.0.0.1:8000.

    Exit codes: 0 done · 1 no answer, nothing was decided · 2 invalid command line · 3 refused, for good · 4 rejected, nothing was
    decided · 5 the outcome is unknown · 6 the history does not verify.
    """


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Prints the script that completes this command line in a shell.

    eval "$(hft completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click completes all of these shells"
    click.echo(kind(cli, {}, "hft", "_HFT_COMPLETE").source())


for command in (
    trade.buy,
    trade.sell,
    trade.preview,
    market.prices,
    market.candles,
    account.portfolio,
    account.history,
    account.verify,
    trade.order,
    trade.void,
    completion,
):
    cli.add_command(command)
