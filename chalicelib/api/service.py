"""The public routes: the console, health, the API's description and Swagger UI."""

import json
from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib import __version__
from chalicelib.api import console, pages
from chalicelib.api.endpoint import Endpoint, json_response
from chalicelib.config import Settings
from chalicelib.contract.errors import RouteNotFound
from chalicelib.engine import Engine


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the public routes."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/", public=True)
    def console_page(request: Request) -> Response:
        """Returns the console's page."""
        return Response(console.page(request.context["path"]), dict(console.PAGE_HEADERS))

    @endpoint.route("/console/{release}/{asset}", public=True)
    def console_asset(_: Request, release: str, asset: str) -> Response:
        """Returns a file of the console. Its address changes with its content, so that a browser may keep it for ever."""
        found = console.asset(release, asset)
        if found is None:
            raise RouteNotFound
        content, content_type = found
        return Response(content, {"Content-Type": content_type, "Cache-Control": "public, max-age=31536000, immutable"})

    @endpoint.route("/health", public=True)
    def health(_: Request) -> Response:
        """Returns that the process runs, without a call to the datastore."""
        return json_response(json.dumps({"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}))

    @endpoint.route("/openapi.json", public=True)
    def openapi(_: Request) -> Response:
        """Returns the API's OpenAPI document."""
        from chalicelib.api.openapi import document  # nothing that trades needs it
        from chalicelib.api.operator import OPERATOR

        has_operator = any(path.startswith(OPERATOR) for path in routes.current_app.routes)
        return json_response(json.dumps(document(operator=has_operator)))

    @endpoint.route("/docs", public=True)
    def docs_page(request: Request) -> Response:
        """Returns Swagger UI's page."""
        return Response(
            pages.page(request.context["path"]),
            {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": pages.CONTENT_SECURITY_POLICY},
        )

    @endpoint.route("/docs/{asset}", public=True)
    def docs_asset(_: Request, asset: str) -> Response:
        """Returns a file of Swagger UI."""
        found = pages.asset(asset)
        if found is None:
            raise RouteNotFound
        content, content_type = found
        return Response(content, {"Content-Type": content_type, "Cache-Control": "public, max-age=86400"})

    return routes
