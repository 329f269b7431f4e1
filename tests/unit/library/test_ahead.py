"""Rows that are carried over in a thread while other work goes on."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datong.library.ahead import CarriedAhead
from datong.library.delta_writing import KeptRows, write_delta
from datong.library.version_files import table_of

GONE = pa.chunked_array([["k1", "k3"]])
NEW = "SELECT 'k1' AS key, 'anew' AS said"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    with duckdb.connect() as connection:
        write_delta(
            connection, "SELECT 'k' || i AS key, 'before' AS said FROM range(6) t(i)", tmp_path / "table", "one"
        )
    return tmp_path / "table"


def version_after(table: Path, ahead: CarriedAhead) -> list[tuple[str, str]]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE gone AS SELECT unnest(['k1', 'k3']) AS key")
        kept = KeptRows(version=0, key="key", replaced="gone")
        version = write_delta(connection, NEW, table, "two", kept, ahead.files)
    return sorted((row["key"], row["said"]) for row in table_of(table, version).to_table().to_pylist())


@pytest.mark.parametrize("doubtful", [[], ["k1", "k3"], ["k0", "k1", "k2", "k3"]])
def test_what_was_carried_ahead_is_in_the_next_version_and_what_was_not_is_carried_then(
    table: Path, doubtful: list[str]
) -> None:
    with CarriedAhead("two", 1) as ahead:
        if doubtful:
            ahead.begin(table, 0, "key", pa.chunked_array([doubtful]))
        ahead.finish(table, 0, "key", GONE)
        ahead.finish(table.with_name("whole"), 0, "key", GONE.slice(0, 0))
    assert ahead.files(table.with_name("whole")) is None
    (carried,) = ahead.files(table) or []
    assert sorted(row["key"] for row in pq.read_table(carried.path).to_pylist()) == ["k0", "k2", "k4", "k5"]
    # It is given once; asked again, nobody has begun it: as after a kill, the rows are carried when they are published.
    carried.path.unlink()
    assert version_after(table, ahead) == [
        ("k0", "before"),
        ("k1", "anew"),
        ("k2", "before"),
        ("k4", "before"),
        ("k5", "before"),
    ]
    assert carried.path.exists()


def test_of_a_table_that_keeps_all_doubtful_rows_nothing_is_left(table: Path) -> None:
    before = sorted(table.rglob("*"))
    with CarriedAhead("two", 1) as ahead:
        ahead.begin(table, 0, "key", GONE)
        ahead.finish(table, 0, "key", GONE.slice(0, 0))
    assert ahead.files(table) is None
    assert sorted(table.rglob("*")) == before


def test_what_fails_ahead_fails_where_it_is_wanted(table: Path) -> None:
    with CarriedAhead("two", 1) as ahead:
        ahead.begin(table, 0, "no such column", GONE)
        ahead.finish(table, 0, "no such column", GONE)
    with pytest.raises(KeyError):
        version_after(table, ahead)


def test_an_attempt_that_fails_leaves_no_thread(table: Path) -> None:
    ahead = CarriedAhead("two", 1)

    def attempt() -> None:
        with ahead:
            ahead.begin(table, 0, "key", GONE)
            raise OSError("given up")

    with pytest.raises(OSError, match="given up"):
        attempt()
    with pytest.raises(RuntimeError, match="shutdown"):
        ahead.begin(table, 0, "key", GONE)
