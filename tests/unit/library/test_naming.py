"""Naming clusters: a founder whose first ids live on elsewhere takes the next, however many those are."""

import duckdb
import pytest

from datong.library.engine import EmbeddedWorkspace
from datong.library.naming import ATTEMPTS_AT_ONCE, name_clusters
from datong.library.registry import founded_id

KEY = "register\x1fR1"


@pytest.mark.parametrize("lives", [0, 1, ATTEMPTS_AT_ONCE - 1, ATTEMPTS_AT_ONCE, 2 * ATTEMPTS_AT_ONCE + 1])
def test_the_first_id_that_nobody_holds(lives: int) -> None:
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        work.create("placed", "SELECT 0 AS record, 0 AS root")
        work.create("linkable", "SELECT 0 AS unique_id, 0 AS source, 'R1' AS row_key, 1 AS first_sequence")
        work.create("previous_ids", "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS entity_id WHERE false")
        connection.execute("CREATE TABLE holding (entity_id VARCHAR)")
        for attempt in range(lives):
            connection.execute("INSERT INTO holding VALUES (?)", [founded_id(KEY, attempt)])
        held = "SELECT entity_id FROM holding SEMI JOIN {} USING (entity_id)"
        assert name_clusters(work, {0: "register"}, held.format) == []
        assert work.rows("SELECT * FROM named") == [(0, founded_id(KEY, lives))]
