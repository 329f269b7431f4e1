"""校核: report a wrong cell, answer, settle; and a citizen's own record, from which a citizen reports."""

from typing import Annotated, Literal

from pydantic import Field

from datong.kernel import CorrectionId, DepartmentCode, EntityId, NotFound, Page, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.library import (
    Cell,
    Claim,
    Correction,
    CorrectionAction,
    CorrectionSide,
    DisputedCell,
    EntityView,
    actions_of,
)
from datong.norms import Mask, mask_value
from datong.sharing import Action, AgreedCells, Principal, Role, Target, cells_agreed, shown_plainly
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, own_department
from datong.web.api.uses import own_subject
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="corrections")

OWN_ELEMENT, ROW_KEY = "citizen_id", "row_key"
REACHED_SHOWN_MAX = 50
Element = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]


class EntityCell(Value):
    """A cell of an entity, for those who may read entities; without `resource_id`, the golden one."""

    of: Literal["entity"] = "entity"
    library: Element
    entity_id: EntityId
    element: Element
    resource_id: ResourceId | None = None


class RecordCell(Value):
    """A cell of a source's record, as a consumer of the resource knows it: by one of the record's keys."""

    of: Literal["record"] = "record"
    resource_id: ResourceId
    key_element: Element
    key_value: Element
    element: Element


class OwnCell(Value):
    """A cell of the caller's own record; without `resource_id`, the golden one."""

    of: Literal["own"] = "own"
    element: Element
    resource_id: ResourceId | None = None


class ReportRequest(Value):
    """A report: which cell, what is believed to be right (null: not known), and how one knows."""

    cell: EntityCell | RecordCell | OwnCell = Field(discriminator="of")
    claim: Claim


class CorrectionActRequest(Value):
    """An act about a report; rejecting and sending back need a statement."""

    action: CorrectionAction
    statement: str = Field("", max_length=TEXT_CHARS_MAX)


class Reached(Value):
    """A department that receives the same stream, and when it acknowledged the batch with the correction, if it did."""

    department: DepartmentCode
    received: bool


class CorrectionView(Value):
    """A report, whether it is overdue, what the caller may do, and whom the correction has reached."""

    correction: Correction
    late: bool
    actions: tuple[CorrectionAction, ...]
    reached: tuple[Reached, ...] = ()
    """At most `REACHED_SHOWN_MAX` of them, those that still lack it first."""
    reached_total: int = 0
    reached_received: int = 0


class OwnRecordCell(Value):
    """What the library says of the caller in one element, and which department says so."""

    element: str
    value: str | None
    department: DepartmentCode
    resource_id: ResourceId
    observed_at: str | None
    others: int
    """How many departments say something else."""


class OwnRecord(Value):
    """The caller's own golden record. Identifiers of other people in it are masked."""

    library: str
    title: Text
    version: int
    cells: tuple[OwnRecordCell, ...]


@router.get("/me/record")
def read_own_record(caller: Caller, hub: Hub) -> OwnRecord:
    """Return the caller's own record, cell by cell."""
    view = own_entity(hub, caller)
    conflicts = {conflict.element: len(conflict.candidates) - 1 for conflict in view.conflicts}
    return OwnRecord(
        library=view.library,
        title=hub.library.definition(view.library).title,
        version=view.version,
        cells=tuple(
            _own_cell(element, cell, conflicts.get(element, 0))
            for element, cell in view.cells.items()
            if cell.value is not None
        ),
    )


@router.post("/corrections", status_code=201)
def report_correction(body: ReportRequest, caller: Caller, hub: Hub) -> CorrectionView:
    """Report that a cell is wrong; its source department then has ten working days."""
    cell, consumer = disputed_cell(hub, caller, body.cell)
    # A consumer whose value is masked must not learn by the refusal that it guessed right.
    seen = (
        not isinstance(body.cell, RecordCell)
        or consumer is None
        or shown_plainly(agreed_cells_of(hub, consumer, cell.resource_id).mask_of(cell.element))
    )
    made = hub.corrections.report(cell, body.claim, actor=caller.actor, consumer=consumer, seen=seen)
    return view_of(hub, caller, made)


@router.get("/corrections")
def list_corrections(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    waiting: bool | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[CorrectionView]:
    """Return reports, the nearest deadline first: all, those of the caller's department, or a citizen's own."""
    page = corrections_in_scope(hub, caller, department=department, waiting=waiting, offset=offset, limit=limit)
    return Page(
        rows=tuple(view_of(hub, caller, found) for found in page.rows), total=page.total, next_offset=page.next_offset
    )


@router.get("/corrections/{correction_id}")
def read_correction(correction_id: CorrectionId, caller: Caller, hub: Hub) -> CorrectionView:
    """Return one report with its acts; values only to its parties and the authority."""
    correction = hub.corrections.get(correction_id)
    hub.policy.require(caller, Action.CORRECTION_READ, correction_target(correction))
    view = view_of(hub, caller, correction)
    reached = sorted(_reached(hub, correction), key=lambda one: (one.received, one.department))
    return view.model_copy(
        update={
            "reached": tuple(reached[:REACHED_SHOWN_MAX]),
            "reached_total": len(reached),
            "reached_received": sum(one.received for one in reached),
        }
    )


@router.post("/corrections/{correction_id}/actions", status_code=201)
def act_on_correction(
    correction_id: CorrectionId, body: CorrectionActRequest, caller: Caller, hub: Hub
) -> CorrectionView:
    """Accept, reject, withdraw, close or send back."""
    correction = hub.corrections.get(correction_id)
    hub.policy.require(caller, Action.CORRECTION_READ, correction_target(correction))
    acted = hub.corrections.act(
        correction_id,
        body.action,
        actor=caller.actor,
        sides=_sides(hub, caller, correction),
        statement=body.statement,
    )
    return view_of(hub, caller, acted)


@router.get("/corrections/{correction_id}/acts/{number}/proof")
def prove_correction(correction_id: CorrectionId, number: int, caller: Caller, hub: Hub) -> dict[str, object]:
    """Return a bundle that proves one act offline, with the openings of its commitments."""
    found = hub.corrections.get(correction_id)
    hub.policy.require(caller, Action.CORRECTION_READ_VALUES, correction_target(found))
    if not _as_consumer(caller, found):
        return hub.corrections.proof(correction_id, number)
    # A commitment opens to the value itself, so that a masked one stays shut.
    agreed = agreed_cells_of(hub, found.consumer, found.resource_id)
    opened = {"disputed": found.element, "seen": found.element, "record": ROW_KEY}
    names = {name for name, element in opened.items() if shown_plainly(agreed.mask_of(element))}
    return hub.corrections.proof(correction_id, number, names=names | {"believed"})


def corrections_in_scope(
    hub: Services,
    caller: Principal,
    *,
    department: DepartmentCode | None = None,
    waiting: bool | None = None,
    offset: int = 0,
    limit: int = LIMIT_DEFAULT,
) -> Page[Correction]:
    """Return the reports that the caller may know of: a citizen's own, a department's, or all."""
    if caller.has(Role.CITIZEN):
        hub.policy.require(caller, Action.CORRECTION_READ, Target(person=caller.actor.id))
        return hub.corrections.find(reporter=caller.actor.id, waiting=waiting, offset=offset, limit=limit)
    if hub.policy.authorise(caller, Action.CORRECTION_READ).allowed:
        return hub.corrections.find(department=department, waiting=waiting, offset=offset, limit=limit)
    scope = department or own_department(caller)
    hub.policy.require(caller, Action.CORRECTION_READ, Target(id=scope, provider=scope, consumer=scope))
    return hub.corrections.find(department=scope, waiting=waiting, offset=offset, limit=limit)


def view_of(hub: Services, caller: Principal, correction: Correction) -> CorrectionView:
    """Return a report as the caller may see it."""
    target = correction_target(correction)
    sees = hub.policy.authorise(caller, Action.CORRECTION_READ_VALUES, target).allowed
    shown = correction if sees else correction.without_values()
    if caller.has(Role.CITIZEN) and shown.content is not None:
        values = {
            name: shown_to_citizen(correction.element, getattr(shown.content, name)) for name in ("disputed", "seen")
        }
        shown = shown.model_copy(update={"content": shown.content.model_copy(update=values)})
    if shown.content is not None and _as_consumer(caller, correction):
        shown = _shown_to_consumer(shown, agreed_cells_of(hub, correction.consumer, correction.resource_id))
    return CorrectionView(
        correction=shown,
        late=correction.is_late(hub.clock.now()),
        actions=actions_of(correction.state, _sides(hub, caller, correction), disputes=correction.disputes),
    )


def correction_target(correction: Correction) -> Target:
    """Return a report as policies see it."""
    return Target(
        id=correction.id,
        department=correction.provider,
        provider=correction.provider,
        consumer=correction.consumer,
        person=correction.reporter,
    )


def own_entity(hub: Services, caller: Principal) -> EntityView:
    """Return what the library knows of the caller.

    Raises:
        Refused: the caller is no citizen. NotFound: no library has a record of the caller.
    """
    hub.policy.require(caller, Action.LIBRARY_READ_OWN, Target(person=caller.actor.id))
    subject = own_subject(caller)
    published = {dataset.name for dataset in hub.library.datasets()}
    for definition in hub.library.definitions():
        if OWN_ELEMENT in definition.key_elements and definition.name in published:
            found = hub.library.lookup(definition.name, OWN_ELEMENT, subject)
            entity_id = found[0].entity_id if found else None
            if entity_id is not None:
                return hub.library.entity(definition.name, entity_id)
    raise NotFound(
        "web.no_own_record",
        what=Text(zh="资源库中没有您的记录。", en="No library has a record of you."),
        remedy=Text(
            zh="请稍后再查，或到户籍所在地公安机关咨询。", en="Look again later, or ask at the police station."
        ),
    )


def shown_to_citizen(element: str, value: str | None) -> str | None:
    """Return a value of a citizen's own record; identifiers of other people in it are masked."""
    of_others = element.endswith(OWN_ELEMENT) and element != OWN_ELEMENT
    return mask_value(Mask.ID, value) if of_others else value


def _own_cell(element: str, cell: Cell, others: int) -> OwnRecordCell:
    return OwnRecordCell(
        element=element,
        value=shown_to_citizen(element, cell.value),
        department=cell.department,
        resource_id=cell.resource_id,
        observed_at=cell.observed_at,
        others=others,
    )


def reported_value(hub: Services, caller: Principal, cell: EntityCell | OwnCell) -> DisputedCell:
    """Return the cell that is about to be reported, as the caller may see it."""
    found, _ = disputed_cell(hub, caller, cell)
    if isinstance(cell, OwnCell):
        return found.model_copy(update={"value": shown_to_citizen(found.element, found.value)})
    return found


def disputed_cell(
    hub: Services, caller: Principal, cell: EntityCell | RecordCell | OwnCell
) -> tuple[DisputedCell, DepartmentCode | None]:
    """Return the cell that is reported, if the caller may report it, and in which department's name."""
    if isinstance(cell, OwnCell):
        view = own_entity(hub, caller)
        hub.policy.require(caller, Action.CORRECTION_REPORT, Target(person=caller.actor.id))
        return hub.corrections.cells.cell_of_entity(view.library, view.entity_id, cell.element, cell.resource_id), None
    if isinstance(cell, EntityCell):
        hub.policy.require(caller, Action.LIBRARY_READ_ENTITY)
        found = hub.corrections.cells.cell_of_entity(cell.library, cell.entity_id, cell.element, cell.resource_id)
        hub.policy.require(caller, Action.CORRECTION_REPORT, Target(provider=found.provider))
        return found, own_department(caller)
    consumer = own_department(caller)
    agreed = agreed_cells_of(hub, consumer, cell.resource_id)
    covered = consumer if agreed.masks and agreed.covers(cell.element) and agreed.covers(cell.key_element) else None
    resource = hub.catalogue.published(cell.resource_id)
    target = Target(id=cell.resource_id, provider=resource.department, consumer=covered)
    hub.policy.require(caller, Action.CORRECTION_REPORT, target)
    found = hub.corrections.cells.cell_of_record(
        cell.resource_id, cell.key_element, cell.key_value, cell.element, among=agreed.concerns
    )
    return found, consumer


def agreed_cells_of(hub: Services, consumer: DepartmentCode | None, resource_id: ResourceId) -> AgreedCells:
    """Return what a department may know of a resource under its agreements."""
    agreements = () if consumer is None else hub.agreements.candidates(consumer, resource_id)
    return cells_agreed(hub.catalogue.get(resource_id), agreements, hub.mask_keys, hub.clock.now())


def _as_consumer(caller: Principal, correction: Correction) -> bool:
    """Whether the caller sees the report as its consumer only, not as the source, the authority or the citizen."""
    own = caller.department
    return own is not None and own == correction.consumer != correction.provider and not caller.has(Role.AUTHORITY)


def _shown_to_consumer(correction: Correction, agreed: AgreedCells) -> Correction:
    """Return a report whose values are masked as agreed; a consumer does not know which entity it is about."""
    content = correction.content
    if content is None:
        return correction
    mask = agreed.mask_of(correction.element)
    shown = {
        "entity_id": None,
        "row_key": agreed.mask_of(ROW_KEY).apply(content.row_key) or "",
        "disputed": mask.apply(content.disputed),
        "seen": mask.apply(content.seen),
    }
    return correction.model_copy(update={"content": content.model_copy(update=shown)})


def _sides(hub: Services, caller: Principal, correction: Correction) -> frozenset[CorrectionSide]:
    target = correction_target(correction)
    of_action = {
        CorrectionSide.SOURCE: Action.CORRECTION_ANSWER,
        CorrectionSide.REPORTER: Action.CORRECTION_SETTLE,
    }
    return frozenset(side for side, action in of_action.items() if hub.policy.authorise(caller, action, target).allowed)


def _reached(hub: Services, correction: Correction) -> tuple[Reached, ...]:
    """Return the departments that take the stream which brought the correction, and whether they have the batch."""
    if correction.sight is None:
        return ()
    try:
        manifest = hub.exchange.batch(correction.sight.batch_id).manifest
    except NotFound:
        return ()
    task = hub.exchange.task(manifest.task_id)
    receipts = hub.exchange.receipts(task.id, after_sequence=manifest.sequence - 1, limit=1)
    own = Reached(department=task.consumer, received=bool(receipts))
    others = [
        Reached(department=one.consumer, received=one.receipted_sequence >= manifest.sequence)
        for one in hub.exchange.subscriptions.of_task(task.id)
        if one.left_at is None
    ]
    return (own, *others)
