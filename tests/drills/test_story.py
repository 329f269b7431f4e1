"""The whole story, played with real processes: it holds. Harm and kills in its steps are tested in `tests/fault`."""

import pytest

from tests.demo_story import undisturbed


def test_all_nine_steps_hold(tmp_path_factory: pytest.TempPathFactory) -> None:
    status, report = undisturbed(tmp_path_factory)
    assert [step["holds"] for step in report["steps"]] == [True] * 9, report
    assert status == 0
    assert report["facts"]["f1"] >= 0.98
