"""Administrative divisions: codes, names, levels, and an unbroken chain of parents up to a province (GB/T 2260)."""

from pathlib import Path

from datong.library.conform import ConformedSource
from datong.library.engine import Workspace, sql_name

_ELEMENTS = ("division_code", "division_name", "division_level", "parent_division_code")
LEVEL_MAX = 6


def check_divisions(work: Workspace, sources: tuple[ConformedSource, ...], conformed: Path) -> dict[str, int]:
    """Create `divisions` with the first `problem` of each row, and return how many rows have which.

    Problems: `code` (missing or malformed), `name` (missing), `duplicate` (the code occurred before), `parent` (no such
    division), `level` (not below its parent's), `chain` (a parent is unsound, or no top level is reached).
    """
    parts = " UNION ALL ".join(
        f"""SELECT {source.number} AS source, row_key, first_sequence,
            {", ".join(f"{sql_name(e)} AS {e}" if source.has(e) else f"NULL::VARCHAR AS {e}" for e in _ELEMENTS)},
            {sql_name("division_code|flag")} AS code_flag
        FROM {source.sql(conformed)}"""
        for source in sources
    )
    work.create(
        "divisions",
        f"""
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
        ORDER BY child.source, child.row_key""",
    )
    _break_chains(work)
    rows = work.rows(
        "SELECT problem, count(*) FROM divisions WHERE problem IS NOT NULL GROUP BY problem ORDER BY problem"
    )
    return {str(problem): int(count) for problem, count in rows}


def _break_chains(work: Workspace) -> None:
    """Mark what hangs below an unsound division, or in a circle: all that sound steps from the top do not reach."""
    # One step per level instead of a recursive query: not every engine has those.
    steps = ["reached_1 AS (SELECT division_code AS code FROM divisions WHERE problem IS NULL AND parent IS NULL)"]
    steps += [
        f"reached_{depth} AS (SELECT d.division_code AS code FROM divisions d JOIN reached_{depth - 1} above "
        "ON d.parent = above.code WHERE d.problem IS NULL)"
        for depth in range(2, LEVEL_MAX + 1)
    ]
    reached = " UNION ALL ".join(f"SELECT code FROM reached_{depth}" for depth in range(1, LEVEL_MAX + 1))
    work.create("sound", f"WITH {', '.join(steps)} SELECT DISTINCT code FROM ({reached})")
    work.create(
        "divisions",
        """
        SELECT divisions.* EXCLUDE (problem),
            CASE WHEN problem IS NULL AND code IS NULL THEN 'chain' ELSE problem END AS problem
        FROM divisions LEFT JOIN sound ON code = division_code ORDER BY source, row_key""",
    )
    work.drop("sound")
