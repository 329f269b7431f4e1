"""Reading a whole PostgreSQL table in parts, side by side *and* consistently: several connections share one snapshot.

A table without an order is read by ranges of pages (`ctid`): every row of the snapshot comes once, whatever is written
meanwhile; the last range is open, so pages that come while the copy runs hold nothing that the snapshot sees. A table
with an order is read by ranges of its key along an index, and the ranges are handed on one after the other, while those
behind are read ahead, as many as there are readers: so the rows keep their order, and a copy that was interrupted
goes on behind its last row. The ends of ranges are keys of a sample that the database itself puts in order; whichever
they are, the ranges cover all.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import NamedTuple

import pyarrow as pa

from datong.adapters.postgresql_catalog import PAGE_BYTES, literal, quoted, relation, typed_literal
from datong.adapters.postgresql_connections import PostgresqlConnections, batches_of, rows_of
from datong.adapters.postgresql_scan import PostgresqlScan
from datong.exchange import Column
from datong.kernel import Unavailable

READERS_MAX = 4
RANGE_PAGES = 2_000
"""16 MiB: smaller ranges cost more in statements than they spread."""
RANGES_PER_READER = 4
SAMPLED_PER_RANGE = 40
CORRELATION_MIN = 0.9
"""Below it, rows that follow each other by key lie on pages far apart, and ranges would fetch each page many times."""
WAITING_PIECES_MAX = 3
"""Pieces (some 4 MiB) that a range reads ahead of whoever takes its rows."""
WAIT_SECONDS = 0.2
_NO_END = -1

Run = Callable[[str], Iterator[pa.RecordBatch]]
"""Yields what a statement selects, over one connection that sees the shared snapshot."""


class Parts(NamedTuple):
    """Conditions that divide a table's rows; when they are ordered, so are the rows across them."""

    conditions: tuple[str, ...]
    ordered: bool


def parts_of(
    connections: PostgresqlConnections, table: str, order: tuple[Column, ...], readers: int, range_pages: int
) -> Parts:
    """Return the parts, of at least `range_pages` pages, in which `readers` read a table.

    It is a single one where the table cannot be divided with profit.
    """
    with connections.reading(keep=True) as connection:
        pages = int(str(rows_of(connection, _pages_statement(table))[0][0]))
        if not order:
            return Parts(
                tuple(_page_condition(*bounds) for bounds in page_ranges(pages, readers, range_pages)), ordered=False
            )
        count = pages // range_pages
        if count < 2 or not rows_of(connection, _along_index_statement(table, order)):
            return Parts(("true",), ordered=True)
        ends = rows_of(connection, _ends_statement(table, order, pages, count))
    return Parts(key_conditions(order, [tuple(str(value) for value in end) for end in ends]), ordered=True)


def page_ranges(pages: int, readers: int, range_pages: int = RANGE_PAGES) -> list[tuple[int, int]]:
    """Return ranges of pages, first and end, that cover a table of `pages` and all that comes after them."""
    size = max(range_pages, -(-pages // (readers * RANGES_PER_READER)))
    starts = list(range(0, max(pages, 1), size))
    return list(zip(starts, [*starts[1:], _NO_END], strict=True))


def key_conditions(order: tuple[Column, ...], ends: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the conditions of the ranges between the rising `ends`: each row meets one, the last is open."""
    names = ", ".join(f"t.{quoted(column.name)}" for column in order)
    bounds = [
        "(" + ", ".join(typed_literal(column, text) for column, text in zip(order, end, strict=True)) + ")"
        for end in ends
    ]
    firsts = [None, *bounds]
    lasts = [*bounds, None]
    return tuple(
        " AND ".join(
            [
                *([] if first is None else [f"({names}) > {first}"]),
                *([] if last is None else [f"({names}) <= {last}"]),
            ]
        )
        or "true"
        for first, last in zip(firsts, lasts, strict=True)
    )


@contextmanager
def exported(connections: PostgresqlConnections) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Export a snapshot for the block; yield its name and whether a statement finds any row in it."""
    with connections.session() as session:
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.commit()
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        name = session.execute("SELECT pg_export_snapshot()").fetchone()

        def finds(statement: str) -> bool:
            return session.execute(statement.encode()).fetchone() is not None

        yield str(name[0]) if name else "", finds


def reader_of(
    connections: PostgresqlConnections, table: str, columns: tuple[Column, ...], snapshot: str, extension: Path | None
) -> Callable[[], AbstractContextManager[Run]]:
    """Return what opens a connection that sees `snapshot`: DuckDB's, where its `extension` is given, or ADBC's."""

    @contextmanager
    def opened() -> Iterator[Run]:
        if extension is not None:
            with PostgresqlScan(connections.url, table).opened(extension, snapshot) as scan:
                yield lambda statement: scan(statement, columns)
            return
        with connections.reading() as connection:
            rows_of(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows_of(connection, f"SET TRANSACTION SNAPSHOT {literal(snapshot)}")
            yield lambda statement: batches_of(connection, table, statement, columns)

    return opened


def side_by_side(
    statements: Sequence[str], opened: Callable[[], AbstractContextManager[Run]], readers: int, *, ordered: bool
) -> Iterator[pa.RecordBatch]:
    """Yield what the statements select: those of the first before those of the second if `ordered`, else as they come.

    The first failure of a reader is raised, and the others stop; they also stop when nobody wants more. A reader that
    gets no connection is done without, unless none gets one.
    """
    return _SideBySide(statements, opened, readers, ordered=ordered).rows()


class _SideBySide:
    """Some statements over some connections, read ahead as far as the readers reach."""

    def __init__(
        self,
        statements: Sequence[str],
        opened: Callable[[], AbstractContextManager[Run]],
        readers: int,
        *,
        ordered: bool,
    ) -> None:
        self._opened = opened
        self._readers = min(readers, len(statements))
        shared: Queue[pa.RecordBatch | BaseException | None] = Queue(WAITING_PIECES_MAX * self._readers)
        self._queues = [
            Queue[pa.RecordBatch | BaseException | None](WAITING_PIECES_MAX) if ordered else shared for _ in statements
        ]
        self._left: Queue[tuple[int, str]] = Queue()
        for part in enumerate(statements):
            self._left.put(part)
        self._begun = threading.Semaphore(self._readers + 1)
        """Parts that may still be begun before the one whose rows are wanted has ended: it bounds what is held."""
        self._able = self._readers
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def rows(self) -> Iterator[pa.RecordBatch]:
        # Statements are begun in their order, so the one whose rows are wanted next always has a reader.
        with ThreadPoolExecutor(max_workers=self._readers, thread_name_prefix="copy") as pool:
            try:
                for _ in range(self._readers):
                    pool.submit(self._read)
                for queue in self._queues:
                    while (found := queue.get()) is not None:
                        if isinstance(found, BaseException):
                            raise found
                        yield found
                    self._begun.release()
            finally:
                self._stopped.set()

    def _read(self) -> None:
        """Read statements on a connection of its own until there is none left."""
        connected = False
        try:
            with self._opened() as run, suppress(Empty):
                connected = True
                while self._may_begin():
                    number, statement = self._left.get_nowait()
                    for batch in run(statement):
                        self._hand_over(number, batch)
                        if self._stopped.is_set():
                            return
                    self._hand_over(number, None)
        except BaseException as failure:
            if not connected and isinstance(failure, Unavailable) and self._others_read():
                return
            # Whoever takes the rows has to learn of it, whichever part's they are waiting for.
            for one in range(len(self._queues)):
                self._hand_over(one, failure)
            raise

    def _others_read(self) -> bool:
        """Do without one reader, as a database may allow few connections; return False if it was the last."""
        with self._lock:
            self._able -= 1
            return self._able > 0

    def _may_begin(self) -> bool:
        """Wait until one more part may be begun; return False if nobody wants it any more."""
        while not self._stopped.is_set():
            if self._begun.acquire(timeout=WAIT_SECONDS):
                return True
        return False

    def _hand_over(self, number: int, item: pa.RecordBatch | BaseException | None) -> None:
        while not self._stopped.is_set():
            with suppress(Full):
                self._queues[number].put(item, timeout=WAIT_SECONDS)
                return


def _pages_statement(table: str) -> str:
    name = f"{literal(relation(table))}::regclass"
    return (
        f"SELECT coalesce(max(pg_relation_size(relid)), 0)::bigint / {PAGE_BYTES} "
        f"FROM (SELECT relid FROM pg_partition_tree({name}) UNION ALL SELECT {name}) AS t"
    )


def _page_condition(first: int, end: int) -> str:
    return f"t.ctid >= '({first},0)'" + ("" if end == _NO_END else f" AND t.ctid < '({end},0)'")


def _along_index_statement(table: str, order: tuple[Column, ...]) -> str:
    """Return a statement that finds a row if an index has this order, and the table's pages mostly have it, too."""
    name = f"{literal(relation(table))}::regclass"
    columns = ", ".join(literal(column.name) for column in order)
    return (
        "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam AND a.amname = 'btree' "
        f"JOIN pg_stats s ON (s.schemaname, s.tablename, s.attname) = (n.nspname, c.relname, {literal(order[0].name)}) "
        f"WHERE i.indrelid = {name} AND c.relkind = 'r' AND i.indisvalid AND i.indpred IS NULL "
        f"AND s.correlation >= {CORRELATION_MIN} AND (SELECT array_agg(t.attname::text ORDER BY k.place) "
        f"FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place) JOIN pg_attribute t "
        f"ON t.attrelid = i.indrelid AND t.attnum = k.number WHERE k.place <= {len(order)}) = ARRAY[{columns}] LIMIT 1"
    )


def _ends_statement(table: str, order: tuple[Column, ...], pages: int, count: int) -> str:
    """Return the statement for the last keys of all of `count` ranges but the last one, from a sample of pages."""
    percent = min(100.0, 100.0 * count * SAMPLED_PER_RANGE / pages)
    names = ", ".join(quoted(column.name) for column in order)
    texts = ", ".join(
        f"encode({quoted(column.name)}, 'hex')" if column.type == "binary" else f"{quoted(column.name)}::text"
        for column in order
    )
    return (
        f"SELECT {texts} FROM (SELECT {names}, row_number() OVER (ORDER BY {names}) AS n, count(*) OVER () AS total "
        f"FROM {relation(table)} TABLESAMPLE SYSTEM ({percent:.6f})) AS s "
        f"WHERE n * {count} / total > (n - 1) * {count} / total AND n < total ORDER BY n"
    )
