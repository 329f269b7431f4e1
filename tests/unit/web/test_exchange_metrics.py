"""What Prometheus learns of every task: lag, speed, queues, the last success."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from datong.exchange import TransferMode
from datong.kernel import PLATFORM_ACTOR
from datong.web.exchange_metrics import ExchangeMetrics
from tests.exchange_hub import TestHub, task_draft
from tests.free_ports import free_port


def test_a_task_has_a_sample_of_each_figure_that_is_known(tmp_path: Path) -> None:
    hub = TestHub(tmp_path / "hub")
    for party in ("police", "education"):
        hub.enrol(tmp_path / party, party, free_port(), "sqlite:///x", writable=party == "education")
    draft = task_draft("people", ("id",), key_columns=("id",), target_table="t", mode=TransferMode.SNAPSHOT)
    task = hub.exchange.create_task(draft, actor=PLATFORM_ACTOR)
    (status,) = hub.exchange.observation.everything()
    applied = datetime(2026, 1, 5, tzinfo=UTC)
    told = {
        "lag_seconds": 7.5,
        "rows_per_second": 20.0,
        "queue_batches": 3,
        "queue_bytes": 4096,
        "last_success_at": applied,
    }
    registry = CollectorRegistry()
    registry.register(ExchangeMetrics(lambda: [status.model_copy(update=told)]))
    lines = [line for line in generate_latest(registry).decode().splitlines() if task.id in line]
    found = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert found["datong_exchange_lag_seconds"] == 7.5
    assert found["datong_exchange_rows_per_second"] == 20
    assert (found["datong_exchange_queue_batches"], found["datong_exchange_queue_bytes"]) == (3, 4096)
    assert found["datong_exchange_last_success_timestamp_seconds"] == applied.timestamp()
    assert found["datong_exchange_run_failed"] == 0
    assert found["datong_exchange_rows_total"] == 0
    assert all(f'provider="{task.provider}"' in line and f'consumer="{task.consumer}"' in line for line in lines)
