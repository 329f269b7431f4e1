"""Releases appear whole or not at all, whenever the process that prepares one dies."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from datong.kernel import ResourceId
from datong.sharing.delta_release import MANIFEST, Releases, release_id_of
from datong.sharing.delta_values import FixedTables, PlannedColumn, ReleasePlan, TableVersion
from datong.sharing.masks import ColumnMask, MaskKind
from tests.unit.sharing.samples import NOW

RESOURCE = ResourceId("r")
KEY = b"k" * 32
PLAN = ReleasePlan(
    resource_id=RESOURCE,
    version=1,
    table_digest="d",
    columns=(PlannedColumn.masked("n", ColumnMask(MaskKind.NAME)),),
    citizens=("c",),
)


def releases(folder: Path) -> Releases:
    """Return releases of one small table under `folder`."""
    source = folder / "source.parquet"
    if not source.exists():
        duckdb.sql(f"COPY (SELECT '王丽' AS n, '110101199003070011' AS c, 'k' AS _row_key) TO '{source}'")
    tables = FixedTables()
    version = TableVersion(version=1, published_at=NOW, rows=1, digest="d", columns={"n": "n", "c": "c"})
    tables.tables[RESOURCE] = [(version, (source,))]
    return Releases(folder=folder / "shared", tables=tables, subject_key=KEY)


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.sharing.test_delta_release import PLAN, releases

left = int(sys.argv[2])
def audit(event, arguments):
    global left
    if event == "os.rename" and "shared" in str(arguments[0]):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
made = releases(Path(sys.argv[1]))
sys.addaudithook(audit)
made.prepared(PLAN)
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_killed_preparation_leaves_nothing_that_is_handed_out(tmp_path: Path, renames: int) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), str(renames)], check=False)
    assert done.returncode == -signal.SIGKILL
    made, folder = releases(tmp_path), tmp_path / "shared" / "files" / release_id_of(PLAN)
    assert not folder.exists()
    assert len(list(folder.parent.iterdir())) == 1, "what the kill left has another name"
    release = made.prepared(PLAN)
    assert release.rows == 1
    assert (folder / MANIFEST).exists()
    assert made.concerning("110101199003070011", [release.id]) == {release.id: frozenset({0})}
    left = next(path for path in folder.parent.iterdir() if path != folder)
    os.utime(left / MANIFEST, (0, 0))
    assert made.sweep(unused_seconds=60) == 1
    assert [path.name for path in folder.parent.iterdir()] == [release.id]


def test_the_same_plan_is_prepared_once_and_another_key_is_another_plan(tmp_path: Path) -> None:
    made = releases(tmp_path)
    first = made.prepared(PLAN)
    assert made.prepared(PLAN) == first
    masked = [PlannedColumn.masked("n", ColumnMask(MaskKind.PSEUDONYM, bytes([number]) * 32)) for number in (1, 2)]
    plans = [PLAN.model_copy(update={"columns": (column,)}) for column in masked]
    assert len({release_id_of(plan) for plan in (PLAN, *plans)}) == 3
    assert "\\x01" not in repr(plans[0])
    told = {made.prepared(plan).files[0].sha256 for plan in plans}
    assert len(told) == 2


def test_rows_are_in_no_order_that_tells_of_keys_which_are_not_shown(tmp_path: Path) -> None:
    source = tmp_path / "source.parquet"
    duckdb.sql(f"""
        COPY (SELECT 'n' || i AS n, 'c' AS c, lpad(CAST(i AS VARCHAR), 6, '0') AS _row_key FROM range(500) t(i))
        TO '{source}'""")
    made = releases(tmp_path)
    shown = PLAN.model_copy(update={"columns": (PlannedColumn.masked("n", ColumnMask(MaskKind.NONE)),)})
    order: dict[bool, list[str]] = {}
    for in_order in (True, False):
        release = made.prepared(shown.model_copy(update={"in_order": in_order}))
        path = made.file(release.id, release.files[0].name)
        order[in_order] = [row[0] for row in duckdb.sql(f"FROM read_parquet('{path}')").fetchall()]
    assert order[True] == [f"n{number}" for number in range(500)]
    assert order[False] != order[True]
    assert sorted(order[False]) == sorted(order[True])
    neighbours = sum(abs(int(a[1:]) - int(b[1:])) == 1 for a, b in itertools.pairwise(order[False]))
    assert neighbours < 20
