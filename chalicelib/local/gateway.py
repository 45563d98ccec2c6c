"""Chalice's stand-in for API Gateway, with the contract's shape for the gateway's own errors."""

import uuid
from http import HTTPStatus
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LocalGateway, LocalGatewayException

from chalicelib.contract.errors import EngineError, MethodNotAllowed, RouteNotFound
from chalicelib.domain.timestamps import rfc3339
from chalicelib.local import authorizer as auth
from chalicelib.runtime.world import utc_now


class Answer(LocalGatewayException):
    """An error of the gateway's own, in the contract's shape."""

    def __init__(self, error: EngineError, **headers: str) -> None:
        super().__init__(
            {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                "X-Request-Id": str(uuid.uuid4()),
                **error.headers,
                **headers,
            },
            f"{error.body(rfc3339(utc_now()))}\n".encode(),
        )
        self.CODE = error.status


class Gateway(LocalGateway):
    """The gateway of one connection."""

    def __init__(self, app_object: Chalice, config: Config) -> None:
        super().__init__(app_object, config)
        self._authorizer = auth.LocalAuthorizer(app_object)

    def _generate_lambda_event(self, method: str, path: str, headers: Any, body: bytes | None) -> dict[str, Any]:
        try:
            event: dict[str, Any] = super()._generate_lambda_event(method, path, headers, body)
        except ValueError:
            raise Answer(RouteNotFound()) from None
        event["multiValueHeaders"] = headers.every
        return event

    def _has_user_defined_options_method(self, lambda_event: dict[str, Any]) -> bool:  # noqa: ARG002
        """Returns true, so that Chalice does not answer OPTIONS by itself, as it would for routes with CORS."""
        return True

    def handle_request(self, method: str, path: str, headers: Any, body: bytes | None) -> dict[str, Any]:
        """Returns one request's response, in the form of Lambda's proxy integration.

        Raises:
            Answer: the gateway answers by itself.
        """
        try:
            answer: dict[str, Any] = super().handle_request(method, path, headers, body)
        except EngineError as error:  # from the authorizer: the routes answer their own errors
            raise Answer(error) from None
        if answer["statusCode"] == HTTPStatus.METHOD_NOT_ALLOWED and "Allow" in answer["headers"]:
            raise Answer(MethodNotAllowed(), Allow=answer["headers"]["Allow"])
        return answer
