"""Whom a wrong value reached: from a report, a contested cell, a finding or a service item, as the caller may know it.

The department that made a use sees it whole; the source department, once it has owned up to the error, that it was
made, when and for which service item; the authority and auditors all uses, without case numbers; a citizen what stands
on the page of their data anyway.
"""

from collections.abc import Iterable
from datetime import datetime

from datong.catalogue import ServiceItem
from datong.governance import DutyKind, Finding, FindingRecord
from datong.governance.tracing import Told, ValueCopy, ValueOrigin, WrongUse, WrongValue
from datong.kernel import (
    AccessId,
    BatchId,
    Conflict,
    CorrectionId,
    DepartmentCode,
    EntityId,
    EntryId,
    FindingId,
    ResourceId,
    TaskId,
    Text,
    Value,
)
from datong.library import Correction, CorrectionState, DisputedCell
from datong.sharing import Action, Principal, Role, Target
from datong.web.api.corrections import agreed_cells_of, correction_target, shown_to_citizen
from datong.web.api.governance import finding_target, read_finding
from datong.web.api.scope import own_department
from datong.web.api.uses import own_subject
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="corrections")

USES_SHOWN_MAX = 200
REPORTS_MAX = 50
"""Reports about what a service item uses that one look goes through, those that wait first, then the newest."""
_NOT_WRONG = frozenset({CorrectionState.WITHDRAWN})


class UseOfValue(Value):
    """One use that was answered with the value, or may have been. `case_number` is for those who made it.

    `age_seconds`: how old the batch with the value was then; `observed_at`: of when the source said the record is, for
    those who see the value otherwise than by an agreement.
    """

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    kind: str
    department: DepartmentCode
    service_item: str
    item_id: str | None
    case_number: str | None
    told: Told
    version: int | None
    batch_id: BatchId | None
    observed_at: str | None
    age_seconds: int | None


class UsedBy(Value):
    """A department's uses: how many are known to have been answered with the value, and how many may have been."""

    department: DepartmentCode
    service_items: tuple[str, ...]
    wrong: int
    maybe: int
    first_at: datetime
    last_at: datetime


class WrongValueView(Value):
    """A disputed value: where it came from, whom it reached, and what was found about it, as the caller may know it.

    `value` is None where `shown` is false. `uses` are the newest first, at most `USES_SHOWN_MAX` of `uses_total`;
    `left_off` older uses of the record were not looked at.
    """

    correction_id: CorrectionId | None
    state: CorrectionState | None
    library: str
    resource_id: ResourceId
    element: str
    provider: DepartmentCode
    shown: bool
    value: str | None
    reported_at: datetime | None
    corrected_at: datetime | None
    origins: tuple[ValueOrigin, ...]
    departments: tuple[UsedBy, ...]
    uses: tuple[UseOfValue, ...]
    uses_total: int
    left_off: int
    copies: tuple[ValueCopy, ...]
    findings: tuple[FindingRecord, ...]


class ReportLine(Value):
    """A report of a value that a finding is about."""

    correction_id: CorrectionId
    element: str
    resource_id: ResourceId
    provider: DepartmentCode
    state: CorrectionState
    reported_at: datetime


@router.get("/corrections/{correction_id}/uses")
def read_wrong_value(correction_id: CorrectionId, caller: Caller, hub: Hub) -> WrongValueView:
    """Return whom the reported value reached; a department that is no party to the report is shown its own uses."""
    correction = hub.corrections.get(correction_id)
    target = correction_target(correction)
    if not hub.policy.authorise(caller, Action.CORRECTION_READ, target).allowed:
        # Whoever relied on the value is told that it did; nobody else learns that there is a report.
        own = _own_uses(hub, caller, correction)
        if own is not None:
            hub.policy.require(
                caller, Action.CORRECTION_READ, target.model_copy(update={"consumer": caller.department})
            )
            return _view(hub, caller, own, correction)
    hub.policy.require(caller, Action.CORRECTION_READ, target)
    return _view(hub, caller, hub.wrong_values.of_correction(correction, _cell(correction)), correction)


@router.get("/libraries/{name}/entities/{entity_id}/cells/{element}/uses")
def read_uses_of_cell(
    name: str,
    entity_id: EntityId,
    element: str,
    caller: Caller,
    hub: Hub,
    resource_id: ResourceId | None = None,
) -> WrongValueView:
    """Return whom a cell of an entity reached, reported or not: what a source says, or the golden one."""
    hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
    hub.policy.require(caller, Action.CORRECTION_READ_VALUES)
    cell = hub.corrections.cells.cell_of_entity(name, entity_id, element, resource_id)
    return _view(hub, caller, hub.wrong_values.of_cell(cell), None)


@router.get("/service-items/{item_id}/wrong-values")
def list_wrong_values_of_item(item_id: str, caller: Caller, hub: Hub) -> tuple[WrongValueView, ...]:
    """Return the reported values that answers for a service item held, each with those answers."""
    return wrong_values_of_item(hub, caller, hub.service_items.get(item_id))


@router.get("/findings/{finding_id}/wrong-values")
def list_wrong_values_of_finding(finding_id: FindingId, caller: Caller, hub: Hub) -> tuple[ReportLine, ...]:
    """Return the reports about what a finding is about: the value, or the batch that brought it."""
    return reports_of_finding(hub, caller, read_finding(finding_id, caller, hub).finding)


def wrong_values_of_item(hub: Services, caller: Principal, item: ServiceItem) -> tuple[WrongValueView, ...]:
    """Return the reported values that answers for `item` held, to its department, the authority and auditors."""
    if not hub.policy.authorise(caller, Action.CORRECTION_READ).allowed:
        hub.policy.require(caller, Action.CORRECTION_READ, Target(id=item.id, consumer=item.department))
    resources = {
        agreement.resource_id
        for agreement in hub.agreements.of_consumer(item.department)
        if agreement.purpose.service_item == item.code
    }
    reports = hub.corrections.find(resources=resources, limit=REPORTS_MAX).rows if resources else ()
    views = []
    for correction in reports:
        if correction.cell is None or correction.state in _NOT_WRONG:
            continue
        found = hub.wrong_values.of_correction(
            correction,
            correction.cell,
            wanted=lambda use: use.consumer == item.department and use.service_item == item.code,
        )
        if found.uses:
            views.append(_view(hub, caller, found, correction))
    return tuple(views)


def reports_of_finding(hub: Services, caller: Principal, finding: Finding) -> tuple[ReportLine, ...]:
    """Return the reports that `caller` may know of about what a finding is about."""
    reports: Iterable[Correction] = ()
    subject, _, number = finding.subject.partition("/")
    if finding.kind is DutyKind.CORRECTION:
        reports = (hub.corrections.get(CorrectionId(subject)),)
    elif finding.kind is DutyKind.QUALITY:
        reports = hub.corrections.find(batch_id=BatchId(subject), limit=REPORTS_MAX).rows
    elif finding.kind is DutyKind.FRESHNESS and finding.resource_id is not None:
        batches = hub.exchange.batches(TaskId(subject), after_sequence=int(number) - 1, limit=1)
        reports = [
            one
            for batch in batches
            for one in hub.corrections.find(batch_id=batch.manifest.batch_id, limit=REPORTS_MAX).rows
        ]
    return tuple(
        ReportLine(
            correction_id=one.id,
            element=one.element,
            resource_id=one.resource_id,
            provider=one.provider,
            state=one.state,
            reported_at=one.reported_at,
        )
        for one in reports
        if hub.policy.authorise(caller, Action.CORRECTION_READ, correction_target(one)).allowed
    )


def _own_uses(hub: Services, caller: Principal, correction: Correction) -> WrongValue | None:
    """Return the value with the uses of the caller's department that were answered with it, or may have been; None
    without any."""
    own = caller.department
    if own is None or correction.cell is None:
        return None
    found = hub.wrong_values.of_correction(correction, correction.cell, wanted=lambda use: use.consumer == own)
    return found if found.uses else None


def _cell(correction: Correction) -> DisputedCell:
    if correction.cell is None:
        raise Conflict(
            "web.correction_disposed",
            what=Text(
                zh="该校核办结后保存期满，值和记录主键已销毁，无法再追溯。",
                en="The report was disposed of after its retention: which record it was about is no longer known.",
            ),
            remedy=Text(zh="留存的证明仍可核验。", en="Proofs that were downloaded still verify."),
        )
    return correction.cell


def _view(hub: Services, caller: Principal, found: WrongValue, correction: Correction | None) -> WrongValueView:
    uses = _shown_uses(hub, caller, found, correction)
    shown, value = _shown_value(hub, caller, found, correction)
    masked = _is_consumer(caller, found)
    oversees = hub.policy.authorise(caller, Action.CORRECTION_READ).allowed
    whole = oversees or caller.department == found.cell.provider
    return WrongValueView(
        correction_id=found.correction_id,
        state=None if correction is None else correction.state,
        library=found.cell.library,
        resource_id=found.cell.resource_id,
        element=found.cell.element,
        provider=found.cell.provider,
        shown=shown,
        value=value,
        reported_at=found.reported_at,
        corrected_at=found.corrected_at,
        origins=found.origins,
        departments=_by_department(uses),
        uses=tuple(_line(hub, caller, one, dated=shown and not masked) for one in uses[:USES_SHOWN_MAX]),
        uses_total=len(uses),
        left_off=found.left_off,
        copies=tuple(one for one in found.copies if whole or one.department == caller.department),
        findings=tuple(
            one
            for one in found.findings
            if hub.policy.authorise(caller, Action.FINDING_READ, finding_target(one.finding)).allowed
        ),
    )


def _shown_uses(
    hub: Services, caller: Principal, found: WrongValue, correction: Correction | None
) -> tuple[WrongUse, ...]:
    """Return the uses that the caller may know of; what is told later (PIPL Art. 18) is not there until then.

    A source that could report its own records would learn who asked about whom: it is told of uses where somebody else
    reported, and it has accepted that it was wrong, or corrected it.
    """
    if caller.has(Role.CITIZEN):
        own = {one.use.access_id for one in hub.own_uses.of(own_subject(caller))}
        return tuple(one for one in found.uses if one.use.access_id in own)
    if hub.policy.authorise(caller, Action.CORRECTION_READ).allowed:
        return found.uses
    now = hub.clock.now()
    is_source = (
        caller.department == found.cell.provider != (None if correction is None else correction.consumer)
        and correction is not None
        and (correction.state is CorrectionState.ACCEPTED or correction.sight is not None)
    )
    return tuple(
        one
        for one in found.uses
        if one.use.consumer == caller.department or (is_source and (one.told_at is None or one.told_at <= now))
    )


def _shown_value(
    hub: Services, caller: Principal, found: WrongValue, correction: Correction | None
) -> tuple[bool, str | None]:
    """Return whether the caller sees the value, and the value as it sees it: masked, where it has it by agreement."""
    cell = found.cell
    target = Target() if correction is None else correction_target(correction)
    if caller.has(Role.CITIZEN):
        return True, shown_to_citizen(cell.element, cell.value)
    if _is_consumer(caller, found):
        mask = agreed_cells_of(hub, own_department(caller), cell.resource_id).mask_of(cell.element)
        value = mask.apply(cell.value)
        return value is not None or cell.value is None, value
    if hub.policy.authorise(caller, Action.CORRECTION_READ_VALUES, target).allowed:
        return True, cell.value
    return False, None


def _is_consumer(caller: Principal, found: WrongValue) -> bool:
    """Whether the caller knows the value by an agreement, and so masked as that says."""
    return caller.department != found.cell.provider and not caller.has(Role.AUTHORITY, Role.AUDITOR, Role.CITIZEN)


def _line(hub: Services, caller: Principal, one: WrongUse, *, dated: bool) -> UseOfValue:
    use = one.use
    own = caller.has(Role.CITIZEN) or use.consumer == caller.department
    item = None if one.case is not None or not use.service_item else hub.service_items.with_code(use.service_item)
    return UseOfValue(
        access_id=use.access_id,
        entry_id=use.entry_id,
        at=use.at,
        kind=use.kind,
        department=use.consumer,
        service_item=use.service_item or use.scene,
        item_id=one.case.item_id if one.case is not None else None if item is None else item.id,
        case_number=use.case_number if own else None,
        told=one.told,
        version=one.version,
        batch_id=one.batch_id,
        observed_at=one.observed_at if dated else None,
        age_seconds=one.age_seconds,
    )


def _by_department(uses: Iterable[WrongUse]) -> tuple[UsedBy, ...]:
    groups: dict[DepartmentCode, list[WrongUse]] = {}
    for one in uses:
        groups.setdefault(one.use.consumer, []).append(one)
    found = [
        UsedBy(
            department=department,
            service_items=tuple(sorted({one.use.service_item for one in group} - {""})),
            wrong=sum(one.told is Told.WRONG for one in group),
            maybe=sum(one.told is not Told.WRONG for one in group),
            first_at=min(one.use.at for one in group),
            last_at=max(one.use.at for one in group),
        )
        for department, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.wrong, -one.maybe, one.department)))
