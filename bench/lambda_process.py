"""A process like Lambda's: it imports the application, and passes requests to it.

    python bench/lambda_process.py DIRECTORY KIND REQUESTS

`DIRECTORY` holds the application, or the deployed package. The process prints the CPU time of a request in ms on standard error,
since standard output is the application's log. It imports only modules that the application imports too.
"""

import json
import sys
import time
from typing import Any

USER = 1
FILL, REFUSAL, REPLAY, PORTFOLIO = "fill", "refusal", "replay", "portfolio"
STATUS = {FILL: 200, REFUSAL: 402, REPLAY: 200, PORTFOLIO: 200}


class Context:
    """The part of Lambda's context that the application uses."""

    aws_request_id = "8f5a1d5e-1b7c-4f6e-9d5a-0a1b2c3d4e5f"

    def get_remaining_time_in_millis(self) -> int:
        """Returns the remaining time at the start of a request."""
        return 25_000


def event(kind: str) -> dict[str, Any]:
    """Returns a request as API Gateway passes it on after its authorizer has allowed it, with the headers of a small client."""
    method, resource = (
        ("GET", "/api/v1/trading/portfolio/{user_id}") if kind == PORTFOLIO else ("POST", "/api/v1/trading/execute")
    )
    order = {"user_id": USER, "symbol": "SOL", "pay_with": "USD", "quantity": "1" + "0" * 15 if kind == REFUSAL else "0.0001"}
    headers = {
        "Accept": "*/*",
        "Authorization": "Bearer ",
        "Content-Type": "application/json",
        "Host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "curl/8.5.0",
        "X-Amzn-Trace-Id": "Root=1-65e1a5c0-0123456789abcdef01234567",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        "X-Idempotency-Key": "",
    }
    return {
        "resource": resource,
        "path": resource.format(user_id=USER),
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"user_id": str(USER)} if kind == PORTFOLIO else None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": f"/prod{resource}",
            "stage": "prod",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "apiId": "abcdefghij",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "curl/8.5.0"},
            "authorizer": {"user_id": str(USER), "expires_at_s": "99999999999", "principalId": str(USER)},
        },
        "body": None if kind == PORTFOLIO else json.dumps(order),
        "isBase64Encoded": False,
    }


def main() -> None:
    """Makes the requests, each fill and refusal under a new key. With 0 requests it only imports the application."""
    directory, kind, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, directory)
    import app

    request, run = event(kind), f"{time.time_ns():020d}"
    started_s = time.process_time()
    for number in range(requests):
        key = run if kind == REPLAY else f"{run}-{number:06d}"
        request["headers"]["X-Idempotency-Key"] = key
        request["multiValueHeaders"]["X-Idempotency-Key"] = [key]
        answer = app.app(request, Context())
        assert answer["statusCode"] == STATUS[kind], answer
    if requests:
        print((time.process_time() - started_s) / requests * 1000, file=sys.stderr)


if __name__ == "__main__":
    main()
