"""Which records and links are not those of the build before."""

from pathlib import Path

from datong.library.conform import ConformedSource
from datong.library.conform_changes import changes_file
from datong.library.engine import Workspace, sql_text
from datong.library.layers import CHANGED, REMOVED, table_sql
from datong.library.link import LINKS

CHANGED_RECORDS = "changed.parquet"


def write_changed_records(
    work: Workspace,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Path,
    folder: Path,
) -> None:
    """Write `changed.parquet` (source, row_key, change) into the step's `folder`: every record whose row in `conformed`
    or whose link is not that of the former build, whose links are `former`.

    A source that was conformed whole counts as changed in every row.
    """
    changed = " UNION ALL ".join(_changed_sql(source, conformed) for source in sources)
    links = table_sql(folder / LINKS)
    work.write(
        f"""
        WITH linked AS (
            SELECT coalesce(l.source, f.source) AS source, coalesce(l.row_key, f.row_key) AS row_key
            FROM {links} l FULL JOIN {table_sql(former)} f
            ON l.source = f.source AND l.row_key = f.row_key WHERE l IS DISTINCT FROM f
        ), touched AS (SELECT source, row_key FROM linked UNION {changed})
        SELECT touched.source, touched.row_key,
            CASE WHEN l.row_key IS NULL THEN {sql_text(REMOVED)} ELSE {sql_text(CHANGED)} END AS change
        FROM touched LEFT JOIN {links} l
        ON l.source = touched.source AND l.row_key = touched.row_key ORDER BY touched.source, touched.row_key""",
        folder / CHANGED_RECORDS,
    )


def _changed_sql(source: ConformedSource, conformed: Path) -> str:
    path = conformed / changes_file(source)
    rows = f"read_parquet({sql_text(str(path))})" if path.exists() else source.sql(conformed)
    return f"SELECT {source.number} AS source, row_key FROM {rows}"
