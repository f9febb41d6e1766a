"""Puts the backend together: services, routes, and the tasks that run beside them. Decides nothing itself."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.prometheus import PrometheusConfig

from chatops_backend import health
from chatops_backend.accounts import routes as account_routes
from chatops_backend.accounts.access import allow_anyone, require_access, verify_routes
from chatops_backend.accounts.service import STATE_KEY as ACCOUNTS
from chatops_backend.accounts.service import create_account_service, provide_accounts
from chatops_backend.accounts.visibility import provide_visible
from chatops_backend.agent_wheel import routes as agent_wheel_routes
from chatops_backend.alerts import routes as alert_routes
from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.alerts.heartbeat import Heartbeat
from chatops_backend.alerts.notifier import Notifier
from chatops_backend.alerts.outbox import enqueue
from chatops_backend.alerts.pictures import AlertPictures
from chatops_backend.alerts.reminders import Reminders
from chatops_backend.alerts.replays import Replays
from chatops_backend.alerts.transports.sender import create_sender
from chatops_backend.analysis import routes as analysis_routes
from chatops_backend.analysis.turns import Turns
from chatops_backend.audit import routes as audit_routes
from chatops_backend.audit.actor import provide_actor
from chatops_backend.audit.head_log import HeadLog
from chatops_backend.commands import routes as command_routes
from chatops_backend.commands.changes import CommandChanges
from chatops_backend.commands.courier import Courier
from chatops_backend.commands.orders import Orders
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.containers import routes as container_routes
from chatops_backend.control.channel import AgentChannel
from chatops_backend.database.interface import Database
from chatops_backend.database.job_runner import JobRunner
from chatops_backend.ingest import routes as ingest_routes
from chatops_backend.ingest.frame import Frame
from chatops_backend.ingest.gateway import Gateway
from chatops_backend.ingest.writer import Writer
from chatops_backend.live import routes as live_routes
from chatops_backend.live.alerts import AlertsBoard
from chatops_backend.live.fleet import FleetBoard
from chatops_backend.live.hub import Hub
from chatops_backend.live.logs import LogTail
from chatops_backend.logs import routes as log_routes
from chatops_backend.logs import stream as log_stream
from chatops_backend.metrics import routes as metrics_routes
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import exception_handlers
from chatops_backend.processes import routes as process_routes
from chatops_backend.servers import routes as server_routes
from chatops_backend.servers.agent_keys import STATE_KEY as KEY_REVOCATIONS
from chatops_backend.servers.agent_keys import KeyRevocations
from chatops_backend.settings import Settings, load_or_create_secret_key
from chatops_backend.transfer import routes as transfer_routes
from chatops_backend.transfer.exports import Exports
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.rollups import RollUps
from chatops_backend.views import routes as view_routes
from chatops_protocol import __version__

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024


def create_app(
    settings: Settings, database: Database, on_failure: Callable[[BaseException], None] | None = None
) -> Litestar:
    """The backend over an open, migrated database. `on_failure` is told when a task that must run has ended."""
    accounts = create_account_service(database, settings)
    revocations = KeyRevocations()
    hub, board = Hub(), FleetBoard(database)

    log_tail = LogTail(database)

    def publish(frames: list[Frame]) -> None:
        hub.publish(frames)
        board.publish(frames)
        log_tail.publish(frames)

    writer = Writer(database, publish)
    channel, changes = AgentChannel(), CommandChanges()
    signer = OrderSigner(load_or_create_secret_key(settings))
    orders = Orders(database, signer, changes)
    courier = Courier(database, channel, orders, changes)
    gateway = Gateway(database, writer, revocations, control=channel, command_key=signer.public_key)
    tasks = {"writer": writer.run, "key watch": gateway.watch_keys, "fleet board": board.run}
    tasks |= {"courier": courier.run, "recorder": courier.recorder.run}
    tasks["audit head"] = HeadLog(database).run
    if not database.runs_policies:
        tasks["job runner"] = JobRunner(database).run
    rollups = RollUps(database)
    tasks["import roll-ups"] = rollups.run
    alerts_board, sender, wake = AlertsBoard(database), create_sender(settings), asyncio.Event()
    evaluator, metric_reader = Evaluator(database, enqueue), MetricReader(database)
    tasks |= {
        "evaluator": evaluator.run,
        "notifier": Notifier(database, settings, sender, wake=wake, pictures=AlertPictures(metric_reader)).run,
        "reminders": Reminders(database, wake).run,
        "alerts board": alerts_board.run,
    }
    if settings.heartbeat_url is not None:
        tasks["heartbeat"] = Heartbeat(settings.heartbeat_url, evaluator.healthy).run

    @contextlib.asynccontextmanager
    async def run_tasks(_: Litestar) -> AsyncIterator[None]:
        async with _running(tasks, on_failure):
            yield
        accounts.close()

    app = Litestar(
        route_handlers=[
            Router(
                "/api/v1",
                route_handlers=[
                    *account_routes.route_handlers,
                    *server_routes.route_handlers,
                    *metrics_routes.route_handlers,
                    *analysis_routes.route_handlers,
                    *transfer_routes.route_handlers,
                    *alert_routes.route_handlers,
                    *log_routes.route_handlers,
                    *log_stream.route_handlers,
                    *live_routes.route_handlers,
                    *ingest_routes.route_handlers,
                    *agent_wheel_routes.route_handlers,
                    *command_routes.route_handlers,
                    *process_routes.route_handlers,
                    *container_routes.route_handlers,
                    *audit_routes.route_handlers,
                    *view_routes.route_handlers,
                ],
            ),
            *health.route_handlers,
        ],
        dependencies={
            "accounts": Provide(provide_accounts, sync_to_thread=False),
            "actor": Provide(provide_actor, sync_to_thread=False),
            "visible": Provide(provide_visible, sync_to_thread=False),
            "database": _provide(database),
            "settings": _provide(settings),
            "hub": _provide(hub),
            "board": _provide(board),
            "log_tail": _provide(log_tail),
            "gateway": _provide(gateway),
            "metric_reader": _provide(metric_reader),
            "importer": _provide(Importer(database, rollups)),
            "rollups": _provide(rollups),
            "exports": _provide(Exports(database)),
            "sender": _provide(sender),
            "replays": _provide(Replays(database)),
            "turns": _provide(Turns(database)),
            "alerts_board": _provide(alerts_board),
            "channel": _provide(channel),
            "orders": _provide(orders),
            "command_changes": _provide(changes),
        },
        state=State({ACCOUNTS: accounts, KEY_REVOCATIONS: revocations}),
        guards=[require_access],
        exception_handlers=exception_handlers,
        lifespan=[run_tasks],
        logging_config=None,
        middleware=[PrometheusConfig(app_name="chatops", prefix="chatops", group_path=True).middleware],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=_openapi(),
    )
    verify_routes(app)
    return app


def _provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False, use_cache=True)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="ChatOps",
        version=__version__,
        path="/schema",
        # The browsable renderers load their scripts from elsewhere.
        render_plugins=[JsonRenderPlugin(path=["/openapi.json", "/"])],
        openapi_router=Router("/schema", route_handlers=[], opt=allow_anyone()),
        components=Components(
            security_schemes={"person": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"person": []}],
        use_handler_docstrings=True,
    )


@contextlib.asynccontextmanager
async def _running(
    works: dict[str, Callable[[], Coroutine[Any, Any, None]]], on_failure: Callable[[BaseException], None] | None
) -> AsyncIterator[None]:
    """Run `works` beside the block. None of them may end: without one, data would pile up in silence."""

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception() or RuntimeError(f"{task.get_name()} ended")
            log.critical("%s failed", task.get_name(), exc_info=error)
            if on_failure is not None:
                on_failure(error)

    tasks = [asyncio.create_task(work(), name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
