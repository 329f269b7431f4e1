"""Acts on record: what is done about a case, a meeting, an assignment or an incident, each a row with its evidence."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Column, Connection, RowMapping, Table, func, insert, select

from datong.kernel import Actor, JsonValue, Value
from datong.ledger import EntryKind, Ledger

AnAct = TypeVar("AnAct", bound=Value)


def put_act(
    connection: Connection,
    ledger: Ledger,
    of: Column[str],
    subject: str,
    *,
    kind: EntryKind,
    facts: Mapping[str, JsonValue],
    actor: Actor,
    at: datetime,
    **row: object,
) -> None:
    """Put the next act about `subject` on record, in the caller's transaction: an entry of the log, and a row.

    `of` is the column of the table of acts that names the subject; `row` is what else stands in the row.
    """
    number = connection.scalar(select(func.count()).select_from(of.table).where(of == subject))
    entry_id = ledger.append(connection, kind=kind, subject=subject, actor=actor, facts=facts)
    known = {of.name: subject, "number": number, "actor": actor.model_dump(mode="json"), "at": at, "entry_id": entry_id}
    connection.execute(insert(of.table).values({**row, **known}))


def acts_of(connection: Connection, of: Column[str], subject: str, act: type[AnAct]) -> tuple[AnAct, ...]:
    """Return the acts about `subject`, oldest first."""
    query = select(of.table).where(of == subject).order_by(of.table.c.number)
    rows = connection.execute(query).mappings()
    return tuple(act.model_validate({name: row[name] for name in act.model_fields}) for row in rows)


def row_of(connection: Connection, table: Table, subject: str, *, lock: bool) -> RowMapping | None:
    """Return the row of a table whose `id` is `subject`, if there is one; locked, nobody else changes it meanwhile."""
    query = select(table).where(table.c.id == subject)
    return connection.execute(query.with_for_update() if lock else query).mappings().first()
