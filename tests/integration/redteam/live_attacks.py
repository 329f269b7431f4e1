"""Attacks on live answers: the police's node answers from its own table, for the agreement that the library answers."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from datong.adapters.connections import open_connector
from datong.kernel import NodeId
from datong.node.live import LiveAnswerer
from datong.sharing import LiveServices, LiveTerms, SealedLiveAnswer, SealedLiveCall
from datong.sharing.gateway_calls import FRESH_SECONDS
from tests.integration.redteam.attacks import LETTERS_TRIED, query, refused, verify
from tests.integration.redteam.ways import Aim, Way, attack
from tests.integration.redteam.world import NOBODY, RESIDENTS, SEEN, UNAGREED, UNSEEN, RedTeamWorld, police_officer

NODE = NodeId("n")
"""To which the catalogue binds the table."""
TABLE = "常住人口"


class DirectHub:
    """The node's way to the hub without HTTP."""

    def __init__(self, live: LiveServices) -> None:
        self._live = live

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Wait as the route does."""
        until = time.monotonic() + wait_seconds
        while not (calls := self._live.take(NODE, key)) and time.monotonic() < until:
            time.sleep(0.01)
        return calls

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in an answer."""
        self._live.answer(NODE, sealed)


@contextmanager
def answering(world: RedTeamWorld) -> Iterator[None]:
    """Have the police's node answer beside the block, as the service of the residents; then the library again."""
    path = Path(f"{world.clock_file}-police.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE {TABLE} ({', '.join(f'{name} TEXT' for name in RESIDENTS)})")
        places = ", ".join("?" for _ in RESIDENTS)
        connection.executemany(f"INSERT INTO {TABLE} VALUES ({places})", [*SEEN, *UNSEEN])
    services, stop = world.services, threading.Event()
    answerer = LiveAnswerer(
        client=DirectHub(services.live),
        signer=world.police_signer,
        clock=services.clock,
        open_source=lambda _: open_connector(f"sqlite:///{path}"),
        tell=lambda text: print(text.en),
    )
    services.live.offer(world.residents, LiveTerms(timeout_milliseconds=30_000), actor=police_officer())
    services.live.take(NODE, answerer.public_key)
    thread = threading.Thread(target=lambda: answerer.run(stop.is_set, wait_seconds=0.05))
    thread.start()
    time.sleep(2 * FRESH_SECONDS)
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        services.live.offer(world.residents, None, actor=police_officer())
        time.sleep(2 * FRESH_SECONDS)
        path.unlink()


@attack(Way.LIVE, Aim.ITEM, Aim.ROW, Aim.GRADE, Aim.ORACLE, Aim.ERROR)
def answers_of_a_node(world: RedTeamWorld) -> None:
    """Queries and verifications of rows inside, outside and nowhere, by keys that are agreed and by others."""
    with answering(world):
        inside = query(world, "application", {"bh": SEEN[0].bh}, ["bh", "xm", "sfzh", "dh", "zz", "qu"])
        (row,) = inside.json()["rows"]
        assert (row["bh"], row["qu"]) == (SEEN[0].bh, SEEN[0].qu), "the node answers"
        outside, nobody = (
            [
                query(world, "application", {key: value}, ["bh", "xm", "qu"]).json()["rows"]
                for key, value in (("bh", number), ("sfzh", citizen))
            ]
            for number, citizen in ((UNSEEN[0].bh, UNSEEN[0].sfzh), ("JL9999", NOBODY))
        )
        assert outside == nobody == [[], []]
        guesses = [
            verify(world, "application", {"bh": number}, {"zd": diagnosis}).json()["results"]
            for number, diagnosis in ((UNSEEN[0].bh, UNSEEN[0].zd), ("JL9999", UNSEEN[0].zd), (SEEN[1].bh, "猜的"))
        ]
        assert guesses == [{"zd": "unknown"}] * 3
        for column in UNAGREED:
            refused(query(world, "application", {"bh": SEEN[0].bh}, [column]))
            refused(verify(world, "application", {"bh": SEEN[0].bh}, {column: "x"}))
        for tried in LETTERS_TRIED:
            answer = query(world, "application", {"bh": tried}, ["bh", "xm"])
            assert answer.status_code == 422 or answer.json()["rows"] == [], (tried, answer.text)
        refused(query(world, "foreign application", {"bh": SEEN[0].bh}, ["bh"]))
        refused(query(world, "visitor", {"bh": SEEN[0].bh}, ["bh"]))
