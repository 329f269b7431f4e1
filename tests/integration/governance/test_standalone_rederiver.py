"""The program in one file leads from an exported log to what the hub published, and to its findings, by itself."""

import ast
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datong.governance import Publications
from datong.governance.duties import RULES, DutyKind
from datong.governance.indicators import FORMULAS
from datong.kernel import CHINA, Database, JsonValue, WorkingCalendar
from datong.ledger import EntryKind, exported_entries, standalone_rederiver, standalone_verifier
from datong.norms import load_pack
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, PROVIDER, World
from tests.integration.governance.test_publications import Published

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Busy:
    """A November in which something of every kind happened, late and in time, with outages, and its publication."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.departments()
        self.catalogue()
        self.agreements()
        self.transfers()
        self.corrections()
        self.calls()

    def record(self, kind: EntryKind, subject: str, by: Any = PROVIDER, **facts: Any) -> None:
        named = {"provider": PROVIDER, "consumer": CONSUMER, "resource_id": "r-1", "resource": "r-1"}
        own = {**named, **facts} if kind.value.split(".")[0] != "catalogue" else facts
        self.world.record(kind, subject, own, by)
        self.world.clock.advance(timedelta(seconds=1))

    def due(self, days: int) -> str:
        return self.world.calendar.deadline(self.world.clock.now(), days).isoformat()

    def departments(self) -> None:
        for code in (PROVIDER, CONSUMER, BUREAU):
            facts = {"action": "register_department", "department": code, "is_authority": code == BUREAU}
            self.record(EntryKind.DEPARTMENT_KEY, code, BUREAU, **facts)

    def catalogue(self) -> None:
        step = {"department": PROVIDER, "items": 7, "mapped_items": 5, "standard_items": 3, "bound": True, "version": 1}
        for number, share in ((1, "1"), (2, "2"), (3, "3"), (4, "1")):
            more = {**step, "share_type": share, "action": "submit", "to_state": "submitted", "due_at": self.due(2)}
            self.record(EntryKind.CATALOGUE_STEP, f"r-{number}", **more)
        for number, state in ((1, "published"), (2, "published"), (3, "published"), (4, "returned")):
            self.world.clock.advance(30 * HOUR)
            share = {1: "1", 2: "2", 3: "3", 4: "1"}[number]
            more = {**step, "share_type": share, "action": "x", "to_state": state, "published_version": 1}
            self.record(EntryKind.CATALOGUE_STEP, f"r-{number}", BUREAU, **more)
        found = {"department": CONSUMER, "without_draft": 4}
        self.record(EntryKind.INVENTORY, "node/source", CONSUMER, **found)
        drift = {"department": PROVIDER, "resource_id": "r-1", "version": 1, "due_at": self.due(1)}
        self.record(EntryKind.DRIFT, "r-1", action="open", **drift)
        self.world.clock.advance(6 * DAY)
        later = {**step, "share_type": "1", "action": "x", "to_state": "published", "published_version": 2}
        self.record(EntryKind.CATALOGUE_STEP, "r-1", **later)

    def agreements(self) -> None:
        more = {"agreement_id": "a-1", "provide_due_at": self.due(3), "modes": ["bulk"], "confirmed_by": []}
        self.record(EntryKind.AGREEMENT, "a-1", step="draft", state="draft", **more)
        self.world.clock.advance(DAY)
        self.record(EntryKind.AGREEMENT, "a-1", step="confirm", state="draft", **{**more, "confirmed_by": [PROVIDER]})
        self.world.clock.advance(4 * DAY)
        self.record(EntryKind.AGREEMENT, "a-1", CONSUMER, step="sign", state="confirmed", **more)
        self.record(EntryKind.AGREEMENT, "a-1", step="sign", state="active", **more)

    def transfers(self) -> None:
        task: dict[str, JsonValue] = {"agreement": "a-1", "action": "run", "run_requested": 1}
        self.record(EntryKind.TASK, "t-1", CONSUMER, **task)
        self.world.clock.advance(4 * DAY)
        now = self.world.clock.now()
        for department, cause, begin, end in (
            (PROVIDER, "network", 50, 30), (None, "platform", 40, 35), (PROVIDER, "node", 60, 20),
        ):  # fmt: skip
            told = {"since": (now - begin * HOUR).isoformat(), "until": (now - end * HOUR).isoformat()}
            self.record(EntryKind.OUTAGE, department or "hub", BUREAU, department=department, cause=cause, **told)
        batch: dict[str, JsonValue] = {"agreement": "a-1", "batch": "b-1", "run": 1, "last": True, "rows": 100}
        self.record(EntryKind.BATCH, "t-1", **batch)
        self.world.clock.advance(2 * DAY)
        receipt: dict[str, JsonValue] = {"agreement": "a-1", "batch": "b-1", "rows_applied": 93, "rows_rejected": 7}
        self.record(EntryKind.RECEIPT, "t-1", CONSUMER, **receipt)
        self.record(EntryKind.TASK, "t-1", CONSUMER, agreement="a-1", action="run", run_requested=2)
        self.record(EntryKind.TASK, "t-1", CONSUMER, agreement="a-1", action="pause", run_requested=2)
        self.world.clock.advance(3 * DAY)
        self.record(EntryKind.TASK, "t-1", CONSUMER, agreement="a-1", action="resume", run_requested=2)
        for state in ("equal", "different"):
            self.record(EntryKind.RECONCILIATION, "t-1", agreement="a-1", state=state, missing=0, ends={})

    def corrections(self) -> None:
        told: dict[str, JsonValue] = {"disputes": 0, "due_at": self.due(1)}
        self.record(EntryKind.CORRECTION, "c-1", CONSUMER, action="report", **told)
        self.record(EntryKind.CORRECTION, "c-2", CONSUMER, action="report", **told)
        self.record(EntryKind.CORRECTION, "c-2", action="reject", **told)
        self.world.clock.advance(6 * DAY)
        arrived = self.world.clock.now().isoformat()
        self.record(EntryKind.CORRECTION, "c-1", action="see", arrived_at=arrived, **told)

    def calls(self) -> None:
        for kind, number in ((EntryKind.ACCESS, 3), (EntryKind.REFUSAL, 1)):
            for one in range(number):
                self.record(kind, f"call-{one}", CONSUMER, agreement_ids=[], access_id=f"x-{one}", items=[])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program and the verifier beside it, as an auditor saves them."""
    shutil.copy(standalone_verifier.__file__, tmp_path / "verify.py")
    return Path(shutil.copy(standalone_rederiver.__file__, tmp_path / "rederive.py"))


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", str(program), *arguments], capture_output=True, text=True, check=False)


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(standalone_rederiver.__file__).read_text(encoding="utf-8"))
    named = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names


def test_its_tables_are_those_of_the_rules_and_the_norms() -> None:
    for kind, (article, owner, per_breach, per_day) in standalone_rederiver.KINDS.items():
        rule = RULES[DutyKind(kind)]
        assert (article, owner) == (rule.clause.article, rule.owner.value)
        assert (per_breach, per_day) == (rule.points_per_breach, rule.points_per_day)
    definitions = {one.key: one for one in load_pack(None).indicators}
    own = standalone_rederiver.INDICATORS
    assert own.keys() == FORMULAS.keys() & definitions.keys()
    for key, (_, _, weight, marks) in own.items():
        one = definitions[key]
        assert weight == one.weight
        assert ("low" in marks) is not one.higher_is_better
        assert ("count" in marks) is (one.unit == "count")
        assert ("complement" in marks) is FORMULAS[key].complement
    calendar, ours, day = WorkingCalendar(), standalone_rederiver.Calendar({}), date(2024, 1, 1)
    while day < date(2027, 12, 31):
        assert ours.works(day) == calendar.is_working_day(day), day
        day += DAY


def test_a_month_and_its_findings_come_out_again(control_database: Database, tmp_path: Path, program: Path) -> None:
    """With acts of every kind: what was published, and every finding that the monitor made, whatever its kind."""
    world = World(control_database)
    Busy(world)
    world.monitor.run()
    world.clock.advance(datetime(2026, 12, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
    world.monitor.run()
    publications = Publications(
        database=world.database, clock=world.clock, ledger=world.ledger, indicators=world.indicators
    )
    assert publications.publish_due() == ("2026-11",)
    while world.ledger.integrate():
        pass
    world.ledger.export(tmp_path / "export")
    key = world.ledger.public_key.hex()
    month = run(program, str(tmp_path / "export"), "--key", key, "--period", "2026-11")
    assert (month.returncode, month.stdout.count("✓")) == (0, 5), month.stdout + month.stderr
    findings = [one for one in exported_entries(tmp_path / "export") if one.kind is EntryKind.FINDING]
    judged = {one.subject: one.facts["kind"] for one in findings if one.facts["kind"] in standalone_rederiver.KINDS}
    assert set(judged.values()) >= {"provision", "review", "transfer", "quality", "correction", "catalogue_update"}
    for finding in judged:
        again = run(program, str(tmp_path / "export"), "--key", key, "--finding", finding)
        assert again.returncode == 0, again.stdout + again.stderr


def test_a_forged_line_does_not_come_out(control_database: Database, tmp_path: Path, program: Path) -> None:
    published = Published(control_database, tmp_path)
    world, folder = published.world, published.folder
    key = world.ledger.public_key.hex()
    assert run(program, str(folder), "--key", key, "--period", "2026-11").returncode == 0
    assert run(program, str(folder), "--key", key, "--finding", published.finding).returncode == 0
    assert run(program, str(folder), "--key", key, "--finding", "none").returncode == 1
    assert run(program, str(folder), "--key", key, "--period", "2026-10").returncode == 1
    assert run(program, str(folder), "--key", "00" * 32, "--period", "2026-11").returncode == 1
    assert run(program, str(folder), "--key", key).returncode == 1
    (line,) = [
        one
        for one in published.entries()
        if one.kind is EntryKind.INDICATOR and one.facts.get("department") == PROVIDER
    ]
    forged = {**line.facts, "period": "2026-12", "points": 0}
    world.record(EntryKind.INDICATOR, f"2026-12/{PROVIDER}", forged, BUREAU)
    while world.ledger.integrate():
        pass
    world.ledger.export(folder.with_name("second"))
    told = run(program, str(folder.with_name("second")), "--key", key, "--period", "2026-12")
    assert told.returncode == 1
    assert "counted:" in told.stdout
