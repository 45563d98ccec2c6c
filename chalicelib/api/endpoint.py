"""The frame of every route: a request comes in, the caller is known, and what is raised becomes the contract's error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.api import metrics
from chalicelib.config import Settings
from chalicelib.contract.caller import read_caller
from chalicelib.contract.errors import DatastoreUnavailable, EngineError, InternalError, error_of
from chalicelib.domain.record import UnsupportedForm
from chalicelib.domain.refusals import Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.identity import authorizer
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Registers the routes of one blueprint. `engine`: makes the process's engine when first asked."""

    blueprint: Blueprint
    settings: Settings
    engine: Callable[[], Engine]

    def route(self, path: str, method: str = "GET", *, public: bool = False) -> Callable[[View], View]:
        """Registers a view: it takes the request, the caller unless it is `public`, and the path's parameters.

        What the view raises becomes the contract's error here, around the view: Chalice turns an exception into a response
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
                    response = view(request, *caller, **parameters)
                except EngineError as error:
                    response = self._refused(error, id_, path)
                except Undecided as reason:
                    response = self._refused(error_of(reason), id_, path)
                except UnsupportedForm as error:
                    log.bug(error, request_id=id_, route=path)
                    response = self._refused(DatastoreUnavailable(), id_, path)
                except Exception as error:  # noqa: BLE001  (the boundary: a bug is logged whole here, and nothing of it leaves)
                    log.bug(error, request_id=id_, route=path)
                    response = self._refused(InternalError(), id_, path)
                response.headers["X-Request-Id"] = id_
                response.headers["X-Content-Type-Options"] = "nosniff"
                return response

            # The content type does not matter: what counts is whether the body is JSON.
            auth = None if public else authorizer.authorizer
            self.blueprint.route(path, methods=[method], content_types=["*/*"], authorizer=auth)(guarded)
            return guarded

        return register

    def deadline(self, request: Request) -> Deadline:
        """Starts the request's time: what its Lambda has left, and no more than the engine allows."""
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
    """Returns API Gateway's id of the request where there is one, so that its access log and ours agree; else the Lambda's."""
    context: Any = request.lambda_context
    return str(request.context.get("requestId") or context.aws_request_id)


def body_of(request: Request) -> bytes:
    """Returns the request's body as bytes."""
    body = request.raw_body
    return body.encode() if isinstance(body, str) else body


def json_response(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Returns a response of JSON text. The line end is for those who read it in a terminal."""
    return Response(body + "\n", {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}, status)
