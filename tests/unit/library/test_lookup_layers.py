"""A lookup file over its base reads like a file that was written whole, and finds its rows as fast."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest

from datong.kernel import EntityId, NotFound, Unavailable
from datong.library import lookup_layers
from datong.library.lookup import connect_file, open_lookup
from datong.library.lookup_files import FormerRows, amend_golden_lookup, write_golden_lookup
from datong.library.lookup_layers import base_file, outgrown

KEYS = ("person_name",)
META = {
    "library": "population",
    "build": "1",
    "sources": [{"resource_id": "r", "department": "d", "title": {"zh": "源", "en": "Source"}, "file": ""}],
}
People = Mapping[str, str]
"""Entity → its name; an entity has one member, of its own id as the key."""
POINT_QUERIES = (
    "SELECT id, payload FROM row WHERE id IN (SELECT row FROM key WHERE element = 'e' AND value = 'v') ORDER BY id",
    "SELECT DISTINCT row FROM key WHERE element IN ('a', 'b') AND value IN ('v', 'w') ORDER BY row",
    "SELECT * FROM member WHERE entity_id = 'e' ORDER BY source, row_key",
)


def entity(letter: str) -> str:
    return letter * 32


def cells_sql(people: People) -> str:
    rows = ", ".join(f"('{entity(letter)}', '{name}')" for letter, name in people.items())
    return (
        "SELECT entity_id, 'person_name' AS element, 1 AS position, name AS value, NULL::VARCHAR AS raw, "
        "NULL::VARCHAR AS flag, 0 AS source, entity_id AS row_key, 'b' AS batch_id, NULL::VARCHAR AS observed_at, "
        f"'only' AS rule FROM (VALUES {rows}) AS t(entity_id, name)"
    )


def links_sql(people: People) -> str:
    rows = ", ".join(f"('{entity(letter)}')" for letter in people)
    return (
        "SELECT entity_id, 0 AS source, entity_id AS row_key, 'single' AS rule, NULL::DOUBLE AS weight, "
        f"NULL::VARCHAR AS joined_to FROM (VALUES {rows}) AS t(entity_id)"
    )


class Shelf:
    """The lookup files of one library's versions in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = duckdb.connect()
        self.successions = self.parquet(
            "SELECT '' AS former, '' AS present, '' AS change WHERE false", folder / "successions"
        )

    def parquet(self, query: str, path: Path) -> Path:
        self.connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return path

    def write(self, people: People, path: Path) -> None:
        cells = self.parquet(cells_sql(people), self.folder / "cells")
        links = self.parquet(links_sql(people), self.folder / "links")
        write_golden_lookup(self.connection, KEYS, META, cells, links, self.successions, path)

    def amend(self, before: People, now: People, former: Path, path: Path) -> int:
        touched = sorted(letter for letter in before.keys() | now.keys() if before.get(letter) != now.get(letter))
        for name, people in (("before", before), ("now", now)):
            wanted = ", ".join(f"'{entity(letter)}'" for letter in touched)
            self.connection.execute(
                f"CREATE OR REPLACE TABLE {name} AS FROM ({cells_sql(people)}) WHERE entity_id IN ({wanted})"
            )
        rows = ", ".join(f"('{entity(letter)}')" for letter in touched)
        self.connection.execute(f"CREATE OR REPLACE TABLE touched AS FROM (VALUES {rows}) t(entity_id)")
        links = f"(SELECT l.* FROM ({links_sql(now)}) l SEMI JOIN touched USING (entity_id))"
        known = FormerRows(former, len(before), "entity_id", "touched", "before")
        return amend_golden_lookup(self.connection, KEYS, META, known, "now", links, self.successions, path)


def said(path: Path, letters: str, names: str) -> list[object]:
    """Return everything that the readers say of these entities and names."""
    found: list[object] = []
    with open_lookup(path) as file:
        for name, values in zip(names, file.values("person_name", list(names), 10), strict=True):
            found.append(values)
            found.append([hit.entity_id for hit in file.find(name, KEYS, 10)])
        for letter in letters:
            try:
                view = file.view(EntityId(entity(letter)), 1)
            except NotFound:
                found.append(None)
                continue
            found.append((view.cells["person_name"].value, [member.row_key for member in view.members]))
    return found


def test_two_amendments_read_like_a_whole_file(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    versions: list[People] = [
        {"a": "甲", "b": "乙", "c": "丙", "d": "甲"},
        {"a": "甲", "b": "丁", "d": "甲", "e": "戊"},
        {"a": "己", "b": "丁", "c": "丙", "e": "丁", "f": "甲"},
    ]
    shelf.write(versions[0], tmp_path / "0.sqlite")
    for number in (1, 2):
        before, now = versions[number - 1], versions[number]
        rows = shelf.amend(before, now, tmp_path / f"{number - 1}.sqlite", tmp_path / f"{number}.sqlite")
        assert rows == len(now)
        shelf.write(now, tmp_path / "whole.sqlite")
        got = said(tmp_path / f"{number}.sqlite", "abcdef", "甲乙丙丁戊己")
        assert got == said(tmp_path / "whole.sqlite", "abcdef", "甲乙丙丁戊己")
        assert any(got)
        (tmp_path / "whole.sqlite").unlink()
    assert base_file(tmp_path / "2.sqlite").samefile(tmp_path / "0.sqlite")
    assert said(tmp_path / "0.sqlite", "abcdef", "甲") == [
        [{"person_name": "甲"}] * 2, [entity("a"), entity("d")],
        ("甲", [entity("a")]), ("乙", [entity("b")]), ("丙", [entity("c")]), ("甲", [entity("d")]), None, None,
    ]  # fmt: skip


def test_points_are_searched_in_both_layers(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write({"a": "甲"}, tmp_path / "0.sqlite")
    shelf.amend({"a": "甲"}, {"a": "乙"}, tmp_path / "0.sqlite", tmp_path / "1.sqlite")
    connection = connect_file(tmp_path / "1.sqlite")
    for query in POINT_QUERIES:
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert any("base." in line for line in plan)
        assert not [line for line in plan if line.startswith(("SCAN base.", "SCAN main."))]
    connection.close()


def test_a_base_that_has_gone_is_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write({"a": "甲"}, tmp_path / "0.sqlite")
    shelf.amend({"a": "甲"}, {"a": "乙"}, tmp_path / "0.sqlite", tmp_path / "1.sqlite")
    base_file(tmp_path / "1.sqlite").unlink()
    with pytest.raises(Unavailable):
        connect_file(tmp_path / "1.sqlite")


def test_a_layer_is_outgrown_by_its_share_of_the_base(tmp_path: Path) -> None:
    path, unit = tmp_path / "1.sqlite", lookup_layers.LAYER_BYTES_MIN
    path.write_bytes(b"\0" * (unit + 1))
    assert not outgrown(path)
    base_file(path).write_bytes(b"\0" * unit)
    assert outgrown(path)
    with base_file(path).open("ab") as file:
        file.truncate(10 * unit)
    assert not outgrown(path)
