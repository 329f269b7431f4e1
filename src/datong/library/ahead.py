"""Rows of Delta tables that stay, carried over while what comes in place of the others is still being made.

Which rows stay is known before what comes in place of the others is fused, and copying them takes longer than anything
else in publishing, on a core that a few entities leave idle. It is done twice rather than missed: what a process that
was killed had carried is carried again, under the same names.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from datong.library.delta_carrying import CarriedFile
from datong.library.delta_writing import carry_kept


class CarriedAhead:
    """Carries rows over for one build, in the order in which it was asked, in `threads` of its own, which end with the
    block: what an attempt has left undone must not meet the next one."""

    def __init__(self, build_id: str, threads: int) -> None:
        self._build_id = build_id
        self._begun: dict[Path, Future[list[CarriedFile]]] = {}
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def begin(self, table: Path, version: int, key: str, gone: "pa.ChunkedArray[Any]") -> None:
        """Begin to carry the rows of a version of the Delta table at `table` whose `key` is not among `gone`; of a
        table that keeps all of them nothing is carried."""
        if len(gone):
            self._begun[table] = self._pool.submit(carry_kept, table, version, self._build_id, key, gone)

    def files(self, table: Path) -> list[CarriedFile] | None:
        """Return the new files of the table at `table`; None if nobody has begun them.

        Raises:
            OSError: what has been read or written while they were carried failed.
        """
        begun = self._begun.pop(table, None)
        return None if begun is None else begun.result()
