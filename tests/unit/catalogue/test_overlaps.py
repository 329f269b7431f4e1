"""What the hub makes of sketches, on each control database."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from datong.catalogue import (
    Binding,
    ColumnSketch,
    Overlaps,
    Resource,
    ResourceAction,
    SketchKey,
    SketchKeys,
    sketch_columns,
    sketch_requests,
)
from datong.kernel import Actor, ActorKind, Conflict, Database, DepartmentCode, Invalid, NodeId, Refused, ResourceId
from datong.ledger import Ed25519Signer, EntryKind
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, Office, content, make_office
from tests.unit.catalogue.sketching import citizen_ids, item, table

NODES = {POLICE: "n", CIVIL: "m"}
KEY = SketchKey(epoch="2026-1", secret=b"s" * 32)


class City:
    """Two departments that hold addresses of people, with their nodes."""

    def __init__(self, office: Office, pack: NormPack) -> None:
        self.office, self.pack = office, pack
        self.keys = SketchKeys(database=office.database, clock=office.clock, ledger=office.ledger)
        self.overlaps = Overlaps(database=office.database, clock=office.clock, ledger=office.ledger, pack=pack)
        for department, name in NODES.items():
            key = Ed25519Signer.generate().public_key
            office.departments.register_key(department, key, NodeId(name), AUTHORITY_ACTOR)
        self.keys.open_epoch(self.node(POLICE), KEY.epoch, "0" * 64, ())

    def node(self, department: DepartmentCode) -> Actor:
        return Actor(kind=ActorKind.NODE, id=NODES[department], department=department)

    def publish(self, department: DepartmentCode, title: str) -> Resource:
        columns = ("id", "citizen_id"), ("dz", "address"), ("xb", "sex")
        items = tuple(
            item(column, element).model_copy(update={"share_type": ShareType.UNCONDITIONAL})
            for column, element in columns
        )
        binding = Binding(node_id=NodeId(NODES[department]), source="db", table=title)
        return self.office.publish(content(title, items=items, binding=binding), department=department)

    def sketch(self, department: DepartmentCode, made: Resource, people: dict[str, str]) -> int:
        sketches = self.taken(made, people)
        return self.overlaps.accept(self.node(department), made.id, sketches)

    def taken(self, made: Resource, people: dict[str, str], key: SketchKey = KEY) -> tuple[ColumnSketch, ...]:
        requests = sketch_requests(made.content.items, self.pack)
        batches = table(id=list(people), dz=list(people.values()), xb=["男"] * len(people))
        return sketch_columns(batches, requests, pack=self.pack, key=key)

    def compare(self) -> None:
        while self.overlaps.compare():
            pass


@pytest.fixture
def city(control_database: Database, pack: NormPack) -> City:
    return City(make_office(control_database, pack), pack)


def homes(ids: list[str]) -> dict[str, str]:
    return {number: f"示例路{place}号" for place, number in enumerate(ids)}


def test_overlap_and_agreement_of_two_departments(city: City) -> None:
    ids = citizen_ids(random.Random(1), 6000)
    police, civil = city.publish(POLICE, "户籍"), city.publish(CIVIL, "低保")
    held = homes(ids[:5000])
    moved = {number: home + ("" if place % 4 else "之二") for place, (number, home) in enumerate(homes(ids).items())}
    theirs = {number: moved[number] for number in ids[3000:]}
    assert city.sketch(POLICE, police, held) == 6  # every sketch has enough values
    assert city.sketch(CIVIL, civil, theirs) == 6
    city.compare()

    of_ids = city.overlaps.of_element("citizen_id")
    assert {(one.department, one.rows) for one in of_ids.holders} == {(POLICE, 5000), (CIVIL, 3000)}
    (pair,) = of_ids.pairs
    assert pair.values is not None
    assert pair.concord is None
    by_department = {one.resource_id: one.department for one in of_ids.holders}
    civils, polices = pair.values.left_held, pair.values.right_held
    if by_department[pair.left] == POLICE:
        civils, polices = polices, civils
    assert abs(pair.values.both.value - 2000) < 4 * pair.values.both.error
    assert abs(civils.value - 2000 / 3000) < 4 * civils.error
    assert abs(polices.value - 2000 / 5000) < 4 * polices.error

    (pair,) = city.overlaps.of_element("address").pairs
    assert pair.subjects is not None
    assert pair.concord is not None
    assert abs(pair.subjects.both.value - 2000) < 4 * pair.subjects.both.error
    assert abs(pair.concord.agreeing.value - 0.75) < 4 * pair.concord.agreeing.error
    assert pair.concord.agreeing.error < 0.08

    (pair,) = city.overlaps.of_element("sex").pairs
    assert pair.values is None
    assert pair.concord is not None
    assert pair.concord.agreeing.value > 0.85


def test_a_changed_sketch_is_compared_again_and_only_it(city: City) -> None:
    ids = citizen_ids(random.Random(2), 3000)
    police, civil = city.publish(POLICE, "户籍"), city.publish(CIVIL, "低保")
    city.sketch(POLICE, police, homes(ids[:1500]))
    city.sketch(CIVIL, civil, homes(ids[1500:]))
    city.compare()
    assert _overlaps(city) == 6

    def shared() -> float:
        (pair,) = city.overlaps.of_element("citizen_id").pairs
        assert pair.values is not None
        return pair.values.left_held.value

    assert shared() < 0.1
    city.sketch(CIVIL, civil, homes(ids[:1500]))
    assert city.overlaps.of_element("citizen_id").pairs == ()
    city.compare()
    assert shared() > 0.9
    assert city.overlaps.compare() is False
    assert _overlaps(city) == 6


def test_what_waits_to_be_sketched(city: City) -> None:
    police = city.publish(POLICE, "户籍")
    (work,) = city.overlaps.work(city.node(POLICE))
    assert (work.resource_id, work.source, work.table) == (police.id, "db", "户籍")
    assert work.requests == sketch_requests(police.content.items, city.pack)
    assert city.overlaps.work(city.node(CIVIL)) == ()
    city.office.clock.advance(timedelta(seconds=1))
    city.sketch(POLICE, police, homes(citizen_ids(random.Random(3), 1200)))
    assert city.overlaps.work(city.node(POLICE)) == ()
    city.keys.end_epoch(AUTHORITY_ACTOR, "届满")
    assert city.overlaps.work(city.node(POLICE)) == ()  # nothing to sketch with
    city.keys.open_epoch(city.node(CIVIL), "2026-2", "1" * 64, ())
    assert [one.resource_id for one in city.overlaps.work(city.node(POLICE))] == [police.id]


def test_a_sketch_grows_old(city: City) -> None:
    police = city.publish(POLICE, "户籍")
    city.office.clock.advance(timedelta(seconds=1))
    city.sketch(POLICE, police, homes(citizen_ids(random.Random(3), 1200)))
    assert city.overlaps.work(city.node(POLICE)) == ()
    city.office.clock.advance(timedelta(days=31))
    assert len(city.overlaps.work(city.node(POLICE))) == 1


def test_what_does_not_fit_is_refused(city: City) -> None:
    police = city.publish(POLICE, "户籍")
    people = homes(citizen_ids(random.Random(4), 1200))
    good = city.taken(police, people)
    node = city.node(POLICE)
    with pytest.raises(Refused, match="sketch_of_other_node"):
        city.overlaps.accept(city.node(CIVIL), police.id, good)
    with pytest.raises(Refused, match="sketch_of_other_node"):
        city.overlaps.accept(node, ResourceId("none"), good)
    old = city.taken(police, people, SketchKey(epoch="2025-1", secret=KEY.secret))
    with pytest.raises(Conflict, match="sketch_epoch_over"):
        city.overlaps.accept(node, police.id, old)
    for change in ({"column": "nothing"}, {"element": "phone"}, {"key_column": "dz"}):
        with pytest.raises(Invalid, match="sketch_unfitting"):
            city.overlaps.accept(node, police.id, (good[0].model_copy(update=change),))
    with pytest.raises(Invalid, match="sketch_unfitting"):
        city.overlaps.accept(node, police.id, good * 100)
    assert city.office.ledger.entries(kind=EntryKind.SKETCH).rows == ()


def test_handing_in_is_evidence_without_values(city: City) -> None:
    police = city.publish(POLICE, "户籍")
    people = homes(citizen_ids(random.Random(5), 1200))
    city.sketch(POLICE, police, dict(list(people.items())[:500]))
    city.sketch(POLICE, police, people)
    first, second = sorted(city.office.ledger.entries(kind=EntryKind.SKETCH).rows, key=lambda entry: entry.entry_id)
    assert (first.facts["sketches"], first.facts["too_few"]) == (6, 6)
    assert (second.facts["sketches"], second.facts["too_few"]) == (6, 0)
    assert first.facts["sketches_sha256"] != second.facts["sketches_sha256"]


def test_kept_together_with_its_evidence_or_not_at_all(city: City) -> None:
    """A fault between the rows and the commit leaves neither."""
    police = city.publish(POLICE, "户籍")
    people = homes(citizen_ids(random.Random(6), 1200))
    with city.office.database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE catalogue_overlap")
        connection.exec_driver_sql("DROP TABLE catalogue_sketch")
    with pytest.raises(Exception, match="catalogue_sketch|catalogue_overlap"):
        city.sketch(POLICE, police, people)
    assert city.office.ledger.entries(kind=EntryKind.SKETCH).rows == ()
    with city.office.database.snapshot() as connection:
        assert _count(connection, "catalogue_sketch_set") == 0


def test_what_is_no_longer_visible_is_not_shown(city: City) -> None:
    police, civil = city.publish(POLICE, "户籍"), city.publish(CIVIL, "低保")
    people = homes(citizen_ids(random.Random(7), 1200))
    city.sketch(POLICE, police, people)
    city.sketch(CIVIL, civil, people)
    city.compare()
    assert len(city.overlaps.of_element("address").pairs) == 1
    city.office.catalogue.act(civil.id, ResourceAction.SUSPEND, AUTHORITY_ACTOR, "核查")
    found = city.overlaps.of_element("address")
    assert [one.department for one in found.holders] == [POLICE]
    assert found.pairs == ()
    assert city.overlaps.registers("address").keys() == {(police.id, "dz")}


def _overlaps(city: City) -> int:
    with city.office.database.snapshot() as connection:
        return _count(connection, "catalogue_overlap")


def _count(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one())
