"""The OpenAPI document as an engine serves it."""

from pathlib import Path

from tests.support.market import Market


def write_document(market: Market, directory: Path) -> Path:
    """Writes the document of an engine to a file, and returns its path."""
    response = market.get("/openapi.json")
    assert response.status_code == 200
    path = directory / "openapi.json"
    path.write_bytes(response.content)
    return path
