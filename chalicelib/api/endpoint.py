"""The wrapper of every route: it identifies the caller, calls the view and turns exceptions into the contract's errors."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.api import cors, metrics
from chalicelib.config import Settings
from chalicelib.contract.caller import read_caller
from chalicelib.contract.errors import DatastoreUnavailable, EngineError, InternalError, error_of
from chalicelib.contract.requests import read_query
from chalicelib.domain.record import UnsupportedForm
from chalicelib.domain.refusals import Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.identity import authorizer
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log

View = Callable[..., Response]


class Endpoint:
    """Registration of one blueprint's routes. `engine` returns the process's engine, and builds it on the first call."""

    def __init__(self, blueprint: Blueprint, settings: Settings, engine: Callable[[], Engine]) -> None:
        self.blueprint = blueprint
        self.settings = settings
        self.engine = engine
        self._methods: dict[str, list[str]] = {}

    def route(self, path: str, method: str = "GET", *, public: bool = False, query: Sequence[str] = ()) -> Callable[[View], View]:
        """Registers a view, which takes the request, the caller unless it is `public`, and the path's parameters.

        `query`: the accepted query parameters. A route that is not `public` refuses all others.

        This wrapper turns the view's exceptions into the contract's errors, since Chalice turns an exception into a response
        before any middleware sees it.
        """

        def register(view: View) -> View:
            @wraps(view)
            def guarded(**parameters: str) -> Response:
                request = self.blueprint.current_request
                assert request is not None, "Chalice sets it before it calls a view"
                id_ = request_id(request)
                try:
                    caller = () if public else (read_caller(request.context, utc_now()),)
                    if not public:
                        read_query(query_of(request), query)
                    response = view(request, *caller, **parameters)
                except EngineError as error:
                    response = self._refused(error, id_, path)
                except Undecided as reason:
                    response = self._refused(error_of(reason), id_, path)
                except UnsupportedForm as error:
                    log.bug(error, request_id=id_, route=path)
                    response = self._refused(DatastoreUnavailable(), id_, path)
                except Exception as error:  # noqa: BLE001  (the boundary: a bug is logged whole, and the response hides it)
                    log.bug(error, request_id=id_, route=path)
                    response = self._refused(InternalError(), id_, path)
                response.headers["X-Request-Id"] = id_
                response.headers["X-Content-Type-Options"] = "nosniff"
                response.headers.update(cors.response_headers(request.headers.get("origin"), self.settings))
                return response

            # The content type does not matter, only whether the body is JSON.
            auth = None if public else authorizer.authorizer
            methods = ["GET", "HEAD"] if public and method == "GET" else [method]
            self.blueprint.route(path, methods=methods, content_types=["*/*"], authorizer=auth)(guarded)
            self._take_preflights(path, methods)
            return guarded

        return register

    def _take_preflights(self, path: str, methods: Sequence[str]) -> None:
        """Registers the preflights of a path, where CORS is on. They carry no token, so no authorizer stands before them."""
        is_first = path not in self._methods
        taken = self._methods.setdefault(path, [])
        taken.extend(methods)
        if not (is_first and self.settings.cors_origins):
            return

        def preflight(**_: str) -> Response:
            request = self.blueprint.current_request
            assert request is not None, "Chalice sets it before it calls a view"
            headers = cors.preflight_headers(request.headers.get("origin"), taken, self.settings)
            return Response("", {**headers, "X-Request-Id": request_id(request)}, HTTPStatus.NO_CONTENT)

        self.blueprint.route(path, methods=["OPTIONS"], content_types=["*/*"])(preflight)

    def deadline(self, request: Request) -> Deadline:
        """Starts the request's time: its Lambda's remaining time, at most the engine's limit."""
        context: Any = request.lambda_context
        return self.engine().deadline(context.get_remaining_time_in_millis())

    def _refused(self, error: EngineError, request_id: str, path: str) -> Response:
        now = utc_now()
        figures = metrics.of_refusal(self.settings.table_prefix, now, error.code) if self.settings.on_lambda else {}
        log.info("refused", request_id=request_id, route=path, error_code=error.code, message=str(error), **figures)
        response = json_response(error.body(rfc3339(now)), error.status, error.headers)
        if error.retry_after_s is not None:
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response


def request_id(request: Request) -> str:
    """Returns API Gateway's id of the request, which its access log contains, or else the Lambda's."""
    context: Any = request.lambda_context
    return str(request.context.get("requestId") or context.aws_request_id)


def query_of(request: Request) -> dict[str, list[str]]:
    """Returns the query parameters by name, each with all of its values."""
    given = request.query_params
    return {} if given is None else {name: given.getlist(name) for name in given}


def body_of(request: Request) -> bytes:
    """Returns the request's body as bytes."""
    body = request.raw_body
    return body.encode() if isinstance(body, str) else body


def json_response(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Returns a response of JSON text, with a line end for readers at a terminal."""
    return Response(body + "\n", {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}, status)
