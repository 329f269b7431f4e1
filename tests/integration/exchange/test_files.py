"""Folders of files: what is written arrives unchanged, new files arrive once, a damaged one is named and alone."""

import os
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import xlsxwriter
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_connector
from datong.adapters.files import FileFolder, read_table_file
from datong.exchange import Connector, Cursor, ReadQuery, cursor_at_end
from datong.kernel import Conflict, DatongError, Invalid, Misconfigured
from tests.integration.exchange.test_fidelity import everything

ORDER = ("_file_arrival", "_file_row")


def put(path: Path, content: str | bytes, age_seconds: float = 60) -> None:
    """Write a file that has not changed for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    moment = path.stat().st_mtime - age_seconds
    os.utime(path, (moment, moment))


def moved(connector: Connector, table: str, after: Cursor | None, names: tuple[str, ...]) -> tuple[list[Any], Any]:
    """Return what a task reads behind its cursor, and the cursor at its end."""
    query = ReadQuery(
        table=table,
        columns=(*ORDER, *names),
        key_columns=ORDER,
        cursor_column=ORDER[0],
        after=after,
        batch_rows=3,
    )
    rows = []
    for batch in connector.read(query):
        rows += batch.select(list(names)).to_pylist()
        after = cursor_at_end(batch, query.order) or after
    return rows, after


# CSV


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_in_every_dialect(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = ['编号X姓名X"备 注"', '1X𠮷㐅😀X""', f'2X"张{separator}三"X', '3X"李\n""四"""Xok']
    text = "\r\n".join(lines).replace("X", separator)
    put(tmp_path / "登记.csv", text.encode(encoding))
    rows = everything(open_connector(f"files://{tmp_path}"), "登记")
    assert [row["姓名"] for row in rows] == ["𠮷㐅😀", f"张{separator}三", '李\n"四"']
    assert [row["备 注"] for row in rows] == ["", None, "ok"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('a,b\n1,2\n3,"4', "line 3"),
        ('a,b\n1,"x"y\n', "line 2"),
        ("a,b\n1,2\n3\n", "line 3"),
        ("a,a\n1,2\n", "line 1"),
        ("a,\n1,2\n", "line 1"),
        ("", "line 1"),
    ],
)
def test_damaged_csv_is_refused_with_its_line(tmp_path: Path, content: str, place: str) -> None:
    put(tmp_path / "a.csv", content)
    with pytest.raises(Invalid, match="file_damaged") as caught:
        read_table_file(tmp_path / "a.csv")
    assert (caught.value.context["file"], caught.value.context["place"]) == ("a.csv", place)
    (schema,) = open_connector(f"files://{tmp_path}").inspect()
    assert schema.problems == (caught.value.what,)


def test_a_field_of_ten_megabytes_arrives(tmp_path: Path) -> None:
    text = "长" * 3_500_000
    put(tmp_path / "a.csv", f'id,text\n1,"{text}"\n2,b\n')
    rows = everything(open_connector(f"files://{tmp_path}"), "a")
    assert [row["text"] for row in rows] == [text, "b"]


# Excel


def workbook(path: Path, rows: list[list[Any]], merge: str = "", error: str = "") -> None:
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("表")
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            if isinstance(value, datetime):
                sheet.write_datetime(number, place, value, moment)
            elif isinstance(value, date):
                sheet.write_datetime(number, place, datetime.combine(value, time()), day)
            elif value is not None:
                sheet.write(number, place, value)
    if merge:
        sheet.merge_range(merge, "合并")
    if error:
        sheet.write_formula(error, "=1/0", None, "#DIV/0!")
    book.close()


def test_excel_values_are_the_text_of_their_cells(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["编号", "日期", "时刻", "数"],
        ["007", date(2026, 1, 5), datetime.fromisoformat("2026-01-05T01:02:03"), 12.0],
    ]
    workbook(tmp_path / "a.xlsx", [*rows, [None, None, None, 0.1]])
    (second, first) = everything(open_connector(f"files://{tmp_path}"), "a")
    assert first == {"编号": "007", "日期": "2026-01-05", "时刻": "2026-01-05T01:02:03", "数": "12"}
    assert second == {"编号": None, "日期": None, "时刻": None, "数": "0.1"}


@pytest.mark.parametrize(
    ("rows", "merge", "error", "place"),
    [
        ([["x", "x"], [1, 2]], "A1:B1", "", "cell A1"),
        ([["x", None, "z"], [1, 2, 3]], "", "", "cell B1"),
        ([["x", "y"], [1, 2]], "", "B2", "cell B2"),
        ([["x", "x"], [1, 2]], "", "", "cell A1"),
    ],
)
def test_unclear_sheets_are_refused_with_their_cell(
    tmp_path: Path, rows: list[list[Any]], merge: str, error: str, place: str
) -> None:
    workbook(tmp_path / "a.xlsx", [[]] if merge else rows, merge, error)
    with pytest.raises(Invalid, match="file_damaged") as caught:
        read_table_file(tmp_path / "a.xlsx")
    assert caught.value.context["place"] == place


def test_the_header_s_row_can_be_declared(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", [[], ["编号", "额"], ["1", 2.5]], "A1:B1")
    declared = (
        'tables: [{table: 表, pattern: "*.xlsx", header_row: 2, stable_seconds: 0, columns: {额: "decimal(9,2)"}}]'
    )
    (tmp_path / "datong.yaml").write_text(declared)
    rows, _ = moved(open_connector(f"files://{tmp_path}"), "表", None, ("编号", "额"))
    assert rows == [{"编号": "1", "额": Decimal("2.50")}]


# JSON


def test_json_types_nesting_and_absence(tmp_path: Path) -> None:
    put(
        tmp_path / "a.jsonl",
        '{"id": 1, "big": 18446744073709551615, "v": 1.5, "on": true, "name": "𠮷\\n", "deep": {"a": [1, null]}}\n\n'
        '{"id": 2, "big": 1, "v": 2, "on": null, "deep": "x", "huge": 123456789012345678901234567890}\n',
    )
    put(tmp_path / "b.json", '\ufeff[{"id": 1},\n {"id": "x"}]')
    connector = open_connector(f"files://{tmp_path}")
    found = {schema.table: {column.name: column.type for column in schema.columns} for schema in connector.inspect()}
    assert found["a"] == {
        "id": "int64",
        "big": "uint64",
        "v": "float64",
        "on": "boolean",
        "name": "string",
        "deep": "string",
        "huge": "string",
    }
    first, second = everything(connector, "a")
    assert (first["big"], first["name"], first["deep"], first["huge"]) == (2**64 - 1, "𠮷\n", '{"a":[1,null]}', None)
    assert (second["on"], second["deep"], second["huge"]) == (None, '"x"', "123456789012345678901234567890")
    assert [row["id"] for row in everything(connector, "b")] == ['"x"', "1"]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2"),
        ("a.json", '[{"a": 1},\n{"a": ', "line 2"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "record 2"),
        ("a.jsonl", '{"a": 1}\n{"b": 1, "b": 2}\n', "record 2"),
        ("a.jsonl", '{"a": {"b": 0.12345678901234567890}}\n', "record 1"),
        ("a.json", '{"a": 1}', ""),
    ],
)
def test_damaged_json_is_refused_with_its_place(tmp_path: Path, name: str, content: str, place: str) -> None:
    put(tmp_path / name, content)
    with pytest.raises(Invalid, match="file_damaged") as caught:
        read_table_file(tmp_path / name)
    assert caught.value.context["place"] == place


def test_declared_decimals_take_the_digits_that_are_written_or_refuse(tmp_path: Path) -> None:
    declared = 'tables: [{table: t, pattern: "*.jsonl", columns: {v: "decimal(20,4)"}}]'
    (tmp_path / "datong.yaml").write_text(declared)
    put(tmp_path / "1.jsonl", '{"v": 12.3400}\n{"v": "99999999999999.9999"}\n')
    put(tmp_path / "2.jsonl", '{"v": 0.10000000000000000055}\n', 50)
    connector = open_connector(f"files://{tmp_path}")
    rows, _ = moved(connector, "t", None, ("v",))
    assert rows == [{"v": Decimal("12.3400")}, {"v": Decimal("99999999999999.9999")}]
    (schema,) = connector.inspect()
    assert "2.jsonl" in schema.problems[0].en


# Watched folders


def test_new_files_arrive_once_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    put(tmp_path / "日报" / "b.csv", "id,v\n1,a\n2,b\n", 90)
    put(tmp_path / "日报" / "a.csv", "id,v\n3,c\n", 60)
    connector = open_connector(f"files://{tmp_path}")
    (schema,) = connector.inspect()
    assert (schema.table, schema.key_columns) == ("日报", ORDER)
    rows, after = moved(connector, "日报", None, ("id",))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert moved(connector, "日报", after, ("id",)) == ([], after)
    # An older file that is renamed in is new all the same; the same file again, or touched, is not.
    put(tmp_path / "日报" / "0.csv", "v,id\nd,4\n", 9_000)
    put(tmp_path / "日报" / "b.csv", "id,v\n1,a\n2,b\n", 5_000)
    rows, after = moved(open_connector(f"files://{tmp_path}"), "日报", after, ("id", "v"))
    assert rows == [{"id": "4", "v": "d"}]
    # A changed file is a new version, moved whole.
    put(tmp_path / "日报" / "a.csv", "id,v\n3,x\n", 30)
    rows, after = moved(connector, "日报", after, ("id", "v"))
    assert rows == [{"id": "3", "v": "x"}]
    assert connector.count("日报") == 4


def test_reading_goes_on_in_the_middle_of_a_file(tmp_path: Path) -> None:
    put(tmp_path / "d" / "a.csv", "id\n" + "".join(f"{n}\n" for n in range(10)))
    connector = open_connector(f"files://{tmp_path}")
    query = ReadQuery(table="d", columns=(*ORDER, "id"), key_columns=ORDER, batch_rows=4)
    first = next(iter(connector.read(query)))
    rows, _ = moved(connector, "d", cursor_at_end(first, query.order), ("id",))
    assert [row["id"] for row in rows] == [str(n) for n in range(4, 10)]


def test_a_damaged_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    put(tmp_path / "d" / "1.csv", "id\n1\n", 90)
    put(tmp_path / "d" / "2.csv", 'id\n2\n"', 80)
    put(tmp_path / "d" / "3.csv", "id,more\n3,x\n", 70)
    put(tmp_path / "d" / "4.csv", "id\n4\n", 60)
    connector = open_connector(f"files://{tmp_path}")
    rows, after = moved(connector, "d", None, ("id",))
    assert [row["id"] for row in rows] == ["1", "4"]
    (schema,) = connector.inspect()
    assert [("2.csv" in problem.en, "3.csv" in problem.zh) for problem in schema.problems] == [
        (True, False),
        (False, True),
    ]
    put(tmp_path / "d" / "2.csv", "id\n2\n", 50)
    assert moved(connector, "d", after, ("id",))[0] == [{"id": "2"}]


def test_unfinished_files_wait(tmp_path: Path) -> None:
    put(tmp_path / "d" / "1.csv", "id\n1\n", 0)
    put(tmp_path / "d" / ".2.csv", "id\n2\n")
    put(tmp_path / "d" / "3.csv.part", "id\n3\n")
    now = (tmp_path / "d" / "1.csv").stat().st_mtime
    assert moved(FileFolder(tmp_path, now_seconds=lambda: now + 20), "d", None, ("id",))[0] == [{"id": "1"}]
    declared = 'tables: [{table: m, pattern: "m_*.csv", ready: done}]'
    (tmp_path / "datong.yaml").write_text(declared)
    put(tmp_path / "m_1.csv", "id\n1\n")
    connector = open_connector(f"files://{tmp_path}")
    schema = next(one for one in connector.inspect() if one.table == "m")
    assert (schema.columns, len(schema.problems)) == ((), 1)
    put(tmp_path / "m_1.csv.done", "")
    assert moved(connector, "m", None, ("id",))[0] == [{"id": "1"}]


def test_a_lost_register_is_noticed(tmp_path: Path) -> None:
    put(tmp_path / "d" / "1.csv", "id\n1\n")
    state = tmp_path / "state"
    moment = 1_800_000_000.0
    folder = FileFolder(tmp_path, state=state, now_seconds=lambda: moment)
    _, after = moved(folder, "d", None, ("id",))
    assert not (tmp_path / ".datong").exists()
    (state / "arrivals.sqlite").unlink()
    later = FileFolder(tmp_path, state=state, now_seconds=lambda: moment + 60)
    with pytest.raises(Conflict, match="arrivals_lost"):
        moved(later, "d", after, ("id",))


def test_parquet_in_a_watched_folder_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([1], pa.uint64()), "d": pa.array([Decimal("1.50")], pa.decimal128(38, 2))})
    (tmp_path / "p").mkdir()
    pyarrow.parquet.write_table(table, tmp_path / "p" / "a.parquet")
    os.utime(tmp_path / "p" / "a.parquet", (1, 1))
    rows, _ = moved(open_connector(f"files://{tmp_path}"), "p", None, ("n", "d"))
    assert rows == [{"n": 1, "d": Decimal("1.50")}]


@pytest.mark.parametrize(
    "content", ["tables: [{table: x}]", "tables: {", "tables: [{table: t, pattern: p, columns: {a: b}}]"]
)
def test_faulty_definitions_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "datong.yaml").write_text(content)
    with pytest.raises(Misconfigured, match="folder_definitions"):
        open_connector(f"files://{tmp_path}").inspect()


# Whatever stands in a file

TEXTS = st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=12), st.sampled_from(["utf-8", "gb18030"]))
def test_whatever_text_arrives_unchanged(tmp_path: Path, rows: list[tuple[str, str | None]], encoding: str) -> None:
    def field(value: str | None) -> str:
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    text = "姓,名\n" + "".join(f"{field(first)},{field(second)}\n" for first, second in rows)
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    table = read_table_file(tmp_path / "a.csv")
    assert list(zip(table.column("姓").to_pylist(), table.column("名").to_pylist(), strict=True)) == rows


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.text('[]{}",:0123456789.eE+-truefalsn\\\n ab', max_size=80).map(lambda text: text.encode()),
    st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.xlsx", "a.parquet"]),
)
def test_no_file_gives_another_error_than_ours(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        read_table_file(tmp_path / name)
    except DatongError:
        # Every error of the platform says in both languages what happened; any other one fails the test.
        return


def test_a_column_stays_json_text_in_later_files(tmp_path: Path) -> None:
    put(tmp_path / "d" / "1.jsonl", '{"deep": {"a": 1}, "plain": "x"}\n', 90)
    put(tmp_path / "d" / "2.jsonl", '{"deep": "y"}\n', 80)
    put(tmp_path / "d" / "3.jsonl", '{"plain": ["z"]}\n', 70)
    connector = open_connector(f"files://{tmp_path}")
    rows, _ = moved(connector, "d", None, ("deep", "plain"))
    assert rows == [{"deep": '{"a":1}', "plain": "x"}, {"deep": '"y"', "plain": None}]
    (schema,) = connector.inspect()
    assert "3.jsonl" in schema.problems[0].en


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("*./a~t", max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["tables", "table", "pattern", "columns", "ready"]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda document: yaml.safe_dump(document, allow_unicode=True))
)
def test_no_definition_gives_another_error_than_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "datong.yaml").write_text(text, encoding="utf-8", errors="ignore")
    try:
        FileFolder(tmp_path).inspect()
    except DatongError:
        return


@pytest.mark.parametrize("pattern", ["/etc/*.csv", "../*.csv", "a/../../*.csv", "*"])
def test_a_pattern_never_leaves_its_folder(tmp_path: Path, pattern: str) -> None:
    put(tmp_path / "secret.csv", "a\n1\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "datong.yaml").write_text(f"tables: [{{table: t, pattern: '{pattern}'}}]")
    (schema,) = FileFolder(tmp_path / "in").inspect()
    assert schema.columns == ()
