"""Node → hub → node over real processes and real PostgreSQL at both ends, against a binary `psql … COPY` pipe and dlt.

A hub and two node processes move one table under an agreement: read, cut, signed, hashed, uploaded, verified, recorded
as evidence, fetched, applied exactly once, receipted. The clock runs from the request, made when both nodes have
reported, until the last receipt is on record. The pipe copies the same 12 columns between the same databases in the
same run; its target has no index. After each transfer both tables are compared row by row. `--sizes` measures several
sizes, each with fresh processes; the headline figures are those of `--rows`. Processor seconds are counted per process:
they hardly depend on who else uses the machine.
"""

import argparse
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from tests.free_ports import free_port
from tests.servers import start_postgresql

from benchmarks import agreed, dlt_peer, report
from benchmarks.exchange_stages import stages
from datong.app.hub import Hub
from datong.exchange import Task, TransferMode
from datong.kernel import Settings
from datong.sharing import Agreement

TABLE = "residents"
TRANSFER_SECONDS_MAX = 3000.0
POLL_SECONDS = 0.1
RUNS_ROWS_MAX = 10_000_000
"""Larger tables are moved once."""
DLT_ROWS_MAX = 5_000_000
STAGES_ROWS = 350_000
"""About a batch."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MODES = (TransferMode.SNAPSHOT, TransferMode.INCREMENT)
COLUMNS = {
    "id": "bigint PRIMARY KEY",
    "name": "text",
    "citizen_id": "varchar(18)",
    "sex": "smallint",
    "birth": "date",
    "phone": "varchar(20)",
    "address": "text",
    "income": "numeric(12,2)",
    "balance": "numeric(18,4)",
    "score": "double precision",
    "active": "boolean",
    "changed": "timestamptz",
}
FILL = """
INSERT INTO {table} SELECT n, '张' || chr(19968 + (n % 5000)::int) || chr(20000 + (n % 3000)::int),
  lpad((n * 7919 % 1000000000000000000)::text, 18, '0'), (n % 2 + 1)::smallint, date '1950-01-01' + (n % 25000)::int,
  '139' || lpad((n % 100000000)::text, 8, '0'), '广东省示例市禅城区祖庙街道汾江路' || n % 900 || '号' || n % 30 || '栋',
  (n % 900000) / 7.0, (n % 90000000) / 11.0, n / 3.0, n % 3 = 0, timestamptz '2026-01-01 00:00:00Z' + n * interval '1 s'
FROM generate_series(1::bigint, {rows}) AS n
"""


class Ends(NamedTuple):
    """The two databases, and what the hub knows of the nodes beside them."""

    source: str
    target: str
    producer: agreed.Node
    consumer: agreed.Node


def fill(url: str, rows: int) -> None:
    """Create the source table."""
    definition = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}".encode())
        connection.execute(f"CREATE TABLE {TABLE} ({definition})".encode())
        connection.execute(FILL.format(table=TABLE, rows=rows).encode())
        connection.execute(f"VACUUM ANALYZE {TABLE}".encode())


def pipe(source: str, target: str) -> float:
    """Copy the table by psql into a new one without index; return the seconds."""
    definition = ", ".join(f"{name} {kind.removesuffix(' PRIMARY KEY')}" for name, kind in COLUMNS.items())
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(b"DROP TABLE IF EXISTS piped")
        connection.execute(f"CREATE TABLE piped ({definition})".encode())
    out = f"COPY {TABLE} TO STDOUT (FORMAT binary)"
    into = "COPY piped FROM STDIN (FORMAT binary)"
    command = f"set -o pipefail; psql -qX {shlex.quote(source)} -c {shlex.quote(out)} | "
    command += f"psql -qX {shlex.quote(target)} -c {shlex.quote(into)}"
    return report.timed(lambda: subprocess.run(("bash", "-c", command), check=True))[0]


def create_task(hub: Hub, agreement: Agreement, ends: Ends, chosen: argparse.Namespace) -> Task:
    """Create the task of one run, with a target table of its own."""
    incremental = chosen.mode == TransferMode.INCREMENT.value
    draft = agreed.draft(
        agreement,
        ends.producer,
        ends.consumer,
        TABLE,
        tuple(COLUMNS),
        cursor_column="changed" if incremental else None,
        target_table="received",
        mode=TransferMode(chosen.mode),
        batch_rows=chosen.batch_rows,
    )
    return hub.services.exchange.create_task(draft, actor=agreed.officer(agreement.consumer))


def transfer(hub: Hub, task: Task, rows: int) -> float:
    """Request a run and wait until every batch of it has its receipt; return the seconds.

    Raises:
        RuntimeError: rows were rejected or lost, or it takes too long.
    """
    exchange = hub.services.exchange
    started = time.perf_counter()
    exchange.request_run(task.id, actor=agreed.officer(task.consumer))
    while time.perf_counter() - started < TRANSFER_SECONDS_MAX:
        progress = exchange.progress(task.id)
        done = exchange.task(task.id).run_done == 1 and progress.receipted_batches == progress.batches
        if done:
            if progress.rows_applied != rows:
                raise RuntimeError(f"{progress.rows_applied} of {rows} rows arrived")
            return time.perf_counter() - started
        time.sleep(POLL_SECONDS)
    raise RuntimeError("the transfer did not end in time")


def check_equal(ends: Ends, rows: int) -> None:
    """Compare what arrived with what was sent, row by row, and remove it.

    Raises:
        RuntimeError: they differ.
    """
    names = ", ".join(COLUMNS)
    query = f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM (SELECT {names} FROM %s) t"

    def summed(url: str, table: str) -> tuple[object, ...] | None:
        with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
            return connection.execute((query % table).encode()).fetchone()

    with ThreadPoolExecutor(2) as pool:
        sums = list(pool.map(summed, (ends.source, ends.target), (TABLE, "received")))
    with psycopg.connect(ends.target, autocommit=True) as connection:
        connection.execute(b"DROP TABLE received")
    if sums[0] != sums[1] or sums[0] is None or sums[0][0] != rows:
        raise RuntimeError(f"the tables differ: {sums}")


def processor_seconds(pids: Mapping[str, int], server: int) -> dict[str, float]:
    """Return the processor seconds that each process has used, and those of the database server with its children."""
    used = {name: _ticks(pid)[0] for name, pid in pids.items()}
    used["postgresql"] = sum(_ticks(server))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == server:
                    used["postgresql"] += _ticks(int(entry.name))[0]
    return {name: ticks / TICKS_PER_SECOND for name, ticks in used.items()}


def _ticks(pid: int) -> tuple[int, int]:
    """Return the clock ticks that a process used itself, and those of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


@contextmanager
def nodes(hub: Hub, folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """Run the node processes beside the block, once the hub has heard from each; yield their process ids by name."""
    started = datetime.now(UTC)
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                agreed.process(
                    ("datong.app.main", "node", "run", "--home", str(folder / name)), log=folder / f"{name}.log"
                )
            )
            for name in names
        }
        until = time.monotonic() + agreed.START_SECONDS_MAX
        while sum((node.last_seen_at or started) > started for node in hub.services.identity.nodes()) < len(names):
            if time.monotonic() > until:
                raise RuntimeError("the nodes did not report in time")
            time.sleep(POLL_SECONDS)
        yield running


def measure(
    hub: Hub, folder: Path, ends: Ends, agreement: Agreement, server: int, chosen: argparse.Namespace, rows: int
) -> report.Figures:
    """Fill the table with `rows` rows; run transfers and pipes in turn with fresh processes; then the peer."""
    report.say(f"filling {rows:,} rows")
    fill(ends.source, rows)
    moved, piped, used = [], [], dict[str, float]()
    with agreed.serving(hub.settings) as pid, nodes(hub, folder, ("producer", "consumer")) as running:
        pids = {"hub": pid, **running}
        for number in range(chosen.runs if rows <= RUNS_ROWS_MAX else 1):
            before = processor_seconds(pids, server)
            moved.append(transfer(hub, create_task(hub, agreement, ends, chosen), rows))
            after = processor_seconds(pids, server)
            used = {name: report.rounded(after[name] - before[name]) for name in after}
            check_equal(ends, rows)
            piped.append(pipe(ends.source, ends.target))
            report.say(
                f"{rows:,} rows, run {number + 1}: {moved[-1]:.1f} s; by COPY {piped[-1]:.1f} s; processor seconds "
                + ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items())
            )
        peaks = {f"{name}_peak_rss_mb": report.peak_rss_mb(of) for name, of in pids.items()}
    with psycopg.connect(ends.source, autocommit=True) as connection:
        # Of a reader that is left early it would be counted how far ahead it had read.
        connection.execute(f"CREATE TABLE staged AS SELECT * FROM {TABLE} LIMIT {STAGES_ROWS}; ANALYZE staged".encode())
        connection.execute(b"ALTER TABLE staged ADD PRIMARY KEY (id)")
    staged = stages(ends.source, ends.target, "staged", folder)
    with psycopg.connect(ends.source, autocommit=True) as connection:
        connection.execute(b"DROP TABLE staged")
    with psycopg.connect(ends.target, autocommit=True) as connection:
        connection.execute(b"DROP TABLE stages; DELETE FROM _datong_applied WHERE task_id = 'stages'")
    report.say(
        "processor seconds per 1M rows by stage: " + ", ".join(f"{name} {spent}" for name, spent in staged.items())
    )
    seconds, copy_seconds = report.median(moved), report.median(piped)
    figures: dict[str, report.Figure] = {
        "rows_per_second": report.rounded(rows / seconds),
        "copy_rows_per_second": report.rounded(rows / copy_seconds),
        "ratio_to_copy": report.rounded(copy_seconds / seconds),
        "seconds": seconds,
        "seconds_from": report.rounded(min(moved)),
        "seconds_to": report.rounded(max(moved)),
        "peak_rss_mb": max(peaks.values()),
        **peaks,
        **{f"{name}_processor_seconds": spent for name, spent in used.items()},
        **staged,
    }
    if chosen.peer == "dlt" and rows <= DLT_ROWS_MAX:
        dlt_seconds = dlt_peer.copy(ends.source, ends.target, TABLE)
        report.say(f"{rows:,} rows by dlt: {dlt_seconds:.1f} s")
        figures["dlt_rows_per_second"] = report.rounded(rows / dlt_seconds)
        figures["ratio_to_dlt"] = report.rounded(dlt_seconds / seconds)
        with psycopg.connect(ends.target, autocommit=True) as connection:
            connection.execute(b"DROP SCHEMA IF EXISTS dlt_peer CASCADE")
            connection.execute(b"DROP SCHEMA IF EXISTS dlt_peer_staging CASCADE")
    return figures


def options() -> argparse.Namespace:
    """Return what was asked for; `sizes` holds every size to measure, smallest first."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table: the headline figures")
    parser.add_argument("--sizes", default="", help="further sizes, with commas between, to see how cost grows")
    parser.add_argument("--batch-rows", type=int, default=500_000, help="most rows of a batch")
    parser.add_argument(
        "--mode", choices=[mode.value for mode in MODES], default=TransferMode.SNAPSHOT.value, help="kind of run"
    )
    parser.add_argument("--peer", choices=["none", "dlt"], default="dlt", help="the tool to compare with")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows, chosen.sizes, chosen.batch_rows, chosen.peer = 1, 5000, "", 2000, "none"
    chosen.sizes = sorted({chosen.rows, *(int(size) for size in chosen.sizes.split(",") if size)})
    return chosen


def main() -> None:
    """Run the benchmark."""
    chosen = options()
    with report.folder() as folder:
        server = start_postgresql()
        try:
            source, target = server.create_database(), server.create_database()
            hub = Hub(Settings(home=folder / "hub", port=free_port()))
            agreed.register_departments(hub)
            ends = Ends(
                source,
                target,
                agreed.enrol_folder(hub, folder / "producer", agreed.PROVIDER, source, writable=False),
                agreed.enrol_folder(hub, folder / "consumer", agreed.CONSUMER, target, writable=True),
            )
            resource = agreed.publish(hub, ends.producer, TABLE, [(name, None) for name in COLUMNS])
            agreement = agreed.agree(hub, resource, ends.producer, ends.consumer)
            by_size = {
                rows: measure(hub, folder, ends, agreement, server.process.pid, chosen, rows) for rows in chosen.sizes
            }
            hub.close()
        finally:
            server.stop()
    speeds = [float(str(figures["rows_per_second"])) for figures in by_size.values()]
    peaks = [int(str(figures["peak_rss_mb"])) for figures in by_size.values()]
    report.finish(
        "exchange",
        runs=chosen.runs,
        sizes={"rows": chosen.rows, "columns": len(COLUMNS), "batch_rows": chosen.batch_rows, "mode": chosen.mode},
        figures={
            **by_size[chosen.rows],
            "peak_rss_mb": max(peaks),
            "linearity": report.rounded(speeds[-1] / speeds[0]),
            **{f"at_{rows}": figures for rows, figures in by_size.items() if len(by_size) > 1},
        },
    )


if __name__ == "__main__":
    main()
