import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datong.catalogue import ResourceAction, ResourceState
from datong.federation import CascadeBatch, CascadeEntry, Peer, PeerState, Scope, SignedBatch, Standing
from datong.kernel import Conflict, Corrupt, Database, Refused, Text
from datong.ledger import EntryKind, LogKeys
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, POLICE, POLICE_ACTOR, content
from tests.unit.federation.hubs import CascadeHub, make_hub, settings

Make = Callable[[str], CascadeHub]


@pytest.fixture
def make(migrated_sqlite: Path, tmp_path: Path, pack: NormPack) -> Iterator[Make]:
    opened: list[Database] = []

    def hub(name: str) -> CascadeHub:
        file = tmp_path / f"{name.split('/')[0]}.sqlite"
        shutil.copy(migrated_sqlite, file)
        opened.append(Database(f"sqlite:///{file}"))
        return make_hub(name, opened[-1], pack)

    yield hub
    for database in opened:
        database.close()


@pytest.fixture
def province(control_database: Database, pack: NormPack) -> CascadeHub:
    return make_hub("province/log", control_database, pack)


def link(city: CascadeHub, province: CascadeHub, **up: object) -> Peer:
    down = settings("某市", region="440600", scope=Scope.SHARED)
    return city.join(province, up=settings("某省", region="440600", **up), down=down)


def test_a_city_publishes_to_the_province_and_receives_from_it(make: Make, province: CascadeHub) -> None:
    city = make("city/log")
    city.office.publish(content("市一"))
    city.office.publish(content("市二", share_type=ShareType.NONE, legal_basis="某法第一条", share_modes=()))
    province.office.publish(content("省一"))
    peer = city.exchange(link(city, province).id)
    assert (peer.in_step, peer.behind, peer.failure) == (True, 0, None)
    assert set(province.visible()) == {"省一", "市一"}
    assert set(city.visible()) == {"市一", "市二", "省一"}
    received = province.visible()["市一"]
    own = city.visible()["市一"]
    origin = received.content.origin
    assert origin is not None
    assert (origin.path, origin.root_id, origin.code, origin.region) == (("city/log",), own.id, own.code, "440600")
    assert (origin.publisher, origin.publisher_name) == (POLICE, "公安局")
    assert received.content.binding is None
    assert received.content.assessment is None
    assert received.content.items == own.content.items
    assert received.code is None
    (above,) = province.peers.all()
    assert (above.in_step, above.behind, above.received_serial) == (True, 0, peer.sent_serial)


def test_exchanging_again_changes_nothing_and_changes_travel_once(make: Make, province: CascadeHub) -> None:
    city = make("city/log")
    first, second = city.office.publish(content("一")), city.office.publish(content("二"))
    peer = link(city, province)
    city.exchange(peer.id)
    before = province.office.ledger.entries(limit=1).total
    assert city.exchange(peer.id).sent_serial == 2
    assert province.office.ledger.entries(limit=1).total == before
    catalogue = city.office.catalogue
    catalogue.act(first.id, ResourceAction.SUSPEND, POLICE_ACTOR, "停用")
    revised = catalogue.act(second.id, ResourceAction.REVISE, POLICE_ACTOR)
    catalogue.edit(second.id, content("二改", table="二"), POLICE_ACTOR, revised.version)
    for action, actor in (
        (ResourceAction.SIGN_OFF, POLICE_ACTOR),
        (ResourceAction.SUBMIT, POLICE_ACTOR),
        (ResourceAction.APPROVE, AUTHORITY_ACTOR),
        (ResourceAction.PUBLISH, AUTHORITY_ACTOR),
    ):
        catalogue.act(second.id, action, actor)
    after = city.exchange(peer.id)
    assert (after.in_step, after.sent_serial) == (True, 4)
    assert set(province.visible()) == {"二改"}
    assert province.visible()["二改"].version == 2
    catalogue.act(first.id, ResourceAction.RESUME, POLICE_ACTOR)
    assert city.exchange(peer.id).in_step
    assert set(province.visible()) == {"一", "二改"}


def test_a_chain_of_three_hubs_without_loops(make: Make, province: CascadeHub) -> None:
    county, nation = make("county/log"), make("nation/log")
    county.office.publish(content("县"))
    province.office.publish(content("省"))
    nation.office.publish(content("国"))
    below, above = link(county, province), link(province, nation)
    for _ in range(3):
        county.exchange(below.id)
        province.exchange(above.id)
    assert set(nation.visible()) == set(province.visible()) == set(county.visible()) == {"县", "省", "国"}
    origin = nation.visible()["县"].content.origin
    assert origin is not None
    assert origin.path == ("county/log", "province/log")
    for hub in (county, province, nation):
        versions = {found.version for found in hub.visible().values()}
        assert versions == {1}
    retired = county.visible()["县"]
    county.office.catalogue.act(retired.id, ResourceAction.RETIRE, POLICE_ACTOR, "不再提供")
    county.exchange(below.id)
    assert province.exchange(above.id).in_step
    assert set(nation.visible()) == {"省", "国"}


def test_an_entry_that_comes_two_ways_is_shown_once_and_the_other_way_takes_over(
    make: Make, province: CascadeHub
) -> None:
    county, city = make("county/log"), make("city/log")
    county.office.publish(content("县"))
    direct, via = link(county, province), link(county, city)
    above = link(city, province)
    county.exchange(direct.id)
    county.exchange(via.id)
    assert city.exchange(above.id).in_step
    assert len(province.visible()) == 1
    county.peers.edit(direct.id, settings("某省", scope=Scope.NOTHING), AUTHORITY_ACTOR)
    assert county.exchange(direct.id).in_step
    assert city.exchange(above.id).in_step
    origin = province.visible()["县"].content.origin
    assert origin is not None
    assert origin.path == ("county/log", "city/log")


def test_what_a_hub_is_shown_is_its_scope(make: Make, province: CascadeHub) -> None:
    city = make("city/log")
    city.office.publish(content("内"))
    city.office.publish(content("外", open=True))
    peer = link(city, province, scope=Scope.OPEN)
    city.exchange(peer.id)
    assert set(province.visible()) == {"外"}
    assert all(item.open for item in province.visible()["外"].content.items)
    city.peers.edit(peer.id, settings("某省", scope=Scope.SHARED), AUTHORITY_ACTOR)
    assert city.exchange(peer.id).in_step
    assert set(province.visible()) == {"内", "外"}
    city.peers.edit(peer.id, settings("某省", only_departments=["524406005000000158"]), AUTHORITY_ACTOR)
    assert city.exchange(peer.id).in_step
    assert not province.visible()


def test_a_received_entry_is_read_only_and_an_ended_link_takes_its_entries_along(
    make: Make, province: CascadeHub
) -> None:
    city = make("city/log")
    city.office.publish(content("一"))
    peer = link(city, province)
    city.exchange(peer.id)
    received = province.visible()["一"]
    with pytest.raises(Conflict, match="read-only"):
        province.office.catalogue.act(received.id, ResourceAction.SUSPEND, AUTHORITY_ACTOR, "x")
    (subordinate,) = province.peers.all()
    province.peers.set_state(subordinate.id, PeerState.ENDED, AUTHORITY_ACTOR)
    assert not province.visible()
    assert province.office.catalogue.get(received.id).state is ResourceState.RETIRED
    with pytest.raises(Conflict):
        city.exchange(peer.id)


def test_a_batch_is_applied_once_in_order_and_only_with_the_peers_signature(make: Make, province: CascadeHub) -> None:
    city = make("city/log")
    for title in "一二三":
        city.office.publish(content(title))
    peer = link(city, province)
    (subordinate,) = province.peers.all()
    city.cascade.look(peer.id)
    signed = city.cascade.outgoing_batch(peer.id, 0)
    forged = SignedBatch(batch=signed.batch, signature=make("other/log").signer.sign(signed.batch.message))
    for wrong, kind in (
        (forged, Corrupt),
        (sign(city, signed.batch.model_copy(update={"receiver": "else/log"})), Refused),
        (sign(city, signed.batch.model_copy(update={"after": 1})), Conflict),
        (sign(city, signed.batch.model_copy(update={"until": 2})), Conflict),
        (sign(city, altered(signed.batch)), Corrupt),
    ):
        with pytest.raises(kind):
            province.cascade.receive(subordinate.id, wrong, AUTHORITY_ACTOR)
    assert not province.visible()
    assert province.cascade.receive(subordinate.id, signed, AUTHORITY_ACTOR) == Standing(serial=3)
    entries = province.office.ledger.entries(kind=EntryKind.FOREIGN).total
    assert province.cascade.receive(subordinate.id, signed, AUTHORITY_ACTOR) == Standing(serial=3)
    assert province.office.ledger.entries(kind=EntryKind.FOREIGN).total == entries == 3
    (evidence,) = [
        entry
        for entry in province.office.ledger.entries(kind=EntryKind.CASCADE, subject=subordinate.id).rows
        if entry.facts["action"] == "received"
    ]
    assert evidence.facts["batch_digest"] == signed.batch.digest


def test_a_city_follows_a_province_whose_key_vouches_for_the_next(make: Make, province: CascadeHub) -> None:
    city = make("city/log")
    province.office.publish(content("省一"))
    peer = city.exchange(link(city, province).id)
    first = province.signer.public_key
    assert peer.public_key == first
    for _ in range(2):
        province.replace_key(vouched=True)
    province.office.publish(content("省二"))
    peer = city.exchange(peer.id)
    assert set(city.visible()) == {"省一", "省二"}
    assert (peer.in_step, peer.public_key) == (True, province.signer.public_key)
    (evidence,) = [
        entry
        for entry in city.office.ledger.entries(kind=EntryKind.CASCADE, subject=peer.id).rows
        if entry.facts["action"] == "follow_key"
    ]
    assert evidence.facts["key"] == province.signer.public_key.hex()
    vouched = evidence.facts["vouched"]
    assert isinstance(vouched, list)
    assert [str(line).split()[0] for line in vouched][0] == first.hex()
    assert len(vouched) == 2

    # In an emergency nobody vouches: what is signed by the new key stays outside until the city joins anew.
    province.replace_key(vouched=False)
    province.office.publish(content("省三"))
    with pytest.raises(Corrupt, match="log_key_emergency"):
        city.exchange(peer.id)
    assert set(city.visible()) == {"省一", "省二"}
    assert city.peers.get(peer.id).public_key == peer.public_key
    other = LogKeys.of("other/log", province.signer.public_key)
    with pytest.raises(Refused, match="wrong_hub"):
        city.peers.follow_key(peer.id, other, AUTHORITY_ACTOR)


def sign(hub: CascadeHub, batch: CascadeBatch) -> SignedBatch:
    return SignedBatch(batch=batch, signature=hub.signer.sign(batch.message))


def altered(batch: CascadeBatch) -> CascadeBatch:
    first = batch.entries[0]
    assert first.content is not None
    changed = first.content.model_copy(update={"title": Text(zh="改", en="")})
    entry: CascadeEntry = first.model_copy(update={"content": changed})
    return batch.model_copy(update={"entries": (entry, *batch.entries[1:])})


def test_a_token_joins_one_hub_once(make: Make, province: CascadeHub) -> None:
    city, other = make("city/log"), make("other/log")
    link(city, province)
    other.superiors["http://province/log"] = province
    with pytest.raises(Refused):
        other.exchanges.join(
            settings("某省"),
            address="http://province/log",
            token="token-of-city/log",
            own_name="other",
            actor=AUTHORITY_ACTOR,
        )
