"""Lines to paste into a shell after a stage's first deployment: a token, USD and another asset, money, and a first order."""

import shlex
from collections.abc import Mapping

from deploy.stage import Stage
from deploy.target import Target

ORDER = '{"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"}'


def first_order(stage: Stage, target: Target, url: str, outputs: Mapping[str, str]) -> list[str]:
    """Returns the lines, from the project's directory. `outputs`: the stack's."""
    lines = []
    if target.emulator:
        # `make ops` takes no other variable of the SDK's for an endpoint than DynamoDB's own.
        lines += [f"export {name}={target.emulator}" for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")]
        lines += ["export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"]
    curl = f'curl -s -X POST {url}/api/v1/trading/execute -H "Authorization: Bearer $TOKEN"'
    lines += [
        f'make ops STAGE={stage.name} ARGS="assets set USD 1 --new"',
        f'make ops STAGE={stage.name} ARGS="assets set BTC 50000 --new"',
        f'make ops STAGE={stage.name} ARGS="accounts fund 1 USD 100000 --key opening-1"',
        *_token(stage, outputs),
        f"{curl} -H 'X-Idempotency-Key: order-1' -d '{ORDER}'",
    ]
    return lines


def _token(stage: Stage, outputs: Mapping[str, str]) -> list[str]:
    if stage.token_jwks_url:
        issuer = stage.token_settings.get("HFT_TOKEN_ISSUER", stage.token_jwks_url)
        return [f"TOKEN='paste an access token of {issuer} for user 1'"]
    settings = {**stage.token_settings, "HFT_TOKEN_SECRET_ARN": stage.token_secret_arn or outputs["TokenSecretArn"]}
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())),
        "TOKEN=$(make -s token USER=1)",
    ]
