"""``python -m deploy``: what `make deploy`, `adopt`, `outputs` and `destroy` call."""

import sys
from collections.abc import Callable
from pathlib import Path

import rich_click as click
from botocore.exceptions import BotoCoreError, ClientError

from deploy import DeployError, commands
from deploy.stage import Stage

PROJECT = Path(__file__).parents[1]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Deploys the stages of .chalice/config.json.

    Credentials come from where the AWS tools look for them. AWS_ENDPOINT_URL names an emulator on this machine instead of AWS.
    """


@cli.command()
@click.argument("stage")
def apply(stage: str) -> None:
    """Deploys this working tree to a stage."""
    _carry_out(commands.apply, stage)


@cli.command()
@click.argument("stage")
def adopt(stage: str) -> None:
    """Takes tables that a stage left behind into a new stack."""
    _carry_out(commands.adopt, stage)


@cli.command()
@click.argument("stage")
def outputs(stage: str) -> None:
    """Shows where a stage is."""
    _carry_out(commands.outputs, stage)


@cli.command()
@click.argument("stage")
@click.option("--force", is_flag=True, help="Also a stage that is made to stay.")
def destroy(stage: str, *, force: bool) -> None:
    """Takes a stage down, and shows what is left of it."""
    _carry_out(lambda settings, say: commands.destroy(settings, say, force=force), stage)


def _carry_out(command: Callable[[Stage, commands.Say], None], stage: str) -> None:
    try:
        command(Stage.load(PROJECT, stage), click.echo)
    except DeployError as refused:
        sys.exit(str(refused))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS: {error}")


if __name__ == "__main__":
    cli()
