"""The description of the interface is true: schemathesis calls operations in the names of everybody.

To think up calls takes schemathesis a fifth of a processor second each, so the suite calls one operation in `SHARE`,
always the same ones; `make test-long` calls all of them three times, and `python -m tests.integration.contract` for as
long as there is time.
"""

from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import settings

from tests.integration.contract.callers import everybody
from tests.integration.contract.exploring import LEFT_OUT, Explored, Explorer
from tests.integration.contract.worlds import filled_hub, known_in

SEED = 20261127
SHARE = 10
EXAMPLES_LONG = 3


@pytest.fixture(scope="module")
def explored(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    seen, thorough = Explored(), settings.get_current_profile_name() == "thorough"
    with filled_hub(migrated_sqlite, tmp_path_factory.mktemp("contract")) as world:
        explorer = Explorer(
            url=world.hub.url,
            callers=everybody(world),
            known=known_in(world),
            examples=EXAMPLES_LONG if thorough else 1,
            seed=SEED,
            only=lambda label: thorough or crc32(label.encode()) % SHARE == 0,
        )
        explorer.explore(seen)
    return seen


def test_nothing_fails_inside_and_every_answer_is_as_described(explored: Explored) -> None:
    assert not explored.findings, "\n\n".join(explored.findings.values())


def test_what_is_sampled_comes_from_everywhere(explored: Explored) -> None:
    assert len(explored.answers) > 20
    assert {label.split("/")[1] for label in explored.answers} >= {"api", "gateway"}
    assert any(status < 400 for counted in explored.answers.values() for status in counted)
    assert not explored.answers.keys() & LEFT_OUT.keys()
