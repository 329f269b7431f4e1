from datong.ledger import EntryKind
from tests.unit.ledger.documented import documented_facts


def test_each_kind_of_entry_is_documented_with_its_facts() -> None:
    known = documented_facts()
    assert {kind.value for kind in EntryKind} == known.keys()
    assert all(known.values())
