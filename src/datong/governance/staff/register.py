"""The registers of all departments: who is assigned, trained, has left; each change leaves counts in the log."""

import secrets
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.governance.staff.members import (
    Member,
    NewMember,
    StaffAction,
    StaffNumbers,
    Training,
    departed,
    facts_of,
    numbers_of,
    struck,
    trained,
)
from datong.governance.staff.staff_files import read_staff
from datong.governance.staff.tables import STAFF, STAFF_REGISTER
from datong.kernel import (
    CHINA,
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    NotFound,
    Text,
    canonical_json,
    new_id,
)
from datong.ledger import EntryKind, Ledger, commitment

MEMBERS_MAX = 500
"""People in one department's register, those who left included."""
EXPIRY_DAYS = 30
"""A certificate that ends within so many days is to be renewed."""


class StaffRegister:
    """The staff of all departments over the control database."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    def assign(self, department: DepartmentCode, new: NewMember, actor: Actor) -> Member:
        """Put somebody into a department's register.

        Raises:
            Conflict: they stand there, or it is full.
        """
        with self._database.transaction() as connection:
            members = self._locked(connection, department)
            made = _joined(members, department, new)
            self._insert(connection, made)
            self._record(connection, department, StaffAction.ASSIGN, actor)
        return made

    def train(self, member_id: str, training: Training, actor: Actor) -> Member:
        """Put a training on record.

        Raises:
            NotFound: there is no such person. Conflict: see `trained`.
        """
        return self._change(member_id, StaffAction.TRAIN, actor, lambda member: trained(member, training))

    def strike(self, member_id: str, number: int, actor: Actor) -> Member:
        """Take a training that was wrong off the record; `number` counts from 1.

        Raises:
            NotFound: there is no such person. Conflict: see `struck`.
        """
        return self._change(member_id, StaffAction.STRIKE, actor, lambda member: struck(member, number))

    def leave(self, member_id: str, on: date, actor: Actor) -> Member:
        """Say that somebody has left.

        Raises:
            NotFound: there is no such person. Conflict: see `departed`.
        """
        return self._change(member_id, StaffAction.LEAVE, actor, lambda member: departed(member, on))

    def take_file(self, department: DepartmentCode, content: bytes, actor: Actor) -> tuple[Member, ...]:
        """Take in a workbook of people and trainings: all of it, or nothing and a report; again: nothing new.

        Raises:
            Invalid: the file is faulty; its cells are in the context. Conflict: the register is full.
        """
        read = read_staff(content)
        with self._database.transaction() as connection:
            members = {one.name: one for one in self._locked(connection, department) if one.left_on is None}
            everybody = list(members.values())
            for new in read:
                known = members.get(new.name)
                if known is None:
                    known = _joined(everybody, department, new)
                    everybody.append(known)
                    self._insert(connection, known)
                else:
                    kept = {(one.course, one.on) for one in known.trainings}
                    for training in new.trainings:
                        if (training.course, training.on) not in kept:
                            known = trained(known, training)
                    self._update(connection, known)
                members[new.name] = known
            self._record(connection, department, StaffAction.IMPORT, actor)
        return tuple(members[new.name] for new in read)

    def get(self, member_id: str) -> Member:
        """Return one person of a register.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            return _one(connection, member_id)

    def members(self, department: DepartmentCode) -> tuple[Member, ...]:
        """Return a department's register: those who are there, then those who left, by name."""
        with self._database.snapshot() as connection:
            return tuple(sorted(_members(connection, department), key=lambda one: (one.left_on is not None, one.name)))

    def numbers(self) -> tuple[StaffNumbers, ...]:
        """Return the numbers of every department that keeps a register, without any name."""
        day = self._clock.now().astimezone(CHINA).date()
        with self._database.snapshot() as connection:
            found: dict[DepartmentCode, list[Member]] = {}
            for row in connection.execute(select(STAFF)).mappings():
                member = _member(row)
                found.setdefault(member.department, []).append(member)
        return tuple(numbers_of(code, found[code], day) for code in sorted(found))

    def expiring(self, now: datetime) -> tuple[tuple[DepartmentCode, date, int], ...]:
        """Return on which day how many certificates of a department's present staff end, within 30 days from now."""
        today = now.astimezone(CHINA).date()
        ends: dict[tuple[DepartmentCode, date], int] = {}
        with self._database.snapshot() as connection:
            for row in connection.execute(select(STAFF).where(STAFF.c.left_on.is_(None))).mappings():
                member = _member(row)
                until = member.certified_until
                if until is not None and today <= until <= today + timedelta(days=EXPIRY_DAYS):
                    ends[member.department, until] = ends.get((member.department, until), 0) + 1
        return tuple((code, until, count) for (code, until), count in sorted(ends.items()))

    def _change(self, member_id: str, action: StaffAction, actor: Actor, change: Callable[[Member], Member]) -> Member:
        with self._database.transaction() as connection:
            department = _one(connection, member_id).department
            self._locked(connection, department)
            after = change(_one(connection, member_id))
            self._update(connection, after)
            self._record(connection, department, action, actor)
        return after

    def _locked(self, connection: Connection, department: DepartmentCode) -> list[Member]:
        """Return a department's register, and keep others from changing it."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        made = dialect.insert(STAFF_REGISTER).values(department=department, salt="", changed_at=self._clock.now())
        connection.execute(made.on_conflict_do_nothing(index_elements=[STAFF_REGISTER.c.department]))
        row = select(STAFF_REGISTER).where(STAFF_REGISTER.c.department == department)
        connection.execute(row.with_for_update()).first()
        return _members(connection, department)

    def _record(self, connection: Connection, department: DepartmentCode, action: StaffAction, actor: Actor) -> None:
        members, salt = _members(connection, department), secrets.token_bytes(16)
        connection.execute(
            update(STAFF_REGISTER)
            .where(STAFF_REGISTER.c.department == department)
            .values(salt=salt.hex(), changed_at=self._clock.now())
        )
        facts = {
            **facts_of(department, members),
            "action": action.value,
            "register_commitment": register_commitment(members, salt),
        }
        self._ledger.append(connection, kind=EntryKind.STAFF, subject=department, actor=actor, facts=facts)

    @staticmethod
    def _insert(connection: Connection, member: Member) -> None:
        connection.execute(insert(STAFF).values(member.model_dump(mode="json")))

    @staticmethod
    def _update(connection: Connection, member: Member) -> None:
        connection.execute(update(STAFF).where(STAFF.c.id == member.id).values(member.model_dump(mode="json")))


def register_commitment(members: Sequence[Member], salt: bytes) -> str:
    """Return the commitment to a register: whoever is shown salt and rows can check that they are those of the log."""
    rows = [one.model_dump(mode="json") for one in sorted(members, key=lambda one: one.id)]
    return commitment(salt, canonical_json(rows).decode())


def _joined(members: Sequence[Member], department: DepartmentCode, new: NewMember) -> Member:
    if any(one.name == new.name and one.left_on is None for one in members) or len(members) >= MEMBERS_MAX:
        raise Conflict(
            "governance.staff_known",
            what=Text(
                zh=f"该人员已在册，或在册人员已达 {MEMBERS_MAX} 人。",
                en=f"They stand in the register, or it holds {MEMBERS_MAX} people.",
            ),
            remedy=Text(zh="同名人员请加注区分。", en="Tell people of one name apart by an addition."),
            field="/name",
        )
    return Member(**new.model_dump(), id=new_id(), department=department)


def _members(connection: Connection, department: DepartmentCode) -> list[Member]:
    rows = connection.execute(select(STAFF).where(STAFF.c.department == department)).mappings()
    return [_member(row) for row in rows]


def _one(connection: Connection, member_id: str) -> Member:
    row = connection.execute(select(STAFF).where(STAFF.c.id == member_id)).mappings().first()
    if row is None:
        raise NotFound(
            "governance.staff_not_found",
            what=Text(zh="没有登记这个人员。", en="There is nobody of this id."),
            remedy=Text(zh="请从在册人员中选择。", en="Choose somebody from the register."),
        )
    return _member(row)


def _member(row: RowMapping) -> Member:
    return Member.model_validate(dict(row))
