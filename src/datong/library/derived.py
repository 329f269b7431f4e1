"""One build of a derived library: who is in or out and why, published with its findings."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from datong.kernel import JsonValue, Text
from datong.library.delta_writing import write_delta
from datong.library.derivation import OWN_ID, VERDICT_COLUMN, VERDICT_TITLE, Derivation, Rule
from datong.library.derive import ENTITIES, FINDINGS, MEMBERS, derive
from datong.library.engine import sql_name, sql_text
from datong.library.lookup_writing import LookupWriter
from datong.library.pipeline import TABLES
from datong.library.plan import plan_derivation
from datong.library.publish import PublishedTable, write_json
from datong.library.publishing import GOLDEN_LOOKUP
from datong.library.table_pipeline import TablePipeline
from datong.library.values import BuildStep, DatasetColumn, LinkReport

MEMBER_ID = "member_id"
"""The key by which a judged entity is found from a golden record that belongs to it."""
REASON_TITLES = {
    "reasons_zh": Text(zh="依据（中文）", en="Reasons (Chinese)"),
    "reasons_en": Text(zh="依据（英文）", en="Reasons (English)"),
}


class DerivedPipeline(TablePipeline):
    """The steps of one build of a derived library."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.definition.derivation is None:
            raise AssertionError("only a derived library is derived")
        self.derivation: Derivation = self.definition.derivation
        self.plan = plan_derivation(self.definition, self.libraries, self.pack)

    def _derive(self, scratch: Path) -> LinkReport:
        with self.engine.connect(self.folder / "spill") as connection:
            derive(connection, self.definition, self.plan, self.inputs, scratch, self.library)
            return self._report(connection, scratch)

    def _report(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> LinkReport:
        def counted(query: str) -> list[tuple[object, ...]]:
            return connection.execute(query).fetchall()

        verdicts = counted(
            f"SELECT verdict, count(*) FROM read_parquet({sql_text(str(folder / ENTITIES))}) GROUP BY ALL ORDER BY ALL"
        )
        rules: dict[str, dict[str, int]] = {rule.code: {} for rule in self.derivation.rules}
        for rule, verdict, count in counted(
            f"SELECT rule, verdict, count(*) FROM read_parquet({sql_text(str(folder / FINDINGS))}) "
            "GROUP BY ALL ORDER BY ALL"
        ):
            rules[str(rule)][str(verdict)] = int(str(count))
        sizes = counted(
            f"SELECT members, count(*) FROM (SELECT count(*) AS members FROM "
            f"read_parquet({sql_text(str(folder / MEMBERS))}) GROUP BY entity_id) GROUP BY members ORDER BY members"
        )
        by_size = {int(str(size)): int(str(count)) for size, count in sizes}
        return LinkReport(
            library=self.definition.name,
            version=self.previous.version + 1,
            records=sum(size * count for size, count in by_size.items()),
            entities=sum(by_size.values()),
            pairs_by_rule={},
            clusters_by_size=by_size,
            cross_department_entities=0,
            ambiguous_records=0,
            vetoed_pairs=0,
            distrusted_identifiers=0,
            conflicts_by_element={},
            quarantined={},
            sources=(),
            verdicts={str(verdict): int(str(count)) for verdict, count in verdicts},
            rules=rules,
        )

    def _publish(self, scratch: Path) -> None:
        entities, findings = (self._file(BuildStep.DERIVE, name) for name in (ENTITIES, FINDINGS))
        name = self.definition.name
        with self.engine.connect(self.folder / "spill") as connection, ThreadPoolExecutor(2) as pool:
            rows = f"FROM read_parquet({sql_text(str(entities))}) ORDER BY entity_id"
            golden = pool.submit(write_delta, connection.cursor(), rows, self.delta / name, self.build_id)
            lineage = pool.submit(
                write_delta,
                connection.cursor(),
                self._findings_sql(findings),
                self.delta / f"{name}_lineage",
                self.build_id,
            )
            count = self._write_lookup(connection, scratch / GOLDEN_LOOKUP)
            delta_version = golden.result()
            lineage.result()
        table = PublishedTable(
            name=name,
            resource_number=None,
            title=self.definition.title,
            columns=self._columns(),
            key_elements=tuple(dict.fromkeys((OWN_ID, MEMBER_ID, *self.definition.key_elements))),
            rows=count,
            digest=self.golden_digest(),
            delta_version=delta_version,
            lookup_file=GOLDEN_LOOKUP,
        )
        write_json(scratch / TABLES, [table.model_dump(mode="json")])

    def _findings_sql(self, findings: Path) -> str:
        """Return the published table of findings: why each entity is in or out, rule by rule, in both languages."""
        rules = ", ".join(
            f"({sql_text(rule.code)}, {sql_text(rule.title.zh)}, {sql_text(rule.title.en)}, {sql_text(rule.must)}, "
            f"{sql_text(rule.unit)}, {sql_text(rule.basis)})"
            for rule in self.derivation.rules
        )
        return f"""
            SELECT entity_id, place, rule, title_zh, title_en, value, must, threshold, unit, verdict, basis,
                reason_zh, reason_en
            FROM read_parquet({sql_text(str(findings))})
            JOIN (VALUES {rules}) known(rule, title_zh, title_en, must, unit, basis) USING (rule)
            ORDER BY entity_id, place"""

    def _columns(self) -> tuple[DatasetColumn, ...]:
        by = self.derivation.subject.by
        own = [] if by == OWN_ID else [self._element_column(by)]
        measured = [
            DatasetColumn(name=known.measure.code, element=None, title=known.measure.title)
            for known in self.plan.measures
        ]
        told = [DatasetColumn(name=name, element=None, title=title) for name, title in REASON_TITLES.items()]
        return (*own, *measured, DatasetColumn(name=VERDICT_COLUMN, element=None, title=VERDICT_TITLE), *told)

    def _element_column(self, code: str) -> DatasetColumn:
        known = self.pack.has_element(code)
        title = self.pack.element(code).name if known else Text(zh=code, en=code)
        return DatasetColumn(name=code, element=code if known else None, title=title)

    def _write_lookup(self, connection: duckdb.DuckDBPyConnection, path: Path) -> int:
        """Write the lookup file: every entity's cells with the input they were measured on, members and findings."""
        entities, findings, members = (
            f"read_parquet({sql_text(str(self._file(BuildStep.DERIVE, name)))})"
            for name in (ENTITIES, FINDINGS, MEMBERS)
        )
        first = {table.input: number for number, table in reversed(list(enumerate(self.inputs)))}
        own = 0
        cells = [self._cell(VERDICT_COLUMN, own)]
        if self.derivation.subject.by != OWN_ID:
            cells.append(self._cell(self.derivation.subject.by, own))
        cells.extend(
            self._cell(known.measure.code, first.get(known.measure.input or "", own)) for known in self.plan.measures
        )
        keys = [key for key in self.definition.key_elements if key != OWN_ID]
        parts = [
            f"SELECT {sql_text(key)}, CAST({sql_name(key)} AS VARCHAR), id FROM derived_rows "
            f"WHERE {sql_name(key)} IS NOT NULL"
            for key in keys
        ]
        parts.append("SELECT 'entity_id', entity_id, id FROM derived_rows")
        parts.append(f"SELECT '{MEMBER_ID}', member, id FROM derived_rows JOIN {members} USING (entity_id)")
        connection.execute(f"""
            CREATE OR REPLACE TABLE derived_rows AS
            SELECT row_number() OVER (ORDER BY entity_id) AS id, * FROM {entities}""")
        with LookupWriter(path, self._meta()) as writer:
            count = writer.fill(
                "row",
                connection,
                f"SELECT id, entity_id, NULL, CAST(to_json([{', '.join(cells)}]) AS VARCHAR) FROM derived_rows "
                "ORDER BY id",
            )
            writer.fill("key", connection, f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY ALL")
            writer.fill(
                "member",
                connection,
                f"SELECT entity_id, {own}, member, 'derived', NULL, NULL FROM {members} ORDER BY entity_id, member",
            )
            writer.fill(
                "finding",
                connection,
                f"SELECT entity_id, place, value, threshold, verdict FROM {findings} ORDER BY entity_id, place",
            )
        connection.execute("DROP TABLE derived_rows")
        return count

    def _cell(self, column: str, number: int) -> str:
        """Return a cell of a lookup row as `lookup` reads it, with the table and version it was measured on."""
        table = self.inputs[number]
        value = f"CAST({sql_name(column)} AS VARCHAR)"
        kinds = {known.measure.code: known.kind for known in self.plan.measures}
        if kinds.get(column) == "number":
            value = f"rtrim(rtrim({value}, '0'), '.')"
        batch = sql_text(f"{table.dataset}/{table.version}")
        return f"[{sql_text(column)}, '1', {value}, NULL, NULL, '{number}', entity_id, {batch}, NULL, 'derived']"

    def _meta(self) -> dict[str, JsonValue]:
        return {
            "library": self.definition.name,
            "build": self.build_id,
            "sources": [
                {
                    "resource_id": table.dataset.removeprefix("resource:"),
                    "department": table.department or "",
                    "title": table.title.model_dump(),
                    "file": "",
                }
                for table in self.inputs
            ],
            "rules": [_rule_facts(rule) for rule in self.derivation.rules],
        }


def _rule_facts(rule: Rule) -> dict[str, JsonValue]:
    return {
        "rule": rule.code,
        "title": rule.title.model_dump(),
        "must": rule.must,
        "unit": rule.unit,
        "basis": rule.basis,
    }
