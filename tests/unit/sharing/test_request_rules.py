from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.kernel import Conflict, Invalid, Refused, ResourceId, WorkingCalendar
from datong.norms import ShareMode, ShareType, load_pack
from datong.sharing.masks import MaskKind
from datong.sharing.request_rules import (
    Problem,
    RequestAction,
    RequestParty,
    follow,
    incomplete,
    items_by_share_type,
    line_problems,
    merged_lines,
    possible_actions,
    purpose_problems,
    reply_limits,
)
from datong.sharing.terms import ExtensionState, PurposeDraft, Request, RequestLine, RequestState
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, PURPOSE, RESOURCE, request, resource

CALENDAR = WorkingCalendar()
PACK = load_pack()
LIMITS = reply_limits(PACK)
EVERY_PARTY = frozenset(RequestParty)


def step(before: Request, action: RequestAction, reason: str = "理由", now: datetime = NOW) -> Request:
    return follow(before, action, parties=EVERY_PARTY, reason=reason, now=now, calendar=CALENDAR, limits=LIMITS)


def test_the_limits_are_those_of_the_regulation() -> None:
    assert (LIMITS.unconditional, LIMITS.conditional, LIMITS.extension, LIMITS.provision) == (1, 10, 10, 20)


@pytest.mark.parametrize("action", [RequestAction.REFUSE, RequestAction.EXTEND])
def test_reasons_are_needed(action: RequestAction) -> None:
    with pytest.raises(Invalid) as refused:
        step(request(), action, reason="  ")
    assert refused.value.code == "sharing.reason_missing"


def test_only_the_party_in_charge_may_act() -> None:
    for action in RequestAction:
        for party in RequestParty:
            try:
                follow(
                    request(extension=ExtensionState.ASKED),
                    action,
                    parties=frozenset({party}),
                    reason="理由",
                    now=NOW,
                    calendar=CALENDAR,
                    limits=LIMITS,
                )
            except Refused:
                assert party is not _in_charge(action)
            except Conflict:
                assert action is RequestAction.EXTEND
            else:
                assert party is _in_charge(action)


def _in_charge(action: RequestAction) -> RequestParty:
    if action is RequestAction.WITHDRAW:
        return RequestParty.CONSUMER
    if action in {RequestAction.CONSENT_EXTENSION, RequestAction.DENY_EXTENSION}:
        return RequestParty.AUTHORITY
    return RequestParty.PROVIDER


def test_a_consented_extension_moves_the_deadline_by_ten_working_days() -> None:
    due = CALENDAR.deadline(NOW, 10)
    asked = step(request(due_at=due), RequestAction.EXTEND, "系统改造")
    assert asked.due_at == due
    assert asked.extension_reason == "系统改造"
    after = step(asked, RequestAction.CONSENT_EXTENSION)
    assert after.due_at == CALENDAR.deadline(NOW, 20)


def test_it_is_too_late_to_ask_once_overdue() -> None:
    late = request()
    with pytest.raises(Conflict) as refused:
        step(late, RequestAction.EXTEND, now=late.due_at)
    assert refused.value.code == "sharing.extension_late"
    assert RequestAction.EXTEND not in possible_actions(late, EVERY_PARTY, late.due_at)
    assert RequestAction.APPROVE in possible_actions(late, EVERY_PARTY, late.due_at)


def test_overdue_follows_from_the_deadline_and_the_time() -> None:
    waiting = request()
    assert not waiting.is_overdue(waiting.due_at - timedelta(microseconds=1))
    assert waiting.is_overdue(waiting.due_at)
    assert not step(waiting, RequestAction.APPROVE).is_overdue(waiting.due_at)


class RequestLife(RuleBasedStateMachine):
    """Any sequence of acts: what is answered stays answered, and the deadline moves at most once."""

    def __init__(self) -> None:
        super().__init__()
        self.request = request(due_at=CALENDAR.deadline(NOW, 10))
        self.now = NOW
        self.deadlines = {self.request.due_at}
        self.asked = 0
        self.denied = False

    @rule(hours=st.integers(1, 200))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(
        action=st.sampled_from(RequestAction),
        parties=st.frozensets(st.sampled_from(RequestParty), min_size=1),
        reason=st.sampled_from(["", "理由"]),
    )
    def act(self, action: RequestAction, parties: frozenset[RequestParty], reason: str) -> None:
        before = self.request
        possible = action in possible_actions(before, parties, self.now)
        try:
            after = follow(
                before,
                action,
                parties=parties,
                reason=reason,
                now=self.now,
                calendar=CALENDAR,
                limits=LIMITS,
            )
        except Invalid:
            assert possible
            return
        except (Refused, Conflict):
            assert not possible
            return
        assert possible
        assert _in_charge(action) in parties
        assert before.state is RequestState.SUBMITTED
        assert after.revision == before.revision + 1
        if action is RequestAction.EXTEND:
            self.asked += 1
            assert self.now < before.due_at
        if after.due_at != before.due_at:
            assert action is RequestAction.CONSENT_EXTENSION
        if after.state is RequestState.REFUSED:
            assert after.reason
        if after.state is not RequestState.SUBMITTED:
            assert after.decided_at == self.now
        self.request = after
        self.deadlines.add(after.due_at)

    @invariant()
    def the_deadline_moves_at_most_once(self) -> None:
        assert len(self.deadlines) <= 2
        assert self.asked <= 1

    @invariant()
    def overdue_only_while_unanswered(self) -> None:
        overdue = self.request.is_overdue(self.now)
        assert overdue == (self.request.state is RequestState.SUBMITTED and self.now >= self.request.due_at)


TestRequestLife = RequestLife.TestCase
TestRequestLife.settings = settings(max_examples=150, stateful_step_count=25)


def fields(problems: list[Problem]) -> set[str]:
    return {problem.field for problem in problems}


def test_everything_missing_is_listed_at_once() -> None:
    problems = list(purpose_problems(PurposeDraft(), NOW))
    assert fields(problems) == {
        "/purpose/legal_basis",
        "/purpose/scene",
        "/purpose/scope",
        "/purpose/service_item",
        "/purpose/modes",
        "/purpose/valid_from",
        "/purpose/valid_until",
    }
    error = incomplete(problems)
    assert error.code == "sharing.request_incomplete"
    assert all(problem.text.zh in error.what.zh for problem in problems)


def test_a_complete_purpose_lacks_nothing() -> None:
    assert list(purpose_problems(PurposeDraft.model_validate(PURPOSE.model_dump()), NOW)) == []


def test_a_term_must_lie_ahead_and_have_a_time_zone() -> None:
    draft = PurposeDraft.model_validate(PURPOSE.model_dump())
    over = draft.model_copy(update={"valid_from": NOW - timedelta(days=9), "valid_until": NOW})
    assert fields(list(purpose_problems(over, NOW))) == {"/purpose/valid_until"}
    naive = draft.model_copy(update={"valid_from": NOW.replace(tzinfo=None)})
    assert fields(list(purpose_problems(naive, NOW))) == {"/purpose/valid_from"}


def problems_of(*items: str, modes: tuple[ShareMode, ...] = (ShareMode.BULK,)) -> list[str]:
    line = RequestLine(resource_id=RESOURCE, items=items)
    return [problem.text.zh for problem in line_problems(0, line, resource(), EDUCATION, modes)]


def test_lines_are_checked_against_the_catalogue() -> None:
    assert problems_of("姓名", "citizen_id", "hjdz") == []
    assert "没有信息项 nonsense" in problems_of("nonsense")[0]
    assert "不予共享，依据：《保密法》" in problems_of("zw")[0]
    assert "不提供" in problems_of("xb")[0]
    assert "未选信息项" in problems_of()[0]
    assert list(line_problems(0, RequestLine(resource_id=RESOURCE, items=("xm",)), None, EDUCATION, ()))
    assert (
        "本部门"
        in next(
            iter(line_problems(0, RequestLine(resource_id=RESOURCE, items=("xm",)), resource(), POLICE, ()))
        ).text.zh
    )


def test_items_are_split_by_share_type_and_masked_by_grade() -> None:
    line = RequestLine(resource_id=RESOURCE, items=("xm", "姓名", "hjdz", "bz", "hh"))
    groups = items_by_share_type(resource(), line, PACK)
    assert [item.column for item in groups[ShareType.UNCONDITIONAL]] == ["xm", "hh"]
    assert {item.column: item.mask for item in groups[ShareType.CONDITIONAL]} == {
        "hjdz": MaskKind.ADDRESS,
        "bz": MaskKind.HIDDEN,
    }
    assert groups[ShareType.UNCONDITIONAL][0].mask is MaskKind.NAME


def test_lines_about_one_resource_are_put_together() -> None:
    other = ResourceId("other")
    lines = [
        RequestLine(resource_id=RESOURCE, items=("a",)),
        RequestLine(resource_id=other, items=("b",)),
        RequestLine(resource_id=RESOURCE, items=("c",)),
    ]
    assert merged_lines(lines) == (
        RequestLine(resource_id=RESOURCE, items=("a", "c")),
        RequestLine(resource_id=other, items=("b",)),
    )
