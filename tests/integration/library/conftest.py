"""A control database without its migrations, for tests that judge records and people's decisions and no engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.kernel import METADATA, Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An SQLite control database with every table that is imported."""
    made = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    METADATA.create_all(made.engine)
    yield made
    made.close()
