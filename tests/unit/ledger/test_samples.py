"""Samples follow from a seed and the log's size: an independent drawing finds the same entries."""

import hashlib
from collections import Counter
from itertools import islice
from pathlib import Path

from datong.kernel import Database
from datong.ledger import EntryKind
from datong.ledger.samples import DRAWS_MAX, drawn_places
from tests.unit.ledger.logs import NODE, SmallLog


def test_places_are_drawn_as_documented_and_evenly() -> None:
    size, seed = 40, "骰子 3 5 2"
    numbers = [hashlib.sha256(f"datong-sample-v1\n{seed}\n{number}".encode()).hexdigest() for number in range(4000)]
    assert list(islice(drawn_places(seed, size), 4000)) == [int(digest[:16], 16) % size for digest in numbers]
    met = Counter(islice(drawn_places("other", size), 4000))
    assert set(met) == set(range(size))
    assert max(met.values()) < 2 * min(met.values())
    assert list(drawn_places("any", 0)) == []


def test_a_sample_is_the_same_for_everybody_and_never_holds_an_entry_twice(
    control_database: Database, tmp_path: Path
) -> None:
    log = SmallLog(tmp_path, database=control_database)
    assert log.ledger.sample(seed="1", count=5).entries == ()
    log.append(30)
    with log.database.transaction() as connection:
        for number in range(3):
            log.ledger.append(connection, kind=EntryKind.SHARD, subject=f"rare-{number}", actor=NODE, facts={})
    assert log.ledger.waiting() == 33
    assert log.ledger.sample(seed="1", count=5).size == 0
    log.integrate()
    assert log.ledger.waiting() == 0
    log.append(2)
    assert log.ledger.waiting() == 2
    sample = log.ledger.sample(seed="1", count=5)
    places = [entry.index for entry in sample.entries]
    assert (sample.size, len(set(places))) == (33, 5)
    by_hand = list(islice(drawn_places("1", 33), sample.draws))
    assert list(dict.fromkeys(by_hand)) == places
    assert log.ledger.sample(seed="1", count=5) == sample
    assert log.ledger.sample(seed="2", count=5).entries != sample.entries
    # Of a rare kind: all there are, though more were asked for; and everything, if everything is asked for.
    rare = log.ledger.sample(seed="1", count=10, kind=EntryKind.SHARD)
    assert {entry.subject for entry in rare.entries} == {"rare-0", "rare-1", "rare-2"}
    assert rare.draws <= DRAWS_MAX
    assert {entry.index for entry in log.ledger.sample(seed="1", count=100).entries} == set(range(33))
