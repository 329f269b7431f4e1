"""Lookup files in two layers: a small file with what is new, over the large one that it amends.

Beside a lookup file may lie `<name>.base`, a hard link to an earlier version's file, which nothing ever changes. The
file itself then holds the rows, keys and members that are new since, and in `gone` and `gone_member` the numbers of the
rows and the entities below that no longer hold. Whoever opens it (see `attach_base`) reads both as if they were one.
"""

import sqlite3
from pathlib import Path
from urllib.parse import quote

BASE = "base"
COMPACT_SHARE = 0.3
"""Size of a layer over that of its base from which the next version is written whole again."""
LAYER_BYTES_MIN = 1024 * 1024
"""Size of a layer up to which it is never worth while."""
_VIEWS = {
    "row": ("id, entity_id, row_key, payload", "id NOT IN (SELECT id FROM main.gone)"),
    "key": ("element, value, row", "row NOT IN (SELECT id FROM main.gone)"),
    "member": (
        "entity_id, source, row_key, rule, weight, joined_to",
        "entity_id NOT IN (SELECT entity_id FROM main.gone_member)",
    ),
}
"""What lies in both layers: the columns, and which of the base's rows still hold. All else lies in the upper one."""


def base_file(path: Path) -> Path:
    """Return where the base of the lookup file at `path` lies, if it has one."""
    return path.with_name(f"{path.name}.base")


def base_uri(path: Path) -> str:
    """Return the base of the lookup file at `path` as SQLite attaches it, for reading only."""
    return f"file:{quote(str(base_file(path).absolute()))}?mode=ro&immutable=1"


def layers_of(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of the layers under which the tables of an open lookup file lie."""
    attached = {row[1] for row in connection.execute("PRAGMA database_list")}
    return ("main", BASE) if BASE in attached else ("main",)


def attach_base(connection: sqlite3.Connection, path: Path) -> None:
    """Let `connection` to the lookup file at `path` see its base as well, if it has one.

    The views have the names of the tables, and come first: queries need not know. SQLite takes a view's two parts into
    a query of one table with its conditions, but not into a join: look rows up by `id IN (SELECT row FROM key …)`.

    Raises:
        sqlite3.OperationalError: the base has gone.
    """
    # The file itself says whether it has a base: a file whose base is being removed must not answer alone.
    if connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'gone'").fetchone() is None:
        return
    connection.execute(f"ATTACH ? AS {BASE}", (base_uri(path),))
    for name, (columns, holds) in _VIEWS.items():
        connection.execute(
            f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM main.{name} "
            f"UNION ALL SELECT {columns} FROM {BASE}.{name} WHERE {holds}"
        )


def outgrown(path: Path) -> bool:
    """Return whether so much lies over the base of the lookup file at `path` that the next is written whole."""
    below, size = base_file(path), path.stat().st_size
    return below.exists() and size > max(LAYER_BYTES_MIN, COMPACT_SHARE * below.stat().st_size)
