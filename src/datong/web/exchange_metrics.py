"""How transfers stand, for Prometheus: one look at the control database each time somebody scrapes."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from datong.exchange import RunState, TaskStatus

LABELS = ("task", "name", "provider", "consumer")
_GAUGES: tuple[tuple[str, str, Callable[[TaskStatus], float | None]], ...] = (
    ("lag_seconds", "How far the target is behind its source.", lambda one: one.lag_seconds),
    ("rows_per_second", "Rows committed by the hub, mean of a minute.", lambda one: one.rows_per_second),
    ("applied_rows_per_second", "Rows applied, mean of a minute.", lambda one: one.applied_rows_per_second),
    ("queue_batches", "Batches that wait for the consumer.", lambda one: one.queue_batches),
    ("queue_bytes", "Bytes that wait for the consumer.", lambda one: one.queue_bytes),
    ("spool_bytes", "Bytes that wait in the producer's spool.", lambda one: one.spool_bytes),
    (
        "last_success_timestamp_seconds",
        "When a run was last applied whole.",
        lambda one: None if one.last_success_at is None else one.last_success_at.timestamp(),
    ),
    (
        "run_failed",
        "1 while the newest run has failed.",
        lambda one: float(one.run is not None and one.run.state is RunState.FAILED),
    ),
    (
        "failures_in_row",
        "Attempts of the newest run that failed since its last batch.",
        lambda one: 0 if one.run is None else one.run.failures_in_row,
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[TaskStatus], float]], ...] = (
    ("rows", "Rows committed by the hub.", lambda one: one.rows),
    ("rows_applied", "Rows applied by consumers.", lambda one: one.rows_applied),
    ("rows_rejected", "Rows that consumers' databases refused.", lambda one: one.rows_rejected),
)


class ExchangeMetrics(Collector):
    """Collects the metrics of every task that has not ended."""

    def __init__(self, statuses: Callable[[], list[TaskStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        found = self._statuses()
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(f"datong_exchange_{name}", text, labels=LABELS)
            for one in found:
                value = read(one)
                if value is not None:
                    gauge.add_metric(_labels(one), value)
            yield gauge
        for name, text, count in _COUNTERS:
            counter = CounterMetricFamily(f"datong_exchange_{name}", text, labels=LABELS)
            for one in found:
                counter.add_metric(_labels(one), count(one))
            yield counter

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: registering asks for no values."""
        return iter(())


def _labels(one: TaskStatus) -> list[str]:
    return [one.task.id, one.task.name, one.task.provider, one.task.consumer]
