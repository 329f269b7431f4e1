"""A hub is killed while it changes the catalogue: a step and its evidence are there together, or neither is."""

import os
import random
import time
from collections import Counter

import pytest
from sqlalchemy import select

from datong.catalogue import ResourceAction
from datong.catalogue.tables import code_counter, listing, resource, step, version
from datong.kernel import Database, DatongError
from datong.ledger import EntryKind
from datong.norms import NormPack, load_pack
from tests.processes import PROCESSES
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, POLICE, POLICE_ACTOR, content, make_office

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "8"))
RUN_SECONDS_MAX = 1.5


def change_until_killed(url: str, round_number: int) -> None:
    """Draft, sign, submit, approve, publish, cancel, suspend and revise, without end."""
    office = make_office(Database(url), load_pack(), register=False)
    acts = (
        (POLICE_ACTOR, ResourceAction.SIGN_OFF),
        (POLICE_ACTOR, ResourceAction.SUBMIT),
        (AUTHORITY_ACTOR, ResourceAction.APPROVE),
        (AUTHORITY_ACTOR, ResourceAction.PUBLISH),
        (AUTHORITY_ACTOR, ResourceAction.UNPUBLISH),
        (AUTHORITY_ACTOR, ResourceAction.PUBLISH),
        (POLICE_ACTOR, ResourceAction.REVISE),
    )
    number = 0
    while True:
        number += 1
        made = office.catalogue.draft(POLICE, content(f"第{round_number}轮{number}号信息", open=True), POLICE_ACTOR)
        for actor, action in acts:
            office.catalogue.act(made.id, action, actor, "理由")


def test_a_killed_hub_leaves_no_half_step(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    url = control_database.engine.url.render_as_string(hide_password=False)
    dice = random.Random(7)
    for round_number in range(ROUNDS):
        control_database.close()
        seen = _steps(control_database)
        control_database.close()
        worker = PROCESSES.Process(target=change_until_killed, args=(url, round_number))
        worker.start()
        while _steps(control_database) == seen and worker.is_alive():
            time.sleep(0.01)
        time.sleep(dice.random() * RUN_SECONDS_MAX)
        worker.kill()
        worker.join()
        _check(office.database)
        assert office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, limit=1).total == _steps(control_database)
        # The next process goes on where this one fell: nothing is locked, and no code is lost.
        try:
            office.publish(content(f"第{round_number}轮之后", table=f"after{round_number}"))
        except DatongError as error:
            raise AssertionError(str(error)) from error
        _check(office.database)


def _steps(database: Database) -> int:
    with database.snapshot() as connection:
        return len(connection.execute(select(step.c.id)).all())


def _check(database: Database) -> None:
    with database.snapshot() as connection:
        resources = connection.execute(select(resource)).all()
        steps = connection.execute(select(step.c.resource_id, step.c.to_state).order_by(step.c.at, step.c.id)).all()
        versions = Counter(connection.execute(select(version.c.resource_id)).scalars())
        shown = set(connection.execute(select(listing.c.resource_id)).scalars())
        last = connection.execute(select(code_counter.c.last)).scalar() or 0
    newest = {one.resource_id: one.to_state for one in steps}
    serials = sorted(int(found.code.partition("/")[2]) for found in resources if found.code)
    assert serials == list(range(1, last + 1))
    for found in resources:
        assert newest[found.id] == found.state
        assert versions[found.id] == found.version
        assert found.visible == (found.id in shown)


@pytest.fixture(scope="session")
def pack() -> NormPack:
    return load_pack()
