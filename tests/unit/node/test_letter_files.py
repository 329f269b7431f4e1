"""Dead letters as spreadsheets: written, changed by hand, read back; a damaged file gets our error, never another."""

import csv
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import python_calamine
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.exchange import Correction, DeadLetter
from datong.kernel import BatchId, Invalid, TaskId
from datong.node.letter_files import read_corrections, write_letters

LETTERS = tuple(
    DeadLetter(
        task_id=TaskId("t"),
        batch_id=BatchId("b"),
        row=row,
        run=1,
        sequence=1,
        reason="22001 value too long",
        content={"id": str(row), "name": name, "note": None},
        rejected_at=datetime(2026, 1, 5, tzinfo=UTC),
    )
    for row, name in enumerate(["𠮷田", "", "=1+1", "a\nb"])
)


@pytest.fixture(params=[".xlsx", ".csv"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"letters{request.param}"


def lines(path: Path) -> list[list[str]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))
    sheet = python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_index(0)
    return [[str(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]


def rewrite(path: Path, rows: list[list[str]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(rows)
        return
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text)


def test_an_unchanged_file_changes_nothing(path: Path) -> None:
    write_letters(path, LETTERS)
    assert read_corrections(path, LETTERS) == ((), {})


def test_changed_cells_are_corrections_with_their_lines(path: Path) -> None:
    write_letters(path, LETTERS)
    rows = lines(path)
    rows[1][4] = "田"
    rows[2][5] = "备注"
    rows[3][3] = "\\N"
    rewrite(path, rows)
    corrections, places = read_corrections(path, LETTERS)
    assert corrections == (
        Correction(batch_id=BatchId("b"), row=0, changes={"name": "田"}),
        Correction(batch_id=BatchId("b"), row=1, changes={"note": "备注"}),
        Correction(batch_id=BatchId("b"), row=2, changes={"id": None}),
    )
    assert places == {"b:0": 2, "b:1": 3, "b:2": 4}


def test_a_line_of_no_letter_is_named(path: Path) -> None:
    write_letters(path, LETTERS)
    rows = lines(path)
    rows[2][1] = "99"
    rewrite(path, rows)
    with pytest.raises(Invalid, match="letters_file") as caught:
        read_corrections(path, LETTERS)
    assert "3" in caught.value.what.en


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=200), cut=st.integers(0, 4000))
def test_a_damaged_file_gets_our_error(path: Path, body: bytes, cut: int) -> None:
    write_letters(path, LETTERS)
    whole = path.read_bytes()
    for damaged in (body, whole[:cut], whole[:cut] + body + whole[cut + len(body) :]):
        path.write_bytes(damaged)
        with suppress(Invalid):
            read_corrections(path, LETTERS)
