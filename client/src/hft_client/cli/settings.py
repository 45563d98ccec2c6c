"""The parts that all commands have in common: the engine, the account, JSON, and how errors end."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec
from urllib.parse import quote

import rich_click as click

from hft_client.cli.endings import ExitCode, as_json, exit_code, explanation
from hft_client.cli.output import note, show_json
from hft_client.clients import DEFAULT_URL, Client
from hft_client.errors import HftError
from hft_client.heads import FileHeads
from hft_client.retry import RetryPolicy

Own = ParamSpec("Own")

DEADLINE_S = 30.0
LOCAL_USER = 1
"""The account of an open local run, where no token says otherwise."""


def state_file(url: str) -> Path:
    """Returns the file that keeps what was verified at an engine."""
    return Path(click.get_app_dir("hft")) / f"verified-{quote(url.rstrip('/'), safe='')}.json"


@dataclass(frozen=True, slots=True)
class Session:
    """One command's connection, and the form of its output."""

    client: Client
    wants_json: bool


def on_engine(command: Callable[Concatenate[Session, Own], None]) -> Callable[..., None]:
    """Adds the options that name an engine and an account, calls the command with a session, and explains its errors."""

    @click.option("--url", envvar="HFT_URL", show_envvar=True, default=DEFAULT_URL, show_default=True, help="The engine.")
    @click.option(
        "--user", "user_id", type=int, envvar="HFT_USER", show_envvar=True, help="The account; 1 where no token is set."
    )
    @click.option(
        "--timeout", "deadline_s", type=float, default=DEADLINE_S, show_default=True, help="Seconds to go on trying for."
    )
    @click.option("--json", "wants_json", is_flag=True, help="JSON on stdout.")
    @wraps(command)
    def reached(
        url: str,
        user_id: int | None,
        deadline_s: float,
        wants_json: bool,  # noqa: FBT001  (click passes it by name)
        *own: Own.args,
        **named: Own.kwargs,
    ) -> None:
        token = os.environ.get("HFT_TOKEN")
        if user_id is None and token:
            raise click.UsageError("Which account is the token for? Set HFT_USER, or give --user.")
        try:
            client = Client(
                url,
                LOCAL_USER if user_id is None else user_id,
                token=token,
                heads=FileHeads(state_file(url)),
                policy=RetryPolicy(deadline_s=deadline_s),
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        with client:
            try:
                command(Session(client, wants_json), *own, **named)
            except HftError as error:
                if wants_json:
                    show_json(as_json(error))
                note(explanation(error, url))
                sys.exit(exit_code(error))
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            except KeyboardInterrupt:
                note("Interrupted")
                sys.exit(ExitCode.UNAVAILABLE)

    return reached
