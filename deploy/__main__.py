"""The command line ``python -m deploy``, which `make deploy`, `adopt`, `outputs` and `destroy` call."""

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

    Credentials are found as by other AWS tools. AWS_ENDPOINT_URL names an emulator on this machine to use instead of AWS.
    """


@cli.command()
@click.argument("stage")
def apply(stage: str) -> None:
    """Deploys this working tree to a stage."""
    _run(commands.apply, stage)


@cli.command()
@click.argument("stage")
def adopt(stage: str) -> None:
    """Makes a new stack around the tables that a destroyed stage left."""
    _run(commands.adopt, stage)


@cli.command()
@click.argument("stage")
def outputs(stage: str) -> None:
    """Shows a stage's URL and its stack's outputs."""
    _run(commands.outputs, stage)


@cli.command("log-role")
@click.argument("stage")
def log_role(stage: str) -> None:
    """Lets API Gateway write logs in the stage's account and region: once, before the first deployment there."""
    _run(commands.allow_logs, stage)


@cli.command()
@click.argument("stage")
@click.option("--force", is_flag=True, help="Destroy a protected stage too.")
def destroy(stage: str, *, force: bool) -> None:
    """Deletes a stage's stack, and shows what remains."""
    _run(lambda settings, say: commands.destroy(settings, say, force=force), stage)


def _run(command: Callable[[Stage, commands.Say], None], stage: str) -> None:
    try:
        command(Stage.load(PROJECT, stage), click.echo)
    except DeployError as error:
        sys.exit(str(error))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS: {error}")


if __name__ == "__main__":
    cli()
