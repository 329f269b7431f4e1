"""Which revisions of which agreements stand between two parties: cheap to look up for many pairs at once."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select, tuple_

from datong.kernel import Database, DepartmentCode, ResourceId
from datong.sharing import tables

Parties = tuple[DepartmentCode, ResourceId]
"""A consumer, and the resource that it uses."""
_TABLE = tables.agreement
_REVISIONS = (
    select(_TABLE.c.consumer, _TABLE.c.resource_id, _TABLE.c.id, _TABLE.c.revision)
    .where(tuple_(_TABLE.c.consumer, _TABLE.c.resource_id).in_(bindparam("of_pairs", expanding=True)))
    .order_by(_TABLE.c.id)
)


def revisions_between(database: Database, pairs: Sequence[Parties]) -> dict[Parties, object]:
    """Return what changes whenever `Agreements.candidates` of a pair does, also where there is no agreement."""
    found: dict[Parties, list[tuple[str, int]]] = {pair: [] for pair in pairs}
    with database.reading() as connection:
        for row in connection.execute(_REVISIONS, {"of_pairs": list(found)}):
            found[row.consumer, row.resource_id].append((row.id, row.revision))
    return {pair: tuple(revisions) for pair, revisions in found.items()}
