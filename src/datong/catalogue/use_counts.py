"""The departments that made use of each resource, counted once per kind of use (`use` says what that is worth)."""

from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.tables import use
from datong.catalogue.use import UseKind, use_level
from datong.kernel import DepartmentCode


def record_use(
    connection: Connection, resource_id: str, department: DepartmentCode, kind: UseKind, now: datetime
) -> bool:
    """Count one use; return whether the resource's level changed by it."""
    before = _level(connection, resource_id)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(use)
        .values(resource_id=resource_id, department=department, kind=kind.value, times=1, first_at=now, last_at=now)
        .on_conflict_do_update(
            index_elements=["resource_id", "department", "kind"], set_={"times": use.c.times + 1, "last_at": now}
        )
    )
    return _level(connection, resource_id) != before


def _level(connection: Connection, resource_id: str) -> int:
    statement = select(use.c.kind, func.count()).where(use.c.resource_id == resource_id).group_by(use.c.kind)
    return use_level({row[0]: row[1] for row in connection.execute(statement)})
