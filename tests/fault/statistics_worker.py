"""Asks one question in a process of its own, and ends at the commit that keeps the answer."""

import os

from sqlalchemy import event

from datong.kernel import Actor, ActorKind, Database, SystemClock
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.sharing.statistic_values import Question
from datong.sharing.statistics import PrivateStatistics
from tests.unit.sharing.released import FixedDatasets

KILLED = 9


def ask_until_killed(url: str, library: FixedDatasets, question: Question, after: bool) -> None:
    """Ask, and end without a farewell just before the commit, or just after it."""
    database = Database(url)
    ledger = Ledger(
        database=database,
        clock=SystemClock(),
        signer=Ed25519Signer.generate(),
        origin="test.datong/log",
        tiles=MemoryTileStore(),
    )
    kept: list[str] = []

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO sharing_statistic"):
            kept.append(statement)

    def end(*_: object) -> None:
        if kept:
            os._exit(KILLED)

    event.listen(database.engine, "before_cursor_execute", see)
    # A connection is reset when it comes back to the pool: the commit is over by then, and nobody has the answer yet.
    event.listen(database.engine, "reset" if after else "commit", end)
    asked = PrivateStatistics(database=database, clock=SystemClock(), ledger=ledger, library=library)
    asked.ask(question, Actor(kind=ActorKind.PERSON, id="asker"))
