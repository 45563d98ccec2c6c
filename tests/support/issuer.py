"""An OpenID provider on loopback that does as much as an engine needs: it publishes keys, and signs tokens with them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import InvalidToken, Verifier

ISSUER = "https://issuer.example/"
AUDIENCE = "hft"
SECRET = "a secret of more than 32 bytes, for tests"
UNKNOWN_KEY = "The token names a key that the issuer does not publish"


@cache
def rsa_key(name: str = "issuer's") -> rsa.RSAPrivateKey:
    """Returns the key of this name, always the same. Making one takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def published(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, key_id: str) -> dict[str, Any]:
    """Returns a public key as a provider publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": key_id, "use": "sig"}


def claims(user_id: Any = "1", **changed: Any) -> dict[str, Any]:
    """Returns the claims of a token that is valid for a few minutes; `None` leaves a claim out."""
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "iat": now, "exp": now + 300, **changed}
    return {name: value for name, value in whole.items() if value is not None}


def unsigned(header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """Returns a token's first two parts, valid or not."""
    return ".".join(_base64url(json.dumps(part).encode()) for part in (header, payload))


def hs256_by_hand(header: Mapping[str, Any], payload: Mapping[str, Any], key: bytes) -> str:
    """Returns a token signed with bytes that PyJWT refuses as a secret."""
    signed = unsigned(header, payload)
    return f"{signed}.{_base64url(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def by_secret(user_id: Any = "1", secret: str = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    return jwt.encode(claims(user_id, **changed), secret, algorithm)


def reason(verifier: Verifier, authorization: str) -> str:
    """Returns the reason for which a token is rejected."""
    with pytest.raises(InvalidToken) as rejected:
        verifier.caller(authorization)
    return str(rejected.value)


@dataclass
class Issuer:
    """The provider: its answers, the number of requests for its keys, and the tokens that it signs."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [published(rsa_key(), "rsa-1"), published(ec_key(), "ec-1")])
    status: int = 200
    body: bytes | None = None
    """The body sent instead of the keys."""
    fetches: int = 0
    url: str = ""

    @property
    def settings(self) -> TokenSettings:
        return TokenSettings(ISSUER, AUDIENCE, jwks_url=self.url)

    @property
    def environment(self) -> dict[str, str]:
        return {"HFT_TOKEN_JWKS_URL": self.url, "HFT_TOKEN_ISSUER": ISSUER, "HFT_TOKEN_AUDIENCE": AUDIENCE}

    def token(self, user_id: Any = "1", key_id: str | None = "rsa-1", algorithm: str = "RS256", **changed: Any) -> str:
        key = ec_key() if algorithm.startswith("ES") else rsa_key()
        headers = {"kid": key_id} if key_id is not None else None
        return jwt.encode(claims(user_id, **changed), key, algorithm, headers=headers)


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Runs a provider until the end of the block."""
    provider = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.fetches += 1
            body = json.dumps({"keys": provider.keys}).encode() if provider.body is None else provider.body
            self.send_response(provider.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
