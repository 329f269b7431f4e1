from datetime import date

import duckdb
import pytest

from datong.norms import (
    DataType,
    DeclaredItem,
    Doubt,
    Grade,
    NormPack,
    QualityFlag,
    Repair,
    load_pack,
    match_columns,
    parse_pack,
    score_described,
    score_table,
)

PACK = load_pack()
TODAY = date(2026, 11, 26)


def people() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE people (sfzh VARCHAR, xb VARCHAR, csrq DATE, nsr DECIMAL(12, 2), mystery VARCHAR)")
    connection.executemany(
        "INSERT INTO people VALUES (?, ?, ?, ?, ?)",
        [
            ("110101199003070011", "1", "1990-03-07", "12.50", "a"),
            ("110101900307001", "男", "1990-03-07", "-1", "b"),
            ("110101199003070012", "2", "1990-03-07", None, "c"),
            ("", "7", None, "3", "d"),
        ],
    )
    return connection


def test_a_table_is_measured_column_by_column() -> None:
    mapping = match_columns(["sfzh", "xb", "csrq", "nsr", "mystery"], PACK)
    assert mapping == {"sfzh": "citizen_id", "xb": "sex", "csrq": "birth_date", "nsr": "annual_income"}
    score = score_table(people(), "people", mapping, PACK, today=TODAY)
    found = {column.column: column for column in score.columns}
    identity = found["sfzh"]
    assert (identity.rows, identity.present, identity.conform, identity.repairable, identity.wrong) == (4, 3, 1, 1, 1)
    assert identity.flags == {QualityFlag.MISSING: 1, QualityFlag.CHECKSUM: 1}
    assert identity.repairs == {Repair.GENERATION: 1}
    assert found["xb"].flags == {QualityFlag.UNKNOWN_CODE: 1}
    assert found["nsr"].doubts == {Doubt.NEGATIVE: 1}
    assert all(column.type_fits for column in score.columns)
    assert score.unmapped == ("mystery",)
    assert score.parts["mapped"] == 0.8
    conform = sum(column.conform for column in score.columns)
    present = sum(column.present for column in score.columns)
    assert score.parts["values"] == conform / present
    assert score.score == pytest.approx(40 * 0.8 + 20 + 40 * conform / present, abs=0.1)


def test_a_sex_that_the_citizen_id_denies_is_counted() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT '110101199003070011' AS sfzh, '女' AS xb, '1991-01-01' AS csrq")
    score = score_table(connection, "t", match_columns(["sfzh", "xb", "csrq"], PACK), PACK, today=TODAY)
    doubts = {column.column: column.doubts for column in score.columns}
    assert doubts["xb"] == doubts["csrq"] == {Doubt.DISAGREES_WITH_ID: 1}


def test_a_code_in_a_number_column_does_not_fit() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT 1 AS mz, 'x' AS nsr, TIMESTAMP '2026-01-01' AS gxsj, 1.5 AS age")
    mapping = match_columns(["mz", "nsr", "gxsj", "age"], PACK)
    score = score_table(connection, "t", mapping, PACK, today=TODAY)
    fits = {column.column: column.type_fits for column in score.columns}
    assert fits == {"mz": False, "nsr": False, "gxsj": True, "age": False}


def test_an_empty_table_scores_without_dividing_by_nothing() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (sfzh VARCHAR)")
    score = score_table(connection, "t", {"sfzh": "citizen_id", "gone": "sex"}, PACK, today=TODAY)
    assert (score.rows, score.columns[0].conform_ratio, score.parts["values"]) == (0, None, 0.0)


def item(element: str | None, **changes: object) -> DeclaredItem:
    known = {"data_type": DataType.CHARACTER, "length": 18, "grade": Grade.L4, **changes}
    return DeclaredItem.model_validate({"name": "项", "element": element, **known})


@pytest.mark.parametrize(
    ("declared", "parts"),
    [
        (item("citizen_id"), ()),
        (item(None), ("mapped",)),
        (item("gone"), ("mapped",)),
        (item("citizen_id", data_type=DataType.INTEGER), ("type",)),
        (item("citizen_id", data_type=DataType.MEMO), ()),
        (item("citizen_id", length=20), ("length",)),
        (item("citizen_id", length=None), ()),
        (item("citizen_id", grade=Grade.L1), ("grade",)),
        (item("annual_income", data_type=DataType.FLOAT, length=10), ()),
    ],
)
def test_an_item_deviates_in_named_parts(declared: DeclaredItem, parts: tuple[str, ...]) -> None:
    score = score_described([declared], PACK)
    assert tuple(part for deviation in score.deviations for part in deviation.parts) == parts
    assert score.agreeing == (not parts)


def test_the_weights_are_data_of_the_pack() -> None:
    items = [item("citizen_id"), item(None)]
    assert score_described(items, PACK).score == 75.0
    local: NormPack = parse_pack("scoring: {resource: {mapped: 100, type: 0, length: 0, grade: 0}}")
    assert score_described(items, local).score == 50.0
    assert score_described([], PACK).score == 0.0
