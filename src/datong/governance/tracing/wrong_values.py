"""From a disputed cell to every answer that held it, its batch and signer, and the findings about that batch.

An access says whom it concerned and of which columns, not what was told: no value is kept. What was told is found
again: the gateway answers from the version of the library that is current at that moment, and versions stay until they
are disposed of. So each use of the person's record is held against the version that was served then.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from datong.catalogue import Departments
from datong.exchange import BatchRecord, Exchange
from datong.governance.duties import DutyKind
from datong.governance.interfaces import LiveSpan, live_spans
from datong.governance.judgement import finding_id_of
from datong.governance.monitor import FindingRecord, Monitor
from datong.governance.tracing.values import Told, ValueCopy, ValueOrigin, WrongUse, WrongValue, told
from datong.kernel import AccessId, BatchId, Clock, DepartmentCode, NotFound, ResourceId
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.library import Correction, DisputedCell, Library, PastRecord, past_records
from datong.sharing import DisclosureHolds, ServiceCases, Usage, Use
from datong.sharing.items import HandledCase
from datong.sharing.usage import USES_MAX

CITIZEN, FIRM = "citizen_id", "uscc"
USES_LOOKED_MAX = 500
"""Uses of one record that are held against what was served, the newest; how many more there were is said."""

Wanted = Callable[[Use], bool]
Cases = Mapping[AccessId | tuple[str, str], HandledCase]


def _every(_: Use) -> bool:
    return True


class WrongValues:
    """Traces disputed cells; `columns` returns the columns in which a resource has an element."""

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: Ledger,
        library: Library,
        exchange: Exchange,
        departments: Departments,
        usage: Usage,
        holds: DisclosureHolds,
        cases: ServiceCases,
        monitor: Monitor,
        columns: Callable[[ResourceId, str], Collection[str]],
    ) -> None:
        self._clock, self._ledger, self._library, self._exchange = clock, ledger, library, exchange
        self._departments, self._usage, self._holds, self._cases = departments, usage, holds, cases
        self._monitor, self._columns = monitor, columns

    def of_correction(self, correction: Correction, cell: DisputedCell, *, wanted: Wanted = _every) -> WrongValue:
        """Trace the cell of a report, of the uses that are `wanted`.

        Raises:
            Unavailable: the library's tables cannot be read.
        """
        traced = self.of_cell(cell, reported_at=correction.reported_at, wanted=wanted)
        subjects = [(DutyKind.CORRECTION, f"{correction.id}/{number}") for number in range(correction.disputes + 1)]
        corrected_at = None
        if correction.sight is not None:
            version = correction.sight.version
            published = self._library.dataset_versions(f"resource:{cell.resource_id}")
            corrected_at = next((one.published_at for one in published if one.version == version), None)
        return traced.model_copy(
            update={
                "correction_id": correction.id,
                "corrected_at": corrected_at,
                "findings": (*traced.findings, *self._findings(subjects)),
            }
        )

    def relied(self, correction: Correction) -> tuple[DepartmentCode, ...]:
        """Return the departments that were answered with a reported value, or may have been, but for the report's
        parties; none once its record is no longer known.

        Raises:
            Unavailable: the library's tables cannot be read.
        """
        if correction.cell is None:
            return ()
        uses = self.of_correction(correction, correction.cell).uses
        return tuple(sorted({one.use.consumer for one in uses} - {correction.provider, correction.consumer}))

    def of_cell(
        self, cell: DisputedCell, *, reported_at: datetime | None = None, wanted: Wanted = _every
    ) -> WrongValue:
        """Trace a cell as the library serves it, or served it at `reported_at`.

        Raises:
            Unavailable: the library's tables cannot be read.
        """
        uses, cases = self._uses(cell, reported_at)
        # A block-data view is of an entity, and has no resource.
        about = [use for use in uses if use.resource_id in (None, cell.resource_id) and wanted(use)]
        columns = self._columns(cell.resource_id, cell.element)
        held = [use for use in about[:USES_LOOKED_MAX] if self._holds_cell(use, cell, columns)]
        found = self._told(cell, held, cases) if held else []
        batches = dict.fromkeys([cell.batch_id, *(one.batch_id for one in found if one.batch_id is not None)])
        records = {one: record for one in batches if (record := self._batch(one)) is not None}
        return WrongValue(
            cell=cell,
            correction_id=None,
            reported_at=reported_at,
            corrected_at=None,
            origins=tuple(self._origin(record) for record in records.values()),
            uses=tuple(_aged(one, records) for one in found),
            left_off=max(0, len(about) - USES_LOOKED_MAX),
            copies=tuple(copy for record in records.values() for copy in self._copies(record)),
            findings=self._findings(_subjects(records.values())),
        )

    # Uses

    def _uses(self, cell: DisputedCell, reported_at: datetime | None) -> tuple[list[Use], Cases]:
        """Return the uses of the record, newest first, and the cases of service items that they were made for."""
        people, firms = self._subjects(cell, reported_at)
        uses = {use.access_id: use for person in people for use in self._usage.uses_of(person, limit=USES_MAX)}
        known = [case for person in people for case in self._cases.of_applicant(CITIZEN, person)]
        known += [case for firm in firms for case in self._cases.of_applicant(FIRM, firm)]
        # Calls are marked with the citizens whom they concern; those about a firm are found by its cases.
        missing = {access for case in known for access in case.accesses} - uses.keys()
        uses |= {use.access_id: use for use in self._usage.uses(sorted(missing))}
        cases: dict[AccessId | tuple[str, str], HandledCase] = {(case.code, case.case_number): case for case in known}
        cases |= {access: case for case in known for access in case.accesses}
        return sorted(uses.values(), key=lambda use: (use.at, use.access_id), reverse=True), cases

    def _subjects(self, cell: DisputedCell, reported_at: datetime | None) -> tuple[set[str], set[str]]:
        """Return whom the record is about, as it says now and said when it was reported: citizens, and firms."""
        said: list[Mapping[str, str | None]] = [{cell.element: cell.value}]
        with suppress(NotFound):
            rows = self._library.lookup(f"resource:{cell.resource_id}", "row_key", cell.row_key)
            said += [{element: one.value for element, one in row.cells.items()} for row in rows]
        if len(said) == 1 and reported_at is not None:
            said += [one.values for one in past_records(self._library, cell.resource_id, cell.row_key, [reported_at])]
        people = {value for values in said if (value := values.get(CITIZEN))}
        return people, {value for values in said if (value := values.get(FIRM))}

    def _holds_cell(self, use: Use, cell: DisputedCell, columns: Collection[str]) -> bool:
        """Whether a use was answered with a record, and of the cell's column."""
        facts = self._ledger.entry(use.entry_id).facts
        if use.resource_id is None:
            return cell.provider in facts.get("departments", ()) and cell.element in facts.get("items", ())
        # Of very many columns an entry has the digest only.
        return facts.get("rows") != 0 and ("items" not in facts or not set(columns).isdisjoint(facts["items"]))

    def _told(self, cell: DisputedCell, uses: list[Use], cases: Cases) -> list[WrongUse]:
        served = past_records(self._library, cell.resource_id, cell.row_key, [use.at for use in uses])
        live, held = self._live(cell.resource_id), self._holds.about(uses)
        found = []
        for use in uses:
            record: PastRecord | None = next((one for one in served if one.covers(use.at)), None)
            said = told(use, cell, record, live)
            if said is None:
                continue
            one = WrongUse(
                use=use,
                told=said,
                case=cases.get(use.access_id) or cases.get((use.service_item, use.case_number)),
                told_at=held[use.access_id][0] if use.access_id in held else None,
            )
            if said is Told.WRONG and record is not None:
                served_as = {"version": record.version, "batch_id": record.batch_id, "observed_at": record.observed_at}
                one = one.model_copy(update=served_as)
            found.append(one)
        return found

    def _live(self, resource_id: ResourceId) -> list[LiveSpan]:
        offers = self._ledger.entries(kind=EntryKind.LIVE, subject=resource_id, limit=PAGE_ROWS_MAX).rows
        return live_spans(offers, self._clock.now() + timedelta(seconds=1))

    # Batches

    def _batch(self, batch_id: BatchId) -> BatchRecord | None:
        with suppress(NotFound):
            return self._exchange.batch(batch_id)
        return None

    def _origin(self, record: BatchRecord) -> ValueOrigin:
        manifest, key_id = record.manifest, record.signed.key_id
        key = self._departments.key(key_id)
        return ValueOrigin(
            batch_id=manifest.batch_id,
            task_id=manifest.task_id,
            sequence=manifest.sequence,
            department=manifest.department,
            produced_at=manifest.produced_at,
            arrived_at=record.committed_at,
            key_id=key_id,
            node_id=key.node_id,
            key_revoked_at=key.revoked_at,
            entry_id=record.entry_id,
        )

    def _copies(self, record: BatchRecord) -> list[ValueCopy]:
        """Return the departments that take the batch's stream into databases of their own."""
        manifest = record.manifest
        task = self._exchange.task(manifest.task_id)
        copies = []
        if task.consumer_node is not None:
            received = bool(self._exchange.receipts(task.id, after_sequence=manifest.sequence - 1, limit=1))
            copies.append(ValueCopy(department=task.consumer, batch_id=manifest.batch_id, received=received))
        for one in self._exchange.subscriptions.of_task(task.id):
            if one.first_sequence is not None and one.first_sequence <= manifest.sequence:
                received = one.receipted_sequence >= manifest.sequence
                copies.append(ValueCopy(department=one.consumer, batch_id=manifest.batch_id, received=received))
        return copies

    def _findings(self, subjects: Iterable[tuple[DutyKind, str]]) -> tuple[FindingRecord, ...]:
        return self._monitor.known([finding_id_of(kind, subject) for kind, subject in subjects])


def _aged(one: WrongUse, records: Mapping[BatchId, BatchRecord]) -> WrongUse:
    record = None if one.batch_id is None else records.get(one.batch_id)
    if record is None:
        return one
    age = one.use.at - record.manifest.produced_at
    return one.model_copy(update={"age_seconds": max(0, int(age.total_seconds()))})


def _subjects(records: Iterable[BatchRecord]) -> list[tuple[DutyKind, str]]:
    """Return what findings about batches are about: rejected rows, and runs and refreshments that were late."""
    return [
        subject
        for record in records
        for subject in (
            (DutyKind.QUALITY, record.manifest.batch_id),
            (DutyKind.TRANSFER, f"{record.manifest.task_id}/{record.manifest.run}"),
            (DutyKind.FRESHNESS, f"{record.manifest.task_id}/{record.manifest.sequence}"),
        )
    ]
