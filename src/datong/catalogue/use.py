"""How much a resource is used by departments other than its own: what ranking may look at.

Departments are counted, not clicks, so that nobody pushes a resource up by asking for it again and again.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue.tables import use
from datong.kernel import DepartmentCode

USE_LEVEL_MAX = 10


class UseKind(StrEnum):
    """A way in which a department made use of a resource."""

    VIEW = "view"
    REQUEST = "request"
    AGREEMENT = "agreement"

    @property
    def weight(self) -> int:
        """How much one department's use of this kind counts."""
        return _WEIGHTS[self]


_WEIGHTS = {UseKind.VIEW: 1, UseKind.REQUEST: 4, UseKind.AGREEMENT: 8}


def use_level(departments: Mapping[str, int]) -> int:
    """Return the level (0 to `USE_LEVEL_MAX`) for the number of departments by kind of use: two per doubling."""
    score = sum(_WEIGHTS[UseKind(kind)] * number for kind, number in departments.items())
    return min(USE_LEVEL_MAX, round(1.5 * math.log2(1 + score)))


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
