"""The HTTP application of a hub: the machine routes, the console, and what holds for all of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from datong import __version__
from datong.kernel import Settings
from datong.sharing import CallQueue
from datong.web import gateway, gateway_events, health, log, sandbox
from datong.web.api import api_routers
from datong.web.console import console_routers, problem_page
from datong.web.delta_sharing import router as delta_sharing_router
from datong.web.described import PROBLEM_SCHEMA, problem_component
from datong.web.draining import Draining
from datong.web.edge import Edge
from datong.web.exchange_metrics import ExchangeMetrics
from datong.web.features import features_router
from datong.web.metrics import HttpMetrics, admit_watchers, metrics_router
from datong.web.node_work import concerned
from datong.web.open import open_routers
from datong.web.operation_metrics import OperationMetrics
from datong.web.problems import install_problem_handlers
from datong.web.quorum_metrics import QuorumMetrics
from datong.web.routing import RouteIndex
from datong.web.services import Services
from datong.web.short_calls import ShortCalls
from datong.web.updates import Updates, look_at
from datong.web.waiting import SharedLook

STATIC = Path(__file__).parent / "static"
DESCRIPTION = (
    "打通 Datong: everything that the console can do. People authenticate with a session, machines with OAuth 2.0 "
    "client credentials. Errors are RFC 9457 problem details with a stable `code` and a `remedy`, in both languages."
)


class HubApplication(FastAPI):
    """FastAPI with the edge around everything, the handler of unexpected errors included."""

    edge_metrics: HttpMetrics
    secure: bool
    draining: Draining
    short_calls: ShortCalls | None = None
    """Plain calls of the gateway; there once a server has begun to ask the application."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of the interface, with the schema to which every route's errors point."""
        return description()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; FastAPI's own telemetry, which nobody collects, would cost as much as a gateway's call."""
        if gateway.is_hot(scope):
            if self.middleware_stack is None:
                self.middleware_stack = self.build_middleware_stack()
            scope["app"] = self
            await self.middleware_stack(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the whole application, wrapped by the edge; the gateway's calls go no further than that."""
        inner = gateway.HotCalls(super().build_middleware_stack(), application=self, routes=gateway.hot_routes())
        edge = Edge(inner, metrics=self.edge_metrics, secure=self.secure, draining=self.draining)
        self.short_calls = ShortCalls(
            identity=self.state.services.identity,
            meter=self.state.services.call_meter,
            calls=self.state.calls,
            edge=edge,
            metrics=self.edge_metrics,
            draining=self.draining,
        )
        return edge


def create_app(
    services: Services,
    settings: Settings | None = None,
    draining: Draining | None = None,
    collectors: Sequence[Collector] = (),
) -> HubApplication:
    """Return the application over `services`; `settings` default to those of the services. Opens nothing.

    `draining` says when the process goes out of service; without it, it never does. `collectors` are further metrics.
    """
    chosen = settings or services.settings
    metrics = HttpMetrics()
    app = _empty()
    app.edge_metrics = metrics
    app.secure = chosen.only_https
    app.draining = app.state.draining = draining or Draining()
    app.state.services = services
    app.state.node_look = SharedLook(partial(concerned, services))
    app.state.updates = Updates(look_at(services), app.draining)
    app.state.language = chosen.language
    app.state.worker_threads = chosen.worker_threads
    app.state.calls = CallQueue(services.gateway, node_calls_max=chosen.worker_threads)
    metrics.gauge("datong_simulated_time", "1 while the hub runs on simulated time.", lambda: services.clock.simulated)
    metrics.gauge("datong_log_entries", "Entries that the published checkpoint covers.", services.ledger.size)
    metrics.add(QuorumMetrics(services.quorum.state, services.clock.now))
    metrics.add(ExchangeMetrics(services.exchange.observation.everything))
    metrics.add(OperationMetrics(services))
    metrics.add(ProcessCollector(registry=None))
    for collector in collectors:
        metrics.add(collector)
    install_problem_handlers(app, page=problem_page)
    app.router.routes.extend((*_routes(), *metrics_router(metrics, admit_watchers).routes))
    app.router.middleware_stack = RouteIndex(app.router)
    return app


def prepare() -> None:
    """Make what all applications of this process share; processes that are forked afterwards find it made."""
    _routes()


@cache
def description() -> dict[str, Any]:
    """Return the description of the interface (OpenAPI 3.1): it takes three seconds, and all applications have one."""
    app = _empty()
    app.router.routes.extend(_routes())
    described = FastAPI.openapi(app)
    described.setdefault("components", {}).setdefault("schemas", {})[PROBLEM_SCHEMA] = problem_component()
    return described


def _empty() -> HubApplication:
    """Return an application without routes."""
    return HubApplication(
        title="打通 Datong",
        description=DESCRIPTION,
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Return the routes that every application of this process has: looking through 700 handlers takes a second."""
    routers = (
        # The gateway's are described with all others; its calls are served before they come to any route (`HotCalls`).
        gateway.router,
        gateway.secrets_router,
        gateway_events.router,
        sandbox.router,
        health.router,
        log.router,
        *api_routers,
        delta_sharing_router,
        *open_routers,
        features_router,
        *console_routers(),
    )
    static = Mount("/static", StaticFiles(directory=STATIC), name="static")
    return (static, *(route for router in routers for route in router.routes))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Set the number of threads that run the handlers (the limiter belongs to the event loop); at the end, answer the
    calls that wait."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.worker_threads
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.calls.close)
        await anyio.to_thread.run_sync(app.state.services.call_meter.flush)
