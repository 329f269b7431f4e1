"""Rows of reconciliations: the question that is open, the answers to it, and what was found."""

from sqlalchemy import Connection, RowMapping, exists, select, tuple_, update

from datong.exchange.reconciliation_values import Reconciliation, ReconciliationState
from datong.exchange.reports import Search
from datong.exchange.tables import RECONCILIATIONS
from datong.kernel import NotFound, TaskId, Text


def set_values(connection: Connection, reconciliation_id: str, **values: object) -> None:
    """Change columns of a reconciliation."""
    connection.execute(update(RECONCILIATIONS).where(RECONCILIATIONS.c.id == reconciliation_id).values(**values))


def set_repair(connection: Connection, found: Reconciliation) -> None:
    """Keep a reconciliation's state and repair."""
    repair = None if found.repair is None else found.repair.model_dump(mode="json")
    set_values(connection, found.id, state=found.state.value, repair=repair)


def row_of(connection: Connection, task_id: TaskId, reconciliation_id: str) -> RowMapping:
    """Return the row of a task's reconciliation.

    Raises:
        NotFound: `exchange.reconciliation_not_found`.
    """
    table = RECONCILIATIONS
    query = select(table).where(table.c.id == reconciliation_id, table.c.task_id == task_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise not_found()
    return row


def search_of(connection: Connection, reconciliation_id: str) -> Search | None:
    """Return how far a reconciliation's search is; None before there was any."""
    query = select(RECONCILIATIONS.c.search).where(RECONCILIATIONS.c.id == reconciliation_id)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else Search.model_validate(found)


def forget_salt(connection: Connection, reconciliation_id: str) -> None:
    """Destroy the salt: from then on a key can no longer be tried against the places of rows."""
    search = search_of(connection, reconciliation_id)
    if search is not None and search.salt:
        forgotten = search.model_copy(update={"salt": ""}).model_dump(mode="json")
        set_values(connection, reconciliation_id, search=forgotten)


def newest(connection: Connection, task_id: TaskId) -> Reconciliation | None:
    """Return the task's newest reconciliation, if there ever was one."""
    return next(iter(history(connection, task_id, 1)), None)


def history(connection: Connection, task_id: TaskId, limit: int) -> tuple[Reconciliation, ...]:
    """Return the task's reconciliations, newest first."""
    query = (
        select(RECONCILIATIONS)
        .where(RECONCILIATIONS.c.task_id == task_id)
        .order_by(RECONCILIATIONS.c.requested_at.desc(), RECONCILIATIONS.c.id.desc())
        .limit(limit)
    )
    return tuple(reconciliation_of(row) for row in connection.execute(query).mappings())


def in_state(connection: Connection, state: str, task_id: TaskId | None = None) -> tuple[Reconciliation, ...]:
    """Return the reconciliations in a state, of all tasks or of one."""
    query = select(RECONCILIATIONS).where(RECONCILIATIONS.c.state == state)
    if task_id is not None:
        query = query.where(RECONCILIATIONS.c.task_id == task_id)
    return tuple(reconciliation_of(row) for row in connection.execute(query).mappings())


def tasks_to_see_again(connection: Connection) -> tuple[TaskId, ...]:
    """Return the tasks of which a repair was the last that happened: whether it helped is still to be seen."""
    later = RECONCILIATIONS.alias("later")
    query = select(RECONCILIATIONS.c.task_id).where(
        RECONCILIATIONS.c.state == ReconciliationState.REPAIRED.value,
        ~exists().where(
            later.c.task_id == RECONCILIATIONS.c.task_id,
            tuple_(later.c.requested_at, later.c.id) > tuple_(RECONCILIATIONS.c.requested_at, RECONCILIATIONS.c.id),
        ),
    )
    return tuple(TaskId(found) for found in connection.execute(query).scalars())


def reconciliation_of(row: RowMapping) -> Reconciliation:
    """Return the reconciliation that a row holds; the salt stays behind."""
    facts = {name: row[name] for name in Reconciliation.model_fields if name in row}
    search = row["search"] or {}
    return Reconciliation.model_validate(
        facts | {"findings": search.get("findings"), "round": search.get("question", {}).get("number", 1)}
    )


def not_found() -> NotFound:
    """Return the error of a reconciliation that does not exist."""
    return NotFound(
        "exchange.reconciliation_not_found",
        what=Text(zh="没有这次对账。", en="There is no such reconciliation."),
        remedy=Text(zh="请重新发起对账。", en="Request a new reconciliation."),
    )
