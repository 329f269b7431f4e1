"""Change capture over real processes: how many changes a second last, and how old a change is when it has arrived.

A hub, two node processes and PostgreSQL at both ends; a task of the mode CAPTURE that follows one table of 12 columns.
First a backlog of changes (inserts, updates and deletes in transactions of 100) is written as fast as the server can,
and timed until the last one has its receipt. Then changes come at a steady rate, and each one's age is read in the
target the moment it is seen there (every 25 ms).
"""

import argparse
import threading
import time
from pathlib import Path

import psycopg
from tests.free_ports import free_port
from tests.servers import start_postgresql

from benchmarks import agreed, report
from benchmarks.exchange import COLUMNS, TABLE, Ends, fill, nodes
from datong.app.hub import Hub
from datong.exchange import Task, TransferMode
from datong.kernel import Settings
from datong.sharing import Agreement

SECONDS_MAX = 900.0
POLL_SECONDS = 0.025
TRANSACTION_ROWS = 100
SHARES = (0.5, 0.95, 0.99)
BACKLOG = f"""
DO $$ BEGIN FOR n IN 0..{{transactions}} - 1 LOOP
  IF n % 4 < 2 THEN
    INSERT INTO {TABLE} SELECT {{first}} + n * {TRANSACTION_ROWS} + k, '张', '4406', 1, date '1990-01-01', '139',
      '佛山市', k, k, k / 3.0, true, clock_timestamp() FROM generate_series(1, {TRANSACTION_ROWS}) AS k;
  ELSIF n % 4 = 2 THEN
    UPDATE {TABLE} SET balance = balance + 1 WHERE id > (n * {TRANSACTION_ROWS}) % {{rows}}
      AND id <= (n * {TRANSACTION_ROWS}) % {{rows}} + {TRANSACTION_ROWS};
  ELSE
    DELETE FROM {TABLE} WHERE id > {{first}} + (n - 3) * {TRANSACTION_ROWS}
      AND id <= {{first}} + (n - 2) * {TRANSACTION_ROWS};
  END IF;
  COMMIT;
END LOOP; END $$
"""
"""The update of one transaction must not run over the end of the table: its rows are a multiple of a transaction's."""
STEADY = f"""
INSERT INTO {TABLE} SELECT {{first}} + k, '李', '4406', 2, date '1990-01-01', '139', '佛山市', k, k, k / 3.0, true,
  clock_timestamp() FROM generate_series(1, {{count}}) AS k
"""


def create_task(hub: Hub, agreement: Agreement, ends: Ends, chosen: argparse.Namespace) -> Task:
    """Create the task that follows the table, and let it begin."""
    draft = agreed.draft(
        agreement,
        ends.producer,
        ends.consumer,
        TABLE,
        tuple(COLUMNS),
        target_table="received",
        mode=TransferMode.CAPTURE,
        batch_rows=chosen.batch_rows,
    )
    task = hub.services.exchange.create_task(draft, actor=agreed.officer(agreement.consumer))
    return hub.services.exchange.request_run(task.id, actor=agreed.officer(agreement.consumer))


def wait_for(hub: Hub, task: Task, changes: int) -> float:
    """Wait until this many rows have receipts; return the moment.

    Raises:
        RuntimeError: rows were rejected, or it takes too long.
    """
    ends = time.perf_counter() + SECONDS_MAX
    while time.perf_counter() < ends:
        progress = hub.services.exchange.progress(task.id)
        if progress.rows_rejected:
            raise RuntimeError(f"{progress.rows_rejected} rows were rejected")
        if progress.rows_applied >= changes:
            return time.perf_counter()
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"only {hub.services.exchange.progress(task.id).rows_applied} of {changes} changes arrived")


def sustained(hub: Hub, task: Task, ends: Ends, chosen: argparse.Namespace, first: int) -> tuple[float, int]:
    """Write the backlog; return the changes a second until the last receipt, and how many there were."""
    before = hub.services.exchange.progress(task.id).rows_applied
    transactions = chosen.changes // TRANSACTION_ROWS // 4 * 4
    started = time.perf_counter()
    with psycopg.connect(ends.source, autocommit=True) as connection:
        statement = BACKLOG.format(transactions=transactions, first=first, rows=chosen.rows)
        connection.execute(statement.encode())
    written = time.perf_counter() - started
    changes = transactions * TRANSACTION_ROWS
    seconds = wait_for(hub, task, before + changes) - started
    report.say(f"{changes} changes in {seconds:.1f} s (written in {written:.1f} s)")
    return changes / seconds, changes


def ages(ends: Ends, chosen: argparse.Namespace, first: int) -> list[float]:
    """Write changes at the steady rate; return the age in seconds of each when it was seen in the target."""
    seconds, rate, step = chosen.seconds, chosen.rate, 0.05
    count = max(1, int(rate * step))
    total = int(seconds / step)

    def write() -> None:
        begin = time.perf_counter()
        with psycopg.connect(ends.source, autocommit=True) as connection:
            for number in range(total):
                time.sleep(max(0.0, begin + number * step - time.perf_counter()))
                connection.execute(STEADY.format(first=first + number * count, count=count).encode())

    writer = threading.Thread(target=write)
    writer.start()
    found: list[float] = []
    seen = first
    stop_at = time.perf_counter() + seconds + SECONDS_MAX
    with psycopg.connect(ends.target, autocommit=True) as connection:
        while len(found) < total * count and time.perf_counter() < stop_at:
            rows = connection.execute(
                b"SELECT id, extract(epoch FROM clock_timestamp() - changed)::float8 FROM received WHERE id > %s",
                (seen,),
            ).fetchall()
            found += [float(str(age)) for _, age in rows]
            seen = max([seen, *(int(str(number)) for number, _ in rows)])
            time.sleep(POLL_SECONDS)
    writer.join()
    if len(found) < total * count:
        raise RuntimeError(f"only {len(found)} of {total * count} changes arrived")
    return found


def check_equal(ends: Ends) -> None:
    """Compare both tables row by row.

    Raises:
        RuntimeError: they differ.
    """
    names = ", ".join(COLUMNS)
    query = f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM (SELECT {names} FROM %s) t"
    sums = []
    for url, table in ((ends.source, TABLE), (ends.target, "received")):
        with psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
            sums.append(connection.execute((query % table).encode()).fetchone())
    if sums[0] != sums[1]:
        raise RuntimeError(f"the tables differ: {sums}")


def measure(hub: Hub, folder: Path, ends: Ends, chosen: argparse.Namespace) -> dict[str, float]:
    """Follow one table: a backlog per run, then the steady rate."""
    resource = agreed.publish(hub, ends.producer, TABLE, [(name, None) for name in COLUMNS])
    agreement = agreed.agree(hub, resource, ends.producer, ends.consumer)
    with agreed.serving(hub.settings) as pid, nodes(hub, folder, ("producer", "consumer")) as running:
        task = create_task(hub, agreement, ends, chosen)
        wait_for(hub, task, chosen.rows)
        report.say(f"copied {chosen.rows} rows")
        rates, first = [], chosen.rows * 10
        for _ in range(chosen.runs):
            rate, changes = sustained(hub, task, ends, chosen, first)
            rates.append(rate)
            first += changes * 2
        found = ages(ends, chosen, first)
        check_equal(ends)
        peaks = {f"{name}_peak_rss_mb": report.peak_rss_mb(of) for name, of in {"hub": pid, **running}.items()}
    p50, p95, p99 = (report.rounded(report.percentile(found, share)) for share in SHARES)
    report.say(f"age at {chosen.rate} changes/s: p50 {p50} s, p95 {p95} s")
    return {
        "changes_per_second": report.median(rates),
        "age_p50_seconds": p50,
        "age_p95_seconds": p95,
        "age_p99_seconds": p99,
        "peak_rss_mb": max(peaks.values()),
        **peaks,
    }


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table at the beginning")
    parser.add_argument("--changes", type=int, default=200_000, help="changes of one backlog")
    parser.add_argument("--rate", type=int, default=1000, help="changes a second while ages are taken")
    parser.add_argument("--seconds", type=int, default=30, help="how long ages are taken")
    parser.add_argument("--batch-rows", type=int, default=20_000, help="rows of a batch, at most")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows, chosen.changes, chosen.seconds = 1, 2000, 2000, 2
    with report.folder() as folder:
        server = start_postgresql()
        try:
            source, target = server.create_database(), server.create_database()
            fill(source, chosen.rows)
            with psycopg.connect(source, autocommit=True) as connection:
                connection.execute(f"ALTER TABLE {TABLE} REPLICA IDENTITY FULL".encode())
            hub = Hub(Settings(home=folder / "hub", port=free_port()))
            agreed.register_departments(hub)
            ends = Ends(
                source,
                target,
                agreed.enrol_folder(hub, folder / "producer", agreed.PROVIDER, source, writable=False),
                agreed.enrol_folder(hub, folder / "consumer", agreed.CONSUMER, target, writable=True),
            )
            figures = measure(hub, folder, ends, chosen)
            hub.close()
        finally:
            server.stop()
    report.finish(
        "capture",
        runs=chosen.runs,
        sizes={
            "rows": chosen.rows,
            "changes": chosen.changes,
            "rate": chosen.rate,
            "seconds": chosen.seconds,
            "columns": len(COLUMNS),
            "batch_rows": chosen.batch_rows,
        },
        figures=figures,
    )


if __name__ == "__main__":
    main()
