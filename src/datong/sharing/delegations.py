"""Delegations in the control database: appointing a substitute, answering, withdrawing, and acting for somebody.

Each act is on record with the ids of the accounts, never a name or a reason.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, insert, or_, select, update

from datong.kernel import (
    Actor,
    Clock,
    Database,
    DepartmentCode,
    JsonValue,
    NotFound,
    Page,
    PersonId,
    Refused,
    Text,
    Value,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.credentials import token_hash
from datong.sharing.delegation_rules import (
    REASON_CHARS_MAX,
    Delegation,
    DelegationAction,
    DelegationParty,
    DelegationState,
    Holder,
    after,
    possible,
    require_fit,
    require_free,
    span_of,
)
from datong.sharing.evidence import instant
from datong.sharing.principals import ActingFor, Principal, Role
from datong.sharing.standing import own_principal, substitute_principal

_AWAY = tables.account.alias("away")
_INSTEAD = tables.account.alias("instead")


class Colleague(Value):
    """Somebody of the same department who may be appointed, or for whom a head may appoint."""

    id: PersonId
    name: str
    roles: frozenset[Role]


class Delegations:
    """Who stands in for whom."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def appoint(
        self,
        *,
        substitute: PersonId,
        first_day: date,
        last_day: date,
        actor: Actor,
        delegator: PersonId | None = None,
        reason: str = "",
    ) -> Delegation:
        """Appoint a substitute for these days (inclusive, China time): for oneself, or for `delegator` as their head.

        The head's appointment holds at once; one's own waits for the substitute's word.

        Raises:
            Refused: it is done as a substitute, for somebody else by who is not their head, or of oneself.
            Invalid, Conflict: see `delegation_rules`. NotFound: there is no such account.
        """
        _require_own_name(actor)
        by, now = PersonId(actor.id), self._clock.now()
        begins_at, ends_at = span_of(first_day, last_day, now)
        with self._database.transaction() as connection:
            # Locked in one order, so that two appointments at once see each other.
            holders = _locked(connection, {by, substitute, delegator or by})
            away, instead = holders[delegator or by], holders[substitute]
            appointed = away.id != by
            if appointed and not _is_head(holders[by], away.department):
                raise _not_the_head()
            require_fit(away, instead, by=by)
            others = self._load(connection, _select().where(_concerning(away.id, instead.id)))
            require_free(
                [one for one in others if not one.is_over(now)],
                delegator=away.id,
                substitute=instead.id,
                begins_at=begins_at,
                ends_at=ends_at,
            )
            state = DelegationState.ACCEPTED if appointed else DelegationState.PROPOSED
            delegation_id = new_id()
            connection.execute(
                insert(tables.delegation).values(
                    id=delegation_id,
                    delegator=away.id,
                    substitute=instead.id,
                    department=away.department,
                    begins_at=begins_at,
                    ends_at=ends_at,
                    reason=reason.strip()[:REASON_CHARS_MAX],
                    state=state.value,
                    proposed_by=by,
                    proposed_at=now,
                    changed_at=now,
                )
            )
            made = self._one(connection, delegation_id)
            self._record(connection, made, "appoint" if appointed else "propose", actor)
        return made

    def act(self, delegation_id: str, action: DelegationAction, actor: Actor) -> Delegation:
        """Accept, decline or withdraw; withdrawn, it ends at once, in every session.

        Raises:
            NotFound: there is none. Conflict, Refused: see `delegation_rules.after`.
        """
        _require_own_name(actor)
        now = self._clock.now()
        with self._database.transaction() as connection:
            before = self._one(connection, delegation_id)
            _locked(connection, {before.delegator, before.substitute, PersonId(actor.id)})
            before = self._one(connection, delegation_id)
            changed = after(before, action, parties=self._parties(connection, before, actor), now=now)
            if action is DelegationAction.ACCEPT:
                # Meanwhile the substitute may have appointed one of their own.
                others = self._load(connection, _select().where(_concerning(before.delegator, before.substitute)))
                require_free(
                    [one for one in others if one.id != before.id and not one.is_over(now)],
                    delegator=before.delegator,
                    substitute=before.substitute,
                    begins_at=before.begins_at,
                    ends_at=before.ends_at,
                )
            values = {"state": changed.state.value, "changed_at": now}
            connection.execute(update(tables.delegation).where(tables.delegation.c.id == before.id).values(values))
            self._record(connection, changed, action.value, actor)
        return changed

    def get(self, delegation_id: str) -> Delegation:
        """Return one delegation, or raise NotFound."""
        with self._database.snapshot() as connection:
            return self._one(connection, delegation_id)

    def find(
        self,
        *,
        person: PersonId | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> Page[Delegation]:
        """Return delegations, those that begin last first: of a person (either side), a department, or all."""
        table = tables.delegation
        where: list[ColumnElement[bool]] = []
        if person is not None:
            where.append(_concerning(person))
        if department is not None:
            where.append(table.c.department == department)
        query = _select().where(*where).order_by(table.c.begins_at.desc(), table.c.id.desc())
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            found = self._load(connection, query.offset(offset).limit(min(limit, PAGE_ROWS_MAX)))
        return page_of(found, total=total, offset=offset)

    def possible(self, delegation: Delegation, actor: Actor) -> tuple[DelegationAction, ...]:
        """Return what somebody can do with a delegation now; a substitute at work nothing."""
        if actor.acting_for:
            return ()
        with self._database.snapshot() as connection:
            parties = self._parties(connection, delegation, actor)
        return possible(delegation, parties=parties, now=self._clock.now())

    def lent_to(self, principal: Principal) -> tuple[Delegation, ...]:
        """Return the delegations by which somebody may act for others now, the first to end first."""
        table = tables.delegation
        query = _in_force(self._clock).where(
            table.c.substitute == principal.actor.id,
            table.c.department == principal.department,
            _AWAY.c.disabled.is_(False),
            _AWAY.c.department == table.c.department,
        )
        with self._database.snapshot() as connection:
            return self._load(connection, query.order_by(table.c.ends_at, table.c.id).limit(PAGE_ROWS_MAX))

    def asked_of(self, principal: Principal) -> tuple[Delegation, ...]:
        """Return the delegations that wait for somebody's word; none while they act for somebody."""
        table = tables.delegation
        if principal.acting_for is not None:
            return ()
        query = _select().where(
            table.c.substitute == principal.actor.id,
            table.c.state == DelegationState.PROPOSED.value,
            table.c.ends_at > self._clock.now(),
        )
        with self._database.snapshot() as connection:
            return self._load(connection, query.order_by(table.c.begins_at, table.c.id).limit(PAGE_ROWS_MAX))

    def standing_in(self, department: DepartmentCode) -> Mapping[PersonId, PersonId]:
        """Return who of a department is away now, and who stands in."""
        query = _in_force(self._clock).where(tables.delegation.c.department == department)
        with self._database.snapshot() as connection:
            found = self._load(connection, query.where(_INSTEAD.c.disabled.is_(False)))
        return {one.delegator: one.substitute for one in found}

    def as_substitute(self, principal: Principal, delegation: Delegation) -> Principal:
        """Return the caller that somebody would be in acting by a delegation that is lent to them.

        Raises:
            Refused: it is not in force, or not theirs.
        """
        if delegation.id not in {one.id for one in self.lent_to(principal)}:
            raise _not_in_force()
        with self._database.snapshot() as connection:
            lender = _holders(connection, {delegation.delegator})[delegation.delegator]
        own = own_principal(
            person=principal.actor.id, name=principal.actor.name, department=principal.department, roles=frozenset()
        )
        acting = ActingFor(
            delegation_id=delegation.id,
            person=delegation.delegator,
            name=delegation.delegator_name,
            until=delegation.ends_at,
        )
        return substitute_principal(own, acting, lender.roles)

    def act_for(self, token: str, principal: Principal, delegation_id: str | None) -> None:
        """Let a session act by a delegation from now on; None: in the person's own name again.

        Raises:
            Refused: `sharing.delegation_not_in_force`.
        """
        if delegation_id is not None and delegation_id not in {one.id for one in self.lent_to(principal)}:
            raise _not_in_force()
        own = (tables.session.c.token_hash == token_hash(token), tables.session.c.account_id == principal.actor.id)
        with self._database.transaction() as connection:
            connection.execute(update(tables.session).where(*own).values(delegation_id=delegation_id))

    def colleagues(self, department: DepartmentCode) -> tuple[Colleague, ...]:
        """Return the people of a department whose accounts are open, by name."""
        account = tables.account
        query = (
            select(account.c.id, account.c.name, account.c.roles)
            .where(account.c.department == department, account.c.disabled.is_(False))
            .order_by(account.c.name, account.c.id)
            .limit(PAGE_ROWS_MAX)
        )
        with self._database.snapshot() as connection:
            rows = connection.execute(query).all()
        found = (Colleague(id=row.id, name=row.name, roles=frozenset(map(Role, row.roles))) for row in rows)
        return tuple(one for one in found if one.roles != {Role.CITIZEN})

    @staticmethod
    def _parties(connection: Connection, delegation: Delegation, actor: Actor) -> frozenset[DelegationParty]:
        person = PersonId(actor.id)
        parties = set()
        if person == delegation.delegator:
            parties.add(DelegationParty.DELEGATOR)
        if person == delegation.substitute:
            parties.add(DelegationParty.SUBSTITUTE)
        holder = _holders(connection, {person}).get(person)
        if holder is not None and _is_head(holder, delegation.department):
            parties.add(DelegationParty.HEAD)
        return frozenset(parties)

    def _record(self, connection: Connection, made: Delegation, step: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.DELEGATION,
            subject=made.id,
            actor=actor,
            facts={"delegation_id": made.id, "step": step, **delegation_facts(made)},
        )

    @staticmethod
    def _load(connection: Connection, query: Select[Any]) -> tuple[Delegation, ...]:
        return tuple(_delegation(row) for row in connection.execute(query).mappings())

    def _one(self, connection: Connection, delegation_id: str) -> Delegation:
        found = self._load(connection, _select().where(tables.delegation.c.id == delegation_id))
        if not found:
            raise NotFound(
                "sharing.delegation_not_found",
                what=Text(zh="没有这次委托。", en="There is no such delegation."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return found[0]


def delegation_facts(delegation: Delegation) -> dict[str, JsonValue]:
    """Return the facts of a delegation: the ids of the accounts, and no name or reason."""
    return {
        "department": delegation.department,
        "delegator": delegation.delegator,
        "substitute": delegation.substitute,
        "begins_at": instant(delegation.begins_at),
        "ends_at": instant(delegation.ends_at),
        "state": delegation.state.value,
    }


def delegations_of(connection: Connection) -> tuple[Delegation, ...]:
    """Return every delegation, for the audit of the state."""
    return tuple(_delegation(row) for row in connection.execute(_select()).mappings())


def _select() -> Select[Any]:
    table = tables.delegation
    return (
        select(table, _AWAY.c.name.label("delegator_name"), _INSTEAD.c.name.label("substitute_name"))
        .join(_AWAY, _AWAY.c.id == table.c.delegator)
        .join(_INSTEAD, _INSTEAD.c.id == table.c.substitute)
    )


def _in_force(clock: Clock) -> Select[Any]:
    table, now = tables.delegation, clock.now()
    return _select().where(
        table.c.state == DelegationState.ACCEPTED.value, table.c.begins_at <= now, table.c.ends_at > now
    )


def _concerning(*persons: PersonId) -> ColumnElement[bool]:
    table = tables.delegation
    return or_(table.c.delegator.in_(persons), table.c.substitute.in_(persons))


def _delegation(row: RowMapping) -> Delegation:
    return Delegation.model_validate(dict(row))


def _holders(connection: Connection, persons: Collection[PersonId]) -> dict[PersonId, Holder]:
    return {one.id: one for one in _read_holders(connection, _accounts(persons))}


def _locked(connection: Connection, persons: Collection[PersonId]) -> dict[PersonId, Holder]:
    """Return the accounts of `persons`, which nobody else appoints for before the transaction ends."""
    found = {one.id: one for one in _read_holders(connection, _accounts(persons).with_for_update())}
    if missing := set(persons) - found.keys():
        raise NotFound(
            "sharing.account_not_found",
            what=Text(zh="没有这个账号。", en="There is no such account."),
            remedy=Text(zh="请核对编号。", en="Check the id."),
            context={"missing": len(missing)},
        )
    return found


def _accounts(persons: Collection[PersonId]) -> Select[Any]:
    account = tables.account
    return (
        select(account.c.id, account.c.name, account.c.department, account.c.roles, account.c.disabled)
        .where(account.c.id.in_(sorted(persons)))
        .order_by(account.c.id)
    )


def _read_holders(connection: Connection, query: Select[Any]) -> list[Holder]:
    return [Holder.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _is_head(holder: Holder, department: DepartmentCode | None) -> bool:
    return (
        department is not None
        and holder.department == department
        and Role.DEPARTMENT_HEAD in holder.roles
        and not holder.disabled
    )


def _require_own_name(actor: Actor) -> None:
    if actor.acting_for:
        raise Refused(
            "sharing.delegation_not_lent",
            what=Text(zh="代办期间不能委托或处理委托：委托不能转委托。", en="A substitute lends nothing on."),
            remedy=Text(zh="请先恢复以本人名义办理。", en="Go back to your own name first."),
        )


def _not_the_head() -> Refused:
    return Refused(
        "sharing.delegation_not_yours",
        what=Text(zh="只有本人或本部门负责人可以指定代办人。", en="The person or the head of the department appoints."),
        remedy=Text(zh="请由本人或部门负责人办理。", en="Ask one of them."),
    )


def _not_in_force() -> Refused:
    return Refused(
        "sharing.delegation_not_in_force",
        what=Text(zh="这次委托现在不生效，或不是委托给您的。", en="The delegation is not in force, or not yours."),
        remedy=Text(zh="请在“我的账号”查看委托。", en="Look at your delegations under “My account”."),
    )
