"""The report of `datong hub fsck` for people, and that no entry and no row stops it."""

import random
from pathlib import Path

from sqlalchemy import insert

from datong.app.fsck import AREAS, NOT_COMPARED, lines
from datong.governance.tables import ALARM
from datong.kernel import JsonValue, Text
from datong.ledger import EntryKind, Fault, FsckReport
from tests.unit.ledger.logs import NODE, NOW, SmallLog

COMPARED = sorted({kind for area in AREAS for kind in area.kinds})
NAMES = (
    "action", "step", "state", "to_state", "from_state", "department", "provider", "consumer", "version", "items",
    "resource_id", "request_id", "agreement_id", "library", "key_id", "public_key", "batch", "task", "signed_by",
    "amendment", "confirmed_by", "revision", "erased_versions", "versions", "correction", "period", "meeting", "item",
)  # fmt: skip
VALUES: tuple[JsonValue, ...] = (
    None, "", "x", "register_key", "create", "dispose", "propose", "sign", -1, 2**40, True, [], [None], {}, {"x": [{}]}
)  # fmt: skip
ALIKE = 6
"""Malformed entries of each kind."""


def report(*faults: Fault, omitted: int = 0) -> FsckReport:
    compared = {area.name: number for number, area in enumerate(AREAS)}
    return FsckReport(
        size=7, pending=1, checkpoints=2, cosignatures=3, compared=compared, faults=faults, omitted=omitted
    )


def test_it_ends_with_the_verdict_and_says_what_it_did_not_compare() -> None:
    told = lines(report())
    assert told[-1].startswith("✓")
    assert NOT_COMPARED
    assert all(kind in told[-2] for kind in NOT_COMPARED)
    assert EntryKind.AGREEMENT not in NOT_COMPARED


def test_faults_are_named_in_both_languages_with_their_entry() -> None:
    fault = Fault(code="ledger.x", area="sharing.agreement", key="1", index=5, what=Text(zh="甲", en="A"))
    told = lines(report(fault, omitted=2))
    assert "✗ ledger.x [#5] 甲 · A" in told
    assert told[-1].startswith("✗ 3 ")


def test_areas_have_names_of_their_own() -> None:
    assert len({area.name for area in AREAS}) == len(AREAS)


def test_malformed_facts_of_any_kind_are_findings(tmp_path: Path) -> None:
    """Facts that lack what the package reads, or hold something else, are named; the check goes on behind them."""
    chance, log = random.Random(7), SmallLog(tmp_path)
    with log.database.transaction() as connection:
        for kind in COMPARED:
            for number in range(ALIKE):
                facts = {
                    name: chance.choice(VALUES)
                    for name in chance.sample(NAMES, chance.randint(0, 12) * number // ALIKE)
                }
                log.ledger.append(connection, kind=kind, subject=f"{kind}-{number}", actor=NODE, facts=facts)
    log.integrate()
    report = log.ledger.fsck(AREAS)
    assert report.size == ALIKE * len(COMPARED)
    named = {fault.index for fault in report.faults if fault.code in {"ledger.entry_facts", "ledger.state_missing"}}
    assert len(named) > report.size / 2
    assert {"KeyError: action", "KeyError: step"} & {
        fault.what.en.rpartition("(")[2].rstrip(").") for fault in report.faults if fault.code == "ledger.entry_facts"
    }
    log.database.close()


def test_a_row_that_cannot_be_read_is_a_finding_and_other_areas_are_compared(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    with log.database.transaction() as connection:
        row = {"kind": "volume", "series": "task:1", "day": "2026-03-01", "state": "open", "raised_at": NOW}
        connection.execute(insert(ALARM).values(id="alarm-1", entry_id="none", document={"odd": 1}, **row))
        log.ledger.append(connection, kind=EntryKind.ALARM, subject="alarm-2", actor=NODE, facts={"state": "open"})
        log.ledger.append(connection, kind=EntryKind.CASE, subject="case-1", actor=NODE, facts={"action": "open"})
    log.integrate()
    faults = {(fault.code, fault.area) for fault in log.ledger.fsck(AREAS).faults}
    assert ("ledger.state_unreadable", "governance.alarm") in faults
    assert ("ledger.state_missing", "governance.alarm") not in faults
    assert ("ledger.state_missing", "governance.case") in faults
    log.database.close()
