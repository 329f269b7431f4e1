"""Functions that Spark lacks, in DuckDB's code over Arrow batches: what Spark's Python workers import.

Both engines thus give the same answers by construction. A worker keeps one DuckDB of its own, with one thread.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    Column: TypeAlias = pa.Array[Any]
else:
    # Spark reads the annotations, and knows this one.
    Column = pa.Array


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False})


def _over(function: str, *columns: Column) -> Column:
    names = [f"c{place}" for place in range(len(columns))]
    connection = _connection()
    connection.register("batch", pa.table(dict(zip(names, columns, strict=True))))
    found = connection.execute(f"SELECT {function}({', '.join(names)}) FROM batch").to_arrow_table()
    connection.unregister("batch")
    return found.column(0).combine_chunks()


def damerau_levenshtein(left: Column, right: Column) -> Column:
    """Return the edits between two columns of ASCII texts, a transposition being one."""
    return _over("damerau_levenshtein", left, right)


def jaro_winkler_similarity(left: Column, right: Column) -> Column:
    """Return the similarity of two columns of ASCII texts, 0 to 1."""
    return _over("jaro_winkler_similarity", left, right)


def strip_accents(texts: Column) -> Column:
    """Return a column of texts without accents."""
    return _over("strip_accents", texts)
