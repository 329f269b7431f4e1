"""A few rows are the same ones, whether they are taken from a twin or sought in the whole table."""

from pathlib import Path

import duckdb
import pytest

from datong.library.engine import EmbeddedWorkspace
from datong.library.layers import link_table, places_file, twin_file, write_changes
from datong.library.twins import create_any, create_few, write_twin

KEYS = ("key", "part")
WANTED = (
    "SELECT 'k' || i AS key, i % 3 AS part FROM range(0, 6000, 7) t(i) "
    "UNION ALL SELECT 'new', 0 UNION ALL SELECT 'nobody', 0 UNION ALL SELECT 'k7', 2"
)


@pytest.mark.parametrize("columns", [(), ("value", "key")])
@pytest.mark.parametrize("layered", [False, True])
def test_few_rows(tmp_path: Path, layered: bool, columns: tuple[str, ...]) -> None:
    path, former = tmp_path / "table.parquet", tmp_path / "former.parquet"
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        connection.execute(
            "COPY (SELECT 'k' || i AS key, i % 3 AS part, i AS value, CASE WHEN i % 5 > 0 THEN [i] END AS held "
            f"FROM range(6000) t(i)) TO '{former}' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )
        write_twin(work, former, KEYS, ("value",))
        if layered:
            work.create("gone", "SELECT 'k7' AS key, 1 AS part UNION ALL SELECT 'k14', 2 UNION ALL SELECT 'new', 0")
            work.create("fresh", "SELECT 'k7' AS key, 1 AS part, -7 AS value, [0] AS held UNION ALL FROM (VALUES "
                                 "('new', 0, -1, NULL))")  # fmt: skip
            keys = ("key", "part")
            assert not write_changes(work, former, path, keys=keys, replaced="gone", changed="fresh", order=keys)
        else:
            link_table(former, path)
        work.create("wanted", WANTED)
        assert twin_file(path).samefile(twin_file(former))
        assert places_file(path, KEYS).samefile(places_file(former, KEYS))
        ways = [(KEYS, "wanted"), (("value",), "(SELECT 3 * i AS value FROM range(-1, 99) t(i))")]
        create_few(work, "taken", path, KEYS, "wanted", columns=columns)
        create_any(work, "taken_any", path, ways, where="kept.part < 2")
        places_file(path, KEYS).unlink()
        create_few(work, "sought", path, KEYS, "wanted", columns=columns)
        create_any(work, "sought_any", path, ways, where="kept.part < 2")
        names = ("taken", "sought", "taken_any", "sought_any")
        taken, sought, taken_any, sought_any = (sorted(work.rows(f"FROM {name}"), key=repr) for name in names)
    assert taken == sought
    assert taken_any == sought_any
    assert len(taken_any) > 500
    assert len(taken) > 800
    assert any("new" in row[:2] for row in taken) is layered


def test_no_row_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        connection.execute(f"COPY (SELECT 'a' AS key, 1 AS value) TO '{path}' (FORMAT parquet)")
        write_twin(work, path, ("key",))
        create_few(work, "taken", path, ("key",), "(SELECT 'b' AS key)")
        assert work.rows("FROM taken") == []


def test_rows_that_lack_a_key_are_no_ones(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        connection.execute(
            f"COPY (FROM (VALUES (NULL, 1), ('a', 2), ('a', 3)) t(key, value)) TO '{path}' (FORMAT parquet)"
        )
        write_twin(work, path, ("key",))
        create_few(work, "taken", path, ("key",), "(FROM (VALUES (NULL), ('a')) t(key))")
        assert sorted(work.rows("SELECT value FROM taken")) == [(2,), (3,)]
        create_any(work, "none", path, [])
        assert work.rows("FROM none") == []
