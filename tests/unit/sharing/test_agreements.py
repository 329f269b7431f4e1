from datetime import timedelta

import pytest
import yaml

from datong.catalogue import UseKind
from datong.exchange import TransferTerms
from datong.kernel import AgreementId, Conflict, Corrupt, Invalid, NotFound, Refused
from datong.ledger import EntryKind
from datong.sharing.agreements import decode_signature
from datong.sharing.terms import Agreement, AgreementState
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, RESOURCE, SOCIAL, node, person
from tests.unit.sharing.world import World


def drawn(world: World) -> Agreement:
    (granted,) = world.submit(["姓名", "户号"])
    assert granted.agreement_id is not None
    return world.agreements.get(granted.agreement_id)


def check(world: World, agreement: Agreement, *columns: str) -> None:
    terms: TransferTerms = world.agreements
    terms.check(
        agreement_id=agreement.id,
        provider=agreement.provider,
        consumer=agreement.consumer,
        resource_id=agreement.resource_id,
        columns=columns,
        now=world.clock.now(),
    )


def test_confirmed_by_officers_then_signed_by_keys(world: World) -> None:
    agreement = drawn(world)
    assert world.agreements.to_sign(POLICE) == ()
    assert world.agreements.may_sign([POLICE, EDUCATION]) == frozenset()
    world.agreements.confirm(agreement.id, POLICE, person(POLICE))
    confirmed = world.agreements.confirm(agreement.id, EDUCATION, person(EDUCATION))
    assert confirmed.state is AgreementState.CONFIRMED
    assert world.agreements.to_sign(POLICE) == (confirmed,)
    assert world.agreements.may_sign([POLICE, EDUCATION, BUREAU]) == {POLICE, EDUCATION}
    assert world.agreements.may_sign([EDUCATION]) == {EDUCATION}
    half = world.sign(confirmed, POLICE)
    assert world.agreements.to_sign(POLICE) == ()
    assert world.agreements.to_sign(EDUCATION) == (half,)
    active = world.sign(half, EDUCATION)
    assert active.state is AgreementState.ACTIVE
    assert world.agreements.get(agreement.id) == active
    assert world.sign(active, EDUCATION) == active
    steps = [entry.facts["step"] for entry in world.ledger.entries(kind=EntryKind.AGREEMENT).rows]
    assert list(reversed(steps)) == ["draw_up", "confirm", "confirm", "sign", "sign"]


def test_an_agreement_counts_as_use_once_it_is_in_force(world: World) -> None:
    agreement = drawn(world)
    counted = (RESOURCE, UseKind.AGREEMENT, EDUCATION)
    assert world.uses.times == {(RESOURCE, UseKind.REQUEST, EDUCATION): 1}
    active = world.put_in_force(agreement.id)
    assert world.uses.times[counted] == 1
    world.agreements.suspend(active.id, person(POLICE), "核查")
    world.agreements.resume(active.id, person(POLICE))
    assert world.uses.times[counted] == 1


def test_a_wrong_signature_or_key_is_refused(world: World) -> None:
    agreement = drawn(world)
    for code in agreement.parties:
        world.agreements.confirm(agreement.id, code, person(code))
    key_id = world.enrol_key(POLICE)
    signer = world.keys[POLICE]
    with pytest.raises(Corrupt):
        world.agreements.sign(
            agreement.id, key_id=key_id, signature=signer.sign(b"something else"), actor=node(POLICE).actor
        )
    good = signer.sign(agreement.signing_bytes())
    with pytest.raises(Refused):
        world.agreements.sign(agreement.id, key_id=key_id, signature=good, actor=node(EDUCATION).actor)
    with pytest.raises(NotFound):
        world.agreements.sign(agreement.id, key_id="f" * 16, signature=good, actor=node(POLICE).actor)
    with pytest.raises(Refused):
        world.sign(agreement, SOCIAL)
    world.revoke(key_id)
    with pytest.raises(Refused):
        world.agreements.sign(agreement.id, key_id=key_id, signature=good, actor=node(POLICE).actor)


def test_the_hub_signs_for_the_authority(world: World) -> None:
    (granted,) = world.submit(["姓名"], consumer=BUREAU)
    assert granted.agreement_id is not None
    world.agreements.confirm(granted.agreement_id, POLICE, person(POLICE))
    signed = world.agreements.confirm(granted.agreement_id, BUREAU, person(BUREAU))
    assert [done.department for done in signed.signatures] == [BUREAU]
    assert world.departments.key(world.signer.key_id).department == BUREAU
    assert world.sign(signed, POLICE).state is AgreementState.ACTIVE


def test_transfers_pass_under_an_active_agreement_only(world: World) -> None:
    agreement = drawn(world)
    with pytest.raises(Refused) as refused:
        check(world, agreement, "xm")
    assert refused.value.context["policies"] == ["data.not_in_force"]
    world.put_in_force(agreement.id)
    check(world, agreement, "xm", "hh")
    with pytest.raises(Refused):
        check(world, agreement, "xm", "hjdz")
    with pytest.raises(Refused):
        check(world, agreement.model_copy(update={"consumer": SOCIAL}), "xm")
    world.agreements.suspend(agreement.id, person(POLICE), "超范围使用")
    with pytest.raises(Refused):
        check(world, agreement, "xm")
    world.agreements.resume(agreement.id, person(BUREAU))
    check(world, agreement, "xm")
    world.agreements.terminate(agreement.id, person(EDUCATION), "用途结束")
    with pytest.raises(Refused):
        check(world, agreement, "xm")
    with pytest.raises(Conflict):
        world.agreements.resume(agreement.id, person(POLICE))


def test_expiry_is_marked_and_enforced(world: World) -> None:
    agreement = world.put_in_force(drawn(world).id)
    world.clock.advance(timedelta(days=366))
    with pytest.raises(Refused):
        check(world, agreement, "xm")
    assert world.agreements.expire_due() == 1
    assert world.agreements.expire_due() == 0
    assert world.agreements.get(agreement.id).state is AgreementState.EXPIRED


def test_the_consumer_says_once_how_it_disposed_of_the_data(world: World) -> None:
    agreement = world.put_in_force(drawn(world).id)
    with pytest.raises(Conflict, match="in force"):
        world.agreements.dispose(agreement.id, person(EDUCATION), "已删除")
    world.agreements.terminate(agreement.id, person(POLICE), "目的已实现")
    with pytest.raises(Refused):
        world.agreements.dispose(agreement.id, person(POLICE), "已删除")
    with pytest.raises(Invalid):
        world.agreements.dispose(agreement.id, person(EDUCATION), " ")
    told = world.agreements.dispose(agreement.id, person(EDUCATION), "目标表已删除")
    assert (told.disposed_at, told.disposal, told.state) == (
        world.clock.now(),
        "目标表已删除",
        AgreementState.TERMINATED,
    )
    assert world.agreements.dispose(agreement.id, person(EDUCATION), "再次") == told
    assert world.agreements.get(agreement.id) == told
    (entry,) = [one for one in world.ledger.entries(kind=EntryKind.AGREEMENT).rows if one.facts["step"] == "dispose"]
    assert {"disposed_at", "disposal_sha256"} <= entry.facts.keys()


def test_lists(world: World) -> None:
    agreement = drawn(world)
    assert world.agreements.find(department=POLICE, state=AgreementState.DRAFT).rows == (agreement,)
    assert world.agreements.find(department=SOCIAL).total == 0
    assert world.agreements.find(consumer=EDUCATION, resource_id=RESOURCE).total == 1
    assert world.agreements.candidates(EDUCATION, RESOURCE) == (agreement,)
    with pytest.raises(NotFound):
        world.agreements.get(AgreementId("nothing"))


def test_nobody_acts_without_a_department(world: World) -> None:
    agreement = world.put_in_force(drawn(world).id)
    with pytest.raises(Refused):
        world.agreements.suspend(agreement.id, person(None), "理由")


def test_the_data_contract_says_what_was_agreed(world: World) -> None:
    agreement = world.put_in_force(drawn(world).id)
    contract = yaml.safe_load(world.documents.contract(agreement.id))
    assert (contract["apiVersion"], contract["kind"], contract["status"]) == ("v3.1.0", "DataContract", "active")
    properties = contract["schema"][0]["properties"]
    assert [described["name"] for described in properties] == ["xm", "hh"]
    assert {"property": "mask", "value": "name"} in properties[0]["customProperties"]
    custom = {entry["property"]: entry["value"] for entry in contract["customProperties"]}
    assert custom["termsSha256"] == agreement.terms_digest
    assert len(custom["signatures"]) == 2


def test_signatures_come_as_base64() -> None:
    assert decode_signature("AAAA") == b"\x00\x00\x00"
    with pytest.raises(Invalid):
        decode_signature("not base64!")


def test_the_agreement_holds_from_the_start_of_its_term(world: World) -> None:
    (granted,) = world.submit(["姓名"], valid_from=NOW + timedelta(days=2))
    agreement = world.put_in_force(granted.agreement_id)
    with pytest.raises(Refused) as refused:
        check(world, agreement, "xm")
    assert refused.value.context["policies"] == ["data.not_yet"]
