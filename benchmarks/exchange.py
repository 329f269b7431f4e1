"""Node → hub → node over real processes and real PostgreSQL at both ends, against a binary `psql … COPY` pipe.

A hub and two node processes move one table under an agreement: read, cut, signed, hashed, uploaded, verified, recorded
as evidence, fetched, applied exactly once, receipted. The clock runs from the request until the last receipt is on
record. The pipe copies the same 12 columns between the same databases in the same run; its target has no index.
"""

import argparse
import base64
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from tests.servers import free_port, start_postgresql

from benchmarks import agreed, report
from datong.adapters.file_keys import load_or_create_signer
from datong.app.composition import Hub
from datong.exchange import ColumnMap, Task, TaskDraft, TransferMode
from datong.kernel import DepartmentCode, Settings
from datong.node import NodeHome, NodeIdentity, SourceEntry
from datong.sharing import Agreement

TABLE = "residents"
TRANSFER_SECONDS_MAX = 3000.0
POLL_SECONDS = 0.05
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
        connection.execute(f"CREATE TABLE {TABLE} ({definition})".encode())
        connection.execute(FILL.format(table=TABLE, rows=rows).encode())
        connection.execute(f"ANALYZE {TABLE}".encode())


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


def enrol(hub: Hub, folder: Path, department: DepartmentCode, database: str, *, writable: bool) -> agreed.Node:
    """Make a node's folder, enrolled and with its source."""
    home = NodeHome(folder)
    folder.mkdir()
    node = agreed.enrol(hub, department, load_or_create_signer(home.key_path))
    key = base64.b64encode(hub.signer.public_key).decode()
    home.save_identity(
        NodeIdentity(
            hub_url=hub.settings.base_url,
            node_id=node.id,
            name=folder.name,
            department=department,
            log_origin=hub.settings.log_origin,
            log_key=key,
            hub_public_key=key,
        )
    )
    home.add_source(SourceEntry(name="main", url=database, writable=writable))
    return node


def create_task(hub: Hub, agreement: Agreement, ends: Ends, chosen: argparse.Namespace) -> Task:
    """Create the task of one run, with a target table of its own."""
    incremental = chosen.mode == TransferMode.INCREMENT.value
    draft = TaskDraft(
        agreement_id=agreement.id,
        resource_id=agreement.resource_id,
        resource_version=agreement.resource_version,
        provider=agreement.provider,
        consumer=agreement.consumer,
        producer_node=ends.producer.id,
        consumer_node=ends.consumer.id,
        source="main",
        table=TABLE,
        columns=tuple(ColumnMap(column=column, item=column) for column in COLUMNS),
        key_columns=("id",),
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
    sums = []
    for url, table in ((ends.source, TABLE), (ends.target, "received")):
        with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
            sums.append(connection.execute((query % table).encode()).fetchone())
    with psycopg.connect(ends.target, autocommit=True) as connection:
        connection.execute(b"DROP TABLE received")
    if sums[0] != sums[1] or sums[0] is None or sums[0][0] != rows:
        raise RuntimeError(f"the tables differ: {sums}")


@contextmanager
def nodes(folder: Path, names: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """Run the node processes beside the block; yield their process ids by name."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                agreed.process(
                    ("datong.app.main", "node", "run", "--home", str(folder / name)), log=folder / f"{name}.log"
                )
            )
            for name in names
        }


def measure(hub: Hub, folder: Path, ends: Ends, chosen: argparse.Namespace) -> dict[str, float]:
    """Run transfers and pipes in turn, with everything running."""
    columns = [(name, None) for name in COLUMNS]
    resource = agreed.publish(hub, ends.producer, TABLE, columns)
    agreement = agreed.agree(hub, resource, ends.producer, ends.consumer)
    moved, piped = [], []
    with agreed.serving(hub.settings) as pid, nodes(folder, ("producer", "consumer")) as running:
        for _ in range(chosen.runs):
            moved.append(transfer(hub, create_task(hub, agreement, ends, chosen), chosen.rows))
            check_equal(ends, chosen.rows)
            piped.append(pipe(ends.source, ends.target))
            report.say(f"{chosen.rows} rows: {moved[-1]:.1f} s; by COPY {piped[-1]:.1f} s")
        peaks = {f"{name}_peak_rss_mb": report.peak_rss_mb(of) for name, of in {"hub": pid, **running}.items()}
    seconds, copy_seconds = report.median(moved), report.median(piped)
    return {
        "rows_per_second": report.rounded(chosen.rows / seconds),
        "copy_rows_per_second": report.rounded(chosen.rows / copy_seconds),
        "ratio_to_copy": report.rounded(copy_seconds / seconds),
        "seconds": seconds,
        "peak_rss_mb": max(peaks.values()),
        **peaks,
    }


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the table")
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows of a batch")
    parser.add_argument(
        "--mode", choices=[mode.value for mode in TransferMode], default=TransferMode.SNAPSHOT.value, help="kind of run"
    )
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows, chosen.batch_rows = 1, 5000, 2000
    with report.folder() as folder:
        server = start_postgresql()
        try:
            source, target = server.create_database(), server.create_database()
            report.say(f"filling {chosen.rows} rows")
            fill(source, chosen.rows)
            hub = Hub(Settings(home=folder / "hub", port=free_port()))
            agreed.register_departments(hub)
            ends = Ends(
                source,
                target,
                enrol(hub, folder / "producer", agreed.PROVIDER, source, writable=False),
                enrol(hub, folder / "consumer", agreed.CONSUMER, target, writable=True),
            )
            figures = measure(hub, folder, ends, chosen)
            hub.close()
        finally:
            server.stop()
    report.finish(
        "exchange",
        runs=chosen.runs,
        sizes={"rows": chosen.rows, "columns": len(COLUMNS), "batch_rows": chosen.batch_rows, "mode": chosen.mode},
        figures=figures,
    )


if __name__ == "__main__":
    main()
