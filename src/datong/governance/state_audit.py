"""What of governance `fsck` compares with the log: findings, cases and what was done in them."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, select

from datong.governance.findings import Finding
from datong.governance.indicators import Performance
from datong.governance.publications import line_facts, order_facts
from datong.governance.tables import ALARM, CASE, CASE_ACT, FINDING, PUBLICATION
from datong.kernel import EntryId, JsonValue, Text, sha256_hex
from datong.ledger import Area, EntryKind, Held, of_act, of_subject, streamed


def _findings(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(FINDING)):
        names = ("kind", "subject", "provider", "consumer", "authority", "delay_working_days", "points", "revision")
        own = {name: row[name] for name in names}
        says = {"governance_finding": own, "governance_finding.document": _judged(row["document"])}
        yield Held(row["id"], says)


def _judged(document: object) -> dict[str, JsonValue]:
    return Finding.model_validate(document).facts()


def _cases(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(CASE)).mappings():
        own = {
            "finding": row["finding_id"],
            "origin": row["origin"],
            "origin_id": row["origin_id"],
            "ruling": row["ruling"],
            "stage_after": row["stage"],
            "provider": row["provider"],
            "consumer": row["consumer"],
        }
        yield Held(row["id"], {"governance_case": own})


def _acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(CASE_ACT)):
        own = {
            "action": row["action"],
            "stage_before": row["stage_before"],
            "stage_after": row["stage_after"],
            "statement_digest": sha256_hex(row["statement"].encode()),
            "actor": row["actor"]["id"],
            "evidence": row["evidence"],
            "recheck": row["recheck"],
        }
        key = f"{row['case_id']}: {row['action']}"
        yield Held(key, {"governance_case_act": own}, EntryId(row["entry_id"]))


def _publications(connection: Connection) -> Iterator[Held]:
    """Yield the order of each published table, and each of its lines."""
    for row in connection.execute(select(PUBLICATION)).mappings():
        performance = Performance.model_validate(row["document"])
        yield Held(row["period"], {"governance_publication.document": _unversioned(order_facts(performance))})
        for line in performance.departments:
            key = f"{row['period']}/{line.department}"
            yield Held(key, {"governance_publication.document": _unversioned(line_facts(performance, line))})


def _unversioned(facts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what a table says without the versions of what computed it, which it does not hold."""
    return {name: value for name, value in facts.items() if name not in {"rules", "guards", "formulas"}}


def _alarms(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(ALARM)):
        own = {name: row[name] for name in ("kind", "series", "day", "provider", "consumer", "state")}
        if row["reason"] is not None:
            own["reason_sha256"] = sha256_hex(row["reason"].encode())
        figures = {name: row["document"][name] for name in ("observed", "expected", "score_tenths")}
        yield Held(row["id"], {"governance_alarm": own, "governance_alarm.document": figures})


GOVERNANCE_AREAS = (
    Area("governance.alarm", Text(zh="异常预警", en="Alarm"), frozenset({EntryKind.ALARM}), of_subject, _alarms),
    Area(
        "governance.publication",
        Text(zh="公布的指标", en="Published indicators"),
        frozenset({EntryKind.INDICATOR}),
        of_subject,
        _publications,
    ),
    Area(
        "governance.finding",
        Text(zh="责任认定", en="Finding"),
        frozenset({EntryKind.FINDING}),
        of_subject,
        _findings,
    ),
    Area("governance.case", Text(zh="协调事项", en="Case"), frozenset({EntryKind.CASE}), of_subject, _cases),
    Area(
        "governance.case_act",
        Text(zh="协调事项的办理", en="Act in a case"),
        frozenset({EntryKind.CASE}),
        of_act,
        _acts,
        own_entry=True,
    ),
)
