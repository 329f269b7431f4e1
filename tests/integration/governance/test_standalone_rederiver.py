"""The program in one file leads from an exported log to what the hub published, and to its findings, by itself."""

import ast
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datong.governance import GUARDS, Publications, rederive_finding, rederive_indicators
from datong.governance.duties import RULES, DutyKind
from datong.governance.indicators import FORMULAS
from datong.kernel import CHINA, Database, FindingId, JsonValue, WorkingCalendar
from datong.ledger import EntryKind, exported_entries, standalone_rederiver, standalone_verifier
from datong.norms import load_pack
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, PROVIDER, World
from tests.integration.governance.test_publications import Published

IDS = {"evidence", "evidence_leaves", "revision"}
WORKING_DAYS = WorkingCalendar()
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Busy:
    """A November in which something of every kind happened, late and in time, with outages, and its publication."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.departments()
        self.friends("f", 3)
        self.catalogue()
        self.agreements()
        self.transfers()
        self.corrections()
        self.calls()

    def record(self, kind: EntryKind, subject: str, by: Any = PROVIDER, /, **facts: Any) -> None:
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
        for wish in ("w-1", "w-2"):
            asked: dict[str, JsonValue] = {"department": PROVIDER, "due_at": self.due(1)}
            self.record(EntryKind.WISH, wish, BUREAU, step="assign", state="assigned", **asked)
        self.record(EntryKind.WISH, "w-2", BUREAU, step="withdraw", state="withdrawn", department=PROVIDER)
        self.world.clock.advance(6 * DAY)
        self.record(EntryKind.WISH, "w-1", step="decline", state="declined", department=PROVIDER)
        arrived = self.world.clock.now().isoformat()
        self.record(EntryKind.CORRECTION, "c-1", action="see", arrived_at=arrived, **told)

    def calls(self) -> None:
        for assigned, certified in ((2, {"2026-11-29": 1}), (3, {"2026-11-29": 1, "2026-11-30": 1, "9999-12-31": 1})):
            self.record(EntryKind.STAFF, PROVIDER, department=PROVIDER, assigned=assigned, certified=certified)
        for state, action, fit in (("given", "rate", 2), ("given", "change", 4), ("withdrawn", "withdraw", 4)):
            for subject in ("v-1", "v-2") if state == "given" else ("v-2",):
                scores: dict[str, JsonValue] = {"fit": fit, "quality": 1}
                told: dict[str, JsonValue] = {"consumer": BUREAU, "state": state, "scores": scores}
                self.record(EntryKind.RATING, subject, BUREAU, action=action, **told)
        for offered in (True, False):
            self.record(EntryKind.LIVE, "r-1", offered=offered)
            for kind, number in ((EntryKind.ACCESS, 3), (EntryKind.REFUSAL, 1)):
                for one in range(number):
                    name = f"{'live' if offered else 'call'}-{one}"
                    told = {"agreement_ids": [], "access_id": name, "items": [], "kind": "query", "rows": one}
                    self.record(kind, name, CONSUMER, **told, milliseconds=200 * one)
            self.world.clock.advance(5 * HOUR)
        for opened, corrected in ((5, 0), (3, 2)):
            letters: dict[str, JsonValue] = {"open": {"null": opened}, "corrected": corrected, "superseded": 1}
            self.record(EntryKind.DEAD_LETTERS, "t-1", CONSUMER, task="t-1", discarded=4, **letters)

    def levels(self) -> None:
        """Break every promise of an agreement once."""
        now = self.world.clock.now()
        task: dict[str, JsonValue] = {"agreement": "a-2", "run": 1}
        levels = {
            "freshness_hours": 24, "availability_permille": 999, "completeness_permille": 950, "latency_ms_p95": 500,
        }  # fmt: skip
        more = {
            "agreement_id": "a-2", "provide_due_at": self.due(3), "modes": ["bulk", "interface"], "confirmed_by": [],
            "valid_until": (now + 90 * DAY).isoformat(), "levels": levels, "resource_id": "r-2",
            "liability": {"provider_permille": 400, "consumer_permille": 400, "platform_permille": 200},
        }  # fmt: skip
        self.record(EntryKind.AGREEMENT, "a-2", step="sign", state="active", **more)
        self.record(EntryKind.LIVE, "r-2", resource_id="r-2", offered=True)
        for cause, hours in (("platform", 3), ("node", 2)):
            ends_at = self.world.clock.now() + timedelta(hours=hours)
            span = {"since": self.world.clock.now().isoformat(), "until": ends_at.isoformat()}
            self.world.clock.advance(hours * HOUR)
            who = PROVIDER if cause == "node" else None
            self.record(EntryKind.OUTAGE, who or "hub", BUREAU, department=who, cause=cause, **span)
        for batch in ("b-2", "b-3"):
            sent = {"batch": batch, "last": True, "rows": 10, "produced_at": self.world.clock.now().isoformat()}
            self.record(EntryKind.BATCH, "t-2", **task, **sent)
            receipt = {"batch": batch, "sequence": int(batch[-1]), "rows_applied": 10, "rows_rejected": 0}
            self.record(EntryKind.RECEIPT, "t-2", CONSUMER, **task, **receipt)
            self.world.clock.advance(3 * HOUR)
            self.record(EntryKind.TASK, "t-2", CONSUMER, **task, action="pause")
            self.world.clock.advance(2 * DAY)
            self.record(EntryKind.TASK, "t-2", CONSUMER, **task, action="resume")
            self.world.clock.advance(2 * DAY)
        ends: dict[str, JsonValue] = {"producer": {"rows": 100}, "consumer": {"rejected": 1}}
        told: dict[str, JsonValue] = {"reconciliation": "c-2", "missing": 9, "state": "different", "ends": ends}
        self.record(EntryKind.RECONCILIATION, "t-2", **task, **told)
        call: dict[str, JsonValue] = {"kind": "query", "agreement_ids": ["a-2"], "items": []}
        for one in range(24):
            took = 900 if one < 3 else 20
            self.record(EntryKind.ACCESS, f"y-{one}", CONSUMER, access_id=f"y-{one}", milliseconds=took, **call)
        now = self.world.clock.now()
        for cause, calls, ago in (("provider_error", 4, 1), ("platform_error", 7, 1), ("node_timeout", 9, 201)):
            at = (now - ago * HOUR).isoformat()
            failed: dict[str, JsonValue] = {"cause": cause, "calls": calls, "first_at": at, "last_at": at, "hour": at}
            self.record(EntryKind.FAILURE, "r-2", BUREAU, **failed, agreement_ids=["a-2"])
        for one in range(11):
            more_said = {"access_id": f"z-{one}", "policies": ["data.other_purpose"]}
            self.record(EntryKind.REFUSAL, f"z-{one}", CONSUMER, **call, **more_said)
        self.record(EntryKind.AGREEMENT, "a-2", step="terminate", state="terminated", **more)

    def request(self, number: str, step: str, state: str, **more: JsonValue) -> None:
        told: dict[str, JsonValue] = {"due_at": self.due(1), "items": ["a"], "resource_id": f"r-{number}", **more}
        kind = EntryKind.REQUEST if step == "submit" else EntryKind.DECISION
        self.record(kind, f"q-{number}", request_id=f"q-{number}", step=step, state=state, **told)

    def friends(self, name: str, number: int) -> None:
        """Let both departments grant each other what neither uses."""
        for one in range(number):
            for way, (provider, consumer) in enumerate(((PROVIDER, CONSUMER), (CONSUMER, PROVIDER))):
                both: dict[str, JsonValue] = {"provider": provider, "consumer": consumer}
                self.request(f"{name}{one}{way}", "submit", "submitted", **both)
                self.request(f"{name}{one}{way}", "approve", "granted", **both)

    def gaming(self) -> None:
        """Game each indicator as each guard knows it."""
        step: dict[str, JsonValue] = {"department": PROVIDER, "share_type": "1", "to_state": "published", "bound": True}
        for number, items in ((10, 2), (11, 2), (12, 2), (13, 2), (14, 2), (20, 0)):
            self.record(EntryKind.CATALOGUE_STEP, f"r-{number}", **step, action="x", items=items, published_version=1)
        self.friends("g", 1)
        due = self.due(2)
        for state in ("refused", "granted"):
            names: dict[str, JsonValue] = {"resource_id": "r-1", "due_at": due if state == "refused" else self.due(2)}
            self.request(state, "submit", "submitted", **names)
            self.world.clock.advance(HOUR)
            self.request(state, "decide", state, **names)
            self.world.clock.advance(3 * DAY)
        self.request("own", "submit", "submitted", consumer=PROVIDER)
        self.request("own", "approve", "granted", consumer=PROVIDER)
        self.record(EntryKind.ACCESS, "own", PROVIDER, consumer=PROVIDER, resource_id="r-3", access_id="own", rows=1)
        rounds = [("own", 1, PROVIDER), ("back", 3, CONSUMER), *((f"quick-{one}", 1, CONSUMER) for one in range(5))]
        for report, number, consumer in rounds:
            for one in range(number):
                told: dict[str, JsonValue] = {"disputes": one, "due_at": self.due(2), "consumer": consumer}
                action = "dispute" if one else "report"
                self.record(EntryKind.CORRECTION, report, CONSUMER, action=action, element=report[:5], **told)
                self.record(EntryKind.CORRECTION, report, action="reject", element=report[:5], **told)
        for one in range(2):
            for provider, consumer in ((PROVIDER, CONSUMER), (CONSUMER, PROVIDER)):
                told = {"provider": provider, "consumer": consumer, "scores": {"fit": 5}, "state": "given"}
                self.record(EntryKind.RATING, f"{one}-{provider}", consumer, action="rate", **told)


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
    busy = Busy(world)
    world.monitor.run()
    world.clock.advance(datetime(2026, 12, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
    world.monitor.run()
    publications = Publications(
        database=world.database, clock=world.clock, ledger=world.ledger, indicators=world.indicators
    )
    assert publications.publish_due() == ("2026-11",)
    world.clock.advance(7 * DAY)
    busy.levels()
    busy.gaming()
    world.clock.advance(datetime(2027, 1, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
    world.monitor.run()
    while world.ledger.integrate():
        pass
    world.ledger.export(tmp_path / "export")
    key = world.ledger.public_key.hex()
    month = run(program, str(tmp_path / "export"), "--key", key, "--period", "2026-11")
    assert (month.returncode, month.stdout.count("✓")) == (0, 5), month.stdout + month.stderr
    recorded = list(exported_entries(tmp_path / "export"))
    findings = [one for one in recorded if one.kind is EntryKind.FINDING]
    judged = {one.subject: one.facts["kind"] for one in findings}
    assert set(judged.values()) == set(standalone_rederiver.KINDS) - {"reply"}
    # One process for all of them: the program itself, read as a module.
    entries = standalone_rederiver.read_entries(tmp_path / "export", world.ledger.size(), standalone_verifier.tile_name)
    leaves = {one.leaf: one.place for one in entries}
    calendar = standalone_rederiver.Calendar({})
    for finding, kind in judged.items():
        for revision, derived in standalone_rederiver.rederive_finding(entries, finding, calendar):
            said = {name: value for name, value in revision.facts.items() if name not in IDS}
            assert said == derived, kind
            places = [leaves[leaf] for leaf in revision.facts["evidence_leaves"]]
            assert places
            assert max(places) < revision.place
        by_platform = rederive_finding(recorded, FindingId(finding), calendar=WORKING_DAYS)
        assert [one.differing for one in by_platform if one.differing] == [], kind
    months_come_out_again(world, tmp_path)
    told = run(program, str(tmp_path / "export"), "--key", key, "--finding", finding)
    assert (told.returncode, "← #" in told.stdout) == (0, True), told.stdout + told.stderr


def months_come_out_again(world: World, folder: Path) -> None:
    """What guards took out of December's numbers, and what they point at half a year later, both programs find."""
    publications = Publications(
        database=world.database, clock=world.clock, ledger=world.ledger, indicators=world.indicators
    )
    world.clock.advance(datetime(2027, 7, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
    assert publications.publish_due()[::6] == ("2026-12", "2027-06")
    while world.ledger.integrate():
        pass
    world.ledger.export(folder / "later")
    recorded = list(exported_entries(folder / "later"))
    entries = standalone_rederiver.read_entries(folder / "later", world.ledger.size(), standalone_verifier.tile_name)
    struck: dict[str, set[str]] = {}
    counted: set[str] = set()
    for month in ("2026-12", "2027-06"):
        lines = rederive_indicators(recorded, month, pack=load_pack(None), calendar=WORKING_DAYS)
        assert [line.differing for line in lines] == [()] * 4
        for line, said in standalone_rederiver.rederive_period(entries, month, standalone_rederiver.Calendar({})):
            assert line.facts == said
            counted |= set(said.get("counted", {}))
            struck[line.subject] = {one for found in said.get("discounted", {}).values() for one in found}
            struck[line.subject] |= set(said.get("flagged", ()))
    assert {"quality_fix_rate", "service_availability", "latency_p95", "call_success_rate"} <= counted
    assert struck[f"2026-12/{PROVIDER}"] == set(GUARDS) - {"shelf_ware"}
    assert struck[f"2026-12/{CONSUMER}"] == {"friendly_requests", "mutual_praise"}
    assert "shelf_ware" in struck[f"2027-06/{PROVIDER}"]


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
