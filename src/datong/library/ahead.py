"""Rows of Delta tables that stay, carried over while what comes in place of the others is still being made.

Copying rows takes longer than anything else in publishing, and linking and fusing a few of them leave a core idle.
Which rows stay is known before what comes in place of the others is fused, and which *may* not stay before it is known
how their records are linked: these wait, all others are copied from then on. It is done twice rather than missed: what
a process that was killed had carried is carried again, under the same names.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from datong.library.delta_carrying import CarriedFile, Carrying
from datong.library.delta_writing import carrying_of


class CarriedAhead:
    """Carries rows over for one build, in the order in which it was asked, in `threads` of its own, which end with the
    block: what an attempt has left undone must not meet the next one."""

    def __init__(self, build_id: str, threads: int) -> None:
        self._build_id = build_id
        self._begun: dict[Path, Future[Carrying]] = {}
        self._finished: dict[Path, Future[list[CarriedFile]]] = {}
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def begin(self, table: Path, version: int, key: str, doubtful: "pa.ChunkedArray[Any]") -> None:
        """Begin to carry the rows of a version of the Delta table at `table`: at first those whose `key` is not among
        the `doubtful`, which wait in memory."""
        self._begun[table] = self._pool.submit(self._carry, table, version, key, doubtful, hold=True)

    def finish(self, table: Path, version: int, key: str, gone: "pa.ChunkedArray[Any]") -> None:
        """Carry the rows whose `key` is not among `gone`: those that nobody has begun to carry, or that were doubtful,
        among which are all that are gone. Of a table that keeps all its rows nothing is carried."""
        begun = self._begun.pop(table, None)
        if begun is not None and not len(gone):
            self._pool.submit(lambda: begun.result().give_up())
        elif len(gone):
            carried = begun or self._pool.submit(self._carry, table, version, key, gone, hold=False)
            self._finished[table] = self._pool.submit(lambda: carried.result().finish(gone))

    def _carry(self, table: Path, version: int, key: str, doubtful: "pa.ChunkedArray[Any]", *, hold: bool) -> Carrying:
        carrying = carrying_of(table, version, self._build_id, key, doubtful)
        carrying.go_ahead(hold=hold)
        return carrying

    def files(self, table: Path) -> list[CarriedFile] | None:
        """Return the new files of the table at `table`; None if nobody has carried them.

        Raises:
            OSError: what has been read or written while they were carried failed.
        """
        finished = self._finished.pop(table, None)
        return None if finished is None else finished.result()
