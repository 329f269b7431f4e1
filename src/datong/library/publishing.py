"""The last step of a build: its golden records, their lineage and its sources' records become datasets.

A build that started from the one before takes over what did not change: lookup files are amended, rows of Delta tables
carried over. The result is the same, but for the order of rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datong.kernel import BuildId
from datong.library.ahead import CarriedAhead
from datong.library.conform import ConformedSource
from datong.library.definition import Definition
from datong.library.delta_writing import KeptRows, version_of_build, write_delta
from datong.library.digests import rows_digest
from datong.library.engine import EmbeddedWorkspace, parquet_sql, sql_text
from datong.library.fuse import CELLS, CHANGED_ENTITIES
from datong.library.layers import read_table, table_sql, write_changes
from datong.library.link import LINKS, SUCCESSIONS
from datong.library.link_changes import CHANGED_RECORDS
from datong.library.lookup_files import (
    FormerRows,
    amend_golden_lookup,
    amend_record_lookup,
    write_golden_lookup,
    write_record_lookup,
)
from datong.library.lookup_layers import outgrown
from datong.library.publish import (
    PublishedTable,
    dataset_columns,
    golden_table_sql,
    lineage_table_sql,
    record_digests_sql,
    record_table_sql,
    records_sql,
    source_keys,
)
from datong.library.spatial_index import DIVISION, write_features, write_figures
from datong.library.touched import FORMER_CELLS, TOUCHED_CELLS, former_records, touched_records
from datong.library.twins import create_few
from datong.library.values import BuildStep, DatasetColumn
from datong.norms import NormPack

GOLDEN_LOOKUP = "golden.sqlite"
DOUBTFUL_RECORDS_MAX = 200_000
"""Records whose rows wait until it is known whether they stay: with those of their entities some 500 MB."""


class FormerBuild(NamedTuple):
    """The published build from which this one started: its folder, and what it published by name."""

    folder: Path
    tables: dict[str, PublishedTable]


class Publishing:
    """Publishes a build in `folder` whose other steps are done; `delta` holds the library's Delta tables."""

    def __init__(
        self,
        *,
        build_id: BuildId,
        definition: Definition,
        sources: tuple[ConformedSource, ...],
        pack: NormPack,
        folder: Path,
        delta: Path,
        former: FormerBuild | None,
        ahead: CarriedAhead,
    ) -> None:
        self.build_id = build_id
        self.definition = definition
        self.sources = sources
        self.pack = pack
        self.folder = folder
        self.delta = delta
        self.former = former
        self.ahead = ahead

    def carry_certain(self, sources: Sequence[ConformedSource], doubtful: Path) -> None:
        """Begin to carry over what stays in any case: the file `doubtful` (source, row_key, entity_id, changed) has the
        records of `sources` that may be others or linked otherwise, whose they were, and which are others for certain.

        A table of records none of which did change is left alone until it is known that one is linked otherwise, and
        all are if more are doubtful than are to wait in memory.
        """
        known = pq.read_table(doubtful)
        changed = set(known.filter(pc.field("changed")).column("source").unique().to_pylist())
        if not changed or known.num_rows > DOUBTFUL_RECORDS_MAX:
            return
        for table, version in self._entity_tables():
            self.ahead.begin(table, version, "entity_id", known.column("entity_id").drop_null())
        for source in sources:
            before = self._published(_records_name(source))
            if before is not None and source.number in changed:
                keys = known.filter(pc.field("source") == source.number).column("row_key")
                self.ahead.begin(self._records_table(source), before.delta_version, "_row_key", keys)

    def carry_records(self, sources: Sequence[ConformedSource], changed: Path) -> None:
        """Carry over the records of `sources` that stay; `changed` (source, row_key) has the others."""
        for source in sources:
            before = self._published(_records_name(source))
            if before is not None:
                touched = pq.read_table(changed, columns=["row_key"], filters=pc.field("source") == source.number)
                self.ahead.finish(self._records_table(source), before.delta_version, "_row_key", touched.column(0))

    def carry_entities(self, changed: Path) -> None:
        """Carry over the entities that stay, and their lineage; the file `changed` has the others."""
        touched = pq.read_table(changed, columns=["entity_id"]).column(0)
        for table, version in self._entity_tables():
            self.ahead.finish(table, version, "entity_id", touched)

    def _entity_tables(self) -> list[tuple[Path, int]]:
        """Return the Delta tables whose rows are sought by their entity, each with the version that is carried over."""
        if self.former is None:
            return []
        lineage, before = self._lineage_table(), self._published(self.definition.name)
        version = version_of_build(lineage, self.former.folder.name)
        known = [] if version is None else [(lineage, version)]
        return known if before is None else [*known, (self.delta / self.definition.name, before.delta_version)]

    def lineage(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Publish the lineage of the golden records: every cell with its origin, and what other sources say."""
        fused, lineage = self.folder / BuildStep.FUSE.value, self._lineage_table()
        version = None if self.former is None else version_of_build(lineage, self.former.folder.name)
        if version is None:
            said, kept = table_sql(fused / CELLS), None
        else:
            said = parquet_sql(fused / TOUCHED_CELLS)
            kept = KeptRows(version=version, key="entity_id", replaced=parquet_sql(fused / CHANGED_ENTITIES))
        write_delta(connection, lineage_table_sql(self.sources, said), lineage, self.build_id, kept, self.ahead.files)

    def golden(self, connection: duckdb.DuckDBPyConnection, digest: str, scratch: Path) -> PublishedTable:
        """Publish the golden records, whose digest is given; their lookup goes to the folder `scratch`."""
        definition = self.definition
        lookup, cells = scratch / GOLDEN_LOOKUP, self.folder / BuildStep.FUSE.value / CELLS
        before = self._published(definition.name)
        if before is None:
            said, kept = table_sql(cells), None
        else:
            said = self._touched_entities(connection)
            kept = KeptRows(version=before.delta_version, key="entity_id", replaced="touched_entities")
        records = golden_table_sql(definition, self.pack, said)
        table = self.delta / definition.name
        delta_version = write_delta(connection, records, table, self.build_id, kept, self.ahead.files)
        rows = self._golden_lookup(connection, before, lookup)
        if definition.spatial is not None:
            write_features(connection, definition, definition.spatial, self.pack, cells, lookup)
        elif any(rule.code == DIVISION for rule in definition.elements):
            write_figures(connection, cells, lookup)
        elements = [self.pack.element(rule.code) for rule in definition.elements if self.pack.has_element(rule.code)]
        return PublishedTable(
            name=definition.name,
            resource_number=None,
            title=definition.title,
            columns=tuple(
                DatasetColumn(name=element.code, element=element.code, title=element.name) for element in elements
            ),
            key_elements=("entity_id", *definition.key_elements),
            rows=rows,
            digest=digest,
            delta_version=delta_version,
            lookup_file=GOLDEN_LOOKUP,
        )

    def records(self, connection: duckdb.DuckDBPyConnection, source: ConformedSource, scratch: Path) -> PublishedTable:
        """Publish the current records of a source."""
        keys, name = source_keys(source), _records_name(source)
        lookup, digests = scratch / source_lookup(source), scratch / _digests_file(source)
        meta = self._meta() | {"number": source.number}
        records, before = f"records_{source.number}", self._published(name)
        if self.former is None or before is None:
            self._create_records(connection, source, records)
            kept = None
            rows = write_record_lookup(connection, source, keys, meta, records, lookup)
            connection.execute(
                f"COPY ({record_digests_sql(source, records)}) TO {sql_text(str(digests))} (FORMAT parquet)"
            )
        else:
            touched, former = self._touched_records(connection, source)
            kept = KeptRows(
                version=before.delta_version,
                key="_row_key",
                replaced=f"(SELECT row_key AS _row_key FROM {touched})",
            )
            published = self.former.folder / BuildStep.PUBLISH.value
            old = FormerRows(published / before.lookup_file, before.rows, "row_key", touched, former)
            if outgrown(old.path):
                whole = f"whole_{source.number}"
                self._create_records(connection, source, whole)
                rows = write_record_lookup(connection, source, keys, meta, whole, lookup)
                connection.execute(f"DROP TABLE {whole}")
            else:
                rows = amend_record_lookup(connection, source, keys, meta, old, records, lookup)
            write_changes(
                EmbeddedWorkspace(connection),
                published / _digests_file(source),
                digests,
                keys=("row_key",),
                replaced=touched,
                changed=f"({record_digests_sql(source, records)})",
                order=("row_key",),
            )
        table, said = self._records_table(source), record_table_sql(source, self.pack, records)
        delta_version = write_delta(connection, said, table, self.build_id, kept, self.ahead.files)
        number = source.number
        for working in (records, f"touched_{number}", f"former_records_{number}"):
            connection.execute(f"DROP TABLE IF EXISTS {working}")
        return PublishedTable(
            name=name,
            resource_number=source.number,
            title=source.source.title,
            columns=dataset_columns(source, self.pack),
            key_elements=("entity_id", *keys),
            rows=rows,
            digest=rows_digest(read_table(digests, columns=["digest"]).column("digest")),
            delta_version=delta_version,
            lookup_file=source_lookup(source),
        )

    def _lineage_table(self) -> Path:
        return self.delta / f"{self.definition.name}_lineage"

    def _records_table(self, source: ConformedSource) -> Path:
        return self.delta / f"resource_{source.source.resource_id}"

    def _create_records(self, connection: duckdb.DuckDBPyConnection, source: ConformedSource, name: str) -> None:
        """Create the table `name` of the source's current records, numbered."""
        connection.execute(f"""
            CREATE OR REPLACE TABLE {name} AS SELECT row_number() OVER (ORDER BY row_key) AS id, *
            FROM ({records_sql(source, *self._inputs(self.folder))})""")

    def _published(self, name: str) -> PublishedTable | None:
        """Return what the former build published as `name`, if this one started from it."""
        return None if self.former is None else self.former.tables.get(name)

    @staticmethod
    def _inputs(folder: Path) -> tuple[Path, Path]:
        return folder / BuildStep.CONFORM.value, folder / BuildStep.LINK.value / LINKS

    def _golden_lookup(self, connection: duckdb.DuckDBPyConnection, before: PublishedTable | None, path: Path) -> int:
        """Write the golden lookup; amend that of `before`, whose touched entities are known by then, if it is given.

        Features are written whole, and with them their lookup: their numbers are those of its rows.
        """
        keys, meta = self.definition.key_elements, self._meta()
        cells = self.folder / BuildStep.FUSE.value / CELLS
        _, links = self._inputs(self.folder)
        successions = self.folder / BuildStep.LINK.value / SUCCESSIONS
        if self.former is None or before is None or self.definition.spatial is not None:
            return write_golden_lookup(connection, keys, meta, cells, links, successions, path)
        published = self.former.folder / BuildStep.PUBLISH.value / before.lookup_file
        if outgrown(published):
            return write_golden_lookup(connection, keys, meta, cells, links, successions, path)
        former = FormerRows(published, before.rows, "entity_id", "touched_entities", "former_cells")
        create_few(EmbeddedWorkspace(connection), "touched_members", links, ("entity_id",), "touched_entities")
        return amend_golden_lookup(
            connection, keys, meta, former, "touched_cells", "touched_members", successions, path
        )

    def _touched_entities(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Create `touched_entities`, `touched_cells`, whose name it returns, and `former_cells`."""
        changed = self.folder / BuildStep.FUSE.value / CHANGED_ENTITIES
        connection.execute(
            f"CREATE OR REPLACE TABLE touched_entities AS SELECT entity_id FROM read_parquet({sql_text(str(changed))})"
        )
        for name, file in (("touched_cells", TOUCHED_CELLS), ("former_cells", FORMER_CELLS)):
            cells = parquet_sql(self.folder / BuildStep.FUSE.value / file)
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM {cells}")
        return "touched_cells"

    def _touched_records(self, connection: duckdb.DuckDBPyConnection, source: ConformedSource) -> tuple[str, str]:
        """Create and name the source's touched row keys, and its records of before; its records now are `records_N`."""
        changed = self.folder / BuildStep.LINK.value / CHANGED_RECORDS
        touched, before = f"touched_{source.number}", f"former_records_{source.number}"
        connection.execute(
            f"CREATE OR REPLACE TABLE {touched} AS SELECT row_key FROM read_parquet({sql_text(str(changed))}) "
            f"WHERE source = {source.number}"
        )
        for name, file in ((f"records_{source.number}", touched_records(source)), (before, former_records(source))):
            rows = parquet_sql(self.folder / BuildStep.FUSE.value / file)
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM {rows}")
        return touched, before

    def _meta(self) -> dict[str, Any]:
        return {
            "library": self.definition.name,
            "build": self.build_id,
            "sources": [
                {
                    "resource_id": source.source.resource_id,
                    "department": source.source.department,
                    "title": source.source.title.model_dump(),
                    "file": source_lookup(source),
                }
                for source in self.sources
            ],
        }


def _records_name(source: ConformedSource) -> str:
    return f"resource:{source.source.resource_id}"


def source_lookup(source: ConformedSource) -> str:
    """Return the name of a source's lookup file."""
    return f"source_{source.number:03d}.sqlite"


def _digests_file(source: ConformedSource) -> str:
    return f"source_{source.number:03d}.digests.parquet"
