"""Administrative divisions: codes, names, levels, and an unbroken chain of parents up to a province (GB/T 2260)."""

from pathlib import Path

import duckdb

from datong.library.conform import ConformedSource
from datong.library.engine import sql_name, sql_text

_ELEMENTS = ("division_code", "division_name", "division_level", "parent_division_code")
LEVEL_MAX = 6


def check_divisions(
    connection: duckdb.DuckDBPyConnection, sources: tuple[ConformedSource, ...], conformed: Path
) -> dict[str, int]:
    """Create `divisions` with the first `problem` of each row, and return how many rows have which.

    Problems: `code` (missing or malformed), `name` (missing), `duplicate` (the code occurred before), `parent` (no such
    division), `level` (not below its parent's), `chain` (a parent is unsound, or no top level is reached).
    """
    parts = " UNION ALL ".join(
        f"""SELECT {source.number} AS source, row_key, first_sequence,
            {", ".join(f"{sql_name(e)} AS {e}" if source.has(e) else f"NULL::VARCHAR AS {e}" for e in _ELEMENTS)},
            {sql_name("division_code|flag")} AS code_flag
        FROM read_parquet({sql_text(str(conformed / source.file))})"""
        for source in sources
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE divisions AS
        WITH numbered AS (
            SELECT *, TRY_CAST(division_level AS INTEGER) AS level,
                nullif(parent_division_code, division_code) AS parent,
                row_number() OVER (PARTITION BY division_code ORDER BY source, row_key) AS occurrence
            FROM ({parts})
        )
        SELECT child.*, CASE
            WHEN child.division_code IS NULL OR child.code_flag IS NOT NULL THEN 'code'
            WHEN child.division_name IS NULL THEN 'name'
            WHEN child.occurrence > 1 THEN 'duplicate'
            WHEN child.parent IS NOT NULL AND above.division_code IS NULL THEN 'parent'
            WHEN above.level IS NOT NULL AND child.level IS NOT NULL AND child.level <= above.level THEN 'level'
            END AS problem
        FROM numbered child LEFT JOIN numbered above ON above.division_code = child.parent AND above.occurrence = 1
        ORDER BY child.source, child.row_key
    """)
    _break_chains(connection)
    rows = connection.execute(
        "SELECT problem, count(*) FROM divisions WHERE problem IS NOT NULL GROUP BY problem ORDER BY problem"
    ).fetchall()
    return {str(problem): int(count) for problem, count in rows}


def _break_chains(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark what hangs below an unsound division, or in a circle: all that sound steps from the top do not reach."""
    connection.execute(f"""
        CREATE OR REPLACE TABLE sound AS
        WITH RECURSIVE reached(code, depth) AS (
            SELECT division_code, 1 FROM divisions WHERE problem IS NULL AND parent IS NULL
            UNION ALL
            SELECT d.division_code, depth + 1 FROM divisions d JOIN reached ON d.parent = reached.code
            WHERE d.problem IS NULL AND depth < {LEVEL_MAX}
        )
        SELECT DISTINCT code FROM reached
    """)
    connection.execute(
        "UPDATE divisions SET problem = 'chain' WHERE problem IS NULL AND division_code NOT IN (SELECT code FROM sound)"
    )
    connection.execute("DROP TABLE sound")
