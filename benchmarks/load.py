"""A realistic mix of gateway calls on one, two and four hub processes over one PostgreSQL, for minutes.

Of the calls 80 % verify, 15 % query, 5 % are bulk (20 verifications in one call, each decided and recorded by itself),
about one resource among a catalogue and agreements of the sizes given. Every number of processes gets the same time.

`requests_per_second` is that of the fastest, `scaling` the rate of each number of processes by that of the first. On a
machine that others use, too, the clock says little: `cpu_ms` is the processor time of all hubs per request,
`control_cpu_ms` that of the database server, `caller_cpu_ms` that of the load generator, all on the same cores.
`control_bytes` is what the control database grew by per request. `memory_mb_per_hour` is the slope of the hubs' memory
after the first fifth of the time, the worst process; a run of less than half an hour shows caches that fill, not
leaks. `errors` counts every answer other than 200.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from tests.catalogue_filling import fill
from tests.catalogue_multiplying import multiply
from tests.free_ports import free_port
from tests.servers import start_postgresql

from benchmarks import agreed, report
from benchmarks.gateway import (
    TOKEN_SECONDS,
    World,
    add_agreements,
    bodies_of,
    of_control,
    prepare,
    strangers,
    token_of,
)
from benchmarks.mixed_calling import MixedLoad, MixedOutcome, milliseconds
from datong.app.hub import Hub
from datong.catalogue import recount
from datong.kernel import Database, Settings

SHARES = {"verify": 0.80, "query": 0.15, "bulk": 0.05}
BULK_SUBJECTS = 20
LOOK_SECONDS = 2.0
FILLED_MAX = 100_000
"""Resources that are made one by one; more are copies of them."""
WARM_SHARE = 0.2
WARM_UP_SECONDS = 2.0


class Memory:
    """Looks at the resident memory of processes, in MB, while they are under load."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._seen: dict[int, list[tuple[float, float]]] = {pid: [] for pid in pids}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory")
        self._thread.start()

    def slope_mb_per_hour(self) -> float:
        """Stop looking; return how fast the memory of the worst process grew once it was warm."""
        self._over.set()
        self._thread.join()
        return max(_slope(seen[int(len(seen) * WARM_SHARE) :]) for seen in self._seen.values()) * 3600

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for pid in self._pids:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
                self._seen[pid].append((time.monotonic(), kibibytes * 1024 / 1e6))


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares; 0 for fewer than three points."""
    if len(points) < 3:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


class Measured(NamedTuple):
    """What one number of processes did."""

    rate: float
    figures: dict[str, report.Figure]
    errors: int
    peak_rss_mb: int
    slope: float


def load_of(world: World, ports: Sequence[int], connections: int, seconds: float) -> MixedLoad:
    """Return the mix of calls."""
    path = f"/gateway/v1/{world.agreement.resource_id}"
    subjects = [{"key": {"citizen_id": citizen_id}, "claims": claims} for citizen_id, claims in world.people]
    bulk = [
        json.dumps(
            {
                "subjects": subjects[start : start + BULK_SUBJECTS],
                "purpose": agreed.SERVICE_ITEM,
                "case_number": f"RX-{start:06}",
            },
            ensure_ascii=False,
        )
        for start in range(0, len(subjects) - BULK_SUBJECTS + 1, BULK_SUBJECTS)
    ]
    kinds = {
        "verify": (SHARES["verify"], f"{path}/verify", bodies_of(world, "verify")),
        "query": (SHARES["query"], f"{path}/query", bodies_of(world, "query")),
        "bulk": (SHARES["bulk"], f"{path}/verify/batch", bulk),
    }
    return MixedLoad(ports, world.token, kinds, connections, seconds, seed=1)


def run(load: MixedLoad) -> MixedOutcome:
    """Run a load in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.mixed_calling")
    done = subprocess.run(command, input=json.dumps(load._asdict()), capture_output=True, text=True, check=True)
    return MixedOutcome(**json.loads(done.stdout))


def measure(settings: Settings, world: World, processes: int, chosen: argparse.Namespace, control: int) -> Measured:
    """Return what `processes` hubs do under the load."""
    with ExitStack() as stack:
        # Preparing, and what was measured before, may have taken longer than a token holds.
        with closing(Hub(settings)) as hub:
            world = world._replace(token=token_of(hub))
        ports = [free_port() for _ in range(processes)]
        each = [settings.model_copy(update={"port": port}) for port in ports]
        pids = [stack.enter_context(agreed.serving(one)) for one in each]
        load = load_of(world, ports, chosen.connections, 60 * chosen.minutes)
        run(load._replace(seconds=min(WARM_UP_SECONDS, load.seconds)))
        before = [report.processor_seconds(pid) for pid in pids]
        control_before, caller_before = of_control(control), _children_seconds()
        memory, bytes_before = Memory(pids), control_bytes(settings)
        outcome = run(load)
        slope = memory.slope_mb_per_hour()
        spent = sum(report.processor_seconds(pid) for pid in pids) - sum(before)
        requests = sum(sum(counts.values()) for counts in outcome.counts.values())
        figures: dict[str, report.Figure] = {
            "requests_per_second": report.rounded(requests / outcome.seconds),
            "requests": requests,
            "cpu_ms": report.rounded(1000 * spent / requests),
            "control_cpu_ms": report.rounded(1000 * (of_control(control) - control_before) / requests),
            "caller_cpu_ms": report.rounded(1000 * (_children_seconds() - caller_before) / requests),
            "control_bytes": report.rounded((control_bytes(settings) - bytes_before) / requests),
            "memory_mb_per_hour": report.rounded(slope),
            "peak_rss_mb": max(report.peak_rss_mb(pid) for pid in pids),
            "errors": sum(outcome.failed.values()),
        }
        for kind, counts in outcome.counts.items():
            for share in (0.5, 0.99):
                figures[f"{kind}_p{share * 100:.0f}_ms"] = report.rounded(milliseconds(counts, share))
        report.say(f"{processes} processes: {figures}, failed {dict(outcome.failed)}")
        errors, peak = sum(outcome.failed.values()), max(report.peak_rss_mb(pid) for pid in pids)
        return Measured(requests / outcome.seconds, figures, errors, peak, slope)


def control_bytes(settings: Settings) -> int:
    """Return how large the control database is."""
    database = Database(settings.effective_database_url)
    try:
        with database.snapshot() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    finally:
        database.close()


def _children_seconds() -> float:
    """Return the processor time of this process's children that have ended: the load generators."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def grow(settings: Settings, world: World, chosen: argparse.Namespace) -> None:
    """Put the resource among a catalogue, and its agreement among agreements, of the sizes asked for."""
    hub = Hub(settings)
    try:
        add_agreements(hub.database, world.agreement, strangers(chosen.agreements - 1))
        fill_catalogue(hub, chosen.catalogue)
    finally:
        hub.close()


def fill_catalogue(hub: Hub, catalogue: int) -> None:
    """Fill a catalogue, and do the work that follows, which would be measured otherwise: ratings, index, log."""
    copies = max(-(-catalogue // FILLED_MAX), 1)
    if catalogue:
        filled = -(-catalogue // copies)
        report.say(f"filling a catalogue of {filled}")
        fill(hub.database, hub.services.pack, filled)
    while hub.services.quality.refresh():
        pass
    for number in multiply(hub.database, copies):
        report.say(f"{number} of {copies} copies of it")
    recount(hub.database)
    report.say("letting the hub settle")
    with hub.database.transaction() as connection:
        connection.execute(text("ANALYZE"))
    while hub.services.catalogue.discovery.keep_up() or hub.services.quality.refresh():
        pass
    while hub.services.ledger.integrate():
        pass


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--processes", default="1,2,4", help="numbers of hub processes, each measured in turn")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the run of each number of processes")
    parser.add_argument("--connections", type=int, default=32, help="connections that call at once, over all processes")
    parser.add_argument("--people", type=int, default=20_000, help="people of the generated city")
    parser.add_argument("--catalogue", type=int, default=100_000, help="resources besides it; over 100,000, copies")
    parser.add_argument("--agreements", type=int, default=2000, help="agreements about it, the callers' included")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.processes, chosen.minutes, chosen.people = "1", 0.01, 100
        chosen.catalogue, chosen.agreements, chosen.connections = 50, 20, 4
    numbers = [int(number) for number in chosen.processes.split(",")]
    with report.folder() as folder, ExitStack() as stack:
        server = start_postgresql(durable=True)
        stack.callback(server.stop)
        settings = Settings(
            home=folder / "hub",
            database_url=report.postgresql_url(server.create_database()),
            # One address for all, as behind a balancer: tokens name it.
            public_url="http://127.0.0.1",
            token_seconds=TOKEN_SECONDS,
        )
        report.say(f"preparing a city of {chosen.people}")
        world = prepare(settings, folder, chosen.people)
        grow(settings, world, chosen)
        measured = {number: measure(settings, world, number, chosen, server.process.pid) for number in numbers}
    first = measured[numbers[0]].rate
    report.finish(
        "load",
        runs=1,
        sizes={
            "minutes": chosen.minutes,
            "connections": chosen.connections,
            "people": chosen.people,
            "catalogue": chosen.catalogue,
            "agreements": chosen.agreements,
            "cores": os.cpu_count(),
        },
        figures={
            "requests_per_second": report.rounded(max(one.rate for one in measured.values())),
            "errors": sum(one.errors for one in measured.values()),
            "memory_mb_per_hour": report.rounded(max(one.slope for one in measured.values())),
            "peak_rss_mb": max(one.peak_rss_mb for one in measured.values()),
            "scaling": {str(number): report.rounded(one.rate / first) for number, one in measured.items()},
            **{f"processes_{number}": one.figures for number, one in measured.items()},
        },
    )


if __name__ == "__main__":
    main()
