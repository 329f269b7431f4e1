"""A control database without its migrations, for tests that judge records and people's decisions and no engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.kernel import Database
from tests.new_control import new_control


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An SQLite control database with every table."""
    made = new_control(tmp_path)
    yield made
    made.close()
