"""Digesting a table by ranges: inside the database against reading it into the node, on PostgreSQL and MariaDB.

`make bench NAME=reconciliation` makes one table on each engine and times the first question (256 ranges of every row),
both ways, and the listing of one range. Ratios are those of one run.
"""

from collections.abc import Callable

from tests.integration.exchange.test_fidelity import run_mariadb, run_postgresql
from tests.servers import start_mariadb, start_postgresql

from benchmarks.report import finish, median, options, rounded, timed
from datong.adapters.connections import open_connector
from datong.exchange import Column, Comparing, RangeQuery, RangeReader, ReadQuery

ROWS = 200_000
ROWS_QUICK = 2_000
SALT = "0123456789abcdef0123456789abcdef"
NAMES = ("id", "code", "name", "amount", "born", "at")
TABLE = "CREATE TABLE t (id bigint, code varchar(18), name varchar(40), amount decimal(12,2), born date, at {moment})"
POSTGRESQL = (
    "INSERT INTO t SELECT n, lpad(n::text, 18, '0'), '人' || n, n / 100.0, DATE '1950-01-01' + n % 20000, "
    "TIMESTAMP '2026-01-01' + n * interval '1 second' FROM generate_series(1, {rows}) AS g(n)"
)
MARIADB = (
    "INSERT INTO t SELECT seq, LPAD(seq, 18, '0'), CONCAT('人', seq), seq / 100, "
    "DATE_ADD('1950-01-01', INTERVAL seq % 20000 DAY), DATE_ADD('2026-01-01', INTERVAL seq SECOND) FROM seq_1_to_{rows}"
)


def measure(work: Callable[[], object], runs: int) -> float:
    """Return the median seconds of some runs."""
    return rounded(median([timed(work)[0] for _ in range(runs)]))


def engine(url: str, runs: int) -> dict[str, float]:
    """Return the seconds of both ways on one engine, and whether they agree."""
    source = open_connector(url)
    schema = next(schema for schema in source.inspect() if schema.table == "t")
    columns: tuple[Column, ...] = schema.columns
    query = RangeQuery(table="t", columns=columns, key_columns=("id",), salt=SALT, digits=2)
    listing = query.model_copy(update={"prefixes": ("a3",), "digits": 0})
    assert isinstance(source, Comparing)

    def read() -> object:
        return RangeReader(query).ranges(source.read(ReadQuery(table="t", columns=NAMES)))

    assert source.ranges(query) == read()
    result = {
        "pushed_seconds": measure(lambda: source.ranges(query), runs),
        "read_seconds": measure(read, runs),
        "listing_seconds": measure(lambda: source.listed(listing), runs),
    }
    source.close()
    return result | {"read_to_pushed": rounded(result["read_seconds"] / result["pushed_seconds"])}


def main() -> None:
    """Run it on both engines and report."""
    asked = options(__doc__).parse_args()
    rows, runs = (ROWS_QUICK, 1) if asked.quick else (ROWS, asked.runs)
    servers = (start_postgresql(), start_mariadb())
    try:
        urls = [server.create_database() for server in servers]
        run_postgresql(urls[0], TABLE.format(moment="timestamp"), POSTGRESQL.format(rows=rows))
        run_mariadb(urls[1], TABLE.format(moment="datetime(6)"), MARIADB.format(rows=rows))
        figures = {"postgresql": engine(urls[0], runs), "mariadb": engine(urls[1], runs)}
        finish("reconciliation", sizes={"rows": rows}, figures=figures, runs=runs)
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
