"""``token``: signs a token, where tokens are signed with a shared secret."""

import sys
from datetime import timedelta

import rich_click as click
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from chalicelib.identity.settings import TokenSettings
from chalicelib.runtime.world import utc_now
from ops.failure import NO_CREDENTIALS, Failure
from ops.output import note
from ops.token import mint
from ops.values import USER


@click.command("token")
@click.argument("user_id", metavar="[USER]", type=USER, required=False)
@click.option("--operator", is_flag=True, help="Add the operator's scope, HFT_TOKEN_OPERATOR_SCOPE.")
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(1, 24 * 60), help="The token's lifetime.")
def token(user_id: int | None, minutes: int, *, operator: bool) -> None:
    """Prints a token for a user's account, for an operator, or for both.

    The secret is the authorizer's: HFT_TOKEN_SECRET holds a local run's, HFT_TOKEN_SECRET_ARN names a stage's, which the AWS
    credentials must be allowed to read. Other HFT_TOKEN_* settings must have the values here that the run or stage has.
    """
    try:
        settings = TokenSettings.from_environment()
        if settings is None:
            raise Failure("There is no secret to sign with: set HFT_TOKEN_SECRET, or HFT_TOKEN_SECRET_ARN for a stage's")
        minted = mint(settings, user_id, utc_now(), timedelta(minutes=minutes), operator=operator)
    except NoCredentialsError:
        note(f"error: {NO_CREDENTIALS}")
        sys.exit(1)
    except (Failure, ValueError, BotoCoreError, ClientError) as error:
        note(f"error: {error}")
        sys.exit(1)
    click.echo(minted)
