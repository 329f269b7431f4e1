"""Carrying rows over: all but those that are gone, whatever the files look like."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datong.kernel import sha256_hex
from datong.library.delta_carrying import CarriedFile, Carrying

TYPES: dict[str, pa.DataType] = {
    "key": pa.string(),
    "kind": pa.string(),
    "number": pa.decimal128(24, 2),
    "raw": pa.binary(),
}
SCHEMA = pa.schema(TYPES)


def _file(path: Path, first: int, last: int, *, kinds: int) -> str:
    numbers = range(first, last)
    rows = {
        "key": [f"k{number}" for number in numbers],
        "kind": [None if number % 7 == 0 else f"kind of many letters {number % kinds}" for number in numbers],
        "number": pa.array([*numbers]).cast(pa.decimal128(24, 2)),
        "raw": [bytes([number % 256]) for number in numbers],
    }
    pq.write_table(pa.table(rows, SCHEMA), path, row_group_size=1000)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of many rows, of few, and of none; what repeats itself in one does not in another."""
    return [
        _file(tmp_path / "many.parquet", 0, 3000, kinds=3),
        _file(tmp_path / "few.parquet", 3000, 3010, kinds=10),
        _file(tmp_path / "various.parquet", 3010, 4010, kinds=900),
        _file(tmp_path / "none.parquet", 0, 0, kinds=1),
    ]


def carried(
    files: list[str], folder: Path, doubtful: list[str], gone: list[str], *, bytes_max: int = 2**30
) -> list[CarriedFile]:
    carrying = Carrying(
        files,
        folder,
        "new",
        key="key",
        doubtful=pa.chunked_array([doubtful, ["unknown"]]),
        file_bytes_max=bytes_max,
        group_rows_min=900,
    )
    carrying.go_ahead(hold=doubtful != gone)
    return carrying.finish(pa.chunked_array([gone], pa.string()))


@pytest.mark.parametrize("bytes_max", [1, 2**30])
@pytest.mark.parametrize("doubtful", [13, 1])
def test_rows_that_stay(tmp_path: Path, files: list[str], bytes_max: int, doubtful: int) -> None:
    """Those of which it is certain go ahead, and of the others those that stay after all come behind."""
    gone, uncertain = ([f"k{number}" for number in range(0, 4010, step)] for step in (13, doubtful))
    written = carried(files, tmp_path, uncertain, gone, bytes_max=bytes_max)
    found = pa.concat_tables(pq.read_table(file.path) for file in written)
    every = pa.concat_tables(pq.read_table(file) for file in files)
    wanted = [row for row in every.to_pylist() if int(row["key"][1:]) % 13]
    assert found.schema == SCHEMA
    assert found.sort_by("key").to_pylist() == sorted(wanted, key=lambda row: str(row["key"]))
    assert [(file.rows, file.bytes) for file in written] == [
        (pq.read_metadata(file.path).num_rows, file.path.stat().st_size) for file in written
    ]
    assert (len(written) > 1) == (bytes_max == 1)


def test_nothing_stays(tmp_path: Path, files: list[str]) -> None:
    gone = [f"k{number}" for number in range(3000)]
    assert carried(files[:1], tmp_path, gone, gone) == []


def test_nothing_is_left_of_what_is_given_up(tmp_path: Path, files: list[str]) -> None:
    doubtful = pa.chunked_array([["k1"]])
    carrying = Carrying(files, tmp_path, "new", key="key", doubtful=doubtful, file_bytes_max=1, group_rows_min=9)
    carrying.go_ahead(hold=True)
    assert (tmp_path / "new-0.parquet").exists()
    carrying.give_up()
    assert not list(tmp_path.glob("new-*"))


def test_only_what_gets_smaller_is_compressed(tmp_path: Path) -> None:
    keys = [sha256_hex(str(number).encode()) for number in range(2000)]
    notes = [f"the same long beginning of many notes, {number}" for number in range(2000)]
    pq.write_table(pa.table({"key": keys, "note": notes}), tmp_path / "known.parquet", use_dictionary=False)
    [written] = carried([str(tmp_path / "known.parquet")], tmp_path, keys[:7], keys[:7])
    group = pq.read_metadata(written.path).row_group(0)
    assert [group.column(place).compression for place in range(2)] == ["UNCOMPRESSED", "SNAPPY"]
    assert pq.read_table(written.path).to_pylist() == pq.read_table(tmp_path / "known.parquet").slice(7).to_pylist()
