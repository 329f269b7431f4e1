"""A process that keeps an index up without end: writes, merges and builds its folder until it is killed.

python -m tests.fault.search_worker DATABASE_URL FOLDER
"""

import sys
from pathlib import Path

from datong.catalogue import SearchIndex
from datong.kernel import Database


def main(url: str, folder: Path) -> None:
    """Build anew, catch up and merge, over and over."""
    database = Database(url)
    while True:
        (folder / "manifest.json").unlink(missing_ok=True)
        index = SearchIndex(folder, small_docs_max=0, filed_segments_max=0)
        with database.snapshot() as connection:
            index.current(connection)
            index.keep_up(connection)
        sys.stdout.write("built\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
