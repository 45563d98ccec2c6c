"""Accounts: what a user holds."""

from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, json_response
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.replies import portfolio_body
from chalicelib.contract.requests import read_user_id
from chalicelib.engine import Engine


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes of accounts."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/api/v1/trading/portfolio/{user_id}")
    def portfolio(request: Request, caller: Caller, user_id: str) -> Response:
        """What a user holds, and what it is worth."""
        number = read_user_id(user_id)
        caller.require(number)
        return json_response(portfolio_body(engine().queries.portfolio(number, endpoint.deadline(request))))

    return routes
