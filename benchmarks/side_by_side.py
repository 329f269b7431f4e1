"""Reading one large PostgreSQL table in order, by one connection and by several that share a snapshot, against COPY.

`psql … COPY TO STDOUT > /dev/null` is what the server can do for one connection. `readers_N` reads every row in key
order with N connections, in this process, into Arrow; `n_to_one` says how much faster the most readers are than one.
Reading side by side helps where cores are free: on a machine of two the server and one reader use both.
"""

import resource
import subprocess
from collections.abc import Callable
from functools import partial

import psycopg
from tests.servers import start_postgresql

from benchmarks import report
from benchmarks.exchange import COLUMNS, TABLE, fill
from datong.adapters import PostgresqlDatabase
from datong.exchange import ReadQuery

READERS = (1, 2, 4)


def read(url: str, readers: int, rows: int) -> None:
    """Read the table in order, and see that no row lacks and none stands before its predecessor."""
    source = PostgresqlDatabase(url, readers=readers)
    last = 0
    for batch in source.read(ReadQuery(table=TABLE, columns=tuple(COLUMNS), key_columns=("id",))):
        first, end = batch["id"][0].as_py(), batch["id"][-1].as_py()
        if first != last + 1:
            raise RuntimeError(f"after row {last} came row {first}")
        last = end
    source.close()
    if last != rows:
        raise RuntimeError(f"{last} rows of {rows}")


def own() -> float:
    """Return the processor seconds of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the table")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows = 1, 2_000
    server = start_postgresql()
    try:
        url = server.create_database()
        report.say(f"filling {chosen.rows:,} rows")
        fill(url, chosen.rows)
        with psycopg.connect(url) as connection:
            row = connection.execute(b"SELECT pg_relation_size('residents') / 8192").fetchone()

        def copied() -> None:
            statement = f"COPY {TABLE} TO STDOUT (FORMAT binary)"
            subprocess.run(("psql", "-qX", url, "-c", statement), check=True, stdout=subprocess.DEVNULL)

        def spent(act: Callable[[], None]) -> tuple[float, float]:
            """Return the median seconds of some runs, and the processor seconds of reader and server per 1M rows."""
            before = report.processor_seconds(server.process.pid, family=True) + own()
            seconds = report.median([report.timed(act)[0] for _ in range(chosen.runs)])
            used = report.processor_seconds(server.process.pid, family=True) + own() - before
            return seconds, report.rounded(used / chosen.runs / chosen.rows * 1_000_000)

        figures: dict[str, float] = {}
        figures["copy_seconds"], figures["copy_processor_seconds_per_million"] = spent(copied)
        for readers in READERS:
            seconds, used = spent(partial(read, url, readers, chosen.rows))
            figures[f"readers_{readers}_seconds"] = report.rounded(seconds)
            figures[f"readers_{readers}_processor_seconds_per_million"] = used
            report.say(f"{readers} readers: {seconds:.1f} s")
        figures["n_to_one"] = report.rounded(figures["readers_1_seconds"] / figures[f"readers_{READERS[-1]}_seconds"])
    finally:
        server.stop()
    report.finish(
        "side_by_side", runs=chosen.runs, sizes={"rows": chosen.rows, "pages": row[0] if row else 0}, figures=figures
    )


if __name__ == "__main__":
    main()
