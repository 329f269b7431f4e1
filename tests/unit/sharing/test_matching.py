from hypothesis import given
from hypothesis import strategies as st

from datong.sharing.matching import Match, best_answers, compare


def test_differences_that_do_not_count() -> None:
    assert compare("１１０Ｘ ", "110x") is Match.MATCH
    assert compare("张 三", "张三") is Match.MATCH
    assert compare("张三", "李四") is Match.NO_MATCH
    assert compare("张三", None) is Match.UNKNOWN
    assert compare("张三", " ") is Match.UNKNOWN


def test_answers_come_from_one_record() -> None:
    records = [{"name": "张三", "house": "1"}, {"name": "李四", "house": "2"}]
    answers = best_answers({"name": "张三", "house": "2"}, records)
    assert sorted(answers.values()) == [Match.MATCH, Match.NO_MATCH]


@given(
    claims=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(max_size=3)),
    records=st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "c"]), st.one_of(st.none(), st.text(max_size=3))), max_size=3
    ),
)
def test_the_answer_has_the_shape_of_the_question(claims: dict[str, str], records: list[dict[str, str | None]]) -> None:
    answers = best_answers(claims, records)
    assert answers.keys() == claims.keys()
    if not records:
        assert set(answers.values()) <= {Match.UNKNOWN}
