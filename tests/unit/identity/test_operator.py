"""The operator's scope, from a token's claims to the routes' checks, and what a caller may use."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from chalice.app import Chalice

from chalicelib.contract.caller import Caller, read_caller
from chalicelib.contract.errors import Forbidden, Unauthenticated
from chalicelib.identity import authorizer
from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import InvalidToken, SharedSecret, Verifier
from chalicelib.local import authorizer as local_authorizer
from chalicelib.local.authorizer import LocalAuthorizer
from ops.failure import Failure
from ops.token import mint
from tests.support.issuer import AUDIENCE, ISSUER, SECRET, by_secret, reason

NOW = datetime(2026, 2, 21, 14, 1, tzinfo=UTC)
LATER_S = str(int(NOW.timestamp()) + 60)
SCOPE = "hft/operator"
SETTINGS = TokenSettings(ISSUER, AUDIENCE, secret=SECRET, operator_scope=SCOPE)


@pytest.fixture
def verifier() -> Verifier:
    return Verifier(SETTINGS, SharedSecret(SECRET))


def caller(verifier: Verifier, token: str) -> Caller:
    return verifier.caller(f"Bearer {token}")


# From a token.


@pytest.mark.parametrize("claim", ["scope", "scp", "permissions"])
@pytest.mark.parametrize("scopes", [SCOPE, f"openid {SCOPE} email", [SCOPE], ["openid", SCOPE]])
def test_a_token_with_the_scope_is_an_operators(verifier: Verifier, claim: str, scopes: Any) -> None:
    found = caller(verifier, by_secret(**{claim: scopes}))

    assert (found.user_id, found.operator) == (1, True)


@pytest.mark.parametrize(
    "scopes",
    [
        *("", "openid", "hft/operators", "hft/operator/all", "HFT/OPERATOR", f"{SCOPE},openid", f"x{SCOPE}", "hft /operator"),
        *([], [f"openid {SCOPE}"], [[SCOPE]], [None, 1, {}], {SCOPE: True}, True, 1, None),
    ],
)
@pytest.mark.parametrize("claim", ["scope", "scp", "permissions"])
def test_a_token_with_anything_else_is_not(verifier: Verifier, claim: str, scopes: Any) -> None:
    assert not caller(verifier, by_secret(**{claim: scopes})).operator


@pytest.mark.parametrize("claim", ["roles", "scopes", "groups", "operator"])
def test_no_other_claim_holds_scopes(verifier: Verifier, claim: str) -> None:
    assert not caller(verifier, by_secret(**{claim: SCOPE})).operator


@pytest.mark.parametrize("scopes", [SCOPE, "", "None", [None], [""]])
def test_where_no_scope_is_set_nobody_is_an_operator(scopes: Any) -> None:
    verifier = Verifier(TokenSettings(ISSUER, AUDIENCE, secret=SECRET), SharedSecret(SECRET))

    assert not caller(verifier, by_secret(scope=scopes)).operator


@pytest.mark.parametrize("user_id", [None, "6f9c0d8e-uuid", "client@clients", True])
def test_only_an_operators_token_need_not_name_an_account(verifier: Verifier, user_id: Any) -> None:
    found = caller(verifier, by_secret(user_id, scope=SCOPE))

    assert (found.user_id, found.operator) == (None, True)
    assert reason(verifier, f"Bearer {by_secret(user_id, scope='openid')}") in (
        "The token has no sub",
        "The token's sub is not a user id",
    )


@pytest.mark.parametrize("wrong", [{"exp": 1}, {"aud": "other"}, {"iss": "other"}, {"secret": "x" * 40}])
def test_the_scope_replaces_no_other_check(verifier: Verifier, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        caller(verifier, by_secret(scope=SCOPE, **wrong))


def test_the_scope_is_read_from_the_environment() -> None:
    settings = TokenSettings.from_environment({"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_OPERATOR_SCOPE": SCOPE})

    assert settings is not None
    assert settings.operator_scope == SCOPE


# Through the authorizer.


@pytest.mark.parametrize(("user_id", "principal"), [("7", "7"), (None, "operator")])
def test_the_authorizer_passes_an_operator_on(
    monkeypatch: pytest.MonkeyPatch, verifier: Verifier, user_id: str | None, principal: str
) -> None:
    monkeypatch.setattr(authorizer, "verifier", lambda: verifier)
    event = {
        "type": "TOKEN",
        "authorizationToken": f"Bearer {by_secret(user_id, scope=SCOPE)}",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:api/prod/GET/x",
    }

    decision = authorizer.authorizer(event, {})

    assert decision["principalId"] == principal
    assert all(isinstance(value, str) for value in decision["context"].values())
    found = read_caller({"authorizer": json.loads(json.dumps(decision["context"]))}, NOW)
    assert (found.user_id, found.operator) == (None if user_id is None else 7, True)


# To the engine.


@pytest.mark.parametrize(
    "whole",
    [Caller(1, 4_000_000_000), Caller(2**63 - 1, 4_000_000_000, operator=True), Caller(None, 4_000_000_000, operator=True)],
)
def test_a_caller_survives_the_way_to_the_engine(whole: Caller) -> None:
    assert read_caller({"authorizer": {**whole.context(), "principalId": "x"}}, NOW) == whole


@pytest.mark.parametrize(
    "context",
    [
        {"expires_at_s": LATER_S},
        {"expires_at_s": LATER_S, "operator": "false"},
        {"expires_at_s": LATER_S, "operator": ""},
        {"expires_at_s": LATER_S, "operator": True},
        {"expires_at_s": LATER_S, "operator": "True"},
        {"expires_at_s": LATER_S, "user_id": "1", "operator": "yes"},
        {"expires_at_s": LATER_S, "user_id": "1", "operator": "false"},
        {"expires_at_s": LATER_S, "user_id": "", "operator": "true"},
        {"expires_at_s": LATER_S, "user_id": "None", "operator": "true"},
        {"expires_at_s": LATER_S, "user_id": 1},
        {"user_id": "1", "operator": "true"},
        *(
            {"user_id": "1", "expires_at_s": seconds}
            for seconds in (4_000_000_000, "4e9", "4_000_000_000", " 4000000000", "-1", "")
        ),
    ],
)
def test_a_context_that_the_authorizer_does_not_write_is_no_caller(context: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_caller({"authorizer": context}, NOW)


def test_on_an_open_local_run_everybody_is_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_authorizer, "is_open", lambda: True)
    event: dict[str, Any] = {"headers": {}, "requestContext": {}, "pathParameters": {"user_id": "7"}}

    LocalAuthorizer(Chalice("local")).authorize("/", event, None)

    found = read_caller(event["requestContext"], datetime.now(UTC))
    assert (found.user_id, found.operator) == (7, True)


# What a caller may use.


def test_an_operator_may_read_any_account_and_use_only_the_own() -> None:
    operator, machine, user = Caller(1, 0, operator=True), Caller(None, 0, operator=True), Caller(1, 0)

    operator.require(1)
    user.require(1)
    user.require_reader(1)
    for caller_ in (operator, machine):
        caller_.require_operator()
        caller_.require_reader(2)
        with pytest.raises(Forbidden, match="another account"):
            caller_.require(2)
    with pytest.raises(Forbidden, match="another account"):
        machine.require(1)
    with pytest.raises(Forbidden, match="another account"):
        user.require_reader(2)
    with pytest.raises(Forbidden, match="operator's scope"):
        user.require_operator()


# 401 with its reason.


def test_a_401_gives_the_reason_where_there_is_a_token() -> None:
    missing, expired = Unauthenticated(), Unauthenticated("The token has expired")

    assert missing.headers == {"WWW-Authenticate": "Bearer"}, "RFC 6750: without a token, no error code"
    assert expired.headers == {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token has expired"'}
    assert str(missing) == "A valid token is required, in the header: Authorization: Bearer <token>"
    assert str(expired).startswith("The token has expired. ")
    assert Unauthenticated().headers == missing.headers, "one request's reason is not the next one's"


def test_the_engine_says_so_when_a_token_has_expired_since_the_authorizer_accepted_it() -> None:
    with pytest.raises(Unauthenticated) as expired:
        read_caller({"authorizer": Caller(1, int(NOW.timestamp())).context()}, NOW)
    with pytest.raises(Unauthenticated) as missing:
        read_caller({}, NOW)

    assert "The token has expired" in expired.value.headers["WWW-Authenticate"]
    assert missing.value.headers["WWW-Authenticate"] == "Bearer"


# make token.


@pytest.mark.parametrize(
    ("user_id", "operator"), [(5, False), (5, True), (None, True)], ids=["a user", "an operator with an account", "an operator"]
)
@pytest.mark.parametrize("audience_claim", ["aud", "client_id"])
def test_a_token_that_was_signed_here_is_valid(*, user_id: int | None, operator: bool, audience_claim: str) -> None:
    settings = TokenSettings(
        ISSUER, "hft other", secret=SECRET, user_claim="uid", audience_claim=audience_claim, operator_scope=SCOPE
    )
    signed = mint(settings, user_id, datetime.now(UTC), timedelta(minutes=1), operator=operator)

    found = caller(Verifier(settings, SharedSecret(SECRET)), signed)
    assert (found.user_id, found.operator) == (user_id, operator)
    assert ("scope" in jwt.decode(signed, options={"verify_signature": False})) == operator


@pytest.mark.parametrize(
    ("settings", "user_id", "operator", "says"),
    [
        (SETTINGS, None, False, "for an account, for an operator, or for both"),
        (TokenSettings(ISSUER, AUDIENCE, secret=SECRET), 1, True, "HFT_TOKEN_OPERATOR_SCOPE"),
        (TokenSettings(ISSUER, AUDIENCE, jwks_url="https://issuer.example", operator_scope=SCOPE), 1, True, ISSUER),
    ],
)
def test_a_token_for_nobody_or_without_a_scope_is_not_signed(
    *, settings: TokenSettings, user_id: int | None, operator: bool, says: str
) -> None:
    with pytest.raises(Failure, match=says):
        mint(settings, user_id, NOW, timedelta(minutes=1), operator=operator)
