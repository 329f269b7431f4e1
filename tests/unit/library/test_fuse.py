"""Slices of entities: every entity in one slice, in order."""

from pathlib import Path

import duckdb

from datong.library.fuse import entity_slices


def test_slices_hold_every_entity_once(tmp_path: Path) -> None:
    cells = tmp_path / "cells.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT lpad(CAST(i // 3 AS VARCHAR), 3, '0') AS entity_id FROM range(30) t(i)) "
            f"TO '{cells}' (FORMAT parquet)"
        )
        assert entity_slices(connection, cells, 4) == [("000", "003"), ("004", "007"), ("008", "009")]
        assert entity_slices(connection, cells) == [("000", "009")]
