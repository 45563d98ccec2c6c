"""The routes of accounts: portfolio and history."""

from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, json_response, query_of
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.replies import history_body, portfolio_body
from chalicelib.contract.requests import read_paging, read_query, read_user_id
from chalicelib.engine import Engine


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes of accounts."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/api/v1/trading/portfolio/{user_id}")
    def portfolio(request: Request, caller: Caller, user_id: str) -> Response:
        """Returns a user's holdings and their value."""
        number = read_user_id(user_id)
        caller.require_reader(number)
        return json_response(portfolio_body(engine().queries.portfolio(number, endpoint.deadline(request))))

    @endpoint.route("/api/v1/trading/history/{user_id}", query=("limit", "before", "after"))
    def history(request: Request, caller: Caller, user_id: str) -> Response:
        """Returns a page of an account's decisions."""
        number = read_user_id(user_id)
        caller.require_reader(number)
        paging = read_paging(read_query(query_of(request), ("limit", "before", "after")))
        return json_response(history_body(engine().queries.page(number, paging, endpoint.deadline(request))))

    return routes
