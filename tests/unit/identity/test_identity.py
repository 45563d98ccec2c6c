"""Whose token counts, and what follows from it: the authorizer, and what the engine makes of its answer."""

import base64
import io
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
from chalice.deploy.swagger import CFNSwaggerGenerator

from chalicelib.contract.caller import Caller, read_caller
from chalicelib.contract.errors import Forbidden, Unauthenticated
from chalicelib.identity import authorizer, tokens
from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import KeysUnavailable, SharedSecret, Verifier
from chalicelib.telemetry.log import JsonLines
from harness import processes
from ops.token import mint
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    SECRET,
    Issuer,
    by_secret,
    claims,
    hs256_by_hand,
    public_pem,
    published,
    reason,
    rsa_key,
    unsigned,
)

NOW = datetime(2026, 2, 21, 14, 1, tzinfo=UTC)
PRIVATE = {
    ("/api/v1/trading/execute", "POST"),
    ("/api/v1/trading/execute/batch", "POST"),
    ("/api/v1/trading/preview", "POST"),
    ("/api/v1/trading/orders/{user_id}/lookup", "GET"),
    ("/api/v1/trading/orders/{user_id}/void", "POST"),
    ("/api/v1/trading/history/{user_id}", "GET"),
    ("/api/v1/trading/portfolio/{user_id}", "GET"),
    ("/api/v1/trading/assets", "GET"),
    ("/api/v1/trading/candles/{symbol}", "GET"),
}
OPERATORS = {
    ("/api/v1/operator/prices", "PUT"),
    ("/api/v1/operator/transfers", "POST"),
    ("/api/v1/operator/assets/{symbol}", "PUT"),
    ("/api/v1/operator/assets/{symbol}/halt", "POST"),
    ("/api/v1/operator/assets/{symbol}/resume", "POST"),
}
"""Routes that exist where the stage turns them on, and in an open local run."""

PAGES = ("/", "/console/{release}/{asset}", "/docs", "/docs/{asset}", "/openapi.json")
PUBLIC = {(path, method) for path in ("/health", *PAGES) for method in ("GET", "HEAD")}


# Tokens that count.


@pytest.mark.parametrize(("key_id", "algorithm"), [("rsa-1", "RS256"), ("ec-1", "ES256")])
def test_a_token_signed_with_a_published_key_speaks_for_its_user(
    published_keys: Verifier, provider: Issuer, key_id: str, algorithm: str
) -> None:
    token = provider.token("42", key_id, algorithm, exp=2_000_000_000)

    assert published_keys.caller(f"Bearer {token}") == Caller(42, 2_000_000_000 + tokens.LEEWAY_S)


def test_a_token_signed_with_the_shared_secret_speaks_for_its_user(shared_secret: Verifier) -> None:
    assert shared_secret.caller(f"Bearer {by_secret('42')}").user_id == 42


def test_the_audience_may_be_one_of_several(shared_secret: Verifier) -> None:
    assert shared_secret.caller(f"Bearer {by_secret(aud=['other', AUDIENCE])}").user_id == 1


def test_a_configured_claim_names_the_user() -> None:
    settings = TokenSettings(ISSUER, AUDIENCE, secret=SECRET, user_claim="custom:user_id")
    verifier = Verifier(settings, SharedSecret(SECRET))

    assert verifier.caller(f"Bearer {by_secret('some-uuid', **{'custom:user_id': '7'})}").user_id == 7
    assert reason(verifier, f"Bearer {by_secret('7')}") == "The token has no custom:user_id"


@pytest.mark.parametrize("user_id", ["7", 7])
@pytest.mark.parametrize("claim", ["sub", "uid", "https://hft.example/user_id"])
def test_the_user_id_may_be_an_integer_or_a_string_of_its_digits(claim: str, user_id: Any) -> None:
    verifier = Verifier(TokenSettings(ISSUER, AUDIENCE, secret=SECRET, user_claim=claim), SharedSecret(SECRET))

    assert verifier.caller(f"Bearer {by_secret(**{claim: user_id})}").user_id == 7


def test_the_largest_user_id_survives_as_an_integer(shared_secret: Verifier) -> None:
    assert shared_secret.caller(f"Bearer {by_secret(2**63 - 1)}").user_id == 2**63 - 1


@pytest.mark.parametrize("audience", ["web", "mobile"])
def test_several_audiences_may_be_accepted(audience: str) -> None:
    verifier = Verifier(TokenSettings(ISSUER, "web mobile", secret=SECRET), SharedSecret(SECRET))

    assert verifier.caller(f"Bearer {by_secret(aud=audience)}").user_id == 1
    assert reason(verifier, f"Bearer {by_secret(aud='web mobile')}") == "The token is for another audience"


@pytest.mark.parametrize("claim", ["client_id", "azp"])
def test_where_a_setting_says_so_the_client_is_held_against_the_audience(claim: str) -> None:
    """Cognito's access tokens have no `aud`."""
    verifier = Verifier(TokenSettings(ISSUER, AUDIENCE, secret=SECRET, audience_claim=claim), SharedSecret(SECRET))

    assert verifier.caller(f"Bearer {by_secret(aud=None, **{claim: AUDIENCE})}").user_id == 1
    assert verifier.caller(f"Bearer {by_secret(aud='account', **{claim: AUDIENCE})}").user_id == 1
    assert reason(verifier, f"Bearer {by_secret(aud=None)}") == f"The token has no {claim}"
    assert reason(verifier, f"Bearer {by_secret()}") == f"The token has no {claim}", "aud does not replace it"
    others: list[Any] = ["other", "", 1, [AUDIENCE], {}, True]
    for other in others:
        assert reason(verifier, f"Bearer {by_secret(**{claim: other})}") == "The token is for another audience"


def test_without_that_setting_a_client_id_is_not_an_audience(shared_secret: Verifier) -> None:
    assert reason(shared_secret, f"Bearer {by_secret(aud=None, client_id=AUDIENCE)}") == "The token has no aud"


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_the_scheme_is_bearer_in_any_case(shared_secret: Verifier, scheme: str) -> None:
    assert shared_secret.caller(scheme + by_secret()).user_id == 1


def test_a_minted_token_counts(shared_secret: Verifier) -> None:
    settings = TokenSettings(ISSUER, AUDIENCE, secret=SECRET)
    minted = mint(settings, 5, datetime.now(UTC), timedelta(minutes=1))

    assert shared_secret.caller(f"Bearer {minted}").user_id == 5


def test_clocks_may_differ_by_the_leeway_and_no_more(shared_secret: Verifier) -> None:
    now = int(time.time())
    inside, outside = tokens.LEEWAY_S - 10, tokens.LEEWAY_S + 10

    assert shared_secret.caller(f"Bearer {by_secret(exp=now - inside)}")
    assert shared_secret.caller(f"Bearer {by_secret(nbf=now + inside)}")
    assert reason(shared_secret, f"Bearer {by_secret(exp=now - outside)}") == "The token has expired"
    assert reason(shared_secret, f"Bearer {by_secret(nbf=now + outside)}") == "The token is not valid yet"


# Tokens that do not.


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": 1}, "The token has expired"),
        ({"exp": None}, "The token has no exp"),
        ({"exp": "soon"}, "The token is malformed"),
        ({"nbf": 4_000_000_000}, "The token is not valid yet"),
        ({"iat": 4_000_000_000}, "The token is not valid yet"),
        ({"iss": "https://other.example/"}, "The token is from another issuer"),
        ({"iss": ISSUER.rstrip("/")}, "The token is from another issuer"),
        ({"iss": None}, "The token has no iss"),
        ({"aud": "other"}, "The token is for another audience"),
        ({"aud": ["other"]}, "The token is for another audience"),
        ({"aud": []}, "The token has no aud"),
        ({"aud": None}, "The token has no aud"),
        ({"sub": None}, "The token has no sub"),
    ],
)
def test_claims_must_be_the_configured_ones_and_their_time_must_be_now(
    published_keys: Verifier, shared_secret: Verifier, provider: Issuer, changed: dict[str, Any], why: str
) -> None:
    assert reason(published_keys, f"Bearer {provider.token(**changed)}") == why
    assert reason(shared_secret, f"Bearer {by_secret(**changed)}") == why


@pytest.mark.parametrize("user_id", ["", "0", "-1", "01", "1.0", " 1", "1\n", "１", "*", "admin", "1,2", str(2**63)])
def test_the_claim_must_be_a_user_id_as_the_portfolio_takes_it(shared_secret: Verifier, user_id: str) -> None:
    assert reason(shared_secret, f"Bearer {by_secret(user_id)}") == "The token's sub is not a user id"


@pytest.mark.parametrize("user_id", [True, False, 0, -1, 2**63, 1.0, 1.5, ["1"], {"id": "1"}, []])
@pytest.mark.parametrize("claim", ["sub", "uid", "https://hft.example/user_id"])
def test_a_value_of_another_kind_is_not_a_user_id(claim: str, user_id: Any) -> None:
    verifier = Verifier(TokenSettings(ISSUER, AUDIENCE, secret=SECRET, user_claim=claim), SharedSecret(SECRET))

    assert reason(verifier, f"Bearer {by_secret(**{claim: user_id})}") == f"The token's {claim} is not a user id"


@pytest.mark.parametrize(
    "authorization",
    [
        *("", " ", "Bearer", "Bearer ", "Bearer a.b", "Bearer a.b.", "Bearer a.b.c.d", "Bearer ä.b.c", "Bearer a.b.c="),
        *(
            "Basic dXNlcjpwYXNz",
            "Bearer [.[.[",
            "Bearer \ud800.b.c",
            "Bearer a.b.c\n",
            "token {}",
            "{}",
            " Bearer {}",
            "Bearer {} ",
        ),
        *("Bearer {},Bearer {}", "Bearer {} {}", "Bearer\t{}", "Bearer{}"),
    ],
)
def test_only_one_bearer_token_is_taken_for_one(shared_secret: Verifier, published_keys: Verifier, authorization: str) -> None:
    for verifier in (shared_secret, published_keys):
        assert (
            reason(verifier, authorization.replace("{}", by_secret())) == "The Authorization header does not hold a bearer token"
        )


DEEPLY_NESTED = base64.urlsafe_b64encode(b"[" * 6000).decode()


@pytest.mark.parametrize(
    "garbage",
    [
        *("a.b.c", "e30.e30.e30", "W10.e30.e30", "bnVsbA.e30.e30", "MQ.e30.e30"),
        pytest.param(f"{DEEPLY_NESTED}.e30.e30", id="deep"),
    ],
)
def test_garbage_in_the_form_of_a_token_is_refused(shared_secret: Verifier, published_keys: Verifier, garbage: str) -> None:
    for verifier in (shared_secret, published_keys):
        reason(verifier, f"Bearer {garbage}")


def test_an_unsigned_token_is_refused_whatever_it_says_of_algorithms(published_keys: Verifier, shared_secret: Verifier) -> None:
    for none in ("none", "None", "NONE", "", None):
        header = {"alg": none, "typ": "JWT", "kid": "rsa-1"}
        for signature in ("", "e30", "AA"):
            for verifier in (published_keys, shared_secret):
                reason(verifier, f"Bearer {unsigned(header, claims())}.{signature}")


def test_a_public_key_is_never_taken_for_a_secret(published_keys: Verifier) -> None:
    """HS/RS confusion: what anybody can read is used to sign, in the hope that it is what the signature is checked with."""
    key = rsa_key()
    for as_secret in (public_pem(key), public_pem(key).strip(), json.dumps(published(key, "rsa-1")).encode()):
        for algorithm in ("HS256", "HS384", "RS256"):
            header = {"alg": algorithm, "typ": "JWT", "kid": "rsa-1"}
            reason(published_keys, f"Bearer {hs256_by_hand(header, claims(), as_secret)}")


def test_a_secret_is_never_taken_for_a_public_key(shared_secret: Verifier, provider: Issuer) -> None:
    assert reason(shared_secret, f"Bearer {provider.token()}") == "The token is signed with an algorithm that is not accepted"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_the_right_key_does_not_count_with_another_algorithm(published_keys: Verifier, provider: Issuer, algorithm: str) -> None:
    assert (
        reason(published_keys, f"Bearer {provider.token(algorithm=algorithm)}")
        == "The token is signed with an algorithm that is not accepted"
    )


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_the_right_secret_does_not_count_with_another_algorithm(algorithm: str) -> None:
    secret = SECRET * 2
    verifier = Verifier(TokenSettings(ISSUER, AUDIENCE, secret=secret), SharedSecret(secret))

    assert (
        reason(verifier, f"Bearer {by_secret(secret=secret, algorithm=algorithm)}")
        == "The token is signed with an algorithm that is not accepted"
    )


def test_a_secret_among_the_published_keys_signs_nothing(published_keys: Verifier, provider: Issuer) -> None:
    provider.keys.append({"kty": "oct", "k": "c2VjcmV0LW9mLW1vcmUtdGhhbi0zMi1ieXRlcy1mb3ItdGVzdHM", "kid": "oct-1"})
    for algorithm in ("HS256", "RS256"):
        header = {"alg": algorithm, "kid": "oct-1"}
        token = hs256_by_hand(header, claims(), b"secret-of-more-than-32-bytes-for-tests")
        assert reason(published_keys, f"Bearer {token}") == "The token is signed with an algorithm that is not accepted"


def test_a_key_of_anothers_does_not_count_under_the_id_of_the_issuers(published_keys: Verifier) -> None:
    forged = jwt.encode(claims(), rsa_key("somebody else's"), "RS256", headers={"kid": "rsa-1"})

    assert reason(published_keys, f"Bearer {forged}") == "The token's signature is wrong"


def test_a_key_that_the_token_brings_along_does_not_count(published_keys: Verifier) -> None:
    own = rsa_key("somebody else's")
    brought = {"jwk": published(own, "own"), "jku": "http://127.0.0.1:1/jwks.json", "x5u": "http://127.0.0.1:1/"}
    for key_id in ("own", "rsa-1"):
        forged = jwt.encode(claims(), own, "RS256", headers={**brought, "kid": key_id})
        reason(published_keys, f"Bearer {forged}")


def test_what_was_signed_cannot_be_changed(published_keys: Verifier, shared_secret: Verifier, provider: Issuer) -> None:
    for verifier, token in ((published_keys, provider.token("1")), (shared_secret, by_secret("1"))):
        header, _, signature = token.split(".")
        other = unsigned({}, claims("2")).split(".")[1]
        assert reason(verifier, f"Bearer {header}.{other}.{signature}") == "The token's signature is wrong"


def test_a_token_must_name_its_key(published_keys: Verifier, provider: Issuer) -> None:
    assert reason(published_keys, f"Bearer {provider.token(key_id=None)}") == "The token names no key"


# The shared secret.


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, "ä" * 15])
def test_a_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="32"):
        SharedSecret(secret)


@pytest.mark.parametrize("secret", ["x" * 32, "ä" * 16])
def test_32_bytes_are_a_secret(secret: str) -> None:
    assert SharedSecret(secret).key() == secret.encode()


def test_the_secret_is_read_from_secrets_manager_or_from_ssm(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    with processes.ministack(log, services="secretsmanager,ssm") as server:
        url = server.url
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        in_manager = boto3.client("secretsmanager", region_name="eu-west-1").create_secret(Name="hft/token", SecretString=SECRET)
        ssm = boto3.client("ssm", region_name="eu-west-1")
        ssm.put_parameter(Name="/hft/token", Value=SECRET, Type="SecureString")
        parameter = ssm.get_parameter(Name="/hft/token")["Parameter"]

        for arn in (in_manager["ARN"], parameter["ARN"]):
            settings = TokenSettings.from_environment({"HFT_TOKEN_SECRET_ARN": arn})
            assert settings is not None
            assert tokens.shared_secret(settings) == SECRET


# The settings.

GOOD_JWKS = {
    "HFT_TOKEN_JWKS_URL": "https://issuer.example/jwks.json",
    "HFT_TOKEN_ISSUER": ISSUER,
    "HFT_TOKEN_AUDIENCE": AUDIENCE,
}
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hft/token-AbCdEf"


def test_nothing_set_is_nothing_configured() -> None:
    assert TokenSettings.from_environment({}) is None
    assert TokenSettings.from_environment(dict.fromkeys(GOOD_JWKS, "")) is None


def test_a_shared_secret_needs_no_other_setting() -> None:
    assert TokenSettings.from_environment({"HFT_TOKEN_SECRET": SECRET}) == TokenSettings(
        "hft-trading-engine", "hft-trading-engine", secret=SECRET
    )


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"HFT_TOKEN_ISSUER": ISSUER}, "HFT_TOKEN_JWKS_URL"),
        ({"HFT_TOKEN_AUDIENCE": AUDIENCE}, "HFT_TOKEN_JWKS_URL"),
        (GOOD_JWKS | {"HFT_TOKEN_SECRET": SECRET}, "exactly one"),
        (GOOD_JWKS | {"HFT_TOKEN_SECRET_ARN": ARN}, "exactly one"),
        ({"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_SECRET_ARN": ARN}, "exactly one"),
        (GOOD_JWKS | {"HFT_TOKEN_ISSUER": ""}, "HFT_TOKEN_ISSUER"),
        (GOOD_JWKS | {"HFT_TOKEN_AUDIENCE": ""}, "HFT_TOKEN_AUDIENCE"),
        (GOOD_JWKS | {"HFT_TOKEN_JWKS_URL": "http://issuer.example/jwks.json"}, "https"),
        (GOOD_JWKS | {"HFT_TOKEN_JWKS_URL": "http://127.0.0.1.example/jwks.json"}, "https"),
        (GOOD_JWKS | {"HFT_TOKEN_JWKS_URL": "file:///etc/passwd"}, "https"),
        *(
            (GOOD_JWKS | {"HFT_TOKEN_JWKS_URL": url}, "a URL with a host, in ASCII")
            for url in (
                "https:///jwks",
                "https://issuer.example:99999/jwks",
                "https://issuer.example:0/",
                "https://exämple.de/jwks",
            )
        ),
        (GOOD_JWKS | {"HFT_TOKEN_AUDIENCE": " "}, "HFT_TOKEN_AUDIENCE"),
        (GOOD_JWKS | {"HFT_TOKEN_AUDIENCE_CLAIM": "sub"}, "HFT_TOKEN_AUDIENCE_CLAIM"),
        (GOOD_JWKS | {"HFT_TOKEN_OPERATOR_SCOPE": "hft/operator other"}, "HFT_TOKEN_OPERATOR_SCOPE"),
        (GOOD_JWKS | {"HFT_TOKEN_USER_CLAIM": 'user"id'}, "HFT_TOKEN_USER_CLAIM"),
        ({"HFT_TOKEN_OPERATOR_SCOPE": "hft/operator"}, "HFT_TOKEN_JWKS_URL"),
        ({"HFT_TOKEN_SECRET_ARN": "hft/token"}, "ARN"),
        ({"HFT_TOKEN_SECRET_ARN": "arn:aws:s3:::bucket/key"}, "ARN"),
        ({"HFT_TOKEN_SECRET": SECRET, "AWS_LAMBDA_FUNCTION_NAME": "authorizer"}, "HFT_TOKEN_SECRET_ARN"),
    ],
)
def test_what_is_half_configured_or_unsafe_is_refused(environment: dict[str, str], names: str) -> None:
    with pytest.raises(ValueError, match=names) as refused:
        TokenSettings.from_environment(environment)

    assert SECRET not in str(refused.value)


def test_the_secret_does_not_show_where_settings_are_shown() -> None:
    assert SECRET not in repr(TokenSettings.from_environment({"HFT_TOKEN_SECRET": SECRET}))


# The authorizer.


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, provider: Issuer) -> Iterator[Issuer]:
    for name, value in provider.environment.items():
        monkeypatch.setenv(name, value)
    authorizer.verifier.cache_clear()
    yield provider
    authorizer.verifier.cache_clear()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged, as text."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    logging.getLogger("hft").addHandler(handler)
    yield text
    logging.getLogger("hft").removeHandler(handler)


def answer(authorization: str, route: str = "POST/api/v1/trading/execute") -> dict[str, Any]:
    event = {
        "type": "TOKEN",
        "authorizationToken": authorization,
        "methodArn": f"arn:aws:execute-api:eu-west-1:123456789012:api/prod/{route}",
    }
    decision: dict[str, Any] = authorizer.authorizer(event, {})
    return decision


def allowed(decision: dict[str, Any]) -> list[str]:
    (statement,) = decision["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    resources: list[str] = statement["Resource"]
    return resources


def test_a_token_that_counts_opens_every_route_of_its_stage_since_the_answer_is_kept_for_all(configured: Issuer) -> None:
    decision = answer(f"Bearer {configured.token('42', exp=2_000_000_000)}", "GET/api/v1/trading/portfolio/42")

    assert allowed(decision) == ["arn:aws:execute-api:eu-west-1:123456789012:api/prod/*/*"]
    assert decision["principalId"] == "42"
    assert decision["context"] == {"user_id": "42", "expires_at_s": str(2_000_000_000 + tokens.LEEWAY_S)}
    assert read_caller({"authorizer": decision["context"]}, NOW).user_id == 42


def test_a_token_that_does_not_count_opens_nothing_and_says_nothing_of_a_user(configured: Issuer) -> None:
    for authorization in ("", "Bearer x", f"Bearer {configured.token(exp=1)}", f"Bearer {by_secret()}"):
        decision = answer(authorization)

        assert allowed(decision) == []
        assert set(decision["context"]) == {"reason"}


def test_not_configured_is_closed(monkeypatch: pytest.MonkeyPatch, logged: io.StringIO) -> None:
    for name in [name for name in os.environ if name.startswith("HFT_TOKEN")]:
        monkeypatch.delenv(name)
    authorizer.verifier.cache_clear()

    assert allowed(answer(f"Bearer {by_secret()}")) == []
    assert "No issuer of tokens is configured" in logged.getvalue()


def test_a_broken_configuration_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_TOKEN_SECRET", "short")
    authorizer.verifier.cache_clear()

    with pytest.raises(ValueError, match="32"):
        answer(f"Bearer {by_secret()}")


def test_keys_out_of_reach_are_a_failure_which_api_gateway_does_not_keep(configured: Issuer) -> None:
    configured.status = 503

    with pytest.raises(KeysUnavailable):
        answer(f"Bearer {configured.token()}")


def test_no_part_of_a_token_is_logged_or_raised(configured: Issuer, logged: io.StringIO) -> None:
    forged = jwt.encode(claims(), rsa_key("somebody else's"), "RS256", headers={"kid": "rsa-1"})
    refused = [
        *(configured.token(exp=1), configured.token(aud="other"), configured.token(iss="other"), configured.token("nobody")),
        *(configured.token(key_id="unknown"), configured.token(key_id=None), by_secret(), forged),
    ]
    for token in refused:
        answer(f"Bearer {token}")
    authorizer.verifier.cache_clear()
    configured.status = 503
    unknown = configured.token()
    with pytest.raises(KeysUnavailable) as failed:
        answer(f"Bearer {unknown}")

    lines = logged.getvalue()
    assert lines.count('"unauthenticated"') == len(refused)
    shown = lines + "".join(traceback.format_exception(failed.value))
    for token in (*refused, unknown):
        for part in token.split("."):
            assert part not in shown


# What the engine makes of the answer.


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {}},
        {"authorizer": {"user_id": "1"}},
        {"authorizer": {"expires_at_s": "4000000000"}},
        {"authorizer": {"user_id": "", "expires_at_s": "4000000000"}},
        {"authorizer": {"user_id": "*", "expires_at_s": "4000000000"}},
        {"authorizer": {"user_id": "1", "expires_at_s": "never"}},
        {"authorizer": {"principalId": "1"}},
    ],
)
def test_a_request_that_no_authorizer_let_in_is_refused(context: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_caller(context, NOW)


def test_a_kept_answer_does_not_outlive_its_token() -> None:
    caller = Caller(1, int(NOW.timestamp()))
    context = {"authorizer": caller.context()}

    assert read_caller(context, NOW - timedelta(seconds=1)) == caller
    with pytest.raises(Unauthenticated):
        read_caller(context, NOW)


def test_a_caller_may_ask_for_the_own_account_alone() -> None:
    Caller(1, 0).require(1)
    with pytest.raises(Forbidden):
        Caller(1, 0).require(2)


@pytest.mark.usefixtures("moto_market")
@pytest.mark.parametrize(("path", "method"), sorted(PRIVATE | OPERATORS))
def test_the_engine_itself_is_closed_should_a_route_lose_its_authorizer(path: str, method: str) -> None:
    import app

    class Context:
        aws_request_id = "request-1"

        def get_remaining_time_in_millis(self) -> int:
            return 20_000

    event = {
        "requestContext": {"httpMethod": method, "resourcePath": path, "requestId": "request-1"},
        "headers": {"Authorization": f"Bearer {by_secret()}"},
        "multiValueHeaders": {},
        "pathParameters": {name: value for name, value in (("user_id", "1"), ("symbol", "BTC")) if f"{{{name}}}" in path},
        "multiValueQueryStringParameters": None,
        "stageVariables": {},
        "body": "",
        "isBase64Encoded": False,
    }
    response = app.app(event, Context())

    assert response["statusCode"] == 401
    assert response["headers"]["WWW-Authenticate"] == "Bearer"
    assert json.loads(response["body"])["error_code"] == "ERR_UNAUTHENTICATED"


@pytest.mark.usefixtures("moto_market")  # an open local run, which has the operator's routes
def test_every_route_but_the_public_ones_asks_the_authorizer() -> None:
    import app

    paths = CFNSwaggerGenerator().generate_swagger(app.app)["paths"]
    asks = {
        (path, method.upper()): operation.get("security") == [{"authorizer": []}]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }

    assert asks == dict.fromkeys(PRIVATE | OPERATORS, True) | dict.fromkeys(PUBLIC, False)


# What each function imports: its cold start.


def imported(statement: str, **env: str) -> set[str]:
    """The top-level packages in a process on Lambda, after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    on_lambda = processes.environment(AWS_LAMBDA_FUNCTION_NAME="hft", AWS_REGION="eu-west-1", **env)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=processes.ROOT, env=on_lambda, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_engine_does_not_pay_for_checking_tokens() -> None:
    assert not imported("import app", _HANDLER="app.app") & {"jwt", "cryptography"}


def test_the_authorizer_does_not_pay_for_the_engine_and_is_ready_before_its_first_request() -> None:
    packages = imported(
        "import chalicelib.identity.authorizer", _HANDLER="chalicelib.identity.authorizer.authorizer", **GOOD_JWKS
    )

    assert {"jwt", "cryptography"} <= packages
    assert not packages & {"app", "pynamodb", "botocore", "moto"}
