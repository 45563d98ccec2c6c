"""``token``: what lets a user in, where tokens are signed with a shared secret."""

import sys
from datetime import timedelta

import rich_click as click
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.identity.settings import TokenSettings
from chalicelib.runtime.world import utc_now
from ops.commands.shared import user_argument
from ops.failure import Failure
from ops.output import note
from ops.token import mint


@click.command("token")
@user_argument
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(1, 24 * 60), help="How long it counts.")
def token(user_id: int, minutes: int) -> None:
    """Mints a token for a user's account, on stdout and nowhere else.

    The secret comes from where the authorizer has it: HFT_TOKEN_SECRET holds it for a local run, HFT_TOKEN_SECRET_ARN names a
    stage's, which AWS credentials then must be allowed to read. HFT_TOKEN_ISSUER, HFT_TOKEN_AUDIENCE and HFT_TOKEN_USER_CLAIM
    are the stage's too, where it sets them.
    """
    try:
        settings = TokenSettings.from_environment()
        if settings is None:
            raise Failure("There is no secret to sign with: set HFT_TOKEN_SECRET, or HFT_TOKEN_SECRET_ARN for a stage's")
        minted = mint(settings, user_id, utc_now(), timedelta(minutes=minutes))
    except (Failure, ValueError, BotoCoreError, ClientError) as error:
        note(f"error: {error}")
        sys.exit(1)
    click.echo(minted)
