"""The routes of the market."""

from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, json_response
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.replies import assets_body
from chalicelib.engine import Engine


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes of the market."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/api/v1/trading/assets")
    def assets(request: Request, _: Caller) -> Response:
        """Returns the assets with their prices and rules."""
        return json_response(assets_body(engine().queries.assets(endpoint.deadline(request))))

    return routes
