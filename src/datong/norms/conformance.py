"""Conformance of a table with the norms (标准化程度), measured on its values.

A value is *conform* when it is right as the source wrote it, *repairable* when it became right by repairs, else wrong.
The weights of a score's parts are data of the pack (`scoring`).
"""

from collections.abc import Iterable, Mapping
from datetime import date

import duckdb

from datong.kernel import Value
from datong.norms.described import weighted
from datong.norms.entries import DataElement
from datong.norms.judgement import (
    CITIZEN_ELEMENT,
    OWNED_ELEMENTS,
    Doubt,
    JudgedColumn,
    Repair,
    doubts_in,
    judged_sql,
    prepare_divisions,
    quoted,
    repairs_in,
)
from datong.norms.pack import NormPack
from datong.norms.terms import DataType, QualityFlag

FULL = 100.0
TEXT_TYPES = ("VARCHAR", "CHAR", "TEXT")
PARSES_RATIO_MIN = 0.99


class ColumnScore(Value):
    """How the values of one column conform; `type` is the column's type in its source.

    `present` = `conform` + `repairable` + wrong values; `flags` holds missing values too.
    """

    column: str
    element: str
    type: str
    type_fits: bool
    rows: int
    present: int
    conform: int
    repairable: int
    flags: dict[QualityFlag, int]
    repairs: dict[Repair, int]
    doubts: dict[Doubt, int]

    @property
    def wrong(self) -> int:
        """Values that no repair made right."""
        return self.present - self.conform - self.repairable

    @property
    def conform_ratio(self) -> float | None:
        """Conform ÷ present values; None if there are none."""
        return self.conform / self.present if self.present else None


class TableScore(Value):
    """The conformance of a table: 0–100, its parts (0–1 each), its columns, and the columns that no element fits."""

    rows: int
    score: float
    parts: dict[str, float]
    columns: tuple[ColumnScore, ...]
    unmapped: tuple[str, ...]


def match_columns(names: Iterable[str], pack: NormPack) -> dict[str, str]:
    """Return the data element of every column whose name the pack knows; each element is given away once."""
    found: dict[str, str] = {}
    for name in names:
        element = pack.element_called(name)
        if element is not None and element.code not in found.values():
            found[name] = element.code
    return found


def score_table(
    connection: duckdb.DuckDBPyConnection, relation: str, mapping: Mapping[str, str], pack: NormPack, *, today: date
) -> TableScore:
    """Measure the table `relation` (a name or a parenthesised query); `mapping` names the element of columns.

    Raises:
        NotFound: the pack has no such element.
    """
    described = connection.execute(f"SELECT * FROM {relation} LIMIT 0").description or []
    types = {str(column[0]): str(column[1]) for column in described}
    prepare_divisions(connection, pack, today)
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    rows = int(row[0]) if row else 0
    chosen = [
        JudgedColumn(column=column, element=pack.element(code)) for column, code in mapping.items() if column in types
    ]
    owner = next((column for column in chosen if column.element.code == CITIZEN_ELEMENT), None)
    columns = tuple(
        _score_column(_count_groups(connection, relation, column, owner, today), column, types[column.column], rows)
        for column in chosen
    )
    present = sum(column.present for column in columns)
    parts = {
        "mapped": len(columns) / len(types) if types else 0.0,
        "type": sum(column.type_fits for column in columns) / len(columns) if columns else 0.0,
        "values": sum(column.conform for column in columns) / present if present else 0.0,
    }
    return TableScore(
        rows=rows,
        score=weighted(parts, pack.scoring.table),
        parts=parts,
        columns=columns,
        unmapped=tuple(name for name in types if name not in mapping),
    )


def _count_groups(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    column: JudgedColumn,
    owner: JudgedColumn | None,
    today: date,
) -> list[tuple[str | None, int, int, int]]:
    """Return how many values have each combination of flag, repairs and doubts; `owner` is the citizen ID beside it."""
    judged = [column]
    if owner is not None and column.element.code in OWNED_ELEMENTS:
        judged.append(owner)
    # Equal values are judged once: most columns repeat theirs.
    names = ", ".join(quoted(one.column) for one in judged)
    distinct = f"(SELECT {names}, count(*) AS times FROM {relation} GROUP BY ALL)"
    query = judged_sql(distinct, judged, today, kept=[("times", "times")])
    return connection.execute(
        f"SELECT flag_0, repairs_0, doubts_0, sum(times)::BIGINT FROM ({query}) GROUP BY ALL"
    ).fetchall()


def _score_column(
    groups: list[tuple[str | None, int, int, int]], column: JudgedColumn, type_: str, rows: int
) -> ColumnScore:
    flags: dict[QualityFlag, int] = {}
    repairs: dict[Repair, int] = {}
    doubts: dict[Doubt, int] = {}
    conform = repairable = 0
    for flag, repaired, doubted, count in groups:
        if flag is not None:
            flags[QualityFlag(flag)] = flags.get(QualityFlag(flag), 0) + count
        elif repaired:
            repairable += count
        else:
            conform += count
        if flag != QualityFlag.MISSING:
            for repair in repairs_in(repaired):
                repairs[repair] = repairs.get(repair, 0) + count
            for doubt in doubts_in(doubted):
                doubts[doubt] = doubts.get(doubt, 0) + count
    present = rows - flags.get(QualityFlag.MISSING, 0)
    return ColumnScore(
        column=column.column,
        element=column.element.code,
        type=type_,
        type_fits=_type_fits(column.element, type_, (conform + repairable) / present if present else 1.0),
        rows=rows,
        present=present,
        conform=conform,
        repairable=repairable,
        flags=flags,
        repairs=repairs,
        doubts=doubts,
    )


def _type_fits(element: DataElement, type_: str, right: float) -> bool:
    """Whether the source's type can hold the element: a code with leading zeros in a number column cannot.

    Files without types (CSV) hold everything as text: there the values decide.
    """
    text = type_.upper().startswith(TEXT_TYPES)
    if element.codes or element.data_type in (DataType.CHARACTER, DataType.MEMO, DataType.GENERAL):
        return text
    if text:
        return right >= PARSES_RATIO_MIN
    if element.data_type in (DataType.DATE, DataType.DATETIME):
        return type_.upper().startswith(("DATE", "TIMESTAMP"))
    if element.data_type is DataType.INTEGER:
        return "INT" in type_.upper()
    if element.data_type is DataType.LOGICAL:
        return type_.upper().startswith("BOOL")
    return type_.upper().startswith(("DECIMAL", "DOUBLE", "FLOAT", "NUMBER")) or "INT" in type_.upper()
