"""The description of the interface is true: schemathesis calls every operation in the names of everybody."""

from pathlib import Path

import pytest

from tests.integration.contract.callers import everybody
from tests.integration.contract.exploring import LEFT_OUT, Explored, Explorer
from tests.integration.contract.worlds import filled_hub, known_in

SEED = 20261127
EXAMPLES = 1
"""Calls of each kind per operation: `python -m tests.integration.contract` makes as many as there is time for."""


@pytest.fixture(scope="module")
def explored(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    seen = Explored()
    with filled_hub(migrated_sqlite, tmp_path_factory.mktemp("contract")) as world:
        explorer = Explorer(
            url=world.hub.url, callers=everybody(world), known=known_in(world), examples=EXAMPLES, seed=SEED
        )
        explorer.explore(seen)
    return seen


def test_nothing_fails_inside_and_every_answer_is_as_described(explored: Explored) -> None:
    assert not explored.findings, "\n\n".join(explored.findings.values())


def test_every_operation_was_called_and_many_did_something(explored: Explored) -> None:
    assert len(explored.answers) > 300
    assert explored.reached > 100, explored.unreached
    assert not explored.answers.keys() & LEFT_OUT.keys()
