"""One build of a graph: edges between the entities of other libraries, each with the cell that says so.

The edge table is published like any other: as a Delta table, and as a lookup by either end. An edge of golden records
carries the origin of the golden cell it was read from; one of a source's records carries the record. So whoever may
not see that department's cell may not see the edge.
"""

from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from datong.kernel import JsonValue, Text
from datong.library.delta_writing import version_of_build, write_delta
from datong.library.derivation import EDGE_COLUMNS, OWN_ID, Graph
from datong.library.derive import ROW_KEY, TABLE_NUMBER, input_name, read_input
from datong.library.engine import sql_name, sql_text
from datong.library.expressions import literal_sql
from datong.library.lookup_writing import LookupWriter
from datong.library.pipeline import TABLES
from datong.library.plan import PlannedEdge, plan_graph
from datong.library.publish import PublishedTable, write_json
from datong.library.publishing import GOLDEN_LOOKUP
from datong.library.table_pipeline import DERIVED_DIGEST, TablePipeline
from datong.library.values import BuildStep, DatasetColumn, LinkReport

EDGES = "edges.parquet"
COLUMN_TITLES = {
    "kind": Text(zh="关系", en="Relation"),
    "from_type": Text(zh="起点类型", en="Type of the start"),
    "from_id": Text(zh="起点", en="Start"),
    "to_type": Text(zh="终点类型", en="Type of the end"),
    "to_id": Text(zh="终点", en="End"),
    "attribute": Text(zh="说明", en="Attribute"),
}
_ORIGIN = "department VARCHAR, resource_id VARCHAR, row_key VARCHAR, batch_id VARCHAR"


class GraphPipeline(TablePipeline):
    """The steps of one build of a graph."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.definition.graph is None:
            raise AssertionError("only a graph has edges")
        self.graph: Graph = self.definition.graph
        self.plan = plan_graph(self.definition, self.libraries, self.pack)

    def _derive(self, scratch: Path) -> LinkReport:
        with self.engine.connect(self.folder / "spill") as connection:
            for planned in self.plan.inputs:
                read_input(connection, planned, self.inputs, self.library)
            self._read_origins(connection)
            edges = " UNION ALL ".join(self._edges_sql(known) for known in self.plan.edges)
            # Two records may say the same of two entities: one edge, told by the first of them.
            connection.execute(f"""
                COPY (
                    SELECT substr(sha256(kind || chr(31) || from_id || chr(31) || to_id), 1, 32) AS entity_id, *
                    FROM ({edges})
                    QUALIFY row_number() OVER (PARTITION BY kind, from_id, to_id
                                               ORDER BY department, row_key, resource_id, attribute) = 1
                    ORDER BY kind, from_id, to_id
                ) TO {sql_text(str(scratch / EDGES))} (FORMAT parquet)""")
            (scratch / DERIVED_DIGEST).write_text(_digest(connection, scratch / EDGES))
            return self._report(connection, scratch / EDGES)

    def _read_origins(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create `origins`: where the golden cells that edges are read from come from."""
        elements = ", ".join(sql_text(known.edge.element) for known in self.plan.edges)
        connection.execute(
            f"CREATE OR REPLACE TABLE origins (number INTEGER, entity_id VARCHAR, element VARCHAR, {_ORIGIN})"
        )
        for number, table in enumerate(self.inputs):
            origin = self.libraries.get(table.library)
            if table.lineage is None or origin is None or origin.reads:
                continue
            version = version_of_build(self.library / table.lineage, table.build_id)
            if version is None:
                continue
            lineage = DeltaTable(str(self.library / table.lineage), version=version).to_pyarrow_dataset()
            connection.register("lineage_rows", lineage)
            connection.execute(f"""
                INSERT INTO origins SELECT {number}, entity_id, element, department, resource_id, row_key, batch_id
                FROM lineage_rows WHERE position = 1 AND element IN ({elements})""")
            connection.unregister("lineage_rows")

    def _edges_sql(self, known: PlannedEdge) -> str:
        """Return the query for the edges of one kind."""
        edge = known.edge
        inputs = {planned.input.name: planned for planned in self.plan.inputs}
        given = inputs[edge.input]
        element = f"given.{sql_name(edge.element)}"
        attribute = "NULL" if edge.attribute is None else f"given.{sql_name(edge.attribute)}"
        from_type = given.input.library
        join, same = "", ""
        if edge.to.input is not None:
            target = inputs[edge.to.input]
            to_type, to_id = target.input.library, "target.to_id"
            kept = f"WHERE {known.to_where.sql}" if known.to_where else ""
            join = f"""JOIN (SELECT DISTINCT {sql_name(OWN_ID)} AS to_id, {sql_name(edge.to.column)} AS to_value
                FROM {input_name(target)} {kept}) target ON target.to_value = {element}"""
            same = f"AND target.to_id <> given.{OWN_ID}" if to_type == from_type else ""
        else:
            to_type = edge.to.node or ""
            seed = literal_sql(f"datong/node/{to_type}|")
            to_id = f"substr(sha256({seed} || CAST({element} AS VARCHAR)), 1, 32)"
        where = f"AND {known.where.sql}" if known.where else ""
        own = ", ".join(
            f"({number}, {literal_sql(table.department or '')}, {literal_sql(table.dataset.partition(':')[2])}, "
            f"{literal_sql(f'{table.dataset}/{table.version}')})"
            for number, table in enumerate(self.inputs)
        )
        return f"""
            SELECT {literal_sql(edge.kind)} AS kind, {literal_sql(from_type)} AS from_type, given.{OWN_ID} AS from_id,
                {literal_sql(to_type)} AS to_type, {to_id} AS to_id, CAST({attribute} AS VARCHAR) AS attribute,
                {literal_sql(edge.element)} AS element, coalesce(origin.department, own.department) AS department,
                coalesce(origin.resource_id, own.resource_id) AS resource_id,
                coalesce(origin.row_key, given.{sql_name(ROW_KEY)}) AS row_key,
                coalesce(origin.batch_id, own.batch_id) AS batch_id
            FROM (SELECT * FROM {input_name(given)} WHERE {sql_name(edge.element)} IS NOT NULL {where}) given {join}
            LEFT JOIN origins origin ON origin.number = given.{sql_name(TABLE_NUMBER)}
                AND origin.entity_id = given.{OWN_ID} AND origin.element = {literal_sql(edge.element)}
            LEFT JOIN (VALUES {own}) own(number, department, resource_id, batch_id)
                ON own.number = given.{sql_name(TABLE_NUMBER)}
            WHERE given.{OWN_ID} IS NOT NULL {same}"""

    def _report(self, connection: duckdb.DuckDBPyConnection, edges: Path) -> LinkReport:
        table = f"read_parquet({sql_text(str(edges))})"
        kinds = connection.execute(f"SELECT kind, count(*) FROM {table} GROUP BY kind ORDER BY kind").fetchall()
        found = connection.execute(
            f"SELECT count(*), (SELECT count(DISTINCT id) FROM (SELECT from_id AS id FROM {table} "
            f"UNION ALL SELECT to_id FROM {table})) FROM {table}"
        ).fetchone()
        count, nodes = found or (0, 0)
        return LinkReport(
            library=self.definition.name,
            version=self.previous.version + 1,
            records=int(count),
            entities=int(nodes),
            pairs_by_rule={},
            clusters_by_size={},
            cross_department_entities=0,
            ambiguous_records=0,
            vetoed_pairs=0,
            distrusted_identifiers=0,
            conflicts_by_element={},
            quarantined={},
            sources=(),
            edges={str(kind): int(number) for kind, number in kinds},
        )

    def _publish(self, scratch: Path) -> None:
        edges = f"read_parquet({sql_text(str(self._file(BuildStep.DERIVE, EDGES)))})"
        name = self.definition.name
        with self.engine.connect(self.folder / "spill") as connection:
            rows = f"SELECT * FROM {edges} ORDER BY kind, from_id, to_id"
            delta_version = write_delta(connection, rows, self.delta / name, self.build_id)
            count = self._write_lookup(connection, edges, scratch / GOLDEN_LOOKUP)
        table = PublishedTable(
            name=name,
            resource_number=None,
            title=self.definition.title,
            columns=tuple(
                DatasetColumn(name=column, element=None, title=title) for column, title in COLUMN_TITLES.items()
            ),
            key_elements=(OWN_ID, "from_id", "to_id"),
            rows=count,
            digest=self.golden_digest(),
            delta_version=delta_version,
            lookup_file=GOLDEN_LOOKUP,
        )
        write_json(scratch / TABLES, [table.model_dump(mode="json")])

    def _write_lookup(self, connection: duckdb.DuckDBPyConnection, edges: str, path: Path) -> int:
        """Write the lookup of edges by either end; every cell carries the origin of the edge."""
        connection.execute(f"""
            CREATE OR REPLACE TABLE edge_sources AS
            SELECT row_number() OVER (ORDER BY department, resource_id) - 1 AS number, department, resource_id
            FROM (SELECT DISTINCT department, resource_id FROM {edges}) ORDER BY number""")
        connection.execute(f"""
            CREATE OR REPLACE TABLE edge_rows AS
            SELECT row_number() OVER (ORDER BY kind, from_id, to_id) AS id, *
            FROM {edges} JOIN edge_sources USING (department, resource_id) ORDER BY id""")
        cells = ", ".join(
            f"[{sql_text(column)}, '1', {column}, NULL, NULL, CAST(number AS VARCHAR), row_key, batch_id, NULL, "
            "'derived']"
            for column in (*EDGE_COLUMNS, "element")
        )
        keys = " UNION ALL ".join(
            f"SELECT {sql_text(key)}, {key}, id FROM edge_rows" for key in (OWN_ID, "from_id", "to_id")
        )
        sources: list[JsonValue] = [
            {"resource_id": resource, "department": department, "title": {"zh": resource, "en": resource}, "file": ""}
            for department, resource in connection.execute(
                "SELECT department, resource_id FROM edge_sources ORDER BY number"
            ).fetchall()
        ]
        with LookupWriter(
            path, {"library": self.definition.name, "build": self.build_id, "sources": sources}
        ) as writer:
            count = writer.fill(
                "row",
                connection,
                f"SELECT id, entity_id, NULL, CAST(to_json([{cells}]) AS VARCHAR) FROM edge_rows ORDER BY id",
            )
            writer.fill("key", connection, f"SELECT * FROM ({keys}) ORDER BY ALL")
        return count


def _digest(connection: duckdb.DuckDBPyConnection, edges: Path) -> str:
    """Return the digest of the edges and whose records say so, without ids of this installation."""
    line = " || ".join(
        f"coalesce(length({name}) || ':' || {name}, '-')"
        for name in (*EDGE_COLUMNS, "element", "department", "row_key")
    )
    found = connection.execute(f"""
        SELECT sha256(coalesce(string_agg(sha256({line}), '' ORDER BY kind, from_id, to_id), ''))
        FROM read_parquet({sql_text(str(edges))})""").fetchone()
    if found is None:
        raise AssertionError("an aggregate has one row")
    return str(found[0])
