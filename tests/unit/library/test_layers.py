"""Layered tables: what is read is the base without what was replaced, and what came since."""

from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from datong.library.engine import EmbeddedWorkspace
from datong.library.layers import changed_file, link_table, read_table, table_sql, write_changes

Rows = dict[str, int]


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> Rows:
    rows = dict(connection.execute(f"SELECT key, value FROM {table_sql(path)}").fetchall())
    table = read_table(path, columns=["key", "value"])
    assert dict(zip(table["key"].to_pylist(), table["value"].to_pylist(), strict=True)) == rows
    return rows


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'k' || i AS key, i AS value FROM range(100) t(i) ORDER BY key) TO '{path}' (FORMAT parquet)"
        )
    return path


def _change(connection: duckdb.DuckDBPyConnection, former: Path, path: Path, replaced: list[str], added: Rows) -> None:
    connection.execute("CREATE OR REPLACE TABLE gone (key VARCHAR)")
    connection.execute("CREATE OR REPLACE TABLE fresh (value BIGINT, key VARCHAR)")
    connection.executemany("INSERT INTO gone VALUES (?)", [[key] for key in replaced])
    connection.executemany("INSERT INTO fresh VALUES (?, ?)", [[value, key] for key, value in added.items()])
    write_changes(
        EmbeddedWorkspace(connection), former, path, keys=("key",), replaced="gone", changed="fresh", order=("key",)
    )


def test_layers_add_up_until_they_are_written_whole(tmp_path: Path, base: Path) -> None:
    first, second, third, fourth = (tmp_path / f"{number}.parquet" for number in range(4))
    wanted = {f"k{i}": i for i in range(100)}
    with duckdb.connect() as connection:
        assert _rows(connection, base) == wanted
        _change(connection, base, first, ["k1", "k2", "new"], {"k1": -1, "new": 7})
        del wanted["k2"]
        assert _rows(connection, first) == wanted | {"k1": -1, "new": 7}
        assert first.stat().st_ino == base.stat().st_ino
        _change(connection, first, second, ["k1", "new", "k3"], {"k3": -3, "k2": 2})
        link_table(second, third)
        wanted = wanted | {"k3": -3, "k2": 2}
        del wanted["k1"]
        assert _rows(connection, third) == wanted
        many = {f"m{i}": i for i in range(20)}
        _change(connection, third, fourth, list(many), many)
        assert _rows(connection, fourth) == wanted | many
        assert not changed_file(fourth).exists()
        assert pq.read_table(fourth)["key"].to_pylist() == sorted(wanted | many)
        assert _rows(connection, third) == wanted


def test_filters_reach_both_layers(tmp_path: Path, base: Path) -> None:
    path = tmp_path / "next.parquet"
    with duckdb.connect() as connection:
        _change(connection, base, path, ["k5", "k6"], {"k5": 99})
    found = read_table(path, columns=["value"], where=pc.field("key") == "k5")
    assert found.to_pydict() == {"value": [99]}
    assert read_table(path, columns=["value"], where=pc.field("key") == "k6").num_rows == 0
    assert read_table(path, where=pc.field("key") == "k7").to_pydict() == {"key": ["k7"], "value": [7]}
