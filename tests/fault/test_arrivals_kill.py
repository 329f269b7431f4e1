"""The register of arrivals is killed while it numbers files: afterwards each file has one number, and moves once."""

import os
import random
import time
from pathlib import Path

import pytest

from datong.adapters.files import FileFolder
from datong.exchange import Cursor, ReadQuery, cursor_at_end
from tests.processes import launcher

FILES = 120
ROUNDS = 4
ORDER = ("_file_arrival", "_file_row")
LOOK = """
import sys
from pathlib import Path
from datong.adapters.files import FileFolder
print("begun", flush=True)
FileFolder(Path(sys.argv[1])).inspect()
"""


def moved(folder: Path, after: Cursor | None) -> tuple[list[str], Cursor | None]:
    """Return the ids behind a cursor and the cursor at the end."""
    query = ReadQuery(table="d", columns=(*ORDER, "id"), key_columns=ORDER, cursor_column=ORDER[0], after=after)
    found: list[str] = []
    for batch in FileFolder(folder).read(query):
        found += [str(value) for value in batch.column("id").to_pylist()]
        after = cursor_at_end(batch, query.order) or after
    return found, after


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_while_it_numbers_files(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "d").mkdir()
    look = tmp_path / "look.py"
    look.write_text(LOOK)
    seen: list[str] = []
    after = None
    for part in range(2):
        for number in range(part * FILES, (part + 1) * FILES):
            path = tmp_path / "d" / f"{number:04d}.csv"
            path.write_text(f"id\n{number}\n")
            os.utime(path, (number + 1, number + 1))
        told, telling = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        with telling:
            process = launcher().start([str(look), str(tmp_path)], environment=os.environ, output=telling)
        with told:
            told.readline()
            time.sleep(chance.random() * 0.3)
            process.kill()
            process.wait()
        found, after = moved(tmp_path, after)
        seen += found
    assert seen == [str(number) for number in range(2 * FILES)]
    assert moved(tmp_path, after) == ([], after)
