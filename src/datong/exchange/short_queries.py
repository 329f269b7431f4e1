"""One DuckDB for the short questions about batches that a process asks again and again.

Opening an engine took twice as long as digesting a batch of few rows; a connection to one that is open takes nothing.
"""

import os
from functools import cache

import duckdb


def short_query() -> duckdb.DuckDBPyConnection:
    """Return a connection of its own to this process's engine, for one thread, to be closed by the caller.

    What is registered is seen by it alone. No tables are made: those would be everybody's.
    """
    return _engine(os.getpid()).cursor()


@cache
def _engine(_process: int) -> duckdb.DuckDBPyConnection:
    """Return the engine of this process; one that was forked from it opens another."""
    return duckdb.connect(config={"threads": 1})
