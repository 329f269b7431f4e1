"""A hub that is killed while it writes its search index leaves a folder that the next one can use."""

import os
import random
import time
from pathlib import Path

from datong.app.schema import migrate
from datong.catalogue import SearchIndex, SearchRequest
from datong.catalogue.search import evaluate
from datong.catalogue.search_query import Vocabulary
from datong.catalogue.search_view import IndexView, SearchOrder
from datong.kernel import Database
from datong.norms import load_pack
from tests.catalogue_filling import fill
from tests.processes import launcher

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "6"))
QUERIES = ("行政处罚", "企业", "xuexiao", "学校 名单", "")


def answers(view: IndexView, words: Vocabulary) -> list[object]:
    """Return what a view finds."""
    found: list[object] = [view.size]
    for text in QUERIES:
        outcome = evaluate(view, words, SearchRequest(text=text))
        ranked = view.ordered(outcome.selection, SearchOrder.RELEVANCE, outcome.query, 20)
        found.append([(view.resource_id(each), each.score) for each in ranked])
        found.append((outcome.selection.total, outcome.selection.facets))
    return found


def test_killed_at_any_moment_the_index_is_right_afterwards(tmp_path: Path) -> None:
    dice, pack = random.Random(20261126), load_pack()
    words = Vocabulary(pack.synonyms)
    database = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    migrate(database)
    fill(database, pack, 300)
    folder = tmp_path / "search"
    folder.mkdir()
    command = ["-m", "tests.fault.search_worker", database.url, str(folder)]
    for number in range(ROUNDS):
        told, telling = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        with telling:
            worker = launcher().start(command, environment=os.environ, output=telling)
        with told:
            # Killed in the middle of a later turn: the first line says that one turn is whole.
            assert told.readline() == "built\n"
            time.sleep(dice.uniform(0, 0.6))
            worker.kill()
            worker.wait()
        fill(database, pack, 5, seed=100 + number)
        with database.snapshot() as connection:
            recovered = SearchIndex(folder).current(connection)
            fresh = SearchIndex().current(connection)
        assert recovered.sequence == fresh.sequence
        for left, right in zip(recovered.views, fresh.views, strict=True):
            assert answers(left, words) == answers(right, words)
    database.close()
