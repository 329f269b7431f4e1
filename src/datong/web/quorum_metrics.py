"""How the log is witnessed, for Prometheus: one look at the control database each time somebody scrapes."""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datong.ledger import Quorum


class QuorumMetrics(Collector):
    """Collects how many departments must witness the log, how many do, and how long each witness has been behind."""

    def __init__(self, state: Callable[[], Quorum], now: Callable[[], datetime]) -> None:
        self._state = state
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        state, now = self._state(), self._now()
        for name, text, value in (
            ("quorum", "1 while enough departments witness the log.", state.holds),
            ("witnesses_required", "Departments that must witness the log.", state.required),
            ("witnesses_following", "Departments that witness the log.", state.reached),
        ):
            yield GaugeMetricFamily(f"datong_log_{name}", text, value=float(value))
        behind = GaugeMetricFamily(
            "datong_log_witness_behind_seconds", "Seconds that a witness has been behind the log.", labels=("witness",)
        )
        for one in state.witnesses:
            seconds = 0.0 if one.behind_since is None else (now - one.behind_since).total_seconds()
            behind.add_metric((one.name,), max(seconds, 0.0))
        yield behind
