"""The sharing services over a fresh SQLite control database, real ledger included."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.kernel import METADATA, Database
from tests.unit.sharing.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    METADATA.create_all(database.engine)
    yield World(database)
    database.close()
