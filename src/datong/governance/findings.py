"""Findings: a breach, whose it is in which shares, what it costs, and the evidence for it."""

from collections.abc import Iterable
from datetime import datetime

from datong.governance.duties import Clause, DutyKind, Span
from datong.governance.parties import WHOLE, Party
from datong.kernel import DepartmentCode, EntryId, FindingId, JsonValue, ResourceId, Text, Value

LEAVES_MAX = 200
"""Acts that a revision of a finding cites by their leaves, the first; a leaf of the log holds no more."""


def cited(acts: Iterable[tuple[datetime, str]]) -> tuple[str, ...]:
    """Return the leaf hashes that a finding cites of acts (when, leaf hash): the first ones, by time."""
    return tuple(leaf for _, leaf in sorted(acts)[:LEAVES_MAX])


class PartyShare(Value):
    """One party's part in a breach; `points` are hundredths."""

    party: Party
    department: DepartmentCode | None
    basis_points: int
    points: int

    @property
    def share(self) -> float:
        """The share, from 0 to 1."""
        return self.basis_points / WHOLE

    @property
    def percent(self) -> str:
        """The share in percent, without needless zeros."""
        return f"{self.basis_points / 100:g}"


class Finding(Value):
    """One breach as of `assessed_at`.

    `points` are hundredths and are the sum of the parties' points; the parties' basis points sum to 10,000. A finding
    is `settled` once the duty was done, late: it changes no more. `leaves` are the hashes by which the log knows the
    evidence; who holds the exported log finds the entries by them.
    """

    id: FindingId
    kind: DutyKind
    clause: Clause
    subject: str
    title: Text
    provider: DepartmentCode
    consumer: DepartmentCode | None
    authority: DepartmentCode | None
    resource_id: ResourceId | None
    due_at: datetime
    done_at: datetime | None
    settled: bool
    assessed_at: datetime
    delay_working_days: int
    points: int
    faults: int
    amount: int
    parties: tuple[PartyShare, ...]
    spans: tuple[Span, ...]
    evidence: tuple[EntryId, ...]
    leaves: tuple[str, ...] = ()
    summary: Text
    rules_version: str

    def facts(self) -> dict[str, JsonValue]:
        """Return what the ledger records of this finding: what was judged, not when it was looked at."""
        return {
            "finding": self.id,
            "rules": self.rules_version,
            "kind": self.kind.value,
            "article": self.clause.article,
            "subject": self.subject,
            "provider": self.provider,
            "consumer": self.consumer,
            "authority": self.authority,
            "due_at": self.due_at.isoformat(),
            "done_at": None if self.done_at is None else self.done_at.isoformat(),
            "delay_working_days": self.delay_working_days,
            "points": self.points,
            "faults": self.faults,
            "amount": self.amount,
            "shares": {share.party.value: share.basis_points for share in self.parties},
            "evidence": list(self.evidence),
            **({"evidence_leaves": list(self.leaves)} if self.leaves else {}),
        }
