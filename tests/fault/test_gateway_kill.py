"""A hub is killed while it answers calls together: whoever was answered is on record, with evidence."""

import asyncio
import multiprocessing
import os
import random
import time
from pathlib import Path

from sqlalchemy import func, select

from datong.kernel import Database
from datong.ledger import EntryKind
from datong.sharing import tables
from datong.sharing.call_queue import CallQueue
from datong.sharing.gateway_calls import Asked
from tests.unit.sharing.samples import EDUCATION, RESOURCE, application
from tests.unit.sharing.world import World

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "2"))
RUN_SECONDS_MAX = 0.5
CONNECTIONS = 8
CITIZEN = "110101199003070011"


def answer_until_killed(url: str, told: Path) -> None:
    """Answer calls at once without end, and write down the access of each one when its answer is there."""
    queue = CallQueue(_world(Database(url)).gateway, node_calls_max=1)
    call = Asked(application(EDUCATION), RESOURCE, {"citizen_id": CITIZEN}, ("姓名",), "school-admission", "RX-1")

    async def caller() -> None:
        while True:
            answer = await queue.answer(call)
            with told.open("a") as file:
                file.write(f"{answer.access_id} {answer.entry_id}\n")

    async def callers() -> None:
        await asyncio.gather(*[caller() for _ in range(CONNECTIONS)])

    asyncio.run(callers())


def test_nobody_is_answered_without_a_record(control_database: Database, tmp_path: Path) -> None:
    world = _world(control_database)
    (granted,) = world.submit(["姓名"])
    world.put_in_force(granted.agreement_id)
    url = control_database.engine.url.render_as_string(hide_password=False)
    dice = random.Random(11)
    context = multiprocessing.get_context("spawn")
    for number in range(ROUNDS):
        told = tmp_path / f"told-{number}"
        worker = context.Process(target=answer_until_killed, args=(url, told))
        worker.start()
        while not told.exists() and worker.is_alive():
            time.sleep(0.01)
        time.sleep(dice.random() * RUN_SECONDS_MAX)
        worker.kill()
        worker.join()
        with control_database.snapshot() as connection:
            recorded = {(row.id, row.entry_id) for row in connection.execute(select(tables.access))}
            marked = connection.scalar(select(func.count()).select_from(tables.access_subject))
        answered = {tuple(line.split()) for line in told.read_text().splitlines()}
        assert answered
        assert answered <= recorded
        # Record, mark and entry of a call are there together, or none of them is.
        assert world.ledger.entries(kind=EntryKind.ACCESS, limit=1).total == len(recorded) == marked


def _world(database: Database) -> World:
    world = World(database)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三"},)
    return world
