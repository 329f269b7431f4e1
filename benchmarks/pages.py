"""Every page of the console and the portal on a grown city: how long the server takes, and which page takes longest.

The city of the console's tests grows by a catalogue, agreements and log entries of the sizes given, on PostgreSQL; a
real hub process serves it, and waits until its background work is done. Each page that the browser tests look at is
asked for by the account that looks at it, `--runs` times after a first time: `first_ms` is the longest first time, with
nothing kept, a page's own time the median of the others, from the request to the last byte on one connection.
`pages_ms` is the median page, `p95_ms` and `slowest_ms` say what they say, `slow` names the pages over half a second
and `over_200` those over a fifth, with their milliseconds; `slow_cpu` names those with over a tenth of a second of the
hub's processor, which says more on a machine that others use, too. The physical limit is a file by the same server,
`file_ms`.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from typing import NamedTuple

import httpx
from tests.catalogue_filling import publishers
from tests.free_ports import free_port
from tests.integration.console.city import PASSWORD, ConsoleCity
from tests.integration.console.conftest import ServedCity
from tests.integration.console.test_pages import paths
from tests.servers import start_postgresql

from benchmarks import agreed, report
from benchmarks.gateway import add_agreements
from benchmarks.ledger import integrate, together
from benchmarks.load import FILLED_MAX, fill_catalogue
from datong.app.hub import Hub
from datong.kernel import AgreementId, Database, Settings

GOAL_MS, GOAL_GROWN_MS = 200.0, 500.0
FILE = "/static/app.css"
IDLE_SHARE = 0.05
LOOK_SECONDS = 2.0
SETTLE_SECONDS_MAX = 1800.0
ENTRIES_AT_ONCE = 10_000


def grow(settings: Settings, agreement: AgreementId, chosen: argparse.Namespace) -> None:
    """Bring the city's hub to the sizes asked for."""
    hub = Hub(settings)
    try:
        if chosen.catalogue:
            fill_catalogue(hub, chosen.catalogue)
        consumers = [one.code for one in publishers(60)] if chosen.catalogue else []
        add_agreements(
            hub.database, hub.services.agreements.get(agreement), islice(cycle(consumers), chosen.agreements)
        )
        for start in range(0, chosen.entries, ENTRIES_AT_ONCE):
            together(hub, min(ENTRIES_AT_ONCE, chosen.entries - start), 500)
            integrate(hub.services.ledger)
            if start % 500_000 == 0:
                report.say(f"{start} of {chosen.entries} entries")
        integrate(hub.services.ledger)
    finally:
        hub.close()


def wait_idle(pid: int) -> None:
    """Return once the process has next to nothing to do."""
    until = time.monotonic() + SETTLE_SECONDS_MAX
    spent = report.processor_seconds(pid)
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        before, spent = spent, report.processor_seconds(pid)
        if spent - before < IDLE_SHARE * LOOK_SECONDS:
            return
    report.say("the hub still has work to do")


class Visits(NamedTuple):
    """Milliseconds of a page: the first visit, each later one, and the processor's mean of the later ones."""

    first: float
    later: list[float]
    cpu: float


def browse(url: str, pid: int, username: str, addresses: Iterable[str], runs: int) -> dict[str, Visits]:
    """Return how long each page took, by address, as an account that has signed in.

    Raises:
        RuntimeError: a page was not answered with 200.
    """
    found: dict[str, Visits] = {}
    with httpx.Client(base_url=url, timeout=120, trust_env=False, headers={"Origin": url}) as client:
        if username:
            signed_in = client.post("/api/v1/session", json={"username": username, "password": PASSWORD})
            signed_in.raise_for_status()
        for address in addresses:
            first = _visit(client, address)
            before = report.processor_seconds(pid)
            later = [_visit(client, address) for _ in range(runs)]
            found[address] = Visits(first, later, (report.processor_seconds(pid) - before) * 1000 / runs)
    return found


def _visit(client: httpx.Client, address: str) -> float:
    seconds, answer = report.timed(partial(client.get, address))
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"{address}: {answer.status_code}")
    return seconds * 1000


def measure(
    url: str, pid: int, pages: dict[str, list[str]], runs: int
) -> dict[str, report.Figure | dict[str, report.Figure]]:
    """Return the figures of every page."""
    first: dict[str, float] = {}
    later: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for username, addresses in pages.items():
        for address, visits in browse(url, pid, username, addresses, runs).items():
            name = f"{username or 'visitor'} {address}"
            first[name], later[name] = report.rounded(visits.first), report.median(visits.later)
            cpu[name] = report.rounded(visits.cpu)
        report.say(f"{username or 'visitor'}: {len(addresses)} pages")
    files = browse(url, pid, "", [FILE], 20)[FILE].later
    slowest = max(later, key=later.__getitem__)
    return {
        "pages": len(later),
        "pages_ms": report.median(list(later.values())),
        "p95_ms": report.rounded(report.percentile(list(later.values()), 0.95)),
        "slowest_ms": later[slowest],
        "slowest": slowest,
        "first_ms": max(first.values()),
        "file_ms": report.median(files),
        "slow": _over(later, GOAL_GROWN_MS),
        "slow_first": _over(first, GOAL_GROWN_MS),
        "over_200": _over(later, GOAL_MS),
        "slow_cpu": _over(cpu, GOAL_MS / 2),
    }


def _over(times: dict[str, float], most: float) -> dict[str, report.Figure]:
    names: Sequence[str] = sorted(times, key=times.__getitem__, reverse=True)
    return {name: times[name] for name in names if times[name] > most}


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--catalogue", type=int, default=1_000_000, help=f"resources; over {FILLED_MAX}, copies")
    parser.add_argument("--agreements", type=int, default=2000, help="agreements besides the city's")
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the log besides the city's")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.catalogue, chosen.agreements, chosen.entries = 1, 200, 20, 500
    with report.folder() as folder, ExitStack() as stack:
        server = start_postgresql(durable=True)
        stack.callback(server.stop)
        url = report.postgresql_url(server.create_database())
        report.say("building the city")
        city = ConsoleCity(folder / "hub", Database(url))
        city.build()
        pages = paths(ServedCity(city, ""))
        if chosen.quick:
            pages = {username: addresses[:3] for username, addresses in pages.items()}
        city.settle()
        city.database.close()
        settings = city.settings.model_copy(update={"database_url": url, "port": free_port()})
        grow(settings, city.tasks[0].agreement_id, chosen)
        with agreed.serving(settings) as pid:
            report.say("letting the hub settle")
            wait_idle(pid)
            figures = measure(settings.base_url, pid, pages, chosen.runs)
            figures["peak_rss_mb"] = report.peak_rss_mb(pid)
    sizes = {"catalogue": chosen.catalogue, "agreements": chosen.agreements, "entries": chosen.entries}
    report.finish("pages", runs=chosen.runs, sizes=sizes, figures=figures)


if __name__ == "__main__":
    main()
