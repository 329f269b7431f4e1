"""docs/exchange/howto.md works: its commands, as they stand there, between two fresh PostgreSQL servers."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.drills.operation.guide import Shell, exported, guide_blocks
from tests.drills.operation.tables import postgresql_rows
from tests.free_ports import free_port
from tests.servers import PostgresqlServer, start_postgresql

HOWTO = Path(__file__).parents[3] / "docs" / "exchange" / "howto.md"
ROWS = 3000
COMMANDS_MAX = 15
SECONDS_MAX = 600


@pytest.fixture(scope="module")
def second_server() -> Iterator[PostgresqlServer]:
    server = start_postgresql()
    yield server
    server.stop()


def test_a_newcomer_moves_a_table_with_fifteen_commands(
    postgresql_server: PostgresqlServer, second_server: PostgresqlServer, tmp_path: Path
) -> None:
    source, target = postgresql_server.create_database(), second_server.create_database()
    with psycopg.connect(source) as connection:
        connection.execute(
            "CREATE TABLE resident (resident_no bigint PRIMARY KEY, full_name text NOT NULL, area numeric(9,2), "
            "changed_at timestamptz NOT NULL)"
        )
        connection.execute(
            "INSERT INTO resident SELECT n, '张' || n, n * 0.01, now() FROM generate_series(1, %s) AS n", (ROWS,)
        )
    blocks = guide_blocks(HOWTO.read_text(encoding="utf-8"))
    names = {
        "DATONG_HOME": str(tmp_path / "trial"),
        "DATONG_PORT": str(free_port()),
        "FROM_DATABASE": source,
        "TO_DATABASE": target,
        "DATONG_LANGUAGE": "en",
    }
    assert exported(blocks.pop("names")) == list(names)
    typed = [line for block in blocks.values() for line in re.sub(r"\\\n", " ", block).splitlines() if line.strip()]
    assert len(typed) <= COMMANDS_MAX
    shell = Shell(names, tmp_path)
    began = time.monotonic()
    try:
        told = {name: shell.run(block) for name, block in blocks.items()}
    finally:
        shell.close()
    assert time.monotonic() - began < SECONDS_MAX
    assert "in force" in told["agreement"]
    assert "+ resident" in told["move"]
    sent = postgresql_rows(source, "resident")
    assert len(sent["resident_no"]) == ROWS
    assert postgresql_rows(target, "resident", keys=sent.keys()) == sent
