"""Options and errors that commands have in common."""

import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import rich_click as click

from ops.failure import EXPLAINED, explain
from ops.output import note
from ops.stage import Stage, reach
from ops.values import SYMBOL, USER

Own = ParamSpec("Own")

_NEGATIVE = re.compile(r"-[0-9.][0-9.eE]*")


class _Command(click.RichCommand):
    """A command that takes a negative number for what it is, and not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        for argument in args:
            if _NEGATIVE.fullmatch(argument):
                raise click.UsageError(
                    f"{argument} is less than 0: to take an amount out of an account, use accounts debit.", ctx
                )
        return super().parse_args(ctx, args)


class Group(click.RichGroup):
    """A group of such commands."""

    command_class = _Command


def on_stage(command: Callable[Concatenate[Stage, Own], None]) -> Callable[..., None]:
    """Adds the options that name a stage, calls the command with it, and explains an error in one line."""

    @click.option(
        "--stage", envvar="HFT_STAGE", show_envvar=True, help="A stage of .chalice/config.json: its region, its tables."
    )
    @click.option("--prefix", help="The prefix of the tables: hft-dev for hft-dev-accounts.")
    @click.option("--region", help="Another region than the stage's.")
    @wraps(command)
    def reached(stage: str | None, prefix: str | None, region: str | None, *own: Own.args, **named: Own.kwargs) -> None:
        if stage is None and prefix is None:
            raise click.UsageError("Name a stage with --stage, or tables with --prefix.")
        place = prefix or stage or ""
        try:
            reached_stage = reach(stage, prefix, region)
            place = reached_stage.place
            command(reached_stage, *own, **named)
        except EXPLAINED as error:
            note(f"error: {explain(error, place)}")
            sys.exit(1)

    return reached


symbol_argument = click.argument("symbol", type=SYMBOL)
user_argument = click.argument("user_id", metavar="USER", type=USER)
as_json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout instead of a table.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
