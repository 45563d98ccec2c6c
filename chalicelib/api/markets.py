"""The routes of the market."""

from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, json_response, query_of
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.replies import assets_body, candles_body
from chalicelib.contract.requests import CHART, read_chart, read_query, read_symbol
from chalicelib.engine import Engine


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes of the market."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/api/v1/trading/assets")
    def assets(request: Request, _: Caller) -> Response:
        """Returns the assets with their prices and rules."""
        return json_response(assets_body(engine().queries.assets(endpoint.deadline(request))))

    @endpoint.route("/api/v1/trading/candles/{symbol}", query=CHART)
    def candles(request: Request, _: Caller, symbol: str) -> Response:
        """Returns the candles of an asset."""
        name = read_symbol(symbol)
        chart = read_chart(read_query(query_of(request), CHART))
        return json_response(candles_body(engine().queries.candles(name, chart, endpoint.deadline(request))))

    return routes
