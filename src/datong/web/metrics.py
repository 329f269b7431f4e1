"""Prometheus metrics of one hub process, in a registry of its own."""

import hmac
from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector
from starlette.types import Scope

from datong.sharing import Action
from datong.web.authentication import bearer_token, current_principal, services_of
from datong.web.routing import unlisted_routes

UNMATCHED = "(none)"
FIGURES_MAX = 5000
"""Figures that are found at once."""
DURATION_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class HttpMetrics:
    """Counts requests and times them by route, never by path: paths hold ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "datong_http_requests",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "datong_http_request_seconds",
            "Seconds from the request to the end of its answer, by route.",
            ("route",),
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self.registry,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.count(scope["method"], getattr(scope.get("route"), "path", UNMATCHED), status, seconds)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request to a route."""
        key = method, route, status
        known = self._known.get(key)
        if known is None:
            # Routes, statuses and the methods that servers pass are few; finding their figures costs more than adding.
            known = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            if len(self._known) < FIGURES_MAX:
                self._known[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def add(self, collector: Collector) -> None:
        """Publish what `collector` collects when somebody asks for the metrics."""
        self.registry.register(collector)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Publish a number that is read when somebody asks for the metrics."""
        Gauge(name, help_text, registry=self.registry).set_function(read)


def metrics_router(metrics: HttpMetrics, admit: Callable[..., None]) -> APIRouter:
    """Return the route `/metrics` (text for Prometheus); `admit` raises for whom it is not meant."""
    router = unlisted_routes()

    @router.get("/metrics", dependencies=[Depends(admit)])
    def read_metrics() -> Response:
        """Return every metric in Prometheus' text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def admit_watchers(request: Request) -> None:
    """Let a scraper with the installation's token pass, and staff who may see the dashboard.

    How often which route was called tells how many resources were drafted: it is not for everybody.

    Raises:
        Unauthenticated: neither; or somebody whom nobody knows.
        Refused: a caller who may not see the dashboard.
    """
    services = services_of(request)
    token = services.settings.metrics_token
    if token and hmac.compare_digest((bearer_token(request) or "").encode(), token.encode()):
        return
    services.policy.require(current_principal(request), Action.DASHBOARD_READ)
