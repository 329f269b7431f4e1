"""Nodes and hub are killed while they share the sketch key, hand in sketches and compare them: nothing stays halved.

One process plays both nodes and the hub's service, so that a kill strikes whatever it is doing: the node's file, the
steps of the key, the sketches of a table with their evidence, or the overlaps found from them.
"""

import os
import random
import stat
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from datong.adapters.file_keys import load_or_create_signer
from datong.catalogue import Binding, Overlaps, SketchKey, SketchKeys, sketch_columns, sketch_requests
from datong.catalogue.sketch_estimates import overlap
from datong.catalogue.sketches import folded
from datong.catalogue.source_tables import sketch, sketch_set
from datong.kernel import Actor, ActorKind, Database, DepartmentCode, NodeId, ResourceId
from datong.ledger import EntryKind
from datong.node import SketchKeyring
from datong.norms import NormPack, ShareType, load_pack
from tests.processes import PROCESSES
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, Office, content, make_office
from tests.unit.catalogue.sketching import citizen_ids, item, table
from tests.unit.catalogue.test_sketch_keys import DirectHub

ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "6"))
RUN_SECONDS_MAX = 1.2
TURNS_MAX = 6
NODES = {POLICE: "n", CIVIL: "m"}
PEOPLE = citizen_ids(random.Random(3), 3000)
HELD = {POLICE: PEOPLE[:2000], CIVIL: PEOPLE[1000:]}


class Sketching:
    """The hub's services over one database, and two nodes whose files lie in one folder."""

    def __init__(self, office: Office, pack: NormPack, folder: Path) -> None:
        self.office, self.pack = office, pack
        self.keys = SketchKeys(database=office.database, clock=office.clock, ledger=office.ledger)
        self.overlaps = Overlaps(database=office.database, clock=office.clock, ledger=office.ledger, pack=pack)
        self.actors = {code: Actor(kind=ActorKind.NODE, id=name, department=code) for code, name in NODES.items()}
        self.signers = {code: load_or_create_signer(folder / f"{name}.key") for code, name in NODES.items()}
        self.keyrings = {
            code: SketchKeyring(
                folder=folder / name, signer=self.signers[code], clock=office.clock, node_id=NodeId(name)
            )
            for code, name in NODES.items()
        }

    def share_key(self) -> SketchKey:
        """Let both nodes attend until they have one key."""
        for _ in range(TURNS_MAX):
            found = [self.keyrings[code].attend(DirectHub(self.keys, self.actors[code])) for code in NODES]
            if found[0] is not None and found[0] == found[1]:
                return found[0]
        raise AssertionError("the nodes did not come to share a key")

    def sketch(self, made: dict[DepartmentCode, ResourceId], key: SketchKey) -> None:
        """Hand in the sketches of both departments, and compare."""
        for code, resource_id in made.items():
            items = self.office.catalogue.published(resource_id).content.items
            batches = table(id=list(HELD[code]))
            sketches = sketch_columns(batches, sketch_requests(items, self.pack), pack=self.pack, key=key)
            self.overlaps.accept(self.actors[code], resource_id, sketches)
        while self.overlaps.compare():
            pass


def sketch_until_killed(url: str, folder: str, made: dict[DepartmentCode, ResourceId]) -> None:
    """Share a key, sketch, compare, and begin a new epoch, without end."""
    pack = load_pack()
    world = Sketching(make_office(Database(url), pack, register=False), pack, Path(folder))
    while True:
        world.sketch(made, world.share_key())
        world.keys.end_epoch(AUTHORITY_ACTOR, "演练")


@pytest.fixture(scope="session")
def pack() -> NormPack:
    return load_pack()


@pytest.fixture
def world(control_database: Database, pack: NormPack, tmp_path: Path) -> Sketching:
    made = Sketching(make_office(control_database, pack), pack, tmp_path)
    for code, name in NODES.items():
        made.office.departments.register_key(code, made.signers[code].public_key, NodeId(name), AUTHORITY_ACTOR)
    return made


def test_killed_at_any_moment_the_nodes_share_a_key_and_the_hub_compares(world: Sketching, tmp_path: Path) -> None:
    database = world.office.database
    made = {}
    for code, name in NODES.items():
        items = (item("id", "citizen_id").model_copy(update={"share_type": ShareType.UNCONDITIONAL}),)
        binding = Binding(node_id=NodeId(name), source="db", table=name)
        made[code] = world.office.publish(content(f"人员{name}", items=items, binding=binding), department=code).id
    url = database.engine.url.render_as_string(hide_password=False)
    dice = random.Random(11)
    for _ in range(ROUNDS):
        before = _taken(world)
        database.close()
        worker = PROCESSES.Process(target=sketch_until_killed, args=(url, str(tmp_path), made))
        worker.start()
        while _taken(world) == before and worker.is_alive():
            time.sleep(0.01)
        assert worker.is_alive()
        time.sleep(dice.random() * RUN_SECONDS_MAX)
        worker.kill()
        worker.join()
        _check(world)
        key = world.share_key()
        world.sketch(made, key)
        registers = world.overlaps.registers("citizen_id")
        (pair,) = world.overlaps.of_element("citizen_id").pairs
        sides = registers[pair.left, "id"], registers[pair.right, "id"]
        # How many registers a sketch has follows from an estimate, which differs from key to key.
        bins = min(map(len, sides))
        assert pair.values == overlap(folded(sides[0], bins), folded(sides[1], bins))
        for name in NODES.values():
            assert stat.S_IMODE((tmp_path / name / "sketch-keys.json").stat().st_mode) == 0o600
    assert [epoch.ended_at is None for epoch in world.keys.epochs()].count(True) == 1


def _taken(world: Sketching) -> int:
    return world.office.ledger.entries(kind=EntryKind.SKETCH, limit=1).total


def _check(world: Sketching) -> None:
    """Every set of sketches is whole, of the run that its evidence tells of."""
    with world.office.database.snapshot() as connection:
        sets = connection.execute(select(sketch_set.c.resource_id, sketch_set.c.epoch, sketch_set.c.entry_id)).all()
        for resource_id, epoch, entry_id in sets:
            own = sketch.c.resource_id == resource_id
            epochs = connection.execute(select(sketch.c.epoch, func.count()).where(own).group_by(sketch.c.epoch)).all()
            assert [(found, number) for found, number in epochs] == [(epoch, 1)]
            assert world.office.ledger.entry(entry_id).kind is EntryKind.SKETCH
