"""Statistics under a budget: right before the noise, spent once, refused when spent."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from datong.kernel import Conflict, Invalid, NotFound, Refused
from datong.ledger import EntryKind
from datong.sharing.statistic_values import BudgetOrder, Condition, Question, StatisticKind
from datong.sharing.statistics import PrivateStatistics
from tests.unit.sharing.released import NAME, FixedDatasets, people
from tests.unit.sharing.samples import POLICE, person
from tests.unit.sharing.world import World

COUNT = Question(dataset=NAME, kind=StatisticKind.COUNT, epsilon_milli=100)
ASKER = person(POLICE)


def silent(scale: Fraction) -> int:
    assert scale > 0
    return 0


def statistics(world: World, folder: Path, table: pa.Table | None = None, library: str = NAME) -> PrivateStatistics:
    library_ = FixedDatasets(folder, people(600) if table is None else table, library=library)
    return PrivateStatistics(
        database=world.database, clock=world.clock, ledger=world.ledger, library=library_, noise=silent
    )


def grant(asked: PrivateStatistics, milli: int = 1000) -> None:
    asked.grant(NAME, BudgetOrder(granted_milli=milli, statement="年度统计"), ASKER)


def test_counts_sums_and_histograms_are_right_before_the_noise(world: World, tmp_path: Path) -> None:
    asked = statistics(world, tmp_path)
    grant(asked)
    women = (Condition(column="sex", value="2"),)
    assert asked.ask(COUNT, ASKER).values == {"": 600}
    assert asked.ask(COUNT.model_copy(update={"where": women}), ASKER).values == {"": 300}
    income = Question(dataset=NAME, kind=StatisticKind.SUM, column="annual_income", lower=0, upper=5000)
    # Nine of ten have 0 to 8000, what exceeds 5000 counts as 5000.
    assert asked.ask(income, ASKER).values == {"": 60 * (1000 + 2000 + 3000 + 4000 + 5000 * 4)}
    histogram = Question(dataset=NAME, kind=StatisticKind.HISTOGRAM, column="division_code", categories=("110101", "9"))
    assert asked.ask(histogram, ASKER).values == {"110101": 200, "9": 0}
    assert income.sensitivity == 5000
    assert asked.budget(NAME).spent_milli == 400
    # Text is no number, and does not end the question.
    names = income.model_copy(update={"column": "person_name"})
    assert asked.ask(names, ASKER).values == {"": 0}


def test_an_equal_question_is_answered_alike_for_nothing(world: World, tmp_path: Path) -> None:
    asked = statistics(world, tmp_path)
    grant(asked, 150)
    first = asked.ask(COUNT, ASKER)
    assert asked.ask(COUNT, ASKER) == first
    assert asked.budget(NAME).left_milli == 50
    with pytest.raises(Refused) as refused:
        asked.ask(COUNT.model_copy(update={"epsilon_milli": 51}), ASKER)
    assert refused.value.code == "sharing.budget_spent"
    assert refused.value.context == {"left_milli": 50}
    assert asked.answers(NAME).rows == (first,)
    entries = world.ledger.entries(kind=EntryKind.STATISTIC).rows
    assert [entry.facts["action"] for entry in entries] == ["refuse", "answer", "grant"]
    assert "600" not in repr([entry.facts for entry in entries])


def test_many_at_once_never_spend_more_than_there_is(world: World, tmp_path: Path) -> None:
    asked = statistics(world, tmp_path)
    grant(asked, 300)

    def ask(place: int) -> bool:
        try:
            asked.ask(COUNT.model_copy(update={"where": (Condition(column="sex", value=str(place)),)}), ASKER)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(ask, range(6)))
    assert sum(answered) == 3
    assert asked.budget(NAME).spent_milli == 300
    assert asked.answers(NAME).total == 3


def test_a_budget_is_nothing_until_granted_and_never_below_what_was_spent(world: World, tmp_path: Path) -> None:
    asked = statistics(world, tmp_path)
    with pytest.raises(Refused):
        asked.ask(COUNT, ASKER)
    grant(asked, 100)
    asked.ask(COUNT, ASKER)
    with pytest.raises(Conflict):
        grant(asked, 99)
    grant(asked, 200)
    assert asked.budget(NAME).left_milli == 100
    with pytest.raises(NotFound):
        asked.grant("other", BudgetOrder(granted_milli=1, statement="x"), ASKER)


def test_questions_that_promise_nothing_are_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "twice").mkdir()
    twice = statistics(world, tmp_path / "twice", pa.concat_tables([people(60), people(60)]))
    grant(twice)
    with pytest.raises(Invalid):
        twice.ask(COUNT, ASKER)
    with pytest.raises(Invalid):
        twice.ask(COUNT.model_copy(update={"where": (Condition(column="nothing", value="1"),)}), ASKER)
    (tmp_path / "records").mkdir()
    records = statistics(world, tmp_path / "records", people(60), library="other")
    assert records.tables() == ()
    with pytest.raises(Invalid):
        records.ask(COUNT, ASKER)
    assert twice.budget(NAME).spent_milli == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "sum"},
        {"kind": "sum", "column": "annual_income"},
        {"kind": "sum", "column": "annual_income", "lower": 2, "upper": 1},
        {"kind": "histogram", "column": "sex"},
        {"kind": "histogram", "column": "sex", "categories": ["1", "1"]},
        {"kind": "count", "epsilon_milli": 0},
    ],
)
def test_questions_without_what_they_need(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate({"dataset": NAME, **wrong})
