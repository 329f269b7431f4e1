"""Dashboard and alerts name metrics that a hub has; its log is JSON with traces, in a file that rotates."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from datong import web
from datong.app.backup_metrics import BackupMetrics
from datong.app.hub import Hub
from datong.app.logs import start_logging
from datong.app.worker import WORK_METRICS, Sweep, Worker
from datong.kernel import Settings
from datong.kernel.tracing import TRACE, trace_of
from tests.new_control import new_control

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
NAMED = re.compile(r"\b(?:datong|process)_[a-z_]+\b")
MADE_BY_PROMETHEUS = {"up"}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def series(registry: CollectorRegistry) -> set[str]:
    """Return the names of a registry's series, those without a sample yet too."""
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {metric.name + end for metric in registry.collect() for end in ends.get(metric.type, ("",))}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """An open hub with a folder of backups that is empty."""
    home = tmp_path_factory.mktemp("hub")
    new_control(home).close()
    opened = Hub(Settings(home=home, backup_folder=home / "backups", metrics_token="a-token"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def application(hub: Hub) -> web.HubApplication:
    """A hub's application, composed as `serve` does."""
    return web.create_app(hub.services, collectors=(*WORK_METRICS, BackupMetrics(hub.settings)))


def test_what_is_said_to_dispose_of_things_is_background_work(hub: Hub) -> None:
    document = (ROOT / "docs" / "operations" / "retention.md").read_text()
    table = re.findall(r"^\| [^|]+ \| [^|]+ \| `([a-z-]+)` \|", document, re.MULTILINE)
    assert len(table) > 8
    assert set(table) <= {sweep.name for sweep in hub.sweeps()}


def test_dashboard_alerts_and_document_name_what_there_is(application: web.HubApplication) -> None:
    there = series(application.edge_metrics.registry)
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"zh", "en", "do_zh", "do_en"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
    asked += [rule["expr"] for rule in group["rules"]]
    for expression in asked:
        names = set(NAMED.findall(expression))
        assert names - there == set(), expression
        assert names or "up{" in expression
        assert expression.count("(") == expression.count(")")
    document = (ROOT / "docs" / "operations" / "watching.md").read_text()
    own = {name for name in there if name.startswith("datong_") and not name.endswith(("_sum", "_count"))}
    listed = set(re.findall(r"`(datong_[a-z_]+)`", document))
    assert own == listed
    assert {rule["alert"] for rule in group["rules"]} == set(re.findall(r"^\| `([A-Z]\w+)` \|", document, re.MULTILINE))


def test_a_scraper_reads_what_background_work_does(application: web.HubApplication) -> None:
    turns: list[str] = []

    def fail() -> bool:
        turns.append(TRACE.get())
        raise OSError

    worker = Worker([Sweep(name="flaky-one", interval_seconds=0.01, run=fail)])
    worker.start()
    while len(turns) < 2:
        worker.wait(0.01)
    worker.stop()
    # Each turn is a trace of its own.
    assert len(set(turns)) == len(turns)
    assert TRACE.get() == ""
    client = TestClient(application)
    assert client.get("/metrics").status_code == 401
    told = client.get("/metrics", headers={"Authorization": "Bearer a-token"}).text
    assert 'datong_sweep_failures_total{sweep="flaky-one"}' in told
    assert "datong_backup_timestamp_seconds 0.0" in told
    assert "process_resident_memory_bytes" in told
    assert generate_latest(application.edge_metrics.registry)


def test_traces_are_taken_from_whoever_calls() -> None:
    assert trace_of(PARENT) == "4bf92f3577b34da6a3ce929d0e0e4736"
    nothing = PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)
    for wrong in (None, "", PARENT.upper(), PARENT[:-1], "ff" + PARENT[2:], nothing):
        assert trace_of(wrong) is None


def test_lines_are_json_with_their_trace_and_files_rotate(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "hub.log"
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    handler = start_logging(Settings(log_format="json", log_file=path, log_file_mb_max=1, log_files_kept=2))
    try:
        TRACE.set("4bf92f3577b34da6a3ce929d0e0e4736")
        logging.getLogger("datong.test").warning("换行\n%s", "值")
        try:
            raise ValueError("x")
        except ValueError:
            logging.getLogger("datong.test").exception("failed")
        first, second = (json.loads(line) for line in path.read_text().splitlines())
        assert (first["message"], first["level"], first["trace"]) == ("换行\n值", "WARNING", TRACE.get())
        assert second["error"].startswith("Traceback")
        assert path.stat().st_mode & 0o077 == 0
        for _ in range(40):
            logging.getLogger("datong.test").warning("x" * 100_000)
        assert sorted(one.name for one in path.parent.iterdir()) == ["hub.log", "hub.log.1", "hub.log.2"]
    finally:
        TRACE.set("")
        handler.close()
        root.handlers[:] = before
        root.setLevel(level)
