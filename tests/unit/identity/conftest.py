"""What the tests of identity share: a provider, and verifiers of both kinds."""

from collections.abc import Iterator

import pytest

from chalicelib.identity.settings import TokenSettings
from chalicelib.identity.tokens import PublishedKeys, SharedSecret, Verifier
from tests.support.issuer import AUDIENCE, ISSUER, SECRET, Issuer, issuer


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with issuer() as running:
        yield running


@pytest.fixture
def published_keys(provider: Issuer) -> Verifier:
    return Verifier(provider.settings, PublishedKeys(provider.url))


@pytest.fixture
def shared_secret() -> Verifier:
    return Verifier(TokenSettings(ISSUER, AUDIENCE, secret=SECRET), SharedSecret(SECRET))
