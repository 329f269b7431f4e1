"""Objections in the control database, with their evidence: digests of words, and the citizen as a keyed mark only."""

import secrets

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.kernel import (
    AccessId,
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    JsonValue,
    NotFound,
    Page,
    Text,
    WorkingCalendar,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.sharing import tables
from datong.sharing.citizens.objection_rules import Objection, ObjectionAction, ObjectionState, follow, require_words
from datong.sharing.citizens.own_uses import OwnUses
from datong.sharing.evidence import instant, subject_fact, text_digest
from datong.sharing.subjects import SALT_BYTES, canonical_subject, subject_index


class Objections:
    """Takes objections to uses, and their answers within `limit_working_days`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        own_uses: OwnUses,
        index_key: bytes,
        limit_working_days: int,
    ) -> None:
        self._database, self._clock, self._calendar, self._ledger = database, clock, calendar, ledger
        self._own_uses, self._index_key, self._limit_working_days = own_uses, index_key, limit_working_days

    def make(self, access_id: AccessId, citizen_id: str, statement: str, *, actor: Actor) -> Objection:
        """Object to one use of one's own data.

        Raises:
            NotFound: the use is not the citizen's, or not told yet. Conflict: they objected to it before.
            Invalid: the statement is missing or too long.
        """
        require_words(statement, "statement", needed=True)
        use, now = self._own_uses.get(access_id, citizen_id), self._clock.now()
        objection = Objection(
            id=new_id(),
            access_id=access_id,
            consumer=use.consumer,
            provider=use.provider,
            agreement_ids=use.agreement_ids,
            resource_title=use.resource_title,
            case_number=use.case_number,
            statement=statement.strip(),
            state=ObjectionState.OPEN,
            made_at=now,
            due_at=self._calendar.deadline(now, self._limit_working_days),
        )
        with self._database.transaction() as connection:
            entry_id = self._append(connection, objection, "make", actor, citizen_id)
            row = {"subject_index": subject_index(self._index_key, citizen_id), "entry_id": entry_id}
            try:
                connection.execute(insert(tables.use_objection).values(**_row(objection), **row))
            except IntegrityError as error:
                raise Conflict(
                    "sharing.objection_made",
                    what=Text(zh="您已对这次使用提出过异议。", en="You have objected to this use already."),
                    remedy=Text(zh="请查看它的答复。", en="See its answer."),
                ) from error
        return objection.model_copy(update={"entry_id": entry_id})

    def answer(self, objection_id: str, action: ObjectionAction, answer: str, *, actor: Actor) -> Objection:
        """Uphold or dismiss an objection, with the reasons.

        Raises:
            NotFound: there is none. Conflict: it has ended, or only the citizen may do this. Invalid: no reasons.
        """
        if action is ObjectionAction.WITHDRAW:
            raise Conflict(
                "sharing.objection_own",
                what=Text(zh="异议只能由本人撤回。", en="Only the citizen withdraws an objection."),
                remedy=Text(zh="请选择成立或者不成立。", en="Uphold or dismiss it."),
            )
        return self._act([tables.use_objection.c.id == objection_id], action, answer, actor)

    def withdraw(self, objection_id: str, citizen_id: str, *, actor: Actor) -> Objection:
        """Take back one's own objection.

        Raises:
            NotFound: it is not the citizen's. Conflict: it has ended.
        """
        table = tables.use_objection
        mine = table.c.subject_index == subject_index(self._index_key, citizen_id)
        return self._act([table.c.id == objection_id, mine], ObjectionAction.WITHDRAW, "", actor)

    def get(self, objection_id: str) -> Objection:
        """Return an objection, or raise NotFound."""
        with self._database.snapshot() as connection:
            found = self._select(connection, [tables.use_objection.c.id == objection_id], limit=1)
        if not found:
            raise _unknown()
        return found[0]

    def of_subject(self, citizen_id: str) -> tuple[Objection, ...]:
        """Return a citizen's objections, newest first."""
        where = [tables.use_objection.c.subject_index == subject_index(self._index_key, citizen_id)]
        with self._database.snapshot() as connection:
            return self._select(connection, where, limit=PAGE_ROWS_MAX)

    def find(
        self,
        *,
        consumer: DepartmentCode | None = None,
        waiting: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Objection]:
        """Return objections to what a department did, or all of them, newest first."""
        table = tables.use_objection
        where: list[ColumnElement[bool]] = [] if consumer is None else [table.c.consumer == consumer]
        if waiting:
            where.append(table.c.state == ObjectionState.OPEN.value)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            rows = self._select(connection, where, offset=offset, limit=min(limit, PAGE_ROWS_MAX))
        return page_of(rows, total=total, offset=offset)

    def _act(self, where: list[ColumnElement[bool]], action: ObjectionAction, answer: str, actor: Actor) -> Objection:
        table = tables.use_objection
        with self._database.transaction() as connection:
            found = self._select(connection, where, limit=1)
            if not found:
                raise _unknown()
            after = follow(found[0], action, answer, self._clock.now())
            entry_id = self._append(connection, after, action.value, actor, "")
            changed = connection.execute(
                update(table)
                .where(table.c.id == after.id, table.c.state == ObjectionState.OPEN.value)
                .values(**_row(after), entry_id=entry_id)
            ).rowcount
            if changed != 1:
                # Somebody answered in between: the rule says so in its own words.
                follow(found[0].model_copy(update={"state": after.state}), action, answer, self._clock.now())
        return after.model_copy(update={"entry_id": entry_id})

    def _append(self, connection: Connection, objection: Objection, step: str, actor: Actor, citizen_id: str) -> str:
        salt = secrets.token_bytes(SALT_BYTES)
        named = {subject_fact(0): commitment(salt, canonical_subject(citizen_id))} if citizen_id else {}
        return self._ledger.append(
            connection,
            kind=EntryKind.OBJECTION,
            subject=objection.id,
            actor=actor,
            facts={
                "step": step,
                **objection_facts(objection),
                **named,
            },
        )

    def _select(
        self, connection: Connection, where: list[ColumnElement[bool]], *, limit: int, offset: int = 0
    ) -> tuple[Objection, ...]:
        table = tables.use_objection
        query = select(table).where(*where).order_by(table.c.id.desc()).offset(offset).limit(limit)
        return tuple(objection_of(row) for row in connection.execute(query).mappings())


def objection_of(row: tables.Row) -> Objection:
    """Return the objection that a row holds."""
    return Objection.model_validate({**row["content"], "state": row["state"], "entry_id": row["entry_id"]})


def objection_facts(objection: Objection) -> dict[str, JsonValue]:
    """Return how an objection stands, for the ledger; whose it is stands beside it, as a commitment."""
    return {
        "state": objection.state.value,
        "access_id": objection.access_id,
        "consumer": objection.consumer,
        "provider": objection.provider,
        "agreement_ids": list(objection.agreement_ids),
        "due_at": instant(objection.due_at),
        "statement_sha256": text_digest(objection.statement),
        "answer_sha256": text_digest(objection.answer),
    }


def _row(objection: Objection) -> dict[str, object]:
    return {
        "id": objection.id,
        "access_id": objection.access_id,
        "consumer": objection.consumer,
        "state": objection.state.value,
        "content": objection.model_dump(mode="json", exclude={"state", "entry_id"}),
    }


def _unknown() -> NotFound:
    return NotFound(
        "sharing.objection_unknown",
        what=Text(zh="没有这个异议。", en="There is no such objection."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )
