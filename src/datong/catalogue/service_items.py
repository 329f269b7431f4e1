"""The register of service items: what each asks of citizens, and how it came to ask less."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from datong.catalogue.collections import repeats, report
from datong.catalogue.departments import Departments
from datong.catalogue.faults import wrong_party
from datong.catalogue.holdings import holders_of
from datong.catalogue.mapping import ColumnMapper
from datong.catalogue.service_values import (
    FieldState,
    NewServiceField,
    NewServiceItem,
    Progress,
    RepeatCollection,
    RepeatReport,
    ServiceAction,
    ServiceField,
    ServiceItem,
    ServiceStep,
)
from datong.catalogue.source_rules import source_norms
from datong.catalogue.source_tables import service_field, service_item, service_step
from datong.catalogue.sources import Sources
from datong.catalogue.values import Party
from datong.kernel import (
    CHINA,
    Actor,
    ActorKind,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    NotFound,
    Page,
    RequestId,
    Text,
    canonical_json,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

ITEMS_MAX = 20_000
IMPORT_ITEMS_MAX = 2000
PROGRESS_MONTHS = 12
_RETIRED, _ACTIVE = "retired", "active"
_MOVES = {
    ServiceAction.REQUEST: ((FieldState.ASKED,), FieldState.REQUESTED),
    ServiceAction.SHARE: ((FieldState.ASKED, FieldState.REQUESTED), FieldState.SHARED),
    ServiceAction.KEEP: ((FieldState.ASKED, FieldState.REQUESTED), FieldState.KEPT),
    ServiceAction.ASK: ((FieldState.REQUESTED, FieldState.SHARED, FieldState.KEPT), FieldState.ASKED),
}
"""From which states each act leads to which."""
_REASONED = frozenset({ServiceAction.KEEP, ServiceAction.ASK, ServiceAction.RETIRE})


class ServiceItems:
    """Service items over the control database."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        departments: Departments,
        sources: Sources,
        pack: NormPack,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._sources, self._pack = departments, sources, pack

    @cached_property
    def _mapper(self) -> ColumnMapper:
        """Made at the first need: learning all names of the pack takes a while."""
        return ColumnMapper(self._pack)

    def put(self, new: NewServiceItem, actor: Actor) -> ServiceItem:
        """Register a service item, or change the one with that code; see `put_all`."""
        return self.put_all((new,), actor)[0]

    def put_all(self, new: Sequence[NewServiceItem], actor: Actor) -> tuple[ServiceItem, ...]:
        """Register or change several service items, all of them or none.

        A field that keeps its name and element keeps its state. What did not change leaves no trace.

        Raises:
            Refused: an item belongs to another department, and the actor is not of the authority.
            NotFound: no such department or element. Conflict: another department has the code, or it is retired.
        """
        if len(new) > IMPORT_ITEMS_MAX:
            raise _too_many()
        for one in new:
            self._departments.get(one.department)
            self._require_own(one.department, actor)
            for field in one.fields:
                if field.element is not None:
                    self._pack.element(field.element)
        with self._database.transaction() as connection:
            return tuple(self._put(connection, one, actor) for one in new)

    def get(self, item_id: str) -> ServiceItem:
        """Return one service item with its fields, or raise NotFound."""
        with self._database.snapshot() as connection:
            return _load(connection, item_id)

    def with_code(self, code: str) -> ServiceItem | None:
        """Return the service item with a code, if it is registered and not retired."""
        known = select(service_item).where(service_item.c.code == code, service_item.c.state == _ACTIVE)
        with self._database.snapshot() as connection:
            row = connection.execute(known).mappings().first()
            return None if row is None else _with_fields(connection, [dict(row)])[0]

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
        retired: bool = False,
    ) -> Page[ServiceItem]:
        """Return a page of service items, those with the most cases first."""
        statement = select(service_item).where(service_item.c.state == (_RETIRED if retired else _ACTIVE))
        if department is not None:
            statement = statement.where(service_item.c.department == department)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(service_item.c.annual_cases.desc(), service_item.c.code)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            found = _with_fields(connection, [dict(row) for row in rows])
        return page_of(found, total=total, offset=offset)

    def steps(self, item_id: str) -> tuple[ServiceStep, ...]:
        """Return what was done about a service item, newest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(service_step)
                .where(service_step.c.item_id == item_id)
                .order_by(service_step.c.at.desc(), service_step.c.id.desc())
            ).mappings()
            return tuple(
                ServiceStep.model_validate({key: value for key, value in row.items() if key not in ("id", "item_id")})
                for row in rows
            )

    def mark(
        self,
        item_id: str,
        action: ServiceAction,
        positions: Iterable[int],
        actor: Actor,
        *,
        reason: str = "",
        request_id: RequestId | None = None,
    ) -> ServiceItem:
        """Change how a service item comes by some of its fields.

        Raises:
            Refused: it belongs to another department. NotFound: no such item or field.
            Conflict: a field is not in a state that the act starts from. Invalid: a reason is needed and missing.
        """
        if action not in _MOVES:
            raise _unfitting()
        _require_reason(action, reason)
        before_states, after = _MOVES[action]
        wanted = set(positions)
        with self._database.transaction() as connection:
            item = _load(connection, item_id, lock=True)
            if actor.kind is not ActorKind.PLATFORM:
                self._require_own(item.department, actor)
            fields = [field for field in item.fields if field.position in wanted]
            if not wanted or len(fields) != len(wanted):
                raise _not_found()
            if item.retired or any(field.state not in before_states for field in fields):
                raise _unfitting()
            connection.execute(
                update(service_field)
                .where(service_field.c.item_id == item_id, service_field.c.position.in_(wanted))
                .values(
                    state=after.value,
                    request_id=request_id if action in (ServiceAction.REQUEST, ServiceAction.SHARE) else None,
                    changed_at=self._clock.now(),
                )
            )
            changed = _load(connection, item_id)
            elements = [field.element for field in fields if field.element]
            self._record(connection, changed, action, actor, reason, elements, request_id)
        return changed

    def retire(self, item_id: str, actor: Actor, reason: str) -> ServiceItem:
        """Take a service item out of the register; it stays in the history.

        Raises:
            Refused: it belongs to another department. Conflict: it is retired. Invalid: the reason is missing.
        """
        _require_reason(ServiceAction.RETIRE, reason)
        with self._database.transaction() as connection:
            item = _load(connection, item_id, lock=True)
            self._require_own(item.department, actor)
            if item.retired:
                raise _unfitting()
            connection.execute(
                update(service_item)
                .where(service_item.c.id == item_id)
                .values(state=_RETIRED, updated_at=self._clock.now())
            )
            changed = _load(connection, item_id)
            self._record(connection, changed, ServiceAction.RETIRE, actor, reason, [])
        return changed

    def repeats(
        self, *, department: DepartmentCode | None = None, item_id: str | None = None
    ) -> tuple[RepeatCollection, ...]:
        """Return every field that is asked, or was asked, although somebody holds it."""
        statement = select(service_item).where(service_item.c.state == _ACTIVE)
        if department is not None:
            statement = statement.where(service_item.c.department == department)
        if item_id is not None:
            statement = statement.where(service_item.c.id == item_id)
        with self._database.snapshot() as connection:
            rows = connection.execute(statement.order_by(service_item.c.code).limit(ITEMS_MAX)).mappings()
            items = _with_fields(connection, [dict(row) for row in rows])
            elements = {field.element for item in items for field in item.fields if field.element}
            holders = holders_of(connection, elements)
        return repeats(
            items,
            holders=holders,
            sources=self._sources.active(elements),
            identifying=frozenset(source_norms().identifying),
        )

    def report(self, *, department: DepartmentCode | None = None) -> RepeatReport:
        """Return what repeat collection costs, by department and by element, and the list of it."""
        return report(self.repeats(department=department))

    def progress(self) -> tuple[Progress, ...]:
        """Return how many fields stood in which state at the end of each of the last months, from the acts.

        A field counts from the act that registered it; fields that were dropped since are not counted.
        """
        with self._database.snapshot() as connection:
            acts = connection.execute(
                select(service_step.c.item_id, service_step.c.action, service_step.c.elements, service_step.c.at)
                .join(service_item, service_item.c.id == service_step.c.item_id)
                .where(service_item.c.state == _ACTIVE)
                .order_by(service_step.c.at, service_step.c.id)
            ).all()
        return _progress([(row[0], row[1], row[2], row[3]) for row in acts], self._clock.now())

    def _put(self, connection: Connection, new: NewServiceItem, actor: Actor) -> ServiceItem:
        row = (
            connection.execute(select(service_item).where(service_item.c.code == new.code).with_for_update())
            .mappings()
            .first()
        )
        now = self._clock.now()
        before = None if row is None else _load(connection, row["id"])
        if before is not None and (before.department != new.department or before.retired):
            raise Conflict(
                "catalogue.service_code_taken",
                what=Text(
                    zh=f"事项代码 {new.code} 已被其他部门使用或已注销。",
                    en=f"The code {new.code} belongs to another department's item or to a retired one.",
                ),
                remedy=Text(zh="请使用新的事项代码。", en="Use another code."),
                field="/code",
            )
        fields = [self._mapped(field) for field in new.fields]
        item_id = new_id() if before is None else before.id
        values = {
            "name_zh": new.name.zh,
            "name_en": new.name.en,
            "legal_basis": new.legal_basis,
            "annual_cases": new.annual_cases,
            "updated_at": now,
        }
        if before is not None and _same(before, new, fields):
            return before
        if before is None:
            connection.execute(
                service_item.insert().values(
                    id=item_id,
                    code=new.code,
                    department=new.department,
                    state=_ACTIVE,
                    registered_at=now,
                    **values,
                )
            )
        else:
            connection.execute(update(service_item).where(service_item.c.id == item_id).values(**values))
            connection.execute(service_field.delete().where(service_field.c.item_id == item_id))
        kept = {} if before is None else {(field.name.zh, field.element): field for field in before.fields}
        connection.execute(
            service_field.insert(),
            [_field_row(item_id, place, field, score, kept, now) for place, (field, score) in enumerate(fields)],
        )
        made = _load(connection, item_id)
        action = ServiceAction.REGISTER if before is None else ServiceAction.CHANGE
        elements = [field.element for field in made.fields if field.element and field.state is FieldState.ASKED]
        self._record(connection, made, action, actor, "", elements)
        return made

    def _mapped(self, field: NewServiceField) -> tuple[NewServiceField, int]:
        """The field with an element: as given (a person's choice), or as its name suggests."""
        if field.element is not None:
            return field, 100
        found = self._mapper.map_name(field.name.zh) or self._mapper.map_name(field.name.en)
        return (field, 0) if found is None else (field.model_copy(update={"element": found.element}), found.confidence)

    def _require_own(self, department: DepartmentCode, actor: Actor) -> None:
        if actor.department == department:
            return
        if actor.department is None or not self._departments.get(actor.department).is_authority:
            raise wrong_party(Party.EITHER.label)

    def _record(
        self,
        connection: Connection,
        item: ServiceItem,
        action: ServiceAction,
        actor: Actor,
        reason: str,
        elements: Sequence[str],
        request_id: RequestId | None = None,
    ) -> None:
        content = item.model_dump(mode="json", exclude={"id", "registered_at", "updated_at"})
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.SERVICE_ITEM,
            subject=item.id,
            actor=actor,
            facts={
                "action": action.value,
                "department": item.department,
                "code": item.code,
                "annual_cases": item.annual_cases,
                "fields": len(item.fields),
                "elements": sorted(set(elements)),
                "request_id": request_id,
                "content_sha256": sha256_hex(canonical_json(content)),
                "reason_sha256": sha256_hex(reason.encode()) if reason else None,
            },
        )
        connection.execute(
            service_step.insert().values(
                id=new_id(),
                item_id=item.id,
                action=action.value,
                elements=list(elements),
                actor_id=actor.id,
                actor_name=actor.name,
                actor_department=actor.department,
                reason=reason,
                at=self._clock.now(),
                entry_id=entry_id,
            )
        )


def _same(before: ServiceItem, new: NewServiceItem, fields: Sequence[tuple[NewServiceField, int]]) -> bool:
    declared = [
        NewServiceField.model_validate(field.model_dump(include=set(NewServiceField.model_fields)))
        for field in before.fields
    ]
    return (before.name, before.legal_basis, before.annual_cases, declared) == (
        new.name,
        new.legal_basis,
        new.annual_cases,
        [field for field, _ in fields],
    )


def _field_row(
    item_id: str,
    place: int,
    field: NewServiceField,
    confidence: int,
    kept: Mapping[tuple[str, str | None], ServiceField],
    now: datetime,
) -> dict[str, Any]:
    before = kept.get((field.name.zh, field.element))
    return {
        "item_id": item_id,
        "position": place,
        "name_zh": field.name.zh,
        "name_en": field.name.en,
        "material": field.material,
        "element": field.element,
        "mapping_confidence": confidence,
        "seconds": field.seconds,
        "sheets": field.sheets,
        "state": (before.state if before else FieldState.ASKED).value,
        "request_id": before.request_id if before else None,
        "changed_at": before.changed_at if before else now,
    }


def _load(connection: Connection, item_id: str, *, lock: bool = False) -> ServiceItem:
    statement = select(service_item).where(service_item.c.id == item_id)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().first()
    if row is None:
        raise _not_found()
    return _with_fields(connection, [dict(row)])[0]


def _with_fields(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> tuple[ServiceItem, ...]:
    fields: dict[str, list[ServiceField]] = {row["id"]: [] for row in rows}
    found = connection.execute(
        select(service_field)
        .where(service_field.c.item_id.in_(fields.keys()))
        .order_by(service_field.c.item_id, service_field.c.position)
    ).mappings()
    for row in found:
        fields[row["item_id"]].append(_field(row))
    return tuple(
        ServiceItem(
            id=row["id"],
            code=row["code"],
            name=Text(zh=row["name_zh"], en=row["name_en"]),
            department=row["department"],
            legal_basis=row["legal_basis"],
            annual_cases=row["annual_cases"],
            retired=row["state"] == _RETIRED,
            registered_at=row["registered_at"],
            updated_at=row["updated_at"],
            fields=tuple(fields[row["id"]]),
        )
        for row in rows
    )


def _field(row: RowMapping) -> ServiceField:
    values = {key: value for key, value in row.items() if key not in ("item_id", "name_zh", "name_en")}
    return ServiceField.model_validate({**values, "name": Text(zh=row["name_zh"], en=row["name_en"])})


def _progress(acts: Sequence[tuple[str, str, Sequence[str], datetime]], now: datetime) -> tuple[Progress, ...]:
    after = {action.value: state for action, (_, state) in _MOVES.items()}
    months = [f"{now.astimezone(CHINA):%Y-%m}"]
    year, month = (int(part) for part in months[0].split("-"))
    while len(months) < PROGRESS_MONTHS:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        months.append(f"{year}-{month:02}")
    standing: dict[tuple[str, str], FieldState] = {}
    waiting = list(acts)
    found = []
    for name in reversed(months):
        while waiting and f"{waiting[0][3].astimezone(CHINA):%Y-%m}" <= name:
            item_id, action, elements, _ = waiting.pop(0)
            for element in elements:
                standing[item_id, element] = after.get(action, FieldState.ASKED)
        counts = {state: sum(one is state for one in standing.values()) for state in FieldState}
        found.append(Progress(month=name, **{state.value: count for state, count in counts.items()}))
    return tuple(found)


def _require_reason(action: ServiceAction, reason: str) -> None:
    if (action in _REASONED and not reason.strip()) or len(reason) > TEXT_CHARS_MAX:
        raise Invalid(
            "catalogue.reason_missing",
            what=Text(
                zh=f"需要说明理由，且不超过 {TEXT_CHARS_MAX} 字。",
                en=f"A reason of at most {TEXT_CHARS_MAX} characters is needed.",
            ),
            remedy=Text(zh="请写明理由。", en="Write the reason."),
            field="/reason",
        )


def _too_many() -> Invalid:
    return Invalid(
        "catalogue.service_items_too_many",
        what=Text(zh=f"一次最多登记 {IMPORT_ITEMS_MAX} 个事项。", en=f"At most {IMPORT_ITEMS_MAX} items go at once."),
        remedy=Text(zh="请分批登记。", en="Register them in parts."),
    )


def _not_found() -> NotFound:
    return NotFound(
        "catalogue.service_item_not_found",
        what=Text(zh="没有这个服务事项或字段。", en="There is no such service item or field."),
        remedy=Text(zh="请核对编号。", en="Check the number."),
    )


def _unfitting() -> Conflict:
    return Conflict(
        "catalogue.service_state",
        what=Text(zh="事项或字段当前的状态不能这样办理。", en="The item or field is not in a state that allows this."),
        remedy=Text(zh="请刷新后再办理。", en="Refresh and act on what is in force."),
    )
