"""Naming clusters in bulk gives the ids that the rules give one by one."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import EntityId
from datong.library.engine import EmbeddedWorkspace
from datong.library.naming import ATTEMPTS_AT_ONCE, name_clusters
from datong.library.registry import Member, founded_id, name_entities

RECORDS = 12
NAMES = {0: "one", 1: "other"}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=RECORDS, max_size=RECORDS),
    st.lists(st.one_of(st.none(), st.integers(0, RECORDS - 1)), min_size=RECORDS, max_size=RECORDS),
    st.lists(st.integers(1, 3), min_size=RECORDS, max_size=RECORDS),
    st.sets(st.tuples(st.integers(0, RECORDS - 1), st.integers(0, 1))),
)
def test_in_bulk_as_one_by_one(
    clusters: list[int], former: list[int | None], first: list[int], held: set[tuple[int, int]]
) -> None:
    roots = [clusters.index(cluster) for cluster in clusters]
    keys = [(record % 2, f"{record // 2:03d}") for record in range(RECORDS)]
    names = [f"{NAMES[source]}\x1f{key}" for source, key in keys]
    previous = {
        names[record]: founded_id(names[founder]) for record, founder in enumerate(former) if founder is not None
    }
    order = sorted(range(RECORDS), key=lambda record: keys[record])
    number = {record: place for place, record in enumerate(order)}
    members: dict[int, list[Member]] = {}
    for record, root in enumerate(roots):
        member = Member(number[record], (first[record], *keys[record]), names[record])
        members.setdefault(root, []).append(member)
    elsewhere = {founded_id(names[founder], attempt) for founder, attempt in held} - set(previous.values())
    expected, successions = name_entities(members.values(), previous, elsewhere)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE placed (record BIGINT, head BIGINT, root BIGINT)")
        connection.execute(
            "CREATE TABLE linkable (unique_id BIGINT, source INTEGER, row_key VARCHAR, first_sequence BIGINT)"
        )
        connection.execute("CREATE TABLE elsewhere (entity_id VARCHAR)")
        connection.executemany("INSERT INTO elsewhere VALUES (?)", [["none"], *([known] for known in elsewhere)])
        connection.execute("CREATE TABLE previous_ids (key VARCHAR, entity_id VARCHAR)")
        connection.executemany(
            "INSERT INTO placed VALUES (?, ?, ?)",
            [(number[record], number[record], number[root]) for record, root in enumerate(roots)],
        )
        connection.executemany(
            "INSERT INTO linkable VALUES (?, ?, ?, ?)",
            [(number[record], *keys[record], first[record]) for record in range(RECORDS)],
        )
        connection.executemany("INSERT INTO previous_ids VALUES (?, ?)", [("none", "none"), *previous.items()])
        found = name_clusters(
            EmbeddedWorkspace(connection),
            NAMES,
            lambda ids: f"SELECT e.* FROM elsewhere e SEMI JOIN {ids} USING (entity_id)",
        )
        rows = connection.execute("SELECT record, entity_id FROM placed JOIN named USING (root)").fetchall()
    assert {record: EntityId(entity) for record, entity in rows} == expected
    assert found == successions


@pytest.mark.parametrize("lives", [0, 1, ATTEMPTS_AT_ONCE - 1, ATTEMPTS_AT_ONCE, 2 * ATTEMPTS_AT_ONCE + 1])
def test_the_first_id_that_nobody_holds(lives: int) -> None:
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        work.create("placed", "SELECT 0 AS record, 0 AS root")
        work.create("linkable", "SELECT 0 AS unique_id, 0 AS source, 'R1' AS row_key, 1 AS first_sequence")
        work.create("previous_ids", "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS entity_id WHERE false")
        connection.execute("CREATE TABLE elsewhere (entity_id VARCHAR)")
        for attempt in range(lives):
            connection.execute("INSERT INTO elsewhere VALUES (?)", [founded_id("one\x1fR1", attempt)])
        held = "SELECT e.* FROM elsewhere e SEMI JOIN {} USING (entity_id)"
        assert name_clusters(work, NAMES, held.format) == []
        assert work.rows("SELECT * FROM named") == [(0, founded_id("one\x1fR1", lives))]
