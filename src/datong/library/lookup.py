"""The read side: point lookups in a version's immutable SQLite files. No DuckDB, no lock, no state between calls."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from datong.kernel import DepartmentCode, EntityId, NotFound, ResourceId, Text, Unavailable, Value
from datong.library.lookup_layers import attach_base, layers_of
from datong.library.values import (
    Cell,
    CellConflict,
    EntityHit,
    EntityView,
    GoldenRow,
    LinkReason,
    MemberRecord,
    RuleFinding,
)
from datong.norms import to_18

LOOKUP_ROWS_MAX = 1000
SUCCESSIONS_MAX = 64
IDENTIFIER_ELEMENT = "citizen_id"
NAME_ELEMENTS = ("person_name", "division_name", "organisation_name", "certificate_name", "holder_name", "head_name")
_ROWS = (
    "SELECT id, entity_id, row_key, payload FROM row WHERE id IN (SELECT row FROM key WHERE element = ? AND value = ?) "
    "ORDER BY id LIMIT ?"
)
_VALUES = (
    "SELECT '[' || group_concat('[' || given.key || (SELECT group_concat("
    "',[' || id || CASE WHEN row_key IS NULL THEN ',0,' ELSE ',1,' END || payload || ']', '') FROM ("
    "SELECT id, row_key, payload FROM row WHERE id IN (SELECT row FROM key WHERE element = ? AND value = given.value) "
    "ORDER BY id LIMIT ?)) || ']') || ']' FROM json_each(?) AS given"
)
"""By the number of each key the rows that it meets, as (id, whether it is a source's, payload); keys without are left
out. One document: every step of SQLite's is a turn of threads."""


class LookupSource(Value):
    """A source as a lookup file's metadata describe it; `file` holds its own records."""

    resource_id: ResourceId
    department: DepartmentCode
    title: Text
    file: str


class LookupFile:
    """One open lookup file; see `open_lookup`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        meta: dict[str, Any] = {
            key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")
        }
        self.library = str(meta["library"])
        self.sources = tuple(LookupSource.model_validate(source) for source in meta["sources"])
        self._rules: list[dict[str, Any]] = meta.get("rules", [])
        number = meta.get("number")
        self._own = None if number is None else self.sources[int(number)]

    def rows(self, key_element: str, key_value: str, limit: int = LOOKUP_ROWS_MAX) -> tuple[GoldenRow, ...]:
        """Return the rows whose `key_element` is `key_value`, at most `limit`."""
        found = self._connection.execute(_ROWS, (key_element, canonical_key(key_element, key_value), limit))
        return tuple(self._row(*row) for _, *row in found)

    def values(self, key_element: str, key_values: Sequence[str], limit: int) -> list[list[dict[str, str | None]]]:
        """Return for each key what `rows` returns as plain values by field, without where each comes from."""
        keys = json.dumps([canonical_key(key_element, value) for value in key_values])
        (document,) = self._connection.execute(_VALUES, (key_element, limit, keys)).fetchone()
        values: list[list[dict[str, str | None]]] = [[] for _ in key_values]
        for number, *rows in json.loads(document or "[]"):
            values[number] = [self._plain(of_source == 1, payload) for _, of_source, payload in sorted(rows)]
        return values

    def _plain(self, of_source: bool, payload: list[list[Any]]) -> dict[str, str | None]:
        if self._own is not None and of_source:
            return {cell[0]: cell[1] for cell in payload[1:]}
        return {cell[0]: cell[2] for cell in payload if int(cell[1]) == 1}

    def _row(self, entity_id: str | None, row_key: str | None, payload: str) -> GoldenRow:
        entity = EntityId(entity_id) if entity_id else None
        if self._own is not None and row_key is not None:
            return GoldenRow(entity_id=entity, cells=_source_cells(self._own, row_key, json.loads(payload)))
        return GoldenRow(
            entity_id=entity,
            cells=self.golden_row(payload),
        )

    def golden_row(self, payload: str) -> dict[str, Cell]:
        """Return the chosen cells in a golden row's payload."""
        return {element: cell for element, position, cell in self._golden_cells(payload) if position == 1}

    def _golden_cells(self, payload: str) -> Iterator[tuple[str, int, Cell]]:
        for element, position, value, raw, flag, source, row_key, batch_id, observed_at, rule in json.loads(payload):
            known = self.sources[int(source)]
            yield (
                element,
                int(position),
                Cell(
                    value=value,
                    department=known.department,
                    resource_id=known.resource_id,
                    batch_id=batch_id,
                    row_key=row_key,
                    observed_at=observed_at,
                    rule=rule,
                    flag=flag,
                    raw=raw,
                ),
            )

    def present_id(self, entity_id: EntityId) -> EntityId:
        """Return the id under which `entity_id` is known in this version, following merges.

        Raises:
            NotFound: the library never had such an entity, or it has gone.
        """
        wanted = entity_id
        for _ in range(SUCCESSIONS_MAX):
            if self._connection.execute(
                "SELECT 1 FROM row WHERE id IN (SELECT row FROM key WHERE element = 'entity_id' AND value = ?)",
                (wanted,),
            ).fetchone():
                return wanted
            successor = self._connection.execute(
                "SELECT present FROM succession WHERE former = ? AND change = 'merge' ORDER BY present", (wanted,)
            ).fetchone()
            if successor is None:
                break
            wanted = EntityId(successor[0])
        raise NotFound(
            "library.entity_unknown",
            what=Text(zh=f"资源库中没有实体 {entity_id}。", en=f"The library has no entity {entity_id}."),
            remedy=Text(zh="请按姓名或证件号重新查找。", en="Search for it by name or identifier."),
            context={"library": self.library},
        )

    def view(self, entity_id: EntityId, version: int) -> EntityView:
        """Return everything about an entity; an id of former versions resolves to the present one."""
        present = self.present_id(entity_id)
        payload = self._connection.execute(
            "SELECT payload FROM row WHERE id IN (SELECT row FROM key WHERE element = 'entity_id' AND value = ?)",
            (present,),
        ).fetchone()[0]
        cells: dict[str, Cell] = {}
        said: dict[str, list[Cell]] = {}
        for element, position, cell in self._golden_cells(payload):
            if position == 1:
                cells[element] = cell
            said.setdefault(element, []).append(cell)
        return EntityView(
            library=self.library,
            version=version,
            entity_id=present,
            former_ids=self.former_ids(present),
            cells=cells,
            conflicts=tuple(
                CellConflict(element=element, candidates=tuple(candidates))
                for element, candidates in said.items()
                if len(candidates) > 1
            ),
            members=tuple(self._members(present, cells)),
            findings=tuple(self._findings(present)),
        )

    def _findings(self, entity_id: EntityId) -> Iterator[RuleFinding]:
        """Yield what the rules of a derived library say; other libraries' files know no rules."""
        if not self._rules:
            return
        for place, value, threshold, verdict in self._connection.execute(
            "SELECT place, value, threshold, verdict FROM finding WHERE entity_id = ? ORDER BY place", (entity_id,)
        ):
            yield RuleFinding(value=value, threshold=threshold, verdict=verdict, **self._rules[place])

    def former_ids(self, present: EntityId) -> tuple[EntityId, ...]:
        """Return the ids of former versions that were merged into a present one."""
        found = self._connection.execute(
            """WITH RECURSIVE merged(id) AS (
                 SELECT former FROM succession WHERE present = ? AND change = 'merge'
                 UNION SELECT former FROM succession JOIN merged ON present = merged.id WHERE change = 'merge')
               SELECT id FROM merged ORDER BY id""",
            (present,),
        )
        return tuple(EntityId(former) for (former,) in found)

    def _members(self, entity_id: EntityId, golden: dict[str, Cell]) -> Iterator[MemberRecord]:
        found = self._connection.execute(
            "SELECT source, row_key, rule, weight, joined_to FROM member WHERE entity_id = ? ORDER BY source, row_key",
            (entity_id,),
        ).fetchall()
        for number, row_key, rule, weight, joined_to in found:
            source = self.sources[number]
            cells = self._record_cells(source, row_key) or {
                element: cell for element, cell in golden.items() if cell.row_key == row_key
            }
            batch_id = next((cell.batch_id for cell in cells.values()), "")
            yield MemberRecord(
                resource_id=source.resource_id,
                department=source.department,
                title=source.title,
                row_key=row_key,
                batch_id=batch_id,
                cells=cells,
                reason=LinkReason(rule=rule, weight=weight, joined_to=joined_to),
            )

    def _record_cells(self, source: LookupSource, row_key: str) -> dict[str, Cell]:
        """Return the record as its source published it; nothing where the library publishes no sources."""
        path = self.path.with_name(source.file or "-")
        if not path.exists():
            return {}
        with open_lookup(path) as file:
            return next((dict(row.cells) for row in file.rows("row_key", row_key, 1)), {})

    def find(self, query: str, summary: tuple[str, ...], limit: int) -> tuple[EntityHit, ...]:
        """Return entities whose identifier, other key or id is `query`, or whose name begins with it."""
        text = query.strip()
        elements = self._key_elements()
        exact = self._connection.execute(
            f"SELECT DISTINCT row FROM key WHERE element IN ({', '.join('?' * len(elements))}) AND value IN (?, ?) "
            "ORDER BY row LIMIT ?",
            (*elements, text, canonical_key(IDENTIFIER_ELEMENT, text), limit),
        ).fetchall()
        names = ", ".join("?" * len(NAME_ELEMENTS))
        begins = self._connection.execute(
            f"SELECT DISTINCT row FROM key WHERE element IN ({names}) AND value >= ? AND value < ? "
            "ORDER BY value, row LIMIT ?",
            (*NAME_ELEMENTS, text, text + "\U0010ffff", limit),
        ).fetchall()
        rows = list(dict.fromkeys(row for (row,) in (*exact, *begins)))[:limit]
        return tuple(self._hit(row, summary) for row in rows)

    def _key_elements(self) -> tuple[str, ...]:
        """Return the elements that rows are found by, each sought in the index behind the one before."""
        known: set[str] = set()
        for layer in layers_of(self._connection):
            last = ""
            while found := self._connection.execute(
                f"SELECT min(element) FROM {layer}.key WHERE element > ?", (last,)
            ).fetchone()[0]:
                last = str(found)
                known.add(last)
        return tuple(sorted(known))

    def _hit(self, row: int, summary: tuple[str, ...]) -> EntityHit:
        entity_id, payload = self._connection.execute(
            "SELECT entity_id, payload FROM row WHERE id = ?", (row,)
        ).fetchone()
        members = self._connection.execute("SELECT count(*) FROM member WHERE entity_id = ?", (entity_id,)).fetchone()[
            0
        ]
        values = {
            element: cell.value
            for element, position, cell in self._golden_cells(payload)
            if position == 1 and element in summary and cell.value is not None
        }
        ordered = {element: values[element] for element in summary if element in values}
        return EntityHit(entity_id=EntityId(entity_id), summary=ordered, members=members)


def _source_cells(source: LookupSource, row_key: str, payload: list[list[Any]]) -> dict[str, Cell]:
    (batch_id, observed_at), *cells = payload
    return {
        field: Cell(
            value=value,
            department=source.department,
            resource_id=source.resource_id,
            batch_id=batch_id,
            row_key=row_key,
            observed_at=observed_at,
            rule="source",
            flag=flag,
            raw=raw,
        )
        for field, value, raw, flag in cells
    }


def canonical_key(element: str, value: str) -> str:
    """Return `value` in the form that lookup keys have: identifiers in 18 characters and capitals."""
    text = value.strip()
    return to_18(text.upper()) if element == IDENTIFIER_ELEMENT else text


@contextmanager
def open_lookup(path: Path) -> Iterator[LookupFile]:
    """Open a lookup file for reading records.

    Raises:
        Unavailable: see `open_file`.
    """
    with open_file(path) as connection:
        yield LookupFile(connection, path)


@contextmanager
def open_file(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a lookup file for reading.

    Raises:
        Unavailable: see `connect_file`.
    """
    connection = connect_file(path)
    try:
        yield connection
    finally:
        connection.close()


def connect_file(path: Path) -> sqlite3.Connection:
    """Return a connection to a lookup file, for reading in this thread.

    Raises:
        Unavailable: the file has gone, because a newer version replaced it while it was sought.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
        attach_base(connection, path)
    except sqlite3.OperationalError as error:
        if connection is not None:
            connection.close()
        raise Unavailable(
            "library.version_replaced",
            what=Text(zh="所查的数据版本已被新版本取代。", en="The version that was read has been replaced."),
            remedy=Text(zh="请重试。", en="Try again."),
        ) from error
    return connection
