"""Entity ids: reproducible without memory, inherited with it, merges and splits on record."""

from datong.kernel import EntityId
from datong.library.registry import Change, Member, Succession, founded_id, name_entities


def member(record: int, first: int = 1) -> Member:
    return Member(record, (first, 0, f"{record:03d}"), f"source\x1f{record:03d}")


def keyed(ids: dict[int, EntityId]) -> dict[str, EntityId]:
    return {f"source\x1f{record:03d}": entity for record, entity in ids.items()}


def test_a_new_entity_is_named_after_the_record_that_landed_first() -> None:
    ids, successions = name_entities([[member(2, first=1), member(1, first=5)], [member(3)]], {})
    assert ids[1] == ids[2] == founded_id("source\x1f002")
    assert ids[3] == founded_id("source\x1f003")
    assert successions == []


def test_ids_stay_when_records_come_and_the_founder_goes() -> None:
    before, _ = name_entities([[member(1), member(2)]], {})
    after, successions = name_entities([[member(2), member(3, first=2)]], keyed(before))
    assert after[2] == after[3] == before[2]
    assert successions == []


def test_a_merge_keeps_the_older_id_and_records_the_other() -> None:
    before, _ = name_entities([[member(1)], [member(2)]], {})
    after, successions = name_entities([[member(1), member(2)]], keyed(before))
    assert after[1] == after[2] == before[1]
    assert successions == [Succession(before[2], before[1], Change.MERGE)]


def test_a_split_leaves_the_id_with_the_larger_part() -> None:
    before, _ = name_entities([[member(1), member(2), member(3)]], {})
    after, successions = name_entities([[member(1)], [member(2), member(3)]], keyed(before))
    assert after[2] == after[3] == before[1]
    assert after[1] != before[1]
    assert successions == [Succession(before[1], after[1], Change.SPLIT)]


def test_a_rebuild_from_the_same_landing_gives_the_ids_of_the_increment() -> None:
    first, _ = name_entities([[member(1)], [member(2)]], {})
    incremental, _ = name_entities([[member(1), member(3, first=2)], [member(2)]], keyed(first))
    rebuilt, _ = name_entities([[member(1), member(3, first=2)], [member(2)]], {})
    assert incremental == rebuilt
