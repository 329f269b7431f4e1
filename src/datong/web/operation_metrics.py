"""How a hub's background work keeps up, for Prometheus: some cheap looks each time somebody scrapes."""

import shutil
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datong.governance import CaseStage
from datong.ledger import read_pulse
from datong.web.services import Services


class OperationMetrics(Collector):
    """Collects the log's pulse, builds that wait, nodes' signs of life, open cases by stage, and the room on disk."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        services = self._services
        now, pulse = services.clock.now(), read_pulse(services.database)
        waiting = 0.0 if pulse.waiting_since is None else (now - pulse.waiting_since).total_seconds()
        yield GaugeMetricFamily(
            "datong_log_waiting_seconds",
            "Seconds that the oldest entry outside the log waits.",
            value=max(waiting, 0.0),
        )
        yield GaugeMetricFamily(
            "datong_builds_waiting",
            "Builds of libraries that wait or run.",
            value=len(services.library.pending_builds()),
        )
        nodes = GaugeMetricFamily(
            "datong_node_last_seen_timestamp_seconds", "When a node was last heard of.", labels=("node", "department")
        )
        for node in services.identity.nodes():
            nodes.add_metric([node.name, node.department], (node.last_seen_at or node.enrolled_at).timestamp())
        yield nodes
        cases = GaugeMetricFamily("datong_cases_open", "Open cases about unmet duties, by stage.", labels=("stage",))
        for stage in (one for one in CaseStage if one is not CaseStage.CLOSED):
            cases.add_metric([stage.value], services.cases.find(stage=stage, limit=1).total)
        yield cases
        waiting_for = GaugeMetricFamily("datong_messages_waiting", "Messages that wait to be sent.", labels=("kind",))
        waiting_for.add_metric(["webhook"], services.subscriptions.waiting())
        waiting_for.add_metric(["notice"], services.sending.waiting())
        yield waiting_for
        room = shutil.disk_usage(services.settings.home)
        yield GaugeMetricFamily("datong_disk_free_bytes", "Bytes free where the hub's folder lies.", value=room.free)
        yield GaugeMetricFamily("datong_disk_bytes", "Bytes of the disk where the hub's folder lies.", value=room.total)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: registering asks for no values."""
        return iter(())
