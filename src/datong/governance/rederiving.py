"""Derives published indicators and findings again from the entries of a log alone, and says where they differ.

Whoever holds an exported log needs no hub for it: departments, authorities, duties, findings and what they charge all
stand in the entries. An entry is judged by those that stand before it, as it was when it was made.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from datong.governance.duties import Duty, DutyKind
from datong.governance.findings import cited
from datong.governance.guards import OLDER_GUARDS
from datong.governance.indicators import ADDED, assess, formulas_of
from datong.governance.judgement import finding_id, judge
from datong.governance.ledger_evidence import GivenEntries, LedgerEvidence
from datong.governance.parties import Party, divide
from datong.governance.periods import Period
from datong.governance.publications import line_facts, order_facts
from datong.governance.stages import Ruling
from datong.kernel import DepartmentCode, FindingId, JsonValue, NotFound, Text, Value, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry
from datong.norms import NormPack

_NAMELESS = Text(zh="—", en="—")
_NAMED_BY_ENTRY = frozenset({DutyKind.REVIEW, DutyKind.CATALOGUE_UPDATE})
_VERSIONS = frozenset({"guards", "formulas"})
"""What publications of older releases, before there were guards against gaming or these formulas, do not state."""
_IDS = ("evidence",)
"""Facts that name entries by the hub's own ids, which the log does not hold."""


class Rederived(Value):
    """One entry of the log and what the rules make of the entries before it; `differing` facts are not the same."""

    index: int
    subject: str
    recorded: dict[str, JsonValue]
    derived: dict[str, JsonValue]
    differing: tuple[str, ...]


def rederive_indicators(
    entries: Sequence[RecordedEntry], period: str, *, pack: NormPack, calendar: WorkingCalendar
) -> tuple[Rederived, ...]:
    """Return every line of a published period and its order, each beside what the log leads to.

    Raises:
        Invalid: `period` is not one. NotFound: the log holds no publication of it.
    """
    span = Period.parse(period)
    published = [entry for entry in entries if entry.kind is EntryKind.INDICATOR and entry.facts["period"] == span.name]
    if not published:
        raise NotFound(
            "governance.not_published",
            what=Text(zh=f"日志中没有 {span.name} 的指标公布。", en=f"The log holds no publication of {span.name}."),
            remedy=Text(zh="请核对统计期。", en="Check the period."),
        )
    before = _before(entries, published[0])
    evidence = _evidence(before, calendar)
    guarded = "guards" in published[0].facts
    performance = assess(
        pack.indicators,
        evidence.observations(since=span.since, until=span.until),
        dict.fromkeys(_departments(before), _NAMELESS),
        _charges(before, span),
        period=span,
        suspicions=evidence.suspicions(since=span.since, until=span.until) if guarded else (),
        formulas=formulas_of(published[0].facts.get("formulas")),
    )
    derived = {f"{span.name}/{line.department}": line_facts(performance, line) for line in performance.departments}
    derived[span.name] = order_facts(performance)
    unsaid = _VERSIONS - published[0].facts.keys()
    if published[0].facts.get("guards") in OLDER_GUARDS:
        derived = {name: {**said, "guards": published[0].facts["guards"]} for name, said in derived.items()}
    if published[0].facts.get("formulas") in ADDED:
        derived = {name: {**said, "formulas": published[0].facts["formulas"]} for name, said in derived.items()}
    return tuple(
        _compared(entry, {name: said for name, said in derived.get(entry.subject, {}).items() if name not in unsaid})
        for entry in published
    )


def rederive_finding(
    entries: Sequence[RecordedEntry], finding: FindingId, *, calendar: WorkingCalendar
) -> tuple[Rederived, ...]:
    """Return every revision of a finding beside what the rules make of the entries before it.

    Raises:
        NotFound: the log holds no such finding.
    """
    revisions = [entry for entry in entries if entry.kind is EntryKind.FINDING and entry.subject == finding]
    if not revisions:
        raise NotFound(
            "governance.finding_not_found",
            what=Text(zh=f"日志中没有责任认定 {finding}。", en=f"The log holds no finding {finding}."),
            remedy=Text(zh="请核对编号。", en="Check its id."),
        )
    return tuple(_compared(entry, _judged(entries, entry, finding, calendar)) for entry in revisions)


def _judged(
    entries: Sequence[RecordedEntry], revision: RecordedEntry, finding: FindingId, calendar: WorkingCalendar
) -> Mapping[str, JsonValue]:
    # The monitor judged as of a moment just before it wrote.
    before = _before(entries, revision)
    duties = _evidence(before, calendar).duties(until=revision.at + timedelta(microseconds=1))
    for duty in duties:
        if finding_id(duty) == finding or _is_of(duty, revision):
            found = judge(duty, now=revision.at, calendar=calendar)
            if found is None:
                return {}
            found = found.model_copy(update={"id": finding, "subject": revision.facts["subject"]})
            if "evidence_leaves" in revision.facts:
                named = set(found.evidence)
                acts = ((one.at, one.leaf_hash) for one in before if one.entry_id in named)
                found = found.model_copy(update={"leaves": cited(acts)})
            return found.facts()
    return {}


def _is_of(duty: Duty, revision: RecordedEntry) -> bool:
    """Whether a duty is the one judged whose subject ends in the hub's id of an entry, which no log holds."""
    facts = revision.facts
    named = (duty.kind.value, duty.subject.rpartition("/")[0], duty.due_at.isoformat())
    return duty.kind in _NAMED_BY_ENTRY and named == (
        facts["kind"],
        facts["subject"].rpartition("/")[0],
        facts["due_at"],
    )


def _compared(entry: RecordedEntry, derived: Mapping[str, JsonValue]) -> Rederived:
    own = {name: value for name, value in entry.facts.items() if name not in _IDS and name != "revision"}
    made = {name: value for name, value in derived.items() if name not in _IDS}
    differing = sorted(name for name in own.keys() | made.keys() if own.get(name) != made.get(name))
    return Rederived(
        index=entry.index or 0, subject=entry.subject, recorded=own, derived=made, differing=tuple(differing)
    )


def _before(entries: Sequence[RecordedEntry], entry: RecordedEntry) -> list[RecordedEntry]:
    return [one for one in entries if (one.index or 0) < (entry.index or 0)]


def _evidence(entries: Sequence[RecordedEntry], calendar: WorkingCalendar) -> LedgerEvidence:
    authorities = frozenset(code for code, is_authority in _departments(entries).items() if is_authority)
    return LedgerEvidence(
        ledger=GivenEntries(entries),
        calendar=calendar,
        authorities=lambda: authorities,
        title_of=lambda _resource: _NAMELESS,
    )


def _departments(entries: Sequence[RecordedEntry]) -> dict[DepartmentCode, bool]:
    """Return every department, and whether it is a data authority."""
    return {
        DepartmentCode(entry.subject): bool(entry.facts["is_authority"])
        for entry in entries
        if entry.kind is EntryKind.DEPARTMENT_KEY and entry.facts["action"] == "register_department"
    }


def _charges(entries: Sequence[RecordedEntry], span: Period) -> dict[DepartmentCode, int]:
    """Return the points that the newest revisions of the findings of a period charge to each department.

    What a decision in a case has set aside charges nobody.
    """
    rulings = {
        entry.facts["finding"]
        for entry in entries
        if entry.kind is EntryKind.CASE and entry.facts.get("ruling") == Ruling.SET_ASIDE.value
    }
    newest = {
        entry.subject: entry.facts
        for entry in entries
        if entry.kind is EntryKind.FINDING and entry.subject not in rulings
    }
    charged: dict[DepartmentCode, int] = {}
    for facts in newest.values():
        if not facts["points"] or not span.since <= datetime.fromisoformat(facts["due_at"]) < span.until:
            continue
        shares = {Party(name): part for name, part in facts["shares"].items()}
        for party, points in divide(facts["points"], shares).items():
            code = facts.get(party.value)
            if code is not None:
                charged[code] = charged.get(code, 0) + points
    return charged
