"""What one day's evidence adds up to, series by series: what alarms are raised from. Pure.

A series is a task (`task:…`: rows sent and rejected), a line (`line:caller|resource`: calls, calls that met nobody, and
the hours they were made in) or a caller (`caller:…`: how many resources it asked about).
"""

from collections.abc import Iterable
from datetime import date

from datong.kernel import CHINA, DepartmentCode, ResourceId, Value
from datong.ledger import EntryKind, RecordedEntry

HOURS = 24
TALLIED_KINDS = (EntryKind.BATCH, EntryKind.RECEIPT, EntryKind.ACCESS)


class Tally(Value):
    """One series on one day in China; what does not belong to the series is 0."""

    series: str
    day: date
    provider: DepartmentCode | None = None
    consumer: DepartmentCode | None = None
    resource_id: ResourceId | None = None
    rows: int = 0
    runs: int = 0
    applied: int = 0
    rejected: int = 0
    calls: int = 0
    misses: int = 0
    resources: int = 0
    hours: tuple[int, ...] = ()

    @property
    def volume(self) -> float:
        """The rows of a run: two runs on a day are no unusual volume."""
        return self.rows / max(1, self.runs)


def tallied(day: date, entries: Iterable[RecordedEntry]) -> list[Tally]:
    """Return the tallies of a day from its entries, by series."""
    sums: dict[str, dict[str, int]] = {}
    hours: dict[str, list[int]] = {}
    parties: dict[str, dict[str, str]] = {}
    asked: dict[str, set[str]] = {}

    def add(series: str, entry: RecordedEntry, resource: str | None, **counts: int) -> None:
        known = sums.setdefault(series, {})
        for name, count in counts.items():
            known[name] = known.get(name, 0) + count
        if series not in parties:
            said = {"provider": entry.facts.get("provider"), "consumer": entry.facts.get("consumer")}
            parties[series] = {name: code for name, code in {**said, "resource_id": resource}.items() if code}

    for entry in entries:
        facts = entry.facts
        if entry.kind is EntryKind.BATCH:
            add(f"task:{entry.subject}", entry, facts["resource"], rows=facts["rows"], runs=int(bool(facts["last"])))
        elif entry.kind is EntryKind.RECEIPT and "subscription" not in facts:
            counts = {"applied": facts["rows_applied"], "rejected": facts["rows_rejected"]}
            add(f"task:{entry.subject}", entry, facts["resource"], **counts)
        elif entry.kind is EntryKind.ACCESS and facts.get("resource_id"):
            resource, caller = facts["resource_id"], entry.actor.id
            line = f"line:{caller}|{resource}"
            add(line, entry, resource, calls=1, misses=int(not facts.get("rows")))
            hours.setdefault(line, [0] * HOURS)[entry.at.astimezone(CHINA).hour] += 1
            asked.setdefault(caller, set()).add(resource)
            add(f"caller:{caller}", entry, None, calls=1)
    for caller, resources in asked.items():
        sums[f"caller:{caller}"]["resources"] = len(resources)
        parties[f"caller:{caller}"].pop("provider", None)
    return [
        Tally.model_validate(
            {"series": series, "day": day, "hours": tuple(hours.get(series, ())), **parties[series], **counts}
        )
        for series, counts in sorted(sums.items())
    ]
