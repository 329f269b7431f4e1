"""The monitor: judges every duty, keeps the findings, opens and escalates cases; a second run changes nothing."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.cases import Cases
from datong.governance.duties import RULES, Duty, DutyKind
from datong.governance.findings import Finding, cited
from datong.governance.judgement import finding_id, judge
from datong.governance.observations import EvidenceSource
from datong.governance.open_duties import due_between, keep_open
from datong.governance.stages import Recheck
from datong.governance.tables import FINDING
from datong.kernel import (
    PLATFORM_ACTOR,
    CaseId,
    Clock,
    Database,
    DepartmentCode,
    EntryId,
    FindingId,
    NotFound,
    Page,
    Text,
    Value,
    WorkingCalendar,
    canonical_json,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger


class MonitorReport(Value):
    """What one run changed; all empty when nothing was new."""

    assessed_at: datetime
    duties: int
    opened: tuple[FindingId, ...]
    revised: tuple[FindingId, ...]
    cases_opened: tuple[CaseId, ...]
    cases_escalated: tuple[CaseId, ...]


class FindingRecord(Value):
    """A finding as it is kept: its present content, its revision (from 1), and the entry that records that revision."""

    finding: Finding
    revision: int
    entry_id: EntryId
    opened_at: datetime
    revised_at: datetime


class _Charge(NamedTuple):
    """What a finding charges whom: `digest` tells whether it has changed; `points` by department, in hundredths."""

    digest: str
    due_at: datetime
    points: tuple[tuple[DepartmentCode, int], ...]


class _Judged(NamedTuple):
    """A duty that changes no more, and the finding on it with its digest, if there is one."""

    duty: Duty
    about: FindingId | None
    digest: str | None


class Monitor:
    """Finds breaches of duties and keeps the findings in the control database, each revision with its evidence."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        evidence: EvidenceSource,
        cases: Cases,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._evidence = evidence
        self._cases = cases
        self._lock = threading.Lock()
        self._charges: dict[FindingId, _Charge] = {}
        self._judged: dict[tuple[DutyKind, str], _Judged] = {}

    def run(self, now: datetime | None = None) -> MonitorReport:
        """Judge every duty as of `now` and record what changed since the last run."""
        now = now or self._clock.now()
        duties = self._evidence.duties(until=now)
        with self._database.transaction() as connection:
            keep_open(connection, duties, now=now)
        known = self._digests()
        opened: list[FindingId] = []
        revised: list[FindingId] = []
        cases_opened: list[CaseId] = []
        for duty in sorted(duties, key=lambda duty: (duty.due_at, duty.kind, duty.subject)):
            if self._is_judged(duty, known):
                continue
            finding = judge(duty, now=now, calendar=self._calendar)
            digest = None if finding is None else _digest(finding)
            if RULES[duty.kind].measured is not None or (duty.done_at is not None and duty.done_at <= now):
                # Nothing of it depends on the time any more.
                about = None if finding is None else finding.id
                self._judged[duty.kind, duty.subject] = _Judged(duty, about, digest)
            if finding is None or known.get(finding.id) == digest:
                continue
            with self._database.transaction() as connection:
                change = self._keep(connection, finding, now)
                if change == 1:
                    opened.append(finding.id)
                elif change > 1:
                    revised.append(finding.id)
                if change and RULES[finding.kind].opens_case:
                    case_id = self._cases.open(connection, finding, now=now)
                    cases_opened += [] if case_id is None else [case_id]
        return MonitorReport(
            assessed_at=now,
            duties=len(duties),
            opened=tuple(opened),
            revised=tuple(revised),
            cases_opened=tuple(cases_opened),
            cases_escalated=self._cases.escalate_overdue(now=now),
        )

    def _is_judged(self, duty: Duty, known: Mapping[FindingId, str]) -> bool:
        """Whether a duty that changes no more was judged before, and what was found stands as it was kept."""
        before = self._judged.get((duty.kind, duty.subject))
        if before is None or before.duty is not duty:
            return False
        return before.about is None or known.get(before.about) == before.digest

    def recheck(self, about: FindingId, evidence: Sequence[EntryId] = ()) -> Recheck:
        """Judge the duty of one finding again as of now, and say what became of the finding and of `evidence`.

        Raises:
            NotFound: there is no such finding.
        """
        before, now = self.finding(about), self._clock.now()
        duty = next((one for one in self._evidence.duties(until=now) if finding_id(one) == about), None)
        finding = None if duty is None else judge(duty, now=now, calendar=self._calendar)
        if finding is not None:
            with self._database.transaction() as connection:
                self._keep(connection, finding, now)
        after = self.finding(about)
        used = {*after.finding.evidence, *(span.entry_id for span in after.finding.spans)}
        return Recheck(
            revision=after.revision,
            unchanged=after.revision == before.revision,
            judged=finding is not None,
            considered=tuple(one for one in evidence if one in used),
            beside=tuple(one for one in evidence if one not in used),
        )

    def due_soon(self, *, since: datetime, until: datetime) -> tuple[Duty, ...]:
        """Return the duties that the last run found open and that are due in a time, the first to be done first."""
        with self._database.snapshot() as connection:
            return due_between(connection, since, until)

    def finding(self, about: FindingId) -> FindingRecord:
        """Return one finding.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(select(FINDING).where(FINDING.c.id == about)).mappings().first()
        if row is None:
            raise NotFound(
                "governance.finding_not_found",
                what=Text(zh=f"没有编号为 {about} 的责任认定。", en=f"There is no finding {about}."),
                remedy=Text(zh="请从责任认定列表中选择。", en="Choose one from the list of findings."),
            )
        return _record_of(row)

    def known(self, ids: Collection[FindingId]) -> tuple[FindingRecord, ...]:
        """Return the findings among `ids` that there are, by kind and subject; few at once."""
        query = select(FINDING).where(FINDING.c.id.in_(ids)).order_by(FINDING.c.kind, FINDING.c.subject)
        with self._database.snapshot() as connection:
            return tuple(_record_of(row) for row in connection.execute(query).mappings())

    def findings(
        self,
        *,
        kind: DutyKind | None = None,
        department: DepartmentCode | None = None,
        settled: bool | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[FindingRecord]:
        """Return findings, newest first; `department` is a party to them."""
        wanted = []
        if kind is not None:
            wanted.append(FINDING.c.kind == kind)
        if department is not None:
            wanted.append(
                (FINDING.c.provider == department)
                | (FINDING.c.consumer == department)
                | (FINDING.c.authority == department)
            )
        if settled is not None:
            wanted.append(FINDING.c.settled_at.is_not(None) if settled else FINDING.c.settled_at.is_(None))
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(FINDING).where(*wanted)).scalar_one()
            rows = connection.execute(
                select(FINDING)
                .where(*wanted)
                .order_by(FINDING.c.opened_at.desc(), FINDING.c.id)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_record_of(row) for row in rows), total=total, offset=offset)

    def charges(self, *, since: datetime, until: datetime) -> dict[DepartmentCode, int]:
        """Return the points (hundredths) charged to each department by findings whose deadline fell in the period.

        What a decision has set aside charges nobody.
        """
        charged: dict[DepartmentCode, int] = {}
        aside = self._cases.set_aside()
        for about, one in self._charged_by().items():
            if since <= one.due_at < until and about not in aside:
                for department, points in one.points:
                    charged[department] = charged.get(department, 0) + points
        return charged

    def _charged_by(self) -> Mapping[FindingId, _Charge]:
        """Return what each finding charges; only those that changed since the last look are read."""
        with self._lock:
            with self._database.snapshot() as connection:
                digests = self._digests_in(connection)
                changed = [one for one, digest in digests.items() if digest != self._digest_of_charge(one)]
                for begin in range(0, len(changed), PAGE_ROWS_MAX):
                    some = FINDING.c.id.in_(changed[begin : begin + PAGE_ROWS_MAX])
                    for row in connection.execute(select(FINDING.c.digest, FINDING.c.document).where(some)):
                        finding = Finding.model_validate(row.document)
                        self._charges[finding.id] = _Charge(row.digest, finding.due_at, _points_of(finding))
            self._charges = {one: self._charges[one] for one in digests}
            return dict(self._charges)

    def _digest_of_charge(self, about: FindingId) -> str:
        known = self._charges.get(about)
        return "" if known is None else known.digest

    def due_between(self, *, since: datetime, until: datetime) -> Iterator[Finding]:
        """Yield the findings whose deadline fell in a period."""
        return (one.finding for one in self._all_findings() if since <= one.finding.due_at < until)

    def _all_findings(self) -> Iterator[FindingRecord]:
        offset: int | None = 0
        while offset is not None:
            page = self.findings(offset=offset, limit=PAGE_ROWS_MAX)
            yield from page.rows
            offset = page.next_offset

    def _digests(self) -> dict[FindingId, str]:
        """Return what is known of each finding, so that only what differs is looked at one by one, under a lock."""
        with self._database.snapshot() as connection:
            return self._digests_in(connection)

    @staticmethod
    def _digests_in(connection: Connection) -> dict[FindingId, str]:
        return {FindingId(row.id): row.digest for row in connection.execute(select(FINDING.c.id, FINDING.c.digest))}

    def _keep(self, connection: Connection, finding: Finding, now: datetime) -> int:
        """Record `finding` if it is new or changed; return its new revision, or 0 when nothing changed."""
        digest = _digest(finding)
        known = connection.execute(
            select(FINDING.c.digest, FINDING.c.revision).where(FINDING.c.id == finding.id).with_for_update()
        ).first()
        if known is not None and known.digest == digest:
            return 0
        revision = 1 if known is None else known.revision + 1
        finding = finding.model_copy(update={"leaves": cited(self._ledger.leaves(connection, finding.evidence))})
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.FINDING,
            subject=finding.id,
            actor=PLATFORM_ACTOR,
            facts={**finding.facts(), "revision": revision},
        )
        values = {
            "delay_working_days": finding.delay_working_days,
            "points": finding.points,
            "revision": revision,
            "digest": digest,
            "entry_id": entry_id,
            "revised_at": now,
            "settled_at": now if finding.settled else None,
            "document": finding.model_dump(mode="json"),
        }
        if known is None:
            connection.execute(
                insert(FINDING).values(
                    id=finding.id,
                    kind=finding.kind,
                    subject=finding.subject,
                    provider=finding.provider,
                    consumer=finding.consumer,
                    authority=finding.authority,
                    opened_at=now,
                    **values,
                )
            )
        else:
            connection.execute(update(FINDING).where(FINDING.c.id == finding.id).values(values))
        return revision


def _points_of(finding: Finding) -> tuple[tuple[DepartmentCode, int], ...]:
    return tuple((one.department, one.points) for one in finding.parties if one.department is not None)


def _digest(finding: Finding) -> str:
    return sha256_hex(canonical_json(finding.facts()))


def _record_of(row: RowMapping) -> FindingRecord:
    return FindingRecord(
        finding=Finding.model_validate(row["document"]),
        revision=row["revision"],
        entry_id=row["entry_id"],
        opened_at=row["opened_at"],
        revised_at=row["revised_at"],
    )
