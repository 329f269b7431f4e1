"""Files that departments put into folders: small ones that unpack to gigabytes, and names that are patterns."""

import io
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters import file_sheets
from datong.adapters.file_formats import read_file
from datong.adapters.file_parquet import read_parquet
from datong.adapters.files import FileFolder
from datong.catalogue import SheetLimits, check_workbook
from datong.kernel import DatongError, Invalid, TooLarge

ROWS: Any = pa.table(
    {
        "id": pa.array([1, 2, None]),
        "name": pa.array(["甲", None, "乙"]),
        "blob": pa.array([b"\x00", b"", None]),
        "coded": pa.array(["a", "a", None]).dictionary_encode(),
        "on": pa.array([None, None, None], pa.date32()),
    }
)


def workbook(*cells: tuple[int, int]) -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("一")
        for row, column in ((0, 0), *cells):
            sheet.write_string(row, column, "名")
    return target.getvalue()


def test_a_cell_in_the_last_corner_is_no_grid_of_all_cells(tmp_path: Path) -> None:
    """The reader would allocate seventeen thousand million cells."""
    path = tmp_path / "corner.xlsx"
    path.write_bytes(workbook((1_048_575, 16_383)))
    assert path.stat().st_size < 10_000
    assert file_sheets.sheet_names(path) == ["corner"]
    with pytest.raises(Invalid, match="file_damaged"):
        read_file(path)
    assert [schema.table for schema in FileFolder(tmp_path).inspect()] == ["corner"]
    path.write_bytes(workbook((2_000, 30)))
    assert read_file(path).num_rows == 1
    path.write_bytes(workbook((1_048_575, 16_383)))
    with pytest.raises(Invalid, match="file_damaged"):
        read_file(path)


def test_zeros_in_a_workbook_are_not_unpacked() -> None:
    body = workbook()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("xl/sharedStrings.bin", b"\0" * 20_000_000)
    assert len(packed.getvalue()) < 40_000
    check_workbook(packed, SheetLimits())
    with pytest.raises(Invalid, match="spreadsheet_too_large"):
        check_workbook(packed, SheetLimits(unpacked_bytes=10_000_000))


def test_a_document_type_in_a_sheet_is_refused() -> None:
    """No entities, so none that grow by the billion and none that read files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "&x;&x;">]><a>&y;</a>',
        )
    with pytest.raises(Invalid, match="not_a_spreadsheet"):
        check_workbook(packed, SheetLimits())


def test_one_long_text_said_a_million_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "said.parquet"
    pq.write_table(pa.table({"t": pa.array(["长" * 10_000]).dictionary_encode().take(pa.array([0] * 1_000_000))}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(TooLarge, match="file_unpacks_too_large"):
        read_parquet(path, 1_000_000_000)


def test_parquet_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    for rows in (ROWS, ROWS.slice(0, 0), pa.concat_tables([ROWS] * 30_000)):
        pq.write_table(rows, path)
        assert read_parquet(path).equals(pq.read_table(path).combine_chunks() if rows.num_rows < 9 else rows)


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([pa.field("a", pa.int8())]), pa.binary(1 << 20)])
def test_nested_values_are_refused_before_they_are_read(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"n": pa.nulls(3, kind)}), path)
    with pytest.raises(Invalid, match="value_not_lossless"):
        read_parquet(path)


def parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(ROWS, target)
    return target.getvalue()


SOUND = ((".parquet", parquet()), (".xlsx", workbook((3, 2))))


@given(st.data())
def test_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    """Parquet and workbooks with bytes changed: rows, or an error of ours."""
    suffix, sound = data.draw(st.sampled_from(SOUND))
    harmed = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(harmed) - 1))
        harmed[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"harmed{suffix}"
        path.write_bytes(bytes(harmed))
        with suppress(DatongError):
            read_file(path)


def test_a_name_that_is_a_pattern_names_one_file(tmp_path: Path) -> None:
    """Else whoever drops `*.json` would hand on every other file's records as theirs."""
    for name in ("a*.json", "ab.json", "[a]b.json", "a?.json"):
        (tmp_path / name).write_text('[{"who": "' + name + '"}]')
    for name in ("a*.json", "[a]b.json", "a?.json"):
        assert read_file(tmp_path / name).to_pylist() == [{"who": name}]
