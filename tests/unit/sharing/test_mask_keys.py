"""Keyed masks from the decision of the provider to the answer of the gateway."""

import duckdb
import pytest

from datong.kernel import Invalid
from datong.ledger import EntryKind
from datong.sharing.mask_columns import mask_columns
from datong.sharing.mask_keys import mask_key
from datong.sharing.masks import MaskKind, apply_mask, pseudonym, stricter_than
from datong.sharing.request_rules import RequestAction
from datong.sharing.terms import Agreement
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
ADDRESS = "广东省佛山市顺德区某路1号"
PSEUDONYMS = {"hjdz": MaskKind.PSEUDONYM}


def agreed(world: World, service_item: str = "school-admission", masks: dict[str, MaskKind] | None = None) -> Agreement:
    (waiting,) = world.submit(["hjdz"], service_item=service_item)
    approved = world.requests.act(
        waiting.id, RequestAction.APPROVE, person(POLICE), masks=PSEUDONYMS if masks is None else masks
    )
    return world.put_in_force(approved.agreement_id)


def address(world: World, purpose: str = "school-admission") -> str | None:
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "address": ADDRESS},)
    answer = world.gateway.query(
        application(EDUCATION),
        RESOURCE,
        key={"citizen_id": CITIZEN},
        items=["hjdz"],
        purpose=purpose,
        case_number="RX-1",
    )
    return answer.rows[0]["hjdz"]


def test_a_pseudonym_is_stable_within_a_purpose_and_another_one_elsewhere(world: World) -> None:
    agreement = agreed(world)
    agreed(world, "low-income-assistance")
    first = address(world)
    assert first == address(world)
    assert first is not None
    assert len(first) == 32
    assert first != address(world, "low-income-assistance")
    # Bulk ways out give what the gateway gives.
    with duckdb.connect() as connection:
        sql = mask_columns(connection, world.mask_keys.of(agreement))["hjdz"]
        assert connection.execute(f"SELECT {sql} FROM (SELECT $1 AS hjdz)", [ADDRESS]).fetchone() == (first,)


def test_new_keys_end_what_could_be_linked_and_leave_evidence(world: World) -> None:
    agreement = agreed(world)
    before = address(world)
    assert world.mask_keys.renew(agreement, person(POLICE)) == 2
    between = address(world)
    assert world.mask_keys.renew(agreement, person(POLICE)) == 3
    assert len({before, between, address(world)}) == 3
    entries = world.ledger.entries(kind=EntryKind.MASK_KEY).rows
    assert [entry.facts["generation"] for entry in entries] == [3, 2]
    assert entries[0].subject == agreement.id
    assert before is not None
    assert before not in repr([entry.facts for entry in entries])


def test_keys_differ_by_everything_that_must_not_be_linked(world: World) -> None:
    agreement = agreed(world)
    item = agreement.items[0]
    others = [
        (agreement.model_copy(update={"consumer": SOCIAL}), item, 1),
        (agreement.model_copy(update={"purpose": agreement.purpose.model_copy(update={"service_item": "x"})}), item, 1),
        (agreement, item.model_copy(update={"element": "property_address"}), 1),
        (agreement, item.model_copy(update={"element": None}), 1),
        (agreement, item.model_copy(update={"mask": MaskKind.CIPHER_DIGITS}), 1),
        (agreement, item, 2),
    ]
    keys = {mask_key(b"secret", *other) for other in others} | {mask_key(b"secret", agreement, item, 1)}
    assert len(keys) == len(others) + 1
    # The same element of another provider's resource is the same person: that is what the pseudonym is for.
    elsewhere = agreement.model_copy(update={"resource_id": "other", "provider": SOCIAL})
    assert mask_key(b"secret", elsewhere, item, 1) in keys


@pytest.mark.parametrize(
    "masks", [{"hjdz": MaskKind.NONE}, {"hjdz": MaskKind.NAME}, {"xm": MaskKind.HIDDEN}, {"none": MaskKind.HIDDEN}]
)
def test_a_mask_may_only_show_less(world: World, masks: dict[str, MaskKind]) -> None:
    with pytest.raises(Invalid) as refused:
        agreed(world, masks=masks)
    assert refused.value.code == "sharing.masks_invalid"


def test_what_is_hidden_stays_hidden() -> None:
    assert stricter_than(MaskKind.HIDDEN) == {MaskKind.HIDDEN}
    assert stricter_than(MaskKind.NONE) == set(MaskKind)
    assert MaskKind.NONE not in stricter_than(MaskKind.AMOUNT)


def test_a_request_and_its_agreement_say_the_mask(world: World) -> None:
    agreement = agreed(world)
    assert agreement.items[0].mask is MaskKind.PSEUDONYM
    assert world.requests.get(agreement.request_id).items[0].mask is MaskKind.PSEUDONYM
    assert b'"mask":"pseudonym"' in agreement.signing_bytes()


def test_case_and_spaces_do_not_make_another_pseudonym() -> None:
    assert pseudonym(b"k", " 11010519491231002x\n") == pseudonym(b"k", "11010519491231002X")
    assert apply_mask(MaskKind.PSEUDONYM, "\ud800", b"k") == "***"
