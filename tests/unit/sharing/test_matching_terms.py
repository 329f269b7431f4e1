"""The life of a matching: whatever is tried in whatever order, nothing comes before what it rests on."""

import base64
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Conflict, DatongError, DepartmentCode, NodeId, Refused, ResourceId
from datong.sharing.matching_terms import (
    PAIR_DAYS,
    PAIR_MATCHINGS_MAX,
    Matching,
    MatchingAction,
    MatchingPart,
    MatchingReport,
    MatchingSide,
    MatchingState,
    MatchingStep,
    MatchingTerms,
    NodeWord,
    Reveal,
    expired,
    follow,
    require_quota,
    with_part,
    with_report,
    with_word,
)
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE

SIZES = {EDUCATION: 200, POLICE: 300}


def side(department: str) -> MatchingSide:
    return MatchingSide.model_validate(
        {
            "department": department,
            "resource_id": ResourceId(f"r-{department}"),
            "column": "id",
            "node_id": NodeId(f"n-{department}"),
            "source": "s",
            "table": "t",
        }
    )


def proposed(reveal: Reveal = Reveal.PROPOSER) -> Matching:
    terms = MatchingTerms(
        id="m",
        context="c",
        proposer=side(EDUCATION),
        other=side(POLICE),
        element="citizen_id",
        purpose="p",
        legal_basis="l",
        reveal=reveal,
        size_min=100,
        common_min=10,
        valid_until=NOW + timedelta(days=1),
    )
    return Matching(terms=terms, state=MatchingState.PROPOSED, proposed_by="a", proposed_at=NOW)


def part(department: str, step: MatchingStep, number: int = 0, parts: int = 2, **change: object) -> MatchingPart:
    whose = department if step is MatchingStep.BLINDED else next(one for one in SIZES if one != department)
    return MatchingPart.model_validate(
        {
            "matching_id": "m",
            "department": department,
            "step": step,
            "number": number,
            "parts": parts,
            "elements": SIZES[DepartmentCode(whose)],
            "sha256": "a" * 64,
            "key_id": "0" * 16,
            **change,
        }
    )


def word(department: str, key: bytes = b"k" * 32) -> NodeWord:
    coded = base64.b64encode(key).decode()
    return NodeWord.model_validate(
        {"department": department, "sealing_key": coded, "key_id": "0" * 16, "signature": "s"}
    )


def report(department: str, **change: object) -> MatchingReport:
    said = {"matching_id": "m", "department": department, "outcome": "done", "common": 20, "key_id": "0" * 16}
    return MatchingReport.model_validate({**said, **change})


ACTS = st.one_of(
    st.tuples(st.sampled_from(MatchingAction), st.sampled_from([EDUCATION, POLICE])),
    st.tuples(st.just("word"), st.sampled_from([EDUCATION, POLICE])),
    st.tuples(
        st.just("part"),
        st.sampled_from([EDUCATION, POLICE]),
        st.sampled_from(MatchingStep),
        st.integers(0, 2),
        st.sampled_from([50, 200, 300]),
    ),
    st.tuples(st.just("report"), st.sampled_from([EDUCATION, POLICE]), st.sampled_from([None, 5, 20, 30])),
)


def tried(matching: Matching, act: tuple[object, ...]) -> Matching:
    kind, who = act[0], str(act[1])
    if isinstance(kind, MatchingAction):
        return follow(matching, kind, DepartmentCode(who), "x", NOW)
    if kind == "word":
        return with_word(matching, word(who))
    if kind == "part":
        step = MatchingStep(str(act[2]))
        return with_part(matching, part(who, step, int(str(act[3])), elements=act[4]))
    return with_report(matching, report(who, common=act[2]))


@given(st.lists(ACTS, max_size=40))
@settings(max_examples=200)
def test_nothing_comes_before_what_it_rests_on(acts: list[tuple[object, ...]]) -> None:
    matching, revision = proposed(), 1
    for act in acts:
        before = matching
        try:
            matching = tried(matching, act)
        except DatongError:
            continue
        assert before.state.open or matching is before
        assert matching.revision in (revision, revision + 1)
        assert (matching.revision == revision) == (matching is before)
        revision = matching.revision
        if matching.parts:
            assert matching.signed
            assert all(one.elements >= matching.terms.size_min for one in matching.parts)
        for one in matching.parts:
            other = next(code for code in SIZES if code != one.department)
            if one.step is MatchingStep.DOUBLED:
                assert matching.sent(other, MatchingStep.BLINDED)
            if one.step is MatchingStep.ORDER:
                assert matching.sent(other, MatchingStep.DOUBLED)
                assert matching.terms.learns(other)
        if matching.state is MatchingState.DONE:
            assert len({one.common for one in matching.reports}) == 1
        assert all(one.common is None or one.common >= 10 for one in matching.reports)


def test_a_whole_life_and_the_same_word_twice() -> None:
    matching = follow(proposed(), MatchingAction.APPROVE, POLICE, "b", NOW)
    for code in SIZES:
        matching = with_word(matching, word(code))
        assert with_word(matching, word(code)) is matching
        with pytest.raises(Conflict):
            with_word(matching, word(code, b"z" * 32))
    for step in (MatchingStep.BLINDED, MatchingStep.DOUBLED):
        for code in SIZES:
            for number in (0, 1):
                matching = with_part(matching, part(code, step, number))
                assert with_part(matching, part(code, step, number)) is matching
    with pytest.raises(Conflict):
        with_part(matching, part(POLICE, MatchingStep.BLINDED, sha256="b" * 64))
    with pytest.raises(Conflict):
        with_part(matching, part(EDUCATION, MatchingStep.ORDER))
    matching = with_part(matching, part(POLICE, MatchingStep.ORDER))
    for code in SIZES:
        matching = with_report(matching, report(code))
    assert (matching.state, matching.reason) == (MatchingState.DONE, "")


def test_two_results_that_differ_are_no_result() -> None:
    matching = follow(proposed(), MatchingAction.APPROVE, POLICE, "b", NOW)
    matching = with_report(with_report(matching, report(POLICE)), report(EDUCATION, common=21))
    assert (matching.state, matching.reason) == (MatchingState.FAILED, "results_differ")


def test_time_is_over_and_the_quota_counts_recent_ones_only() -> None:
    assert expired(proposed(), NOW + timedelta(days=1))
    with pytest.raises(Conflict):
        follow(proposed(), MatchingAction.APPROVE, POLICE, "b", NOW + timedelta(days=2))
    old = [NOW - timedelta(days=PAIR_DAYS + 1)] * PAIR_MATCHINGS_MAX
    require_quota(old, NOW)
    with pytest.raises(Refused, match=r"sharing\.matching_quota"):
        require_quota([*old, *[NOW] * PAIR_MATCHINGS_MAX], NOW)
