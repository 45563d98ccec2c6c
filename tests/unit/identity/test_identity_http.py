"""Identity as a client meets it, over HTTP: on a closed local run, and on an open one."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from chalicelib.config import Settings
from chalicelib.local.banner import banner
from harness.processes import CHALICE, ROOT, chalice_local, environment, free_port
from tests.support.issuer import SECRET, Issuer, by_secret, issuer
from tests.support.market import batched, new_key, order

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"
PRIVATE = [("POST", EXECUTE), ("POST", BATCH), ("GET", "/api/v1/trading/portfolio/1"), ("GET", "/api/v1/trading/assets")]
PUBLIC = ["/health", "/docs", "/docs/start.js", "/openapi.json"]
FUNDED, UNFUNDED, UNKNOWN = 1, 2, 3
"""User 1 is the seed's. The tests know user 2 by name; of user 3 nobody has ever heard."""


@dataclass(frozen=True)
class Engine:
    """A local run, and where its output goes."""

    url: str
    log: Path

    def ask(self, method: str, path: str, authorization: str | None = None, **request: Any) -> requests.Response:
        headers = request.pop("headers", {}) | ({} if authorization is None else {"Authorization": authorization})
        return requests.request(method, self.url + path, headers=headers, timeout=30, **request)

    def buy(self, token: str, body: Any, key: str | None = None) -> requests.Response:
        headers = {} if key is None else {"X-Idempotency-Key": key}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.ask("POST", EXECUTE, f"Bearer {token}", headers=headers, **content)

    def buy_batch(self, token: str, body: Any) -> requests.Response:
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.ask("POST", BATCH, f"Bearer {token}", **content)

    def holdings(self, user_id: int) -> dict[str, str]:
        response = self.ask("GET", f"/api/v1/trading/portfolio/{user_id}", f"Bearer {token(user_id)}")
        assert response.status_code == 200, response.text
        held: dict[str, str] = response.json()["holdings"]
        return held


def token(user_id: int, **changed: Any) -> str:
    """A token as `make token` mints it: the issuer and the audience are the engine itself."""
    return by_secret(str(user_id), **{"iss": "hft-trading-engine", "aud": "hft-trading-engine"} | changed)


def batch(user_id: int, *orders: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": user_id, "orders": list(orders)}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Closed by a shared secret."""
    log = tmp_path_factory.mktemp("closed") / "log"
    with chalice_local(log, HFT_TOKEN_SECRET=SECRET, HFT_TOKEN_OPERATOR_SCOPE="hft/operator") as server:
        yield Engine(server.url, log)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """As it comes."""
    log = tmp_path_factory.mktemp("open") / "log"
    with chalice_local(log) as server:
        yield Engine(server.url, log)


def refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """An error in the contract's shape; its body without the time."""
    assert (response.status_code, response.json()["error_code"]) == (status, code), response.text
    assert response.headers["X-Request-Id"]
    assert response.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body.pop("timestamp")
    assert body["status"] == status
    assert body["message"]
    return body


# 401: nobody knows who is asking.


NO_BEARER = "The Authorization header does not hold a bearer token"


REQUIRED = "A valid token is required, in the header: Authorization: Bearer <token>"
INVALID_TOKENS: list[tuple[str | None, str | None]] = [
    (None, None),
    *((header, NO_BEARER) for header in ("", "Bearer", "Bearer garbage", "Basic dXNlcjpwYXNz")),
    ("Bearer a.b.c", "The token is malformed"),
    (f"Bearer {token(FUNDED, exp=1)}", "The token has expired"),
    (f"Bearer {token(FUNDED, nbf=4_000_000_000)}", "The token is not valid yet"),
    (f"Bearer {token(FUNDED, iss='other')}", "The token is from another issuer"),
    (f"Bearer {token(FUNDED, aud='other')}", "The token is for another audience"),
    (f"Bearer {token(FUNDED, secret='another secret of more than 32 bytes')}", "The token's signature is wrong"),
    (f"Bearer {token(FUNDED, sub='admin')}", "The token's sub is not a user id"),
]
INVALID_IDS = [
    "none",
    "empty",
    "scheme-alone",
    "garbage",
    "basic",
    "unreadable",
    "expired",
    "early",
    "iss",
    "aud",
    "key",
    "no-id",
]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
@pytest.mark.parametrize("authorization", [header for header, _ in INVALID_TOKENS], ids=INVALID_IDS)
def test_without_a_valid_token_nothing_private_answers(closed: Engine, method: str, path: str, authorization: str | None) -> None:
    response = closed.ask(method, path, authorization, json=order(FUNDED), headers={"X-Idempotency-Key": new_key()})

    refused(response, 401, "ERR_UNAUTHENTICATED")


@pytest.mark.parametrize(("authorization", "why"), INVALID_TOKENS, ids=INVALID_IDS)
def test_a_401_says_why(closed: Engine, authorization: str | None, why: str | None) -> None:
    response = closed.ask(*PRIVATE[0], authorization, json=order(FUNDED), headers={"X-Idempotency-Key": new_key()})

    body = refused(response, 401, "ERR_UNAUTHENTICATED")
    if why is None:
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert body["message"] == REQUIRED
    else:
        assert response.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{why}"'
        assert body["message"] == f"{why}. {REQUIRED}"


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_asks_for_no_token(closed: Engine, path: str) -> None:
    assert closed.ask("GET", path).status_code == 200
    assert closed.ask("GET", path, "Bearer garbage").status_code == 200


def test_who_is_asking_comes_before_what_is_asked(closed: Engine) -> None:
    refused(closed.ask("POST", EXECUTE, data=b"{"), 401, "ERR_UNAUTHENTICATED")
    refused(closed.ask("POST", BATCH, data=b"{"), 401, "ERR_UNAUTHENTICATED")
    refused(closed.ask("POST", BATCH, json=batch(FUNDED, batched(quantity="wrong"))), 401, "ERR_UNAUTHENTICATED")
    refused(closed.ask("GET", "/api/v1/trading/portfolio/abc"), 401, "ERR_UNAUTHENTICATED")


def test_the_connection_outlives_a_refusal(closed: Engine) -> None:
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(f"{closed.url}/api/v1/trading/assets", timeout=30).status_code == 401
        good = {"Authorization": f"Bearer {token(UNFUNDED)}"}
        assert session.get(f"{closed.url}/api/v1/trading/assets", headers=good, timeout=30).status_code == 200


# 403: another's account.


def test_a_caller_trades_and_looks_at_the_own_account(closed: Engine) -> None:
    before = closed.holdings(FUNDED)
    filled = closed.buy(token(FUNDED), order(FUNDED, quantity="0.1"), new_key())

    assert filled.status_code == 200, filled.text
    assert closed.holdings(FUNDED) != before


def test_a_caller_trades_on_the_own_account_in_batches(closed: Engine) -> None:
    reply = closed.buy_batch(token(FUNDED), batch(FUNDED, batched(quantity="0.01"), batched(quantity="0.01")))

    assert reply.status_code == 200, reply.text
    assert [result["status"] for result in reply.json()["results"]] == [200, 200]


def test_the_assets_are_for_every_caller(closed: Engine) -> None:
    assert closed.ask("GET", "/api/v1/trading/assets", f"Bearer {token(UNKNOWN)}").status_code == 200


def test_anothers_portfolio_is_refused_without_a_hint_whether_there_is_one(closed: Engine) -> None:
    of_funded, of_unknown = (
        closed.ask("GET", f"/api/v1/trading/portfolio/{user_id}", f"Bearer {token(UNFUNDED)}") for user_id in (FUNDED, UNKNOWN)
    )

    assert refused(of_funded, 403, "ERR_FORBIDDEN") == refused(of_unknown, 403, "ERR_FORBIDDEN")


def test_an_order_for_anothers_account_is_refused_without_a_hint_and_moves_nothing(closed: Engine) -> None:
    before = closed.holdings(FUNDED)
    for_funded, for_unknown = (closed.buy(token(UNFUNDED), order(user_id), new_key()) for user_id in (FUNDED, UNKNOWN))

    assert refused(for_funded, 403, "ERR_FORBIDDEN") == refused(for_unknown, 403, "ERR_FORBIDDEN")
    assert closed.holdings(FUNDED) == before


def test_a_batch_for_anothers_account_is_refused_as_a_whole_without_a_hint_and_moves_nothing(closed: Engine) -> None:
    before = closed.holdings(FUNDED)
    for_funded, for_unknown = (closed.buy_batch(token(UNFUNDED), batch(user_id, batched())) for user_id in (FUNDED, UNKNOWN))

    assert refused(for_funded, 403, "ERR_FORBIDDEN") == refused(for_unknown, 403, "ERR_FORBIDDEN")
    assert closed.holdings(FUNDED) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": None},
        {"orders": []},
        {"orders": [{}] * 100},
        {"orders": [batched(key="k"), batched(key="k")]},
        {"atomic": True},
    ],
    ids=["no-list", "empty", "too-many", "one-key-twice", "unknown-field"],
)
def test_whose_account_it_is_comes_before_what_is_wrong_with_the_batch(closed: Engine, wrong: dict[str, Any]) -> None:
    body = batch(FUNDED, batched()) | wrong

    refused(closed.buy_batch(token(UNFUNDED), body), 403, "ERR_FORBIDDEN")
    assert refused(closed.buy_batch(token(FUNDED), body), 422, "ERR_VALIDATION")["details"]


def test_whose_account_it_is_comes_before_what_is_wrong_with_an_order_of_the_batch(closed: Engine) -> None:
    """What is wrong with it is told in its place, to the account's own caller alone."""
    body = batch(FUNDED, batched(quantity="0"))

    refused(closed.buy_batch(token(UNFUNDED), body), 403, "ERR_FORBIDDEN")
    own = closed.buy_batch(token(FUNDED), body)
    assert (own.status_code, [result["status"] for result in own.json()["results"]]) == (200, [422])


def test_an_order_of_a_batch_cannot_name_an_account_of_its_own(closed: Engine) -> None:
    before = closed.holdings(FUNDED)

    reply = closed.buy_batch(token(UNFUNDED), batch(UNFUNDED, batched() | {"user_id": FUNDED}))

    (result,) = reply.json()["results"]
    assert (result["status"], [detail["field"] for detail in result["body"]["details"]]) == (422, ["user_id"])
    assert closed.holdings(FUNDED) == before


def test_in_a_batch_anothers_key_replays_nothing(closed: Engine) -> None:
    key = new_key()
    bought = closed.buy(token(FUNDED), order(FUNDED, quantity="0.01"), key)
    assert bought.status_code == 200, bought.text

    own = closed.buy_batch(token(UNFUNDED), batch(UNFUNDED, batched(quantity="0.01", key=key)))
    again = closed.buy_batch(token(FUNDED), batch(FUNDED, batched(quantity="0.01", key=key)))

    assert [(result["status"], result["replayed"]) for result in own.json()["results"]] == [(402, False)]
    assert [(result["status"], result["replayed"]) for result in again.json()["results"]] == [(200, True)]


@pytest.mark.parametrize("wrong", [{"symbol": "!"}, {"quantity": "-1"}, {"side": "SELL"}, {"pay_with": "BTC"}])
def test_whose_account_it_is_comes_before_what_is_wrong_with_the_order_and_before_the_key(
    closed: Engine, wrong: dict[str, Any]
) -> None:
    body = order(FUNDED) | wrong

    refused(closed.buy(token(UNFUNDED), body), 403, "ERR_FORBIDDEN")
    assert refused(closed.buy(token(FUNDED), body), 422, "ERR_VALIDATION")["details"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1]", b"null", b'{"user_id": 1, "user_id": 2}'),
        *({**order(FUNDED), "user_id": user_id} for user_id in ("one", "1.0", 0, -1, 1.0, True, None, 2**63)),
        {name: value for name, value in order(FUNDED).items() if name != "user_id"},
    ],
)
def test_a_body_that_names_no_account_is_refused_for_that(closed: Engine, body: Any) -> None:
    refused(closed.buy(token(UNFUNDED), body, new_key()), 422, "ERR_VALIDATION")
    refused(closed.buy_batch(token(UNFUNDED), body), 422, "ERR_VALIDATION")


def test_anothers_key_replays_nothing(closed: Engine) -> None:
    key = new_key()
    bought = closed.buy(token(FUNDED), order(FUNDED, quantity="0.01"), key)
    assert bought.status_code == 200, bought.text

    refused(closed.buy(token(UNFUNDED), order(FUNDED, quantity="0.01"), key), 403, "ERR_FORBIDDEN")
    own = closed.buy(token(UNFUNDED), order(UNFUNDED, quantity="0.01"), key)
    refused(own, 402, "ERR_LIQUIDITY")
    assert "Idempotent-Replayed" not in own.headers

    again = closed.buy(token(FUNDED), order(FUNDED, quantity="0.01"), key)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (bought.json(), "true")


# The operator.


@pytest.mark.parametrize("names", [{"sub": None}, {"sub": "client@clients"}, {"sub": str(UNKNOWN)}])
def test_an_operator_reads_any_account_and_trades_for_none_but_the_own(closed: Engine, names: dict[str, Any]) -> None:
    key = new_key()
    bought = closed.buy(token(FUNDED), order(FUNDED, quantity="0.01"), key)
    assert bought.status_code == 200, bought.text
    operator = token(UNKNOWN, **names, scope="openid hft/operator")

    reads = [
        ("GET", f"/api/v1/trading/portfolio/{FUNDED}", 200),
        ("GET", f"/api/v1/trading/history/{FUNDED}", 200),
        ("GET", f"/api/v1/trading/orders/{FUNDED}/lookup?idempotency_key={key}", 200),
        ("POST", f"/api/v1/trading/orders/{FUNDED}/void", 409),
    ]
    for method, path, status in reads:
        body = {"idempotency_key": key} if method == "POST" else None
        assert closed.ask(method, path, f"Bearer {operator}", json=body).status_code == status, path
        refused(closed.ask(method, path, f"Bearer {token(UNFUNDED)}", json=body), 403, "ERR_FORBIDDEN")
    assert closed.ask("GET", "/api/v1/trading/assets", f"Bearer {operator}").status_code == 200
    refused(closed.buy(operator, order(FUNDED), new_key()), 403, "ERR_FORBIDDEN")
    refused(closed.buy_batch(operator, batch(FUNDED, batched())), 403, "ERR_FORBIDDEN")
    refused(closed.ask("GET", "/api/v1/trading/assets", f"Bearer {token(UNKNOWN, **names, exp=1)}"), 401, "ERR_UNAUTHENTICATED")


# The keys of a provider.


@pytest.fixture(scope="module")
def provider() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


def test_tokens_of_a_provider_count_once_its_keys_can_be_had(provider: Issuer, log: Path) -> None:
    with chalice_local(log, NO_PROXY="127.0.0.1", **provider.environment) as server:
        engine = Engine(server.url, log)
        provider.status = 503
        refused(engine.ask("GET", "/api/v1/trading/portfolio/1", f"Bearer {provider.token()}"), 500, "ERR_INTERNAL")
        assert engine.ask("GET", "/health").status_code == 200

        provider.status = 200
        for algorithm, key_id in (("RS256", "rsa-1"), ("ES256", "ec-1")):
            good = f"Bearer {provider.token('1', key_id, algorithm)}"
            assert engine.ask("GET", "/api/v1/trading/portfolio/1", good).status_code == 200
            refused(engine.ask("GET", "/api/v1/trading/portfolio/2", good), 403, "ERR_FORBIDDEN")
        for bad in (provider.token(key_id="unknown"), by_secret()):
            refused(engine.ask("GET", "/api/v1/trading/assets", f"Bearer {bad}"), 401, "ERR_UNAUTHENTICATED")


# The output.


def test_no_token_is_in_the_output_of_a_run(closed: Engine) -> None:
    good, expired, others = token(UNFUNDED, jti="good"), token(UNFUNDED, exp=1), token(UNFUNDED, jti="others")
    closed.ask("GET", "/api/v1/trading/assets", f"Bearer {expired}")
    closed.buy(others, order(FUNDED), new_key())
    closed.buy(good, order(UNFUNDED), new_key())

    output = closed.log.read_text()
    assert "The token has expired" in output
    assert "ERR_FORBIDDEN" in output
    for each in (good, expired, others):
        for part in each.split(".")[1:]:
            assert part not in output
    assert SECRET not in output


# The open door.


def test_as_it_comes_a_local_run_asks_for_no_token(opened: Engine) -> None:
    filled = opened.ask("POST", EXECUTE, json=order(FUNDED, quantity="0.1"), headers={"X-Idempotency-Key": new_key()})
    assert filled.status_code == 200, filled.text
    for user_id in (FUNDED, UNFUNDED, UNKNOWN):
        assert opened.ask("GET", f"/api/v1/trading/portfolio/{user_id}").status_code == 200
    assert opened.ask("GET", "/api/v1/trading/assets").status_code == 200

    refused(opened.ask("POST", EXECUTE, data=b"{"), 422, "ERR_VALIDATION")
    refused(opened.ask("POST", EXECUTE, json={"user_id": "1"}), 422, "ERR_VALIDATION")
    refused(opened.ask("GET", "/api/v1/trading/portfolio/abc"), 422, "ERR_VALIDATION")
    refused(opened.ask("DELETE", EXECUTE), 405, "ERR_METHOD_NOT_ALLOWED")


def test_an_open_run_lets_in_no_token_that_nobody_can_check(opened: Engine) -> None:
    refused(opened.ask("GET", "/api/v1/trading/assets", f"Bearer {token(FUNDED)}"), 401, "ERR_UNAUTHENTICATED")


def test_a_run_says_whether_it_is_open(opened: Engine, closed: Engine) -> None:
    assert re.search(r"Identity +open", opened.log.read_text())
    assert re.search(r"Identity +closed", closed.log.read_text())
    assert "WARNING" not in opened.log.read_text()
    assert "Authorization: Bearer" in closed.log.read_text(), "the order to try is one that works"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10"])
def test_a_run_that_others_can_reach_says_it_louder(host: str) -> None:
    assert "WARNING" in banner(host, 8000, Settings(), "open", None, is_open=True)
    assert "WARNING" not in banner(host, 8000, Settings(), "closed", None, is_open=False)
    assert "WARNING" not in banner("127.0.0.1", 8000, Settings(), "open", None, is_open=True)


@pytest.mark.parametrize("elsewhere", [{"AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example"}, {"HFT_DATASTORE": "aws"}])
def test_what_is_not_this_machines_own_is_never_open(log: Path, elsewhere: dict[str, str]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9"}  # or AWS would refuse these keys, and the run would end
    with chalice_local(log, **keys, **nowhere, **elsewhere) as server:
        for method, path in PRIVATE:
            refused(Engine(server.url, log).ask(method, path, json=order(FUNDED)), 401, "ERR_UNAUTHENTICATED")

    assert re.search(r"Identity +closed to everybody", log.read_text())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"HFT_TOKEN_SECRET": "short"}, "32"),
        ({"HFT_TOKEN_ISSUER": "https://issuer.example/"}, "HFT_TOKEN_SECRET"),
        ({"HFT_TOKEN_JWKS_URL": "https://issuer.example/jwks.json"}, "HFT_TOKEN_ISSUER"),
    ],
)
def test_a_run_that_is_half_closed_ends_at_once_in_one_line(settings: dict[str, str], says: str) -> None:
    ended = run_to_end(*CHALICE, "local", "--no-autoreload", "--port", str(free_port()), **settings)

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert says in line
    assert "short" not in line


def test_make_token_mints_one_that_a_closed_run_takes(closed: Engine) -> None:
    minted = make_token(str(UNFUNDED), HFT_TOKEN_SECRET=SECRET)

    assert minted.returncode == 0, minted.stderr
    refused(closed.buy(minted.stdout.strip(), order(UNFUNDED), new_key()), 402, "ERR_LIQUIDITY")


def test_make_token_signs_an_operators_token_where_the_run_has_a_scope() -> None:
    settings = {"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_OPERATOR_SCOPE": "hft/operator"}
    for arguments, names in ((("--operator",), None), (("--operator", "7"), "7")):
        signed = make_token(*arguments, **settings)

        assert signed.returncode == 0, signed.stderr
        found = jwt.decode(signed.stdout.strip(), SECRET, ["HS256"], audience="hft-trading-engine")
        assert (found.get("sub"), found["scope"]) == (names, "hft/operator")

    unset = make_token("--operator", HFT_TOKEN_SECRET=SECRET)
    assert (unset.returncode, unset.stdout) == (1, "")
    assert "HFT_TOKEN_OPERATOR_SCOPE" in unset.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "HFT_TOKEN_SECRET"),
        ({"HFT_TOKEN_SECRET": "short"}, "32"),
        (Issuer(url="https://issuer.example/jwks.json").environment, "https://issuer.example/"),
        (
            {
                "HFT_TOKEN_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hft/token-AbCdEf",
                "AWS_ACCESS_KEY_ID": "",
                "AWS_SECRET_ACCESS_KEY": "",
            },
            "No AWS credentials. Name a profile with AWS_PROFILE, or sign in",
        ),
    ],
)
def test_a_token_that_cannot_be_minted_is_a_clear_line(settings: dict[str, str], says: str) -> None:
    failed = make_token("1", **settings)

    assert (failed.returncode, failed.stdout) == (1, "")
    (line,) = failed.stderr.splitlines()
    assert says in line


def make_token(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_to_end(sys.executable, "-m", "ops", "token", *arguments, **env)


def run_to_end(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A run of a command in the project, to its end."""
    return subprocess.run(command, cwd=ROOT, env=environment(**env), capture_output=True, text=True, timeout=60, check=False)
