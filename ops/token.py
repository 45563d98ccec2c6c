"""``make token USER=1``: a token for the shared secret, on standard output and nowhere else.

Whoever has the secret is the issuer. It comes from where the authorizer has it: HFT_TOKEN_SECRET, or HFT_TOKEN_SECRET_ARN and
AWS credentials that may read it.
"""

from datetime import datetime, timedelta

import click
import jwt
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.config import TokenSettings
from chalicelib.fields import Refused, user_id_from_text
from chalicelib.patience import utc_now
from chalicelib.tokens import SharedSecret, shared_secret


def mint(settings: TokenSettings, user_id: int, now: datetime, lifetime: timedelta) -> str:
    """A token for a user's account.

    Raises:
        ValueError: the issuer is another, or the secret is too short.
    """
    if settings.jwks_url is not None:
        raise ValueError(f"Tokens come from {settings.issuer}, which alone has the keys to sign them")
    keys = SharedSecret(shared_secret(settings))
    (algorithm,) = keys.algorithms
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        settings.user_claim: str(user_id),
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, keys.key(), algorithm)


@click.command()
@click.option("--user", "user", required=True, help="Whose account the token is for.")
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(1, 24 * 60), help="How long it counts.")
def token(user: str, minutes: int) -> None:
    """Mint a token for a user's account, signed with the secret that this environment names."""
    try:
        user_id = user_id_from_text(user)
        settings = TokenSettings.from_environment()
        if settings is None:
            raise ValueError("There is no secret to sign with: set HFT_TOKEN_SECRET, or HFT_TOKEN_SECRET_ARN for a stage's")
        click.echo(mint(settings, user_id, utc_now(), timedelta(minutes=minutes)))
    except Refused as refused:
        raise click.ClickException(f"The user {refused}, not {user!r}: make token USER=1") from None
    except (ValueError, BotoCoreError, ClientError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    token()
