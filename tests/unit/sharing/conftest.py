"""The sharing services over a fresh SQLite control database, real ledger included."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.sharing.rights_state import RIGHTS_AREAS
from datong.sharing.sign_in_state import SIGN_IN_AREAS
from tests.new_control import new_control
from tests.unit.sharing.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = new_control(tmp_path)
    made = World(database)
    yield made
    # Whatever a test did, the rows say what the log says.
    report = made.ledger.fsck((*RIGHTS_AREAS, *SIGN_IN_AREAS))
    assert [fault for fault in report.faults if fault.area.startswith("sharing.")] == []
    database.close()
