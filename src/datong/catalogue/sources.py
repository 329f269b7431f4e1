"""One source per datum (一数一源, Order 809 Art. 19): the authority designates who collects an element.

A designation is of one element, for everybody or for a scope (such as a population). It is revised by designating anew
and ended by withdrawing it or by upholding an objection of a department; every act is evidence in the ledger and stays
in the history.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy.exc import IntegrityError

from datong.catalogue.departments import Departments
from datong.catalogue.faults import wrong_party
from datong.catalogue.overlaps import Overlaps
from datong.catalogue.sketches import SketchKind
from datong.catalogue.source_rules import rank, source_norms
from datong.catalogue.source_tables import holder, holding, objection, sketch, source, source_step
from datong.catalogue.source_values import (
    ElementSource,
    HeldByMany,
    Objection,
    ObjectionState,
    Source,
    SourceAction,
    SourceHint,
    SourceStep,
)
from datong.catalogue.values import Party
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    JsonValue,
    NotFound,
    ResourceId,
    Text,
    new_id,
    sha256_hex,
)
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

ACTIVE = "active"
STEPS_MAX = 500


class Sources:
    """Source departments over the control database."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        departments: Departments,
        overlaps: Overlaps,
        pack: NormPack,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._overlaps, self._pack = departments, overlaps, pack

    def overview(self) -> tuple[HeldByMany, ...]:
        """Return every element that is held or has a source; those held by most departments first."""
        with self._database.snapshot() as connection:
            pairs = connection.execute(
                select(holder.c.element, holder.c.department, func.sum(holder.c.resources))
                .group_by(holder.c.element, holder.c.department)
                .order_by(holder.c.element, holder.c.department)
            ).all()
            active = _sources(connection, None)
            waiting = connection.execute(
                select(source.c.element, func.count())
                .join(objection, objection.c.source_id == source.c.id)
                .where(objection.c.state == ObjectionState.OPEN.value)
                .group_by(source.c.element)
            )
            open_ones = {element: int(number) for element, number in waiting}
        holders: dict[str, list[tuple[DepartmentCode, int]]] = {one.element: [] for one in active}
        for element, department, resources in pairs:
            holders.setdefault(element, []).append((DepartmentCode(department), int(resources)))
        found = [
            HeldByMany(
                element=element,
                departments=tuple(department for department, _ in held),
                resources=sum(resources for _, resources in held),
                sources=tuple(one for one in active if one.element == element),
                objections=open_ones.get(element, 0),
            )
            for element, held in holders.items()
        ]
        return tuple(sorted(found, key=lambda one: (-len(one.departments), -one.resources, one.element)))

    def of_element(self, element: str) -> ElementSource:
        """Return who holds an element, the candidates, and the history of its source.

        Raises:
            NotFound: the norms know no such element.
        """
        self._pack.element(element)
        overlaps = self._overlaps.of_element(element)
        names = {department.code: department.name.zh for department in self._departments.all()}
        registers = self._overlaps.registers(element, SketchKind.KEYED) or self._overlaps.registers(element)
        with self._database.snapshot() as connection:
            candidates = rank(
                element,
                overlaps.holders,
                overlaps.pairs,
                registers=registers,
                table_rows=_table_rows(connection, [holder.resource_id for holder in overlaps.holders]),
                names=names,
                norms=source_norms(),
            )
            steps = connection.execute(
                select(source_step)
                .where(source_step.c.element == element)
                .order_by(source_step.c.at.desc(), source_step.c.id.desc())
                .limit(STEPS_MAX)
            ).mappings()
            return ElementSource(
                overlaps=overlaps,
                candidates=candidates,
                sources=_sources(connection, element),
                objections=_objections(connection, element),
                steps=tuple(_step(row) for row in steps),
            )

    def active(self, elements: Iterable[str]) -> tuple[Source, ...]:
        """Return the designations in force of some elements."""
        wanted = set(elements)
        if not wanted:
            return ()
        with self._database.snapshot() as connection:
            return tuple(one for one in _sources(connection, None) if one.element in wanted)

    def hints(self, department: DepartmentCode, items: Sequence[tuple[str, str | None]]) -> tuple[SourceHint, ...]:
        """Return which of a department's items (column, element) have their source in another department."""
        by_element: dict[str, list[Source]] = {}
        for one in self.active(element for _, element in items if element):
            by_element.setdefault(one.element, []).append(one)
        return tuple(
            SourceHint(column=column, element=element, source=found)
            for column, element in items
            if element
            for found in by_element.get(element, ())
            if found.department != department and all(own.department != department for own in by_element[element])
        )

    def designate(
        self,
        *,
        element: str,
        department: DepartmentCode,
        actor: Actor,
        legal_basis: str,
        reason: str,
        scope: str = "",
        resource_id: ResourceId | None = None,
    ) -> Source:
        """Make a department the source of an element; an earlier designation of the same scope ends.

        Raises:
            Refused: the actor is not of the authority. NotFound: no such element or department.
            Invalid: a text is missing or too long, or the resource does not hold the element visibly.
        """
        self._require_authority(actor)
        self._pack.element(element)
        self._departments.get(department)
        legal_basis, reason = _text(legal_basis, "/legal_basis"), _text(reason, "/reason")
        scope = _text(scope, "/scope", needed=False, chars_max=NAME_CHARS_MAX)
        now = self._clock.now()
        made = Source(
            id=new_id(),
            element=element,
            scope=scope,
            department=department,
            resource_id=resource_id,
            legal_basis=legal_basis,
            reason=reason,
            designated_at=now,
        )
        try:
            with self._database.transaction() as connection:
                if resource_id is not None:
                    _require_held(connection, made)
                before = _active(connection, element, scope)
                if before is not None:
                    _end(connection, before.id, now)
                connection.execute(source.insert().values(**made.model_dump(), standing=ACTIVE))
                action = SourceAction.DESIGNATE if before is None else SourceAction.REVISE
                replaced = {} if before is None else {"replaces": before.id}
                self._record(connection, made, action, actor, reason, replaced)
        except IntegrityError as error:
            raise _changed_meanwhile() from error
        return made

    def withdraw(self, source_id: str, actor: Actor, reason: str) -> Source:
        """End a designation without another in its place.

        Raises:
            Refused: the actor is not of the authority. NotFound: no such designation. Conflict: it has ended.
        """
        self._require_authority(actor)
        reason = _text(reason, "/reason")
        with self._database.transaction() as connection:
            found = _in_force(connection, source_id)
            now = self._clock.now()
            _end(connection, source_id, now)
            self._record(connection, found, SourceAction.WITHDRAW, actor, reason)
        return found.model_copy(update={"ended_at": now})

    def object(self, source_id: str, actor: Actor, reason: str) -> Objection:
        """Object to a designation in the name of the actor's department.

        Raises:
            Refused: the actor has no department. Conflict: the designation has ended, or the department has an open
            objection to it.
        """
        reason = _text(reason, "/reason")
        if actor.department is None:
            raise wrong_party(Party.PROVIDER.label)
        with self._database.transaction() as connection:
            found = _in_force(connection, source_id)
            waiting = select(objection.c.id).where(
                objection.c.source_id == source_id,
                objection.c.department == actor.department,
                objection.c.state == ObjectionState.OPEN.value,
            )
            if connection.execute(waiting).first() is not None:
                raise Conflict(
                    "catalogue.objection_open",
                    what=Text(zh="贵部门的异议正在办理。", en="Your department's objection is being dealt with."),
                    remedy=Text(zh="请等待主管部门答复。", en="Wait for the authority's answer."),
                )
            made = Objection(
                id=new_id(),
                source_id=source_id,
                department=actor.department,
                reason=reason,
                state=ObjectionState.OPEN,
                answer="",
                made_at=self._clock.now(),
                answered_at=None,
            )
            connection.execute(objection.insert().values(**made.model_dump()))
            self._record(connection, found, SourceAction.OBJECT, actor, reason, {"objection_id": made.id})
        return made

    def answer(self, objection_id: str, actor: Actor, *, uphold: bool, answer: str) -> Objection:
        """Answer an objection; an upheld one ends the designation.

        Raises:
            Refused: the actor is not of the authority. NotFound: no such objection. Conflict: it was answered.
        """
        self._require_authority(actor)
        answer = _text(answer, "/answer")
        with self._database.transaction() as connection:
            row = (
                connection.execute(select(objection).where(objection.c.id == objection_id).with_for_update())
                .mappings()
                .first()
            )
            if row is None:
                raise _not_found(Text(zh="没有这项异议。", en="There is no such objection."))
            before = Objection.model_validate(dict(row))
            if before.state is not ObjectionState.OPEN:
                raise _ended(Text(zh="该异议已经答复。", en="The objection has been answered."))
            now = self._clock.now()
            state = ObjectionState.UPHELD if uphold else ObjectionState.DISMISSED
            after = before.model_copy(update={"state": state, "answer": answer, "answered_at": now})
            connection.execute(
                update(objection)
                .where(objection.c.id == objection_id)
                .values(state=state.value, answer=answer, answered_at=now)
            )
            found = _source_of(connection, before.source_id)
            if uphold and found.ended_at is None:
                _end(connection, found.id, now)
            action = SourceAction.UPHOLD if uphold else SourceAction.DISMISS
            self._record(connection, found, action, actor, answer, {"objection_id": objection_id})
        return after

    def objection(self, objection_id: str) -> tuple[Source, Objection]:
        """Return an objection and the designation it is to, whether that still holds or not.

        Raises:
            NotFound: no such objection.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(select(objection).where(objection.c.id == objection_id)).mappings().first()
            if row is None:
                raise _not_found(Text(zh="没有这项异议。", en="There is no such objection."))
            found = connection.execute(select(source).where(source.c.id == row["source_id"])).mappings().one()
            return _source(found), Objection.model_validate(dict(row))

    def _require_authority(self, actor: Actor) -> None:
        if actor.department is None or not self._departments.get(actor.department).is_authority:
            raise wrong_party(Party.AUTHORITY.label)

    def _record(
        self,
        connection: Connection,
        found: Source,
        action: SourceAction,
        actor: Actor,
        reason: str,
        more: dict[str, str] | None = None,
    ) -> None:
        """Write one step and its ledger entry; texts stay here, the log holds their digests."""
        facts: dict[str, JsonValue] = {
            "action": action.value,
            "source_id": found.id,
            "element": found.element,
            "scope": found.scope or None,
            "department": found.department,
            "resource_id": found.resource_id,
            "legal_basis_sha256": sha256_hex(found.legal_basis.encode()),
            "reason_sha256": sha256_hex(reason.encode()),
            **(more or {}),
        }
        entry_id = self._ledger.append(
            connection, kind=EntryKind.SOURCE, subject=found.element, actor=actor, facts=facts
        )
        connection.execute(
            source_step.insert().values(
                id=new_id(),
                source_id=found.id,
                element=found.element,
                action=action.value,
                objection_id=(more or {}).get("objection_id"),
                actor_id=actor.id,
                actor_name=actor.name,
                actor_department=actor.department,
                reason=reason,
                at=self._clock.now(),
                entry_id=entry_id,
            )
        )


def _source(row: RowMapping) -> Source:
    return Source.model_validate({key: value for key, value in row.items() if key != "standing"})


def _step(row: RowMapping) -> SourceStep:
    return SourceStep.model_validate({key: value for key, value in row.items() if key not in ("id", "element")})


def _sources(connection: Connection, element: str | None) -> tuple[Source, ...]:
    statement = select(source).where(source.c.standing == ACTIVE).order_by(source.c.element, source.c.scope)
    if element is not None:
        statement = statement.where(source.c.element == element)
    return tuple(_source(row) for row in connection.execute(statement).mappings())


def _objections(connection: Connection, element: str) -> tuple[Objection, ...]:
    rows = connection.execute(
        select(objection)
        .join(source, source.c.id == objection.c.source_id)
        .where(source.c.element == element)
        .order_by(objection.c.made_at.desc(), objection.c.id.desc())
    ).mappings()
    return tuple(Objection.model_validate(dict(row)) for row in rows)


def _active(connection: Connection, element: str, scope: str) -> Source | None:
    row = (
        connection.execute(
            select(source)
            .where(source.c.element == element, source.c.scope == scope, source.c.standing == ACTIVE)
            .with_for_update()
        )
        .mappings()
        .first()
    )
    return None if row is None else _source(row)


def _source_of(connection: Connection, source_id: str) -> Source:
    row = connection.execute(select(source).where(source.c.id == source_id).with_for_update()).mappings().first()
    if row is None:
        raise _not_found(Text(zh="没有这项数源认定。", en="There is no such designation."))
    return _source(row)


def _in_force(connection: Connection, source_id: str) -> Source:
    found = _source_of(connection, source_id)
    if found.ended_at is not None:
        raise _ended(Text(zh="该认定已经失效。", en="The designation has ended."))
    return found


def _end(connection: Connection, source_id: str, now: datetime) -> None:
    connection.execute(update(source).where(source.c.id == source_id).values(standing=source_id, ended_at=now))


def _require_held(connection: Connection, made: Source) -> None:
    held = select(holding.c.resource_id).where(
        holding.c.resource_id == made.resource_id,
        holding.c.element == made.element,
        holding.c.department == made.department,
    )
    if connection.execute(held).first() is None:
        raise Invalid(
            "catalogue.source_does_not_hold",
            what=Text(
                zh="该资源未发布、不属于该部门，或没有这个数据元。",
                en="The resource is not published, not of that department, or does not hold the element.",
            ),
            remedy=Text(
                zh="请选择该部门已发布的资源，或不指定资源。", en="Choose a published resource of it, or none."
            ),
            field="/resource_id",
        )


def _table_rows(connection: Connection, ids: Sequence[ResourceId]) -> dict[ResourceId, int]:
    rows = connection.execute(
        select(sketch.c.resource_id, func.max(sketch.c.rows))
        .where(sketch.c.resource_id.in_(ids))
        .group_by(sketch.c.resource_id)
    )
    return {ResourceId(found): int(number) for found, number in rows}


def _text(value: str, field: str, *, needed: bool = True, chars_max: int = TEXT_CHARS_MAX) -> str:
    value = value.strip()
    if (needed and not value) or len(value) > chars_max:
        raise Invalid(
            "catalogue.text_missing",
            what=Text(
                zh=f"需要填写，且不超过 {chars_max} 字。", en=f"A text of at most {chars_max} characters is needed."
            ),
            remedy=Text(zh="请写明依据或理由。", en="Write the basis or the reason."),
            field=field,
        )
    return value


def _not_found(what: Text) -> NotFound:
    return NotFound("catalogue.source_not_found", what=what, remedy=Text(zh="请核对编号。", en="Check the number."))


def _ended(what: Text) -> Conflict:
    return Conflict(
        "catalogue.source_ended",
        what=what,
        remedy=Text(zh="请刷新后再办理。", en="Refresh and act on what is in force."),
    )


def _changed_meanwhile() -> Conflict:
    return Conflict(
        "catalogue.source_changed",
        what=Text(zh="该数据元的数源部门刚被改定。", en="The source of this element has just been changed."),
        remedy=Text(zh="请刷新后再办理。", en="Refresh and act on what is in force."),
    )
