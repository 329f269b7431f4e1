"""How fast evidence becomes durable, provable history: appends, integration, proofs; on SQLite and on PostgreSQL.

Every append is committed with the disk's own flush (SQLite `synchronous=FULL`, PostgreSQL `fsync=on`). The sustained
rate runs appenders and the sequencer side by side and stops the clock when a signed checkpoint covers every entry.
"""

import argparse
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers import start_postgresql

from benchmarks import report
from datong.app.composition import Hub
from datong.kernel import PLATFORM_ACTOR, EntryId, JsonValue, Settings
from datong.ledger import EntryKind, Ledger

IDLE_SECONDS = 0.002
FACTS: dict[str, JsonValue] = {
    "access_id": "019f0000-0000-7000-8000-000000000000",
    "kind": "query",
    "allowed": True,
    "consumer": "114406000000000193",
    "provider": "12440600456000017N",
    "resource_id": "019f0000-0000-7000-8000-000000000001",
    "resource_version": 1,
    "agreement_ids": ["019f0000-0000-7000-8000-000000000002"],
    "service_item": "义务教育入学审核",
    "case_commitment": "0" * 64,
    "answer_commitment": "1" * 64,
    "subject_0000": "2" * 64,
    "policies": ["data.agreed"],
    "items": ["xm", "hjdz"],
    "rows": 1,
    "subjects": 1,
}
"""An access by the gateway, the most frequent kind of entry."""


def append(hub: Hub, number: int, batch: int) -> list[EntryId]:
    """Append `number` entries, `batch` per transaction."""
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
                        facts=FACTS,
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
            list(pool.map(lambda _: append(hub, number // appenders, batch), range(appenders)))
        appended.set()
        sequencer.join()

    seconds, _ = report.timed(run)
    return number / seconds


def measure(hub: Hub, chosen: argparse.Namespace) -> dict[str, float]:
    """Measure one control database."""
    ledger = hub.services.ledger
    single, batched, integrated, lasting = [], [], [], []
    ids: list[EntryId] = []
    one_by_one = max(chosen.entries // 20, 1)
    for _ in range(chosen.runs):
        single.append(one_by_one / report.timed(lambda: append(hub, one_by_one, 1))[0])
        integrate(ledger)
        seconds, new = report.timed(lambda: append(hub, chosen.entries, chosen.batch))
        ids += new
        batched.append(chosen.entries / seconds)
        integrated.append(chosen.entries / report.timed(lambda: integrate(ledger))[0])
        lasting.append(sustained(hub, chosen.entries, chosen.batch, chosen.appenders))
    while (left := chosen.size - ledger.size()) > 0:
        ids += append(hub, min(left, chosen.entries), chosen.batch)
        integrate(ledger)
    dice = random.Random(1)
    proofs = [report.timed(lambda: ledger.proof_bundle(dice.choice(ids)))[0] * 1000 for _ in range(chosen.proofs)]
    return {
        "appends_per_second": report.median(lasting),
        "appends_batched_per_second": report.median(batched),
        "appends_single_per_second": report.median(single),
        "integrated_per_second": report.median(integrated),
        "proof_ms": report.median(proofs),
        "proof_p95_ms": report.rounded(report.percentile(proofs, 0.95)),
        "size": ledger.size(),
    }


def measure_at(home: Path, url: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Open a hub over the control database at `url` and measure it."""
    hub = Hub(Settings(home=home, database_url=url))
    try:
        return measure(hub, chosen)
    finally:
        hub.close()


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--entries", type=int, default=20_000, help="entries per run and kind of appending")
    parser.add_argument("--batch", type=int, default=100, help="appends per transaction where they are batched")
    parser.add_argument("--appenders", type=int, default=2, help="threads that append during the sustained run")
    parser.add_argument("--size", type=int, default=200_000, help="entries in the log when proofs are timed")
    parser.add_argument("--proofs", type=int, default=300, help="proof bundles to time")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.entries, chosen.size, chosen.proofs = 1, 300, 700, 10
    with report.folder() as folder:
        report.say("ledger on SQLite")
        embedded = measure_at(folder / "embedded", "", chosen)
        report.say(f"{embedded}")
        report.say("ledger on PostgreSQL")
        server = start_postgresql(durable=True)
        try:
            production = measure_at(folder / "production", report.postgresql_url(server.create_database()), chosen)
        finally:
            server.stop()
        report.say(f"{production}")
    report.finish(
        "ledger",
        runs=chosen.runs,
        sizes={"entries": chosen.entries, "batch": chosen.batch, "appenders": chosen.appenders, "log": chosen.size},
        figures={
            "appends_per_second": min(embedded["appends_per_second"], production["appends_per_second"]),
            "proof_ms": max(embedded["proof_ms"], production["proof_ms"]),
            "sqlite": embedded,
            "postgresql": production,
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
