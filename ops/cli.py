"""The command line: ``python -m ops``.

Exit codes: 0 done, or nothing to do; 1 refused or failed; 2 an invalid command line; 3 an audit found a discrepancy;
130 Ctrl-C ended a feed.
"""

import rich_click as click

from ops.commands import accounts, assets, audit, feed, orders, token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Operates a market on any stage: its prices, its accounts and orders, its audits.

    Credentials are those of all AWS tools. AWS_ENDPOINT_URL_DYNAMODB names another DynamoDB than AWS's, such as one on this
    machine.
    """


cli.add_command(assets.group)
cli.add_command(accounts.group)
cli.add_command(orders.group)
cli.add_command(audit.audit)
cli.add_command(feed.feed)
cli.add_command(token.token)
