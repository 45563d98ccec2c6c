"""The Chalice app: the engine, made once, and the routes around it."""

import gc
import os
import sys
from threading import Lock

gc.disable()  # until the end of this module: what is made until then stays, and searching it for garbage is 4 % of a cold start

from chalice.app import Chalice

from chalicelib.api import accounts, markets, order_keys, orders, service
from chalicelib.config import Settings
from chalicelib.engine import Engine, build
from chalicelib.identity import authorizer
from chalicelib.runtime.world import World
from chalicelib.store.connection import DynamoDB
from chalicelib.telemetry import log

log.configure()
try:
    settings = Settings.from_environment()
except ValueError as error:
    if "AWS_CHALICE_CLI_MODE" not in os.environ:
        raise
    sys.exit(str(error))
app = Chalice(app_name="hft-trading-engine", configure_logs=False)

_engine: Engine | None = None
_engine_lock = Lock()


def engine() -> Engine:
    """Returns the process's engine, made when first asked for: `chalice package` imports this module too, and needs no store."""
    global _engine  # noqa: PLW0603
    with _engine_lock:
        if _engine is None:
            if not settings.on_lambda:
                from chalicelib.local.datastore import prepare

                prepare(settings)
            _engine = build(settings, DynamoDB(settings), World(report=log.bug))
        return _engine


app.register_blueprint(authorizer.blueprint)
for routes in (orders, order_keys, accounts, markets, service):
    app.register_blueprint(routes.blueprint(settings, engine))


def add_operator_api() -> None:
    """Registers the operator's routes, once."""
    from chalicelib.api import operator

    if not any(path.startswith(operator.OPERATOR) for path in app.routes):
        app.register_blueprint(operator.blueprint(settings, engine))


if settings.operator_api:  # an open local run adds them as it starts: `chalice package` imports this module as well
    add_operator_api()

if settings.price_feed and not settings.on_lambda:  # on Lambda it is a process of its own, which starts at its module
    from chalicelib.market import schedule

    app.register_blueprint(schedule.blueprint)

if settings.on_lambda:
    engine()  # in the init phase, which has a full CPU at any memory size
elif "AWS_CHALICE_CLI_MODE" in os.environ:
    from chalicelib.local import server

    server.install(warm_up=engine, when_open=add_operator_api)

gc.freeze()
gc.enable()
