"""A thousand resources get their national codes from many threads of many processes at once."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from datong.catalogue import ResourceAction, ResourceState
from datong.catalogue.records import next_code
from datong.catalogue.tables import code_counter, resource, step, version
from datong.kernel import Conflict, Database, ResourceId, new_id
from datong.ledger import EntryKind
from datong.norms import NormPack, load_pack
from tests.processes import PROCESSES
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, POLICE, Office, content, make_office

RESOURCES = 1000
APPROVERS = 4
THREADS = 6
CLASSIFICATIONS = ("101001", "101001a", "101002", "202001")
FAILING_EVERY = 7


def put_submitted(office: Office) -> list[str]:
    """Put resources that await review, straight into the tables."""
    now = office.clock.now()
    rows, versions = [], []
    for number in range(RESOURCES):
        resource_id = new_id()
        given = content(f"第{number}类信息", classification=CLASSIFICATIONS[number % len(CLASSIFICATIONS)])
        standing = {"state": ResourceState.SUBMITTED.value, "version": 1, "created_at": now, "updated_at": now}
        rows.append({"id": resource_id, "department": POLICE, "binding_key": resource_id, "visible": False, **standing})
        versions.append({"resource_id": resource_id, "content": given.model_dump(mode="json"), **standing})
    with office.database.transaction() as connection:
        connection.execute(resource.insert(), rows)
        connection.execute(version.insert(), versions)
    return [str(row["id"]) for row in rows]


def approve_all(url: str, ids: Sequence[str]) -> None:
    """Approve the resources from many threads; now and then a transaction fails after it took a number."""
    database = Database(url)
    office = make_office(database, load_pack(), register=False)

    def approve(place: int) -> None:
        while True:
            try:
                if place % FAILING_EVERY == 0:
                    take_and_fail(database, CLASSIFICATIONS[place % len(CLASSIFICATIONS)])
                office.catalogue.act(ResourceId(ids[place]), ResourceAction.APPROVE, AUTHORITY_ACTOR)
            except Conflict:
                return
            except OperationalError as error:
                # Twenty-four writers of one SQLite file: on a loaded machine one may wait in vain, and comes again.
                if "locked" not in str(error):
                    raise
            else:
                return

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(approve, range(len(ids))))
    database.close()


def take_and_fail(database: Database, classification: str) -> None:
    """Take a number in a transaction that fails."""
    with suppress(RuntimeError), database.transaction() as connection:
        next_code(connection, classification, 5)
        raise RuntimeError("the power goes")


def test_a_thousand_codes_without_gap_or_duplicate(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)
    ids = put_submitted(office)
    url = control_database.engine.url.render_as_string(hide_password=False)
    control_database.close()
    # Every process wants every second resource of its neighbour as well: each is approved twice, and once succeeds.
    share = RESOURCES // APPROVERS
    wanted = [
        [ids[(start + place) % RESOURCES] for place in range(share * 3 // 2)] for start in range(0, RESOURCES, share)
    ]
    workers = [PROCESSES.Process(target=approve_all, args=(url, mine)) for mine in wanted]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * APPROVERS
    with control_database.snapshot() as connection:
        codes = [str(code) for code in connection.execute(select(resource.c.code)).scalars()]
        last = {row.classification: row.last for row in connection.execute(select(code_counter))}
        steps = Counter(connection.execute(select(step.c.resource_id)).scalars())
    assert len(set(codes)) == RESOURCES
    for classification in CLASSIFICATIONS:
        serials = sorted(int(code.partition("/")[2]) for code in codes if code.startswith(f"{classification}/"))
        assert serials == list(range(1, RESOURCES // len(CLASSIFICATIONS) + 1))
        assert last[classification] == len(serials)
    # Each was approved exactly once, and each approval is in evidence.
    assert set(steps.values()) == {1}
    assert set(steps) == set(ids)
    assert office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, limit=1).total == RESOURCES


@pytest.fixture(scope="session")
def pack() -> NormPack:
    return load_pack()
