"""Alembic's environment: it runs inside the transaction that `datong.app.schema` opened."""

from typing import Literal

from alembic import context

from datong.kernel import METADATA, JsonColumn, UtcDateTime


def rendered(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write the control database's own column types by their names."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "UtcDateTime()"
    if kind == "type" and item is JsonColumn:
        return "JsonColumn"
    return False


def compared(_object: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:
    """Leave out tables that are no tables of the metadata: other programs may share the database."""
    return not (kind == "table" and reflected and name not in METADATA.tables)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    transactional_ddl=True,
    render_as_batch=True,
    include_object=compared,
    render_item=rendered,
)
with context.begin_transaction():
    context.run_migrations()
