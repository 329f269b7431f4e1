"""What is published of backups, and of a process that only works, for Prometheus."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datong.app.backups import NAME_FORMAT, BackupFolder
from datong.app.worker import WORK_METRICS
from datong.kernel import Settings


class BackupMetrics(Collector):
    """Tells when the newest backup was taken, by its name; nothing where no folder of backups is set."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        """Yield the metric; 0 where there is no backup."""
        folder = self._settings.backup_folder
        if folder is not None:
            names = BackupFolder(folder).names()
            at = datetime.strptime(names[-1], NAME_FORMAT).replace(tzinfo=UTC).timestamp() if names else 0.0
            yield GaugeMetricFamily("datong_backup_timestamp_seconds", "When the newest backup was taken.", value=at)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: registering asks for no values."""
        return iter(())


def publish_work(settings: Settings) -> None:
    """Answer scrapers, on a port of its own, in a process without an HTTP interface."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in WORK_METRICS:
        registry.register(collector)
    start_http_server(settings.worker_metrics_port, addr=settings.host, registry=registry)
