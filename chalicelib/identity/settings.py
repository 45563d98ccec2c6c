"""Settings of tokens, read from the environment once and frozen."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """The tokens that are valid. Exactly one of `jwks_url`, `secret_arn` and `secret` names the keys that sign them.

    The accepted algorithms follow from it, so that no stage ever uses a public key as a shared secret.
    """

    issuer: str
    """The exact value of a token's `iss`."""

    audience: str
    """The accepted audiences, separated by spaces. The claim that names a token's audience must equal or contain one of them."""

    jwks_url: str | None = None
    """The URL of an OpenID provider's public keys (Cognito, Auth0, Keycloak): tokens are signed with RS256 or ES256."""

    secret_arn: str | None = None
    """The ARN of a Secrets Manager secret or SSM parameter whose whole text is a key shared with the issuer (HS256)."""

    secret: str | None = field(default=None, repr=False)
    """The shared key itself, for local runs only: a Lambda function's configuration shows its environment."""

    user_claim: str = "sub"
    """The claim that holds the user id, as an integer or a string of digits."""

    audience_claim: str = "aud"
    """The claim that names the audience. Access tokens without `aud` name the client that they were issued to: in `client_id`
    (Cognito) or in `azp` (Keycloak).
    """

    operator_scope: str | None = None
    """The scope that makes a token an operator's; `None` where there are no operators."""

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted audiences. Tokens that this project signs itself bear the first one."""
        return tuple(self.audience.split())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "TokenSettings | None":
        """Reads the settings; returns `None` where no variable is set, and then no token is valid.

        An empty variable counts as not set, since a template cannot leave one out.

        Raises:
            ValueError: a setting is missing, superfluous or invalid.
        """
        given = {name: environment[name] for name in _TOKEN_VARIABLES if environment.get(name)}
        if not given:
            return None
        keys = [name for name in _TOKEN_KEYS if name in given]
        if len(keys) != 1:
            raise ValueError(f"Tokens need exactly one of {', '.join(_TOKEN_KEYS)}, not {' and '.join(keys) or 'none'}")
        if keys == ["HFT_TOKEN_SECRET"] and "AWS_LAMBDA_FUNCTION_NAME" in environment:
            raise ValueError("HFT_TOKEN_SECRET is for local runs: on Lambda name the secret with HFT_TOKEN_SECRET_ARN")
        # A provider has its own name. A shared secret needs one only where several services share it.
        own_name = None if keys == ["HFT_TOKEN_JWKS_URL"] else SELF
        return cls(
            issuer=_given(given, "HFT_TOKEN_ISSUER", own_name),
            audience=_given(given, "HFT_TOKEN_AUDIENCE", own_name),
            jwks_url=_https(given, "HFT_TOKEN_JWKS_URL"),
            secret_arn=_secret_arn(given, "HFT_TOKEN_SECRET_ARN"),
            secret=given.get("HFT_TOKEN_SECRET"),
            user_claim=_word(given, "HFT_TOKEN_USER_CLAIM") or "sub",
            audience_claim=_audience_claim(given, "HFT_TOKEN_AUDIENCE_CLAIM"),
            operator_scope=_word(given, "HFT_TOKEN_OPERATOR_SCOPE"),
        )


SELF = "hft-trading-engine"
"""The default issuer and audience of tokens signed with a shared secret."""

_TOKEN_KEYS = ("HFT_TOKEN_JWKS_URL", "HFT_TOKEN_SECRET_ARN", "HFT_TOKEN_SECRET")
_TOKEN_VARIABLES = (
    *_TOKEN_KEYS,
    "HFT_TOKEN_ISSUER",
    "HFT_TOKEN_AUDIENCE",
    "HFT_TOKEN_AUDIENCE_CLAIM",
    "HFT_TOKEN_USER_CLAIM",
    "HFT_TOKEN_OPERATOR_SCOPE",
)
_AUDIENCE_CLAIMS = ("aud", "client_id", "azp")


def _given(given: Mapping[str, str], name: str, default: str | None) -> str:
    value = given.get(name, default)
    if value is None or not value.strip():
        raise ValueError(f"{name} must be set, or tokens of any issuer would be valid")
    return value


def _https(given: Mapping[str, str], name: str) -> str | None:
    url = given.get(name)
    if url is not None:
        parts = urlsplit(url)
        # Keys fetched in the clear could be replaced on the way, except on this machine itself.
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
            raise ValueError(f"{name} must be an https URL, not {url!r}")
        if not parts.hostname or not url.isascii() or not _has_port_or_none(parts):
            raise ValueError(f"{name} must be a URL with a host, in ASCII, not {url!r}")
    return url


def _has_port_or_none(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _secret_arn(given: Mapping[str, str], name: str) -> str | None:
    arn = given.get(name)
    if arn is not None and not re.fullmatch(r"arn:[^:]+:(secretsmanager:[^:]+:[^:]+:secret|ssm:[^:]+:[^:]+:parameter/).+", arn):
        raise ValueError(f"{name} must be the ARN of a secret in Secrets Manager or of a parameter in SSM, not {arn!r}")
    return arn


def _audience_claim(given: Mapping[str, str], name: str) -> str:
    claim = given.get(name, "aud")
    if claim not in _AUDIENCE_CLAIMS:
        raise ValueError(f"{name} must be one of {', '.join(_AUDIENCE_CLAIMS)}, not {claim!r}")
    return claim


def _word(given: Mapping[str, str], name: str) -> str | None:
    word = given.get(name)
    if word is not None and not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", word):  # a scope, by RFC 6749, section 3.3
        raise ValueError(f"{name} must be of printable ASCII characters, without spaces, quotes and backslashes, not {word!r}")
    return word
