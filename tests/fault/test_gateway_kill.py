"""A hub is killed while it answers calls together: whoever was answered is on record, with evidence, and whoever
repeats a call with its Idempotency-Key gets the one answer there is, counted once."""

import asyncio
import itertools
import os
import random
import time
from pathlib import Path

from sqlalchemy import func, select

from datong.kernel import Database
from datong.ledger import EntryKind
from datong.ledger.tables import ENTRIES
from datong.sharing import tables
from datong.sharing.call_queue import CallQueue
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_calls import Asked, Once
from datong.sharing.quotas import CallQuota
from tests.processes import PROCESSES
from tests.unit.sharing.samples import EDUCATION, RESOURCE, application
from tests.unit.sharing.test_quotas import gateway_of
from tests.unit.sharing.world import World

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "2"))
RUN_SECONDS_MAX = 0.5
CONNECTIONS = 8
CITIZEN = "110101199003070011"
INDEX_KEY = bytes(32)
REPEATED = 10


def answer_until_killed(url: str, told: Path) -> None:
    """Answer calls at once without end, and write down the access of each one when its answer is there."""
    queue = CallQueue(_gateway(_world(Database(url))), node_calls_max=1)

    async def caller(place: int) -> None:
        for number in itertools.count():
            answer = await queue.answer(_call(told.name, place, number))
            with told.open("a") as file:
                file.write(f"{answer.access_id} {answer.entry_id} {place} {number}\n")

    async def callers() -> None:
        await asyncio.gather(*[caller(place) for place in range(CONNECTIONS)])

    asyncio.run(callers())


def test_nobody_is_answered_without_a_record(control_database: Database, tmp_path: Path) -> None:
    world = _world(control_database)
    (granted,) = world.submit(["姓名"])
    world.put_in_force(granted.agreement_id)
    url = control_database.engine.url.render_as_string(hide_password=False)
    dice = random.Random(11)
    for number in range(ROUNDS):
        told = tmp_path / f"told-{number}"
        worker = PROCESSES.Process(target=answer_until_killed, args=(url, told))
        worker.start()
        while not told.exists() and worker.is_alive():
            time.sleep(0.01)
        time.sleep(dice.random() * RUN_SECONDS_MAX)
        worker.kill()
        worker.join()
        with control_database.snapshot() as connection:
            recorded = {(row.id, row.entry_id) for row in connection.execute(select(tables.access))}
            marked = connection.scalar(select(func.count()).select_from(tables.access_subject))
            # In the same state of the database: what the killed worker committed last may come into force just now.
            entered = connection.scalar(
                select(func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == EntryKind.ACCESS.value)
            )
        lines = [line.split() for line in told.read_text().splitlines()]
        answered = {(access_id, entry_id) for access_id, entry_id, _, _ in lines}
        assert answered
        assert answered <= recorded
        # Record, mark and entry of a call are there together, or none of them is.
        assert entered == len(recorded) == marked
        _repeat(world, told.name, lines, len(recorded))


def _repeat(world: World, run: str, lines: list[list[str]], recorded: int) -> None:
    """Repeat the last calls of a run, and those on their way: at most these are carried out now, each once."""
    gateway = _gateway(world)
    said = {(int(place), int(number)): access_id for access_id, _, place, number in lines}
    for (place, number), access_id in list(said.items())[-REPEATED:]:
        assert gateway.answer(_call(run, place, number)).access_id == access_id
    nexts = [1 + max((number for at, number in said if at == place), default=-1) for place in range(CONNECTIONS)]
    for _ in range(2):
        replies = [gateway.reply(_call(run, place, number)) for place, number in enumerate(nexts)]
    assert all(reply.again for reply in replies)
    with world.database.snapshot() as connection:
        accesses = connection.scalar(select(func.count()).select_from(tables.access))
        counted = connection.scalar(select(func.sum(tables.quota.c.calls)).where(tables.quota.c.span == "day"))
    assert accesses is not None
    assert recorded <= accesses <= recorded + CONNECTIONS
    assert counted == accesses
    assert accesses == world.ledger.entries(kind=EntryKind.ACCESS, limit=1).total


def _call(run: str, place: int, number: int) -> Asked:
    once = Once(f"{run}-{place}-{number}", "digest")
    return Asked(
        application(EDUCATION), RESOURCE, {"citizen_id": CITIZEN}, ("姓名",), "school-admission", "RX-1", once=once
    )


def _gateway(world: World) -> Gateway:
    return gateway_of(world, CallQuota(per_day=1_000_000), index_key=INDEX_KEY)


def _world(database: Database) -> World:
    world = World(database)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三"},)
    return world
