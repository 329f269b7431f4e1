"""摸清家底: look at the department's tables and draft catalogue entries. Profiles hold no values; values stay here."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from datong.catalogue import (
    Department,
    Resource,
    SourceColumn,
    SourceReference,
    SourceTable,
    profile_table,
    propose_resource,
)
from datong.exchange import Connector, ReadQuery, TableSchema
from datong.kernel import NodeId
from datong.node.hub_client import HubClient
from datong.norms import NormPack

PROFILE_BATCH_ROWS = 20_000


def source_table(schema: TableSchema) -> SourceTable:
    """Return a table as the profiler wants it."""
    return SourceTable(
        name=schema.table,
        comment=schema.comment,
        columns=tuple(
            SourceColumn(name=column.name, type=column.source_type, comment=column.comment) for column in schema.columns
        ),
        key_columns=schema.key_columns,
        references=tuple(
            SourceReference(columns=key.columns, table=key.other_table, other_columns=key.other_columns)
            for key in schema.foreign_keys
        ),
        rows=schema.rows,
    )


def scan_source(
    name: str,
    connector: Connector,
    *,
    client: HubClient,
    pack: NormPack,
    department: Department,
    node_id: NodeId,
    found: Callable[[Resource], None],
) -> tuple[Resource, ...]:
    """Profile every table of a source and draft a catalogue entry for each; `found` is told of each one."""
    drafts = []
    for schema in connector.inspect():
        query = ReadQuery(
            table=schema.table,
            columns=tuple(column.name for column in schema.columns),
            batch_rows=PROFILE_BATCH_ROWS,
        )
        batches: Iterable[pa.RecordBatch] = connector.read(query)
        profile = profile_table(source_table(schema), batches, pack=pack)
        draft = propose_resource(profile, pack, department, node_id=node_id, source=name)
        resource = client.draft_resource(draft.content)
        found(resource)
        drafts.append(resource)
    return tuple(drafts)
