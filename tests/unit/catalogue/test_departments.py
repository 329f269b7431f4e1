import pytest

from datong.catalogue import Department
from datong.kernel import Conflict, DepartmentCode, Invalid, NodeId, NotFound, Text
from datong.ledger import EntryKind, key_id_of
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, Office

KEY = bytes(range(32))


def test_registering_is_idempotent_and_corrects_names(office: Office) -> None:
    before = office.ledger.entries(kind=EntryKind.DEPARTMENT_KEY).total
    police = office.departments.get(POLICE)
    office.departments.register(police, AUTHORITY_ACTOR)
    assert office.ledger.entries(kind=EntryKind.DEPARTMENT_KEY).total == before
    renamed = police.model_copy(update={"name": Text(zh="市公安局", en="Police")})
    office.departments.register(renamed, AUTHORITY_ACTOR)
    assert office.departments.get(POLICE).name.zh == "市公安局"
    assert len(office.departments.all()) == 3


def test_a_department_needs_a_valid_credit_code(office: Office) -> None:
    text = Text(zh="假", en="x")
    with pytest.raises(Invalid):
        office.departments.register(
            Department(code=DepartmentCode("114406000000000194"), name=text, short_name=text), AUTHORITY_ACTOR
        )
    with pytest.raises(NotFound):
        office.departments.get(DepartmentCode("x"))


def test_keys_are_registered_once_and_revoked_for_good(office: Office) -> None:
    made = office.departments.register_key(POLICE, KEY, NodeId("n"), AUTHORITY_ACTOR)
    assert made.key_id == key_id_of(KEY)
    assert office.departments.register_key(POLICE, KEY, NodeId("n"), AUTHORITY_ACTOR) == made
    with pytest.raises(Conflict):
        office.departments.register_key(CIVIL, KEY, NodeId("m"), AUTHORITY_ACTOR)
    with pytest.raises(Invalid):
        office.departments.register_key(POLICE, b"short", None, AUTHORITY_ACTOR)
    revoked = office.departments.revoke_key(made.key_id, AUTHORITY_ACTOR, "丢失")
    assert revoked.revoked_at is not None
    assert office.departments.revoke_key(made.key_id, AUTHORITY_ACTOR, "丢失") == revoked
    assert office.departments.keys(POLICE) == (revoked,)
    with pytest.raises(Conflict):
        office.departments.register_key(POLICE, KEY, NodeId("n"), AUTHORITY_ACTOR)
    with pytest.raises(NotFound):
        office.departments.key("0" * 16)
