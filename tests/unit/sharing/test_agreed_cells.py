import pytest

from datong.sharing.agreed_cells import AgreedCells, cells_agreed, shown_plainly
from datong.sharing.masks import MaskKind
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.terms import RequestLine
from tests.unit.sharing.samples import EDUCATION, PURPOSE, RESOURCE, person, resource
from tests.unit.sharing.world import World

HERE = RowCondition(column="hh", operator=RowOperator.STARTS_WITH, values=("H",))


@pytest.fixture
def agreed(world: World) -> AgreedCells:
    line = RequestLine(resource_id=RESOURCE, items=("xm", "gmsfhm", "hh"), rows=(HERE,))
    (granted,) = world.requests.submit(consumer=EDUCATION, lines=[line], purpose=PURPOSE, actor=person(EDUCATION))
    agreement = world.put_in_force(granted.agreement_id)
    suspended = agreement.model_copy(update={"state": "suspended", "row_filter": ()})
    return cells_agreed(resource(), [suspended, agreement], world.mask_keys, world.clock.now())


def test_only_items_of_agreements_in_force_are_covered_by_any_of_their_names(agreed: AgreedCells) -> None:
    assert all(agreed.covers(name) for name in ("xm", "person_name", "姓名", "column:xm", "hh", "citizen_id", "uscc"))
    assert not any(agreed.covers(name) for name in ("hjdz", "address", "column:bz", "nothing", ""))


def test_values_are_masked_as_agreed_and_hidden_otherwise(agreed: AgreedCells) -> None:
    assert agreed.mask_of("person_name").kind is MaskKind.NAME
    assert shown_plainly(agreed.mask_of("hh"))
    assert agreed.mask_of("address").kind is MaskKind.HIDDEN
    assert agreed.mask_of("nothing").kind is MaskKind.HIDDEN


def test_records_outside_the_row_filter_are_not_there(agreed: AgreedCells) -> None:
    assert agreed.concerns({"household_id": "H1"})
    assert agreed.concerns({"column:hh": "H1", "household_id": "X"})
    assert not agreed.concerns({"household_id": "X1"})
    assert not agreed.concerns({"person_name": "H"})


def test_without_an_agreement_in_force_nothing_is_covered(world: World) -> None:
    nothing = cells_agreed(resource(), [], world.mask_keys, world.clock.now())
    assert not nothing.masks
    assert not nothing.covers("xm")
    assert not nothing.covers("row_key")


def test_an_agreement_that_depends_on_consent_covers_nothing(world: World) -> None:
    line = RequestLine(resource_id=RESOURCE, items=("xm", "gmsfhm", "hh"))
    purpose = PURPOSE.model_copy(update={"consent": True})
    (granted,) = world.requests.submit(consumer=EDUCATION, lines=[line], purpose=purpose, actor=person(EDUCATION))
    agreement = world.put_in_force(granted.agreement_id)
    assert not cells_agreed(resource(), [agreement], world.mask_keys, world.clock.now()).masks
