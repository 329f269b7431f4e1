"""How fast evidence becomes durable, provable history: appends, integration, proofs; on SQLite and on PostgreSQL.

Every append is committed with the disk's own flush (SQLite `synchronous=FULL`, PostgreSQL `fsync=on`). The sustained
rate runs appenders and the sequencer side by side and stops the clock when a signed checkpoint covers every entry.

The limit beside it writes the same bytes, in the same batches, to a file with one flush each, and hashes them once:
what the disk and SHA-256 allow without an index, a database or a tree (`ratio_to_limit`). On a machine that others
use, too, the clock says little: `append_cpu_us` and `integrate_cpu_us` are the processor time of all threads per
entry, `…_control_cpu_us` that of the database server.
"""

import argparse
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.servers import start_postgresql

from benchmarks import report
from benchmarks.log_filling import fill_at_once
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, EntryId, JsonValue, Settings
from datong.ledger import CommonFacts, EntryKind, Ledger
from datong.ledger.merkle import consistency_proof, leaf_hash_of
from datong.ledger.tiles import TileReader

IDLE_SECONDS = 0.002
LEAF_BYTES = 1100
FILLED_AT_ONCE = 4096
SAY_AT = 250_000
STEP = 97
"""Of the entries that fill the log, so many are kept as one to be proved."""
Value = TypeVar("Value")
COMMON: dict[str, JsonValue] = {
    "kind": "query",
    "allowed": True,
    "consumer": "114406000000000193",
    "provider": "12440600456000017N",
    "resource_id": "019f0000-0000-7000-8000-000000000001",
    "resource_version": 1,
    "agreement_ids": ["019f0000-0000-7000-8000-000000000002"],
    "service_item": "义务教育入学审核",
    "policies": ["data.agreed"],
    "items": ["xm", "hjdz"],
}
OWN: dict[str, str | int] = {
    "access_id": "019f0000-0000-7000-8000-000000000000",
    "case_commitment": "0" * 64,
    "answer_commitment": "1" * 64,
    "subject_0000": "2" * 64,
    "rows": 1,
    "subjects": 1,
}
"""An access by the gateway, the most frequent kind of entry: what those of one caller have in common, and the rest."""


def together(hub: Hub, number: int, batch: int) -> list[EntryId]:
    """Append `number` entries, `batch` in one statement and transaction, as the gateway does."""
    ledger, ids = hub.services.ledger, list[EntryId]()
    common = CommonFacts(EntryKind.ACCESS, PLATFORM_ACTOR, COMMON)
    while len(ids) < number:
        drafts = [
            ledger.draft_like(common, at=hub.clock.now(), subject=f"benchmark-{len(ids) + place}", facts=OWN)
            for place in range(min(batch, number - len(ids)))
        ]
        with hub.database.one_statement() as connection:
            ledger.append_drafts(connection, drafts)
        ids += [draft.id for draft in drafts]
    return ids


def append(hub: Hub, number: int, batch: int) -> list[EntryId]:
    """Append `number` entries one by one, `batch` per transaction, as acts of the platform do."""
    ids: list[EntryId] = []
    while len(ids) < number:
        with hub.database.transaction() as connection:
            for _ in range(min(batch, number - len(ids))):
                ids.append(
                    hub.services.ledger.append(
                        connection,
                        kind=EntryKind.ACCESS,
                        subject=f"benchmark-{len(ids)}",
                        actor=PLATFORM_ACTOR,
                        facts={**COMMON, **OWN},
                    )
                )
    return ids


def integrate(ledger: Ledger) -> None:
    """Put everything into the log."""
    while ledger.integrate():
        pass


def sustained(hub: Hub, number: int, batch: int, appenders: int) -> float:
    """Return entries per second from the first append until a checkpoint covers them all, sequencer running."""
    ledger = hub.services.ledger
    end = ledger.size() + number // appenders * appenders
    appended = threading.Event()

    def sequence() -> None:
        while not (appended.is_set() and ledger.size() >= end):
            if not ledger.integrate():
                appended.wait(IDLE_SECONDS)

    def run() -> None:
        sequencer = threading.Thread(target=sequence)
        sequencer.start()
        with ThreadPoolExecutor(appenders) as pool:
            list(pool.map(lambda _: together(hub, number // appenders, batch), range(appenders)))
        appended.set()
        sequencer.join()

    seconds, _ = report.timed(run)
    return number / seconds


def limit(path: Path, number: int, batch: int) -> float:
    """Return how many entries per second a file takes that is flushed after each batch, each hashed once."""
    leaf = b"x" * LEAF_BYTES

    def run() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(number // batch):
                for _ in range(batch):
                    leaf_hash_of(leaf)
                file.write(leaf * batch)
                os.fsync(file.fileno())

    return number / report.timed(run)[0]


class Cost:
    """The processor time that acts take per entry, of this process and of the database server, in microseconds."""

    def __init__(self, control: int | None) -> None:
        self._control = control
        self.own: list[float] = []
        self.server: list[float] = []

    def of(self, number: int, act: Callable[[], Value]) -> tuple[float, Value]:
        """Return how many seconds `act` took by the clock, and what it returned."""
        own, server = time.process_time(), self._served()
        seconds, result = report.timed(act)
        self.own.append((time.process_time() - own) / number * 1e6)
        self.server.append((self._served() - server) / number * 1e6)
        return seconds, result

    def figures(self, name: str) -> dict[str, float]:
        """Return the medians."""
        told = {f"{name}_cpu_us": report.median(self.own)}
        return told if self._control is None else {**told, f"{name}_control_cpu_us": report.median(self.server)}

    def _served(self) -> float:
        return 0.0 if self._control is None else report.processor_seconds(self._control, family=True)


def proofs(ledger: Ledger, ids: Sequence[EntryId], number: int) -> dict[str, float]:
    """Return how long proofs take: bundles of chosen entries, and consistency with a smaller log, from its tiles."""
    dice, size, started = random.Random(1), ledger.size(), time.process_time()
    bundles = [report.timed(lambda: ledger.proof_bundle(dice.choice(ids)))[0] * 1000 for _ in range(number)]
    cpu_ms = (time.process_time() - started) / number * 1000
    consistency = [
        report.timed(
            lambda: consistency_proof(dice.randrange(1, size), size, TileReader(size, ledger.tile).subtree)
        )[0] * 1000
        for _ in range(number)
    ]  # fmt: skip
    return {
        "proof_ms": report.median(bundles),
        "proof_p95_ms": report.rounded(report.percentile(bundles, 0.95)),
        "proof_cpu_ms": report.rounded(cpu_ms),
        "consistency_ms": report.median(consistency),
        "consistency_p95_ms": report.rounded(report.percentile(consistency, 0.95)),
        "size": size,
    }


def measure(hub: Hub, chosen: argparse.Namespace, control: int | None) -> dict[str, float]:
    """Measure one control database."""
    ledger = hub.services.ledger
    single, batched, limits, integrated, lasting = [], [], [], [], []
    appending, integrating = Cost(control), Cost(control)
    ids: list[EntryId] = []
    one_by_one = max(chosen.entries // 20, 1)
    for _ in range(chosen.runs):
        single.append(one_by_one / report.timed(lambda: append(hub, one_by_one, 1))[0])
        integrate(ledger)
        seconds, new = appending.of(chosen.entries, lambda: together(hub, chosen.entries, chosen.batch))
        ids += new
        batched.append(chosen.entries / seconds)
        integrated.append(chosen.entries / integrating.of(chosen.entries, lambda: integrate(ledger))[0])
        lasting.append(sustained(hub, chosen.entries, chosen.batch, chosen.appenders))
        limits.append(limit(hub.settings.home / "limit", chosen.entries, chosen.batch))
    figures = {
        "appends_per_second": report.median(lasting),
        "appends_batched_per_second": report.median(batched),
        "appends_single_per_second": report.median(single),
        "integrated_per_second": report.median(integrated),
        "limit_per_second": report.median(limits),
        "ratio_to_limit": report.rounded(statistics.median(lasting) / statistics.median(limits)),
        **appending.figures("append"),
        **integrating.figures("integrate"),
    }
    report.say(f"{figures}")
    if chosen.bulk:
        return {**figures, **proofs(ledger, fill_at_once(hub, chosen.size, step=STEP), chosen.proofs)}
    told = SAY_AT
    while (left := chosen.size - ledger.size()) > 0:
        new = together(hub, min(left, FILLED_AT_ONCE), FILLED_AT_ONCE)
        ids.extend(new[::STEP])
        integrate(ledger)
        if ledger.size() >= told:
            report.say(f"{proofs(ledger, ids, chosen.proofs)}")
            told *= 2
    return {**figures, **proofs(ledger, ids, chosen.proofs)}


def measure_at(home: Path, url: str, chosen: argparse.Namespace, control: int | None = None) -> dict[str, float]:
    """Open a hub over the control database at `url` and measure it."""
    hub = Hub(Settings(home=home, database_url=url))
    try:
        return measure(hub, chosen, control)
    finally:
        hub.close()


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--entries", type=int, default=20_000, help="entries per run and kind of appending")
    parser.add_argument("--batch", type=int, default=100, help="appends per transaction where they are batched")
    parser.add_argument("--appenders", type=int, default=2, help="threads that append during the sustained run")
    parser.add_argument("--size", type=int, default=200_000, help="entries in the log when proofs are timed")
    parser.add_argument("--bulk", action="store_true", help="fill the log at once, on SQLite only, without appending")
    parser.add_argument("--control", choices=("both", "sqlite"), default="both", help="control databases")
    parser.add_argument("--proofs", type=int, default=300, help="proof bundles to time")
    chosen = parser.parse_args()
    if chosen.bulk:
        chosen.control = "sqlite"
    if chosen.quick:
        chosen.runs, chosen.entries, chosen.size, chosen.proofs = 1, 300, 700, 10
    with report.folder() as folder:
        told = {}
        report.say("ledger on SQLite")
        told["sqlite"] = measure_at(folder / "embedded", "", chosen)
        report.say(f"{told['sqlite']}")
        if chosen.control == "both":
            report.say("ledger on PostgreSQL")
            server = start_postgresql(durable=True)
            try:
                url, pid = report.postgresql_url(server.create_database()), server.process.pid
                told["postgresql"] = measure_at(folder / "production", url, chosen, pid)
            finally:
                server.stop()
            report.say(f"{told['postgresql']}")
    report.finish(
        "ledger",
        runs=chosen.runs,
        sizes={"entries": chosen.entries, "batch": chosen.batch, "appenders": chosen.appenders, "log": chosen.size},
        figures={
            "appends_per_second": min(one["appends_per_second"] for one in told.values()),
            "proof_ms": max(one["proof_ms"] for one in told.values()),
            "ratio_to_limit": min(one["ratio_to_limit"] for one in told.values()),
            **told,
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
