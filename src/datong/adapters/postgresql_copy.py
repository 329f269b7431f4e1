"""A full copy of a PostgreSQL table that is parallel *and* consistent: several connections share one exported snapshot.

Each connection reads ranges of pages (`ctid`), so every row of the snapshot is read once, whatever is written
meanwhile; the last range is open, so pages that come while the copy runs hold nothing that the snapshot sees.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Full, Queue

import pyarrow as pa

from datong.adapters.conversion import rebatched
from datong.adapters.postgresql import PostgresqlDatabase
from datong.adapters.postgresql_catalog import literal, relation, select_expression
from datong.exchange import Column, ReadQuery, arrow_schema

READERS_MAX = 4
PAGES_PER_RANGE_MIN = 2_000
"""16 MiB: smaller ranges cost more in statements than they spread."""
RANGES_PER_READER = 4
WAITING_BATCHES_MAX = 8
WAIT_SECONDS = 0.2
_FIRST_PAGE, _NO_END = 0, -1


def snapshot_copy(
    url: str, query: ReadQuery, columns: tuple[Column, ...], snapshot: str, *, readers: int = 0
) -> pa.RecordBatchReader:
    """Return the rows of `query` as the exported `snapshot` sees them, in no order, read by several connections.

    `readers` 0: as many as there are cores, at most `READERS_MAX`. The snapshot must be held until the rows are read.
    """
    copy = _Copy(url, query, columns, snapshot)
    count = readers or min(READERS_MAX, os.cpu_count() or 1)
    return rebatched(copy.rows(count), arrow_schema(columns), query.batch_rows)


def page_ranges(pages: int, readers: int) -> list[tuple[int, int]]:
    """Return ranges of pages, first and end, that cover a table of `pages` and all that comes after them."""
    size = max(PAGES_PER_RANGE_MIN, -(-pages // (readers * RANGES_PER_READER)))
    starts = list(range(_FIRST_PAGE, max(pages, 1), size))
    return list(zip(starts, [*starts[1:], _NO_END], strict=True))


class _Copy(PostgresqlDatabase):
    """One copy of one table."""

    def __init__(self, url: str, query: ReadQuery, columns: tuple[Column, ...], snapshot: str) -> None:
        super().__init__(url)
        self._query = query
        self._chosen = columns
        self._snapshot = snapshot
        self._ranges: Queue[tuple[int, int]] = Queue()
        self._waiting: Queue[pa.RecordBatch | None] = Queue(WAITING_BATCHES_MAX)
        self._stopped = threading.Event()
        self._failed = threading.Event()

    def rows(self, readers: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows; the readers stop when nobody wants more."""
        ranges = page_ranges(self._pages(), readers)
        for bounds in ranges:
            self._ranges.put(bounds)
        count = min(readers, len(ranges))
        with ThreadPoolExecutor(max_workers=count, thread_name_prefix="copy") as pool:
            try:
                running = [pool.submit(self._read_ranges) for _ in range(count)]
                ended = 0
                while ended < count:
                    found = self._waiting.get()
                    if found is None:
                        ended += 1
                    else:
                        yield found
                for one in running:
                    one.result()
            finally:
                self._stopped.set()

    def _pages(self) -> int:
        with self._open() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(max(pg_relation_size(relid)), 0)::bigint / 8192 "
                f"FROM (SELECT relid FROM pg_partition_tree({literal(relation(self._query.table))}::regclass) "
                f"UNION ALL SELECT {literal(relation(self._query.table))}::regclass) AS t"
            )
            row = cursor.fetchone()
        return 0 if row is None else int(str(row[0]))

    def _read_ranges(self) -> None:
        """Read ranges on a connection of its own until there is none left."""
        try:
            with self._open() as connection:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    cursor.execute(f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}")
                with suppress(Empty):
                    while not (self._stopped.is_set() or self._failed.is_set()):
                        statement = self._statement(*self._ranges.get_nowait())
                        for batch in self._batches(connection, self._query.table, statement, self._chosen):
                            self._hand_over(batch)
        except BaseException:
            # The other readers need not go on: the copy has failed, and `rows` says why.
            self._failed.set()
            raise
        finally:
            self._hand_over(None)

    def _statement(self, first: int, end: int) -> str:
        names = ", ".join(select_expression(column) for column in self._chosen)
        bounds = f"ctid >= '({first},0)'" + ("" if end == _NO_END else f" AND ctid < '({end},0)'")
        return f"SELECT {names} FROM {relation(self._query.table)} WHERE {bounds}"

    def _hand_over(self, item: pa.RecordBatch | None) -> None:
        while not self._stopped.is_set():
            with suppress(Full):
                self._waiting.put(item, timeout=WAIT_SECONDS)
                return
