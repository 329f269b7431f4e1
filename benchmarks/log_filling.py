"""Fills the log of an embedded hub with millions of entries, without the time that appending each with evidence takes.

Rows are written to SQLite as they are, without flushes, and numbered in one run; the platform's own sequencer then
makes the tiles and the checkpoint of them, so that what is read afterwards is what a hub of that size has.
"""

import hashlib
import sqlite3
from collections.abc import Iterator

from benchmarks import report
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, EntryId
from datong.ledger import EntryKind, verify_bundle

WRITTEN_AT_ONCE = 100_000
SUBJECT = "benchmark-0000000000"
Row = tuple[str, str, str, str, bytes, str]


def fill_at_once(hub: Hub, size: int, *, step: int) -> list[EntryId]:
    """Make the log of `hub` `size` entries long; return the ids of one in `step` of the new ones."""
    ledger = hub.services.ledger
    with hub.database.transaction() as connection:
        first = ledger.append(
            connection, kind=EntryKind.ACCESS, subject=SUBJECT, actor=PLATFORM_ACTOR, facts={"rows": 1, "subjects": 1}
        )
    while ledger.integrate():
        pass
    begin = ledger.size()
    control = sqlite3.connect(hub.settings.home / "control.sqlite", isolation_level=None)
    try:
        control.execute("PRAGMA synchronous = OFF")
        serial, kind, at, leaf = control.execute(
            "SELECT serial, kind, at, leaf FROM ledger_entry WHERE id = ?", (first,)
        ).fetchone()
        prefix, suffix = bytes(leaf).split(SUBJECT.encode())
        for from_place in range(begin, size, WRITTEN_AT_ONCE):
            upto = min(from_place + WRITTEN_AT_ONCE, size)
            control.execute("BEGIN")
            control.executemany(
                "INSERT INTO ledger_entry (id, kind, subject, at, leaf, leaf_hash) VALUES (?, ?, ?, ?, ?, ?)",
                _rows(from_place, upto, kind, at, prefix, suffix),
            )
            control.execute("COMMIT")
            if upto % 1_000_000 == 0:
                report.say(f"{upto} entries")
        control.execute("BEGIN")
        control.execute("INSERT INTO ledger_run VALUES (?, ?, ?)", (begin, serial + 1, size - begin))
        control.execute("UPDATE ledger_state SET numbered_size = ?, next_serial = ?", (size, serial + 1 + size - begin))
        control.execute("COMMIT")
    finally:
        control.close()
    while ledger.integrate():
        pass
    ids = [_id(place) for place in range(begin, size, step)]
    verify_bundle(ledger.proof_bundle(ids[-1]))
    report.say(f"a log of {ledger.size()} entries, of which one of the last was proved")
    return ids


def _rows(begin: int, end: int, kind: str, at: str, prefix: bytes, suffix: bytes) -> Iterator[Row]:
    for place in range(begin, end):
        subject = f"benchmark-{place:010d}"
        leaf = prefix + subject.encode() + suffix
        yield _id(place), kind, subject, at, leaf, hashlib.sha256(b"\0" + leaf).hexdigest()


def _id(place: int) -> EntryId:
    """Return an id in the form and, by and by, in the order of the platform's own (RFC 9562, version 7)."""
    return EntryId(
        f"019f0000-{place >> 24 & 0xFFFF:04x}-7{place >> 12 & 0xFFF:03x}-8{place & 0xFFF:03x}-0000{place:08x}"
    )
