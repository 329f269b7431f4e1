"""The gateway as departments' systems call it, against a bare Starlette handler doing the same lookup.

A real hub process answers query and verify by citizen ID: token, agreement, policy, masking and evidence with every
call. `requests_per_second` is the mean of query and verify; `p99_ms` the slower one's at 80 % of that rate. The peer
answers the same requests from the same file, alone, in the same run. On a machine that others use, too, the clock says
little: `cpu_ms`, `control_cpu_ms` and `bare_cpu_ms` are the processor time of the hub's process, of the database server
and of the peer's process per request, `cpu_ratio_to_bare` the last by the first.

`policy_p99_ms` is one decision about all items of a resource, while 2,000 agreements about it are in force:
`policy_lookup_p99_ms` with the caller's agreements looked up in the control database before it.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.free_ports import free_port
from tests.library_sources import landed_city
from tests.servers import start_postgresql

from benchmarks import agreed, report
from benchmarks.calling import Load, Outcome
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, Database, Settings, new_id
from datong.ledger import Ed25519Signer
from datong.library import FixedLanding, LandedSource, Library
from datong.sharing import Agreement, Asked, Principal, tables
from datong.sharing.agreement_store import add_agreement
from datong.sharing.grants import Asks, Grant, Grants

ITEMS = ("person_name", "birth_date", "address")
TOKEN_SECONDS = 3600
CITIZENS_MAX = 5000
KINDS = ("query", "verify")
AGREEMENTS = 2000
DECISIONS = 500


class World(NamedTuple):
    """The agreement about the resource that is asked for, its lookup file, a caller's token, citizens with claims."""

    agreement: Agreement
    lookup: Path
    token: str
    people: list[tuple[str, dict[str, str]]]


def prepare(settings: Settings, folder: Path, people: int) -> World:
    """Register, publish, agree, build the library of one source, and open an application for the consumer."""
    hub = Hub(settings)
    try:
        agreed.register_departments(hub)
        provider = agreed.enrol(hub, agreed.PROVIDER, Ed25519Signer.generate())
        consumer = agreed.enrol(hub, agreed.CONSUMER, Ed25519Signer.generate())
        landed = landed_city(folder, people=people)[0][0]
        resource = agreed.publish(hub, provider, "residents", list(landed.columns.items()))
        agreement = agreed.agree(hub, resource, provider, consumer)
        source = landed.model_copy(update={"resource_id": resource.id, "department": agreed.PROVIDER})
        lookup = build(hub, source)
        return World(agreement, lookup, token_of(hub), citizens(lookup, CITIZENS_MAX))
    finally:
        hub.close()


def token_of(hub: Hub) -> str:
    """Open an application for the consumer; return a token of it, which holds for `TOKEN_SECONDS`."""
    made = hub.services.identity.create_application(name="benchmark", department=agreed.CONSUMER, actor=PLATFORM_ACTOR)
    return hub.services.identity.token_for_application(made.application.client_id, made.client_secret).access_token


def build(hub: Hub, source: LandedSource) -> Path:
    """Build the population library from `source`, and return the lookup file of its records."""
    library = Library(
        database=hub.database,
        clock=hub.clock,
        ledger=hub.services.ledger,
        pack=hub.services.pack,
        lake=hub.settings.lake,
        landing=FixedLanding((source,)),
    )
    library.run_build(library.request_build("population", actor=PLATFORM_ACTOR).id)
    return library.dataset(f"resource:{source.resource_id}").lookup_path


def citizens(lookup: Path, most: int) -> list[tuple[str, dict[str, str]]]:
    """Return citizens that the lookup file finds by their ID, each with what is on record of them."""
    query = "SELECT value, payload FROM key JOIN row ON row.id = key.row WHERE element = 'citizen_id' ORDER BY value"
    found: dict[str, dict[str, str]] = {}
    with closing(sqlite3.connect(f"file:{lookup}?mode=ro&immutable=1", uri=True)) as connection:
        for citizen_id, payload in connection.execute(query):
            _, *cells = json.loads(payload)
            values = {cell[0]: cell[1] for cell in cells if cell[0] in ITEMS}
            if len(found) < most and all(values.get(item) for item in ITEMS):
                found[citizen_id] = values
    return list(found.items())


def bodies_of(world: World, kind: str) -> list[str]:
    """Return the bodies of calls of one kind, a different citizen each."""
    bodies = []
    for number, (citizen_id, claims) in enumerate(world.people):
        asked: dict[str, object] = {"items": ITEMS} if kind == "query" else {"claims": claims}
        call = {"key": {"citizen_id": citizen_id}, "purpose": agreed.SERVICE_ITEM, "case_number": f"RX-{number:06}"}
        bodies.append(json.dumps({**call, **asked}, ensure_ascii=False))
    return bodies


def run(load: Load) -> Outcome:
    """Run a load in a process of its own.

    Raises:
        RuntimeError: a call was not answered with 200.
    """
    command = (sys.executable, "-m", "benchmarks.calling")
    done = subprocess.run(command, input=json.dumps(load._asdict()), capture_output=True, text=True, check=True)
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} of {outcome.requests} calls of {load.path} failed")
    return outcome


def measure(
    loads: dict[str, Load], pid: int, chosen: argparse.Namespace, control: int | None = None
) -> tuple[dict[str, float], float, float]:
    """Return the rate of each kind of call, medians of the runs, after a warm-up; and milliseconds of processor time
    per request, of the process `pid` and of the database server `control`."""
    rates, seconds, control_seconds, requests = {}, 0.0, 0.0, 0
    for kind, load in loads.items():
        run(load._replace(seconds=min(load.seconds, 1.0)))
        before, control_before = report.processor_seconds(pid), of_control(control)
        outcomes = [run(load) for _ in range(chosen.runs)]
        seconds += report.processor_seconds(pid) - before
        control_seconds += of_control(control) - control_before
        requests += sum(outcome.requests for outcome in outcomes)
        rates[kind] = report.median([outcome.requests / outcome.seconds for outcome in outcomes])
        report.say(f"{kind} at port {load.port}: {rates[kind]} requests/s")
    each = 1000 / requests
    return rates, report.rounded(seconds * each), report.rounded(control_seconds * each)


def of_control(pid: int | None) -> float:
    """Return the processor time of a database server and its sessions; 0 where there is none."""
    return 0.0 if pid is None else report.processor_seconds(pid, family=True)


def strangers(count: int) -> Iterator[str]:
    """Yield codes of departments that nobody registered."""
    return (f"OTHER{number:013}" for number in range(count))


def add_agreements(database: Database, agreement: Agreement, consumers: Iterable[str]) -> None:
    """Add an agreement of each of other consumers about the same resource, as they are once in force."""
    others = [
        agreement.model_copy(update={"id": new_id(), "request_id": new_id(), "consumer": consumer, "code": ""})
        for consumer in consumers
    ]
    with database.transaction() as connection:
        table = tables.request
        found = connection.execute(table.select().where(table.c.id == agreement.request_id)).mappings().one()
        connection.execute(table.insert(), [{**found, "id": other.request_id} for other in others])
        for other in others:
            add_agreement(connection, other)


def measure_policy(settings: Settings, agreement: Agreement) -> dict[str, float]:
    """Return how long a decision takes while 2,000 agreements about one resource are in force."""
    hub = Hub(settings)
    try:
        add_agreements(hub.database, agreement, strangers(AGREEMENTS - 1))
        grants = Grants(hub.services.policy, hub.services.mask_keys)
        resource = hub.services.catalogue.published(agreement.resource_id)
        caller = Principal(actor=Actor(kind=ActorKind.APPLICATION, id="benchmark", department=agreement.consumer))
        names = tuple(item.column for item in resource.content.items)
        asked = Asked(caller, resource.id, {"citizen_id": "1"}, names, agreement.purpose.service_item, "RX-1")
        asks = Asks(case_stated=True, filters_rows=True)
        whole, decided = [], []
        for _ in range(DECISIONS):
            looking, candidates = report.timed(
                lambda: hub.services.agreements.candidates(agreement.consumer, resource.id)
            )
            deciding, grant = report.timed(
                partial(grants.of, asked, resource, candidates, asks, hub.clock.now(), anew=True)
            )
            if not isinstance(grant, Grant):
                raise RuntimeError("the agreement does not allow the call")
            whole.append((looking + deciding) * 1000)
            decided.append(deciding * 1000)
        return {
            "agreements": AGREEMENTS,
            "policy_p50_ms": report.median(decided),
            "policy_p99_ms": report.rounded(report.percentile(decided, 0.99)),
            "policy_lookup_p99_ms": report.rounded(report.percentile(whole, 0.99)),
        }
    finally:
        hub.close()


def measure_hub(settings: Settings, world: World, chosen: argparse.Namespace, control: int | None) -> dict[str, float]:
    """Return rates, p99 at 80 % of them, and the peak memory of a hub process."""
    with agreed.serving(settings) as pid:
        loads = {
            kind: Load(
                port=settings.port,
                path=f"/gateway/v1/{world.agreement.resource_id}/{kind}",
                token=world.token,
                bodies=bodies_of(world, kind),
                connections=chosen.connections,
                seconds=chosen.seconds,
            )
            for kind in KINDS
        }
        rates, cpu_ms, control_cpu_ms = measure(loads, pid, chosen, control)
        late = {}
        for kind, load in loads.items():
            outcomes = [run(load._replace(rate=0.8 * rates[kind])) for _ in range(chosen.runs)]
            late[kind] = report.median([report.percentile(outcome.latencies_ms, 0.99) for outcome in outcomes])
        return {
            "requests_per_second": report.rounded(statistics.mean(rates.values())),
            **{f"{kind}_per_second": rate for kind, rate in rates.items()},
            "p99_ms": max(late.values()),
            **{f"{kind}_p99_ms": p99 for kind, p99 in late.items()},
            "cpu_ms": cpu_ms,
            "control_cpu_ms": control_cpu_ms,
            "peak_rss_mb": report.peak_rss_mb(pid),
        }


def measure_bare(world: World, folder: Path, chosen: argparse.Namespace) -> tuple[float, float]:
    """Return the mean rate of the bare handlers, and their processor time per request in milliseconds."""
    port, log = free_port(), folder / "bare.log"
    with agreed.process(("benchmarks.bare", str(world.lookup), str(port)), log=log) as pid:
        agreed.wait_healthy(f"http://127.0.0.1:{port}/healthz", log)
        loads = {
            kind: Load(port, f"/{kind}", "-", bodies_of(world, kind), chosen.connections, chosen.seconds)
            for kind in KINDS
        }
        rates, cpu_ms, _ = measure(loads, pid, chosen)
        return report.rounded(statistics.mean(rates.values())), cpu_ms


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--people", type=int, default=20_000, help="people of the generated city")
    parser.add_argument("--connections", type=int, default=16, help="connections that call at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run")
    parser.add_argument("--control", choices=("sqlite", "postgresql"), default="postgresql", help="control database")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.people, chosen.seconds, chosen.control = 1, 100, 0.3, "sqlite"
    with report.folder() as folder, ExitStack() as stack:
        url, control = "", None
        if chosen.control == "postgresql":
            server = start_postgresql(durable=True)
            stack.callback(server.stop)
            url, control = report.postgresql_url(server.create_database()), server.process.pid
        settings = Settings(home=folder / "hub", port=free_port(), token_seconds=TOKEN_SECONDS, database_url=url)
        report.say(f"preparing a city of {chosen.people}")
        world = prepare(settings, folder, chosen.people)
        policy = measure_policy(settings, world.agreement)
        figures = measure_hub(settings, world, chosen, control)
        bare, bare_cpu_ms = measure_bare(world, folder, chosen)
    report.finish(
        "gateway",
        runs=chosen.runs,
        sizes={"people": chosen.people, "connections": chosen.connections, "seconds": chosen.seconds},
        figures={
            **figures,
            "bare_per_second": bare,
            "ratio_to_bare": report.rounded(figures["requests_per_second"] / bare),
            "bare_cpu_ms": bare_cpu_ms,
            "cpu_ratio_to_bare": report.rounded(bare_cpu_ms / figures["cpu_ms"]),
            **policy,
            "control": chosen.control,
        },
    )


if __name__ == "__main__":
    main()
