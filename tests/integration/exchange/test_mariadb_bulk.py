"""MariaDB by lines and statements that Arrow parses and writes: whatever the values, they come back as they went."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_connector, open_target
from datong.adapters.mariadb_literals import hexadecimal, insert_statements
from datong.adapters.mariadb_stream import joined_select, parsed, unhex
from datong.exchange import Column, ReadQuery, TargetPlan, arrow_schema
from datong.kernel import DatongError, Invalid, Misconfigured
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch
from tests.integration.exchange.test_fidelity import everything, run_mariadb

NOW = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS = (
    Column(name="id", type="int64"),
    Column(name="text", type="string"),
    Column(name="raw", type="binary"),
    Column(name="v", type="float64"),
    Column(name="s", type="float32"),
    Column(name="d", type="decimal(38,10)"),
    Column(name="u", type="uint64"),
    Column(name="at", type="timestamp"),
    Column(name="of_day", type="time"),
    Column(name="on", type="boolean"),
)


def sent(url: str, batch: pa.RecordBatch, columns: tuple[Column, ...], table: str = "t") -> tuple[int, int]:
    """Load a batch into a table; return rows applied and rejected."""
    target = open_target(url)
    plan = TargetPlan(table=table)
    target.prepare(plan, columns)
    manifest = manifest_of(batch, columns, task=f"load-{table}")
    answer = target.apply(manifest, reader_of(batch), plan=plan, applied_at=NOW)
    target.close()
    return answer.rows, answer.rejected


ROW = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "raw": st.none() | st.binary(max_size=20),
        "v": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "s": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "d": st.none() | st.decimals(min_value=-(10**27), max_value=10**27, places=10),
        "u": st.none() | st.integers(0, 2**64 - 1),
        "at": st.none() | st.datetimes(datetime.fromisoformat("1000-01-01"), datetime.fromisoformat("9999-12-31")),
        "of_day": st.none() | st.times(),
        "on": st.none() | st.booleans(),
    }
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=40))
def test_whatever_goes_in_comes_out(mariadb: str, rows: list[dict[str, object]]) -> None:
    run_mariadb(mariadb, "DROP TABLE IF EXISTS t, _datong_stage_t, _datong_applied, _datong_dead_letter")
    batch = record_batch([{"id": number, **row} for number, row in enumerate(rows)], COLUMNS)
    assert sent(mariadb, batch, COLUMNS) == (len(rows), 0)
    query = ReadQuery(table="t", columns=tuple(column.name for column in COLUMNS), key_columns=("id",))
    found = [row for part in open_connector(mariadb).read(query) for row in part.to_pylist()]
    expected = batch.to_pylist()
    for one, other in zip(found, expected, strict=True):
        one["on"] = None if one["on"] is None else bool(one["on"])
        one["of_day"] = other["of_day"] if one["of_day"] == _printed(other["of_day"]) else one["of_day"]
    assert found == expected


def _printed(value: object) -> str | None:
    """MariaDB's TIME is no time of day, so it travels as text."""
    return None if value is None else f"{value:%H:%M:%S.%f}"


def test_ten_megabytes_arrive_and_what_no_statement_holds_is_said(mariadb: str) -> None:
    columns = (Column(name="id", type="int64"), Column(name="text", type="string"), Column(name="raw", type="binary"))
    text = '长"\n,' * 1_800_000
    rows: list[dict[str, object]] = [
        {"id": 1, "text": text, "raw": None},
        {"id": 2, "text": "", "raw": bytes(range(256)) * 4_000},
        {"id": 3, "text": None, "raw": b""},
    ]
    assert sent(mariadb, record_batch(rows, columns), columns) == (3, 0)
    assert everything(open_connector(mariadb), "t") == rows
    with pytest.raises(Misconfigured, match="row_too_long"):
        sent(mariadb, record_batch([{"id": 1, "text": "'" * 34_000_000}], columns), columns, "u")


def test_types_that_people_made_and_rare_characters(mariadb: str) -> None:
    run_mariadb(
        mariadb,
        """CREATE TABLE t (id INT PRIMARY KEY, g VARCHAR(20) CHARACTER SET gbk, l TEXT CHARACTER SET latin1, b BIT(9),
           f FLOAT(7,2), d DOUBLE, s SET('a','b'), `逗,"号` VARCHAR(9), y YEAR, blank CHAR(5)) CHARACTER SET utf8mb4""",
        """INSERT INTO t VALUES (1, '打通', 'é', b'100000001', 12345.67, 1e-300, 'a,b', '𠮷㐅\\r\\n"', 2026, 'a '),
           (2, '', '', b'0', 0, -0.0, '', '', 1901, ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)""",
    )
    first, second, third = everything(open_connector(mariadb), "t")
    assert (first["g"], first["l"], first["b"], first["d"]) == ("打通", "é", 257, 1e-300)
    assert (first["s"], first['逗,"号'], first["y"]) == ("a,b", '𠮷㐅\r\n"', "2026")
    assert abs(float(str(first["f"])) - 12345.67) < 0.01
    assert (second["g"], second["l"], second["s"], second['逗,"号']) == ("", "", "", "")
    assert set(third.values()) == {3, None}


def test_decimals_and_cursors_go_on_exactly(mariadb: str) -> None:
    run_mariadb(mariadb, "CREATE TABLE t (k DECIMAL(38,10) PRIMARY KEY, v INT)")
    run_mariadb(mariadb, "INSERT INTO t VALUES (0.0000000001, 1), (9999999999999999999999999999.9999999999, 2)")
    query = ReadQuery(table="t", columns=("k", "v"), key_columns=("k",), batch_rows=1)
    first, second = open_connector(mariadb).read(query)
    assert first.to_pylist() == [{"k": Decimal("0.0000000001"), "v": 1}]
    assert second.to_pylist() == [{"k": Decimal("9999999999999999999999999999.9999999999"), "v": 2}]


@given(st.lists(st.none() | st.binary(max_size=9), max_size=20), st.integers(0, 20))
def test_hexadecimal_and_back(values: list[bytes | None], start: int) -> None:
    array = pa.array(values, pa.binary()).slice(start)
    texts = hexadecimal(array).cast(pa.string())
    assert texts.to_pylist() == [None if value is None else value.hex().upper() for value in values[start:]]
    assert unhex(texts).equals(array)
    assert unhex(pa.concat_arrays([pa.array(["FF"]), texts]).slice(1)).equals(array)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5))
def test_no_line_gives_another_error_than_ours(lines: list[bytes]) -> None:
    columns = (Column(name="a", type="string"), Column(name="b", type="int64"))
    try:
        parsed([line + b"\n" for line in lines], "t", columns)
    except DatongError:
        return


def test_a_line_that_does_not_fit_its_type_is_refused_without_its_value() -> None:
    columns = (Column(name="a", type="date"),)
    with pytest.raises(Invalid, match="value_not_lossless") as caught:
        parsed([b"0000-00-00\n"], "t", columns)
    assert "0000" not in str(caught.value)


def test_statements_are_cut_between_rows() -> None:
    columns = (Column(name="a", type="string"),)
    schema = arrow_schema(columns).append(pa.field("n", pa.int64()))
    table = pa.table({"a": ["x" * 600_000, "'\\", None], "n": [0, 1, 2]}, schema=schema)
    first, second = insert_statements("t", pa.concat_tables([table.slice(0, 1), table]), columns, "n")
    assert first.startswith(b"INSERT INTO t VALUES ('xxx")
    assert second.endswith(b"('''\\\\',1),(NULL,2)")


def test_long_columns_come_last_in_a_line() -> None:
    columns = (
        Column(name="long", type="string", source_type="longtext"),
        Column(name="id", type="int64", source_type="bigint(20)"),
    )
    assert joined_select(columns).index("`id`") > 0
    batch = parsed([b'1,"a"\n', b",\n"], "t", columns)
    assert batch.to_pylist() == [{"long": "a", "id": 1}, {"long": None, "id": None}]
