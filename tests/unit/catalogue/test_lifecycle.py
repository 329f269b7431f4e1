from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.catalogue import TRANSITIONS, ResourceAction, ResourceState, Standing, advance, possible_actions
from datong.catalogue.lifecycle import EDITABLE_STATES
from datong.kernel import CHINA, Conflict, Invalid, WorkingCalendar

NOW = datetime(2026, 9, 30, 2, 0, tzinfo=UTC)
CALENDAR = WorkingCalendar()


def step(standing: Standing, action: ResourceAction, newest: int, reason: str = "理由") -> Standing:
    return advance(
        standing,
        action,
        reason=reason,
        now=NOW,
        calendar=CALENDAR,
        review_working_days=2,
        newest_version=newest,
    )


class Life(RuleBasedStateMachine):
    """Any sequence of actions: only rows of the table happen, and no version number is reused or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = Standing(state=ResourceState.DRAFT, version=1)
        self.versions = [1]
        self.published: list[int] = []
        self.ever_published: set[int] = set()

    @rule(action=st.sampled_from(ResourceAction), reason=st.sampled_from(["", "理由"]))
    def act(self, action: ResourceAction, reason: str) -> None:
        before = self.standing
        possible = {row.action: row for row in possible_actions(before)}
        try:
            after = step(before, action, max(self.versions), reason)
        except Conflict:
            assert action not in possible
            return
        except Invalid:
            assert possible[action].needs_reason
            assert not reason
            return
        row = possible[action]
        assert after.state is row.target
        if row.new_version:
            assert after.version not in self.versions
            self.versions.append(after.version)
        if action is ResourceAction.PUBLISH:
            self.published.append(after.version)
            self.ever_published.add(after.version)
        if action is ResourceAction.UNPUBLISH:
            self.published.clear()
        self.standing = after

    @invariant()
    def the_published_version_never_vanishes(self) -> None:
        assert self.standing.version in self.versions
        assert self.standing.published_version == (self.published[-1] if self.published else None)
        if self.standing.state is ResourceState.PUBLISHED:
            assert self.standing.visible
            assert self.standing.version == self.standing.published_version

    @invariant()
    def what_was_published_once_is_never_edited(self) -> None:
        assert self.standing.frozen == (self.standing.version in self.ever_published)
        assert not (self.standing.frozen and self.standing.state in EDITABLE_STATES)

    @invariant()
    def a_deadline_runs_only_during_review(self) -> None:
        in_review = self.standing.state in (ResourceState.SUBMITTED, ResourceState.REGISTERED)
        assert (self.standing.due_at is not None) == (in_review and not self.standing.frozen)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_every_state_but_the_last_has_a_way_on() -> None:
    for state in ResourceState:
        standing = Standing(state=state, version=1)
        assert bool(possible_actions(standing)) == (state is not ResourceState.RETIRED)


def test_the_table_has_no_row_twice() -> None:
    assert len({(row.source, row.action) for row in TRANSITIONS}) == len(TRANSITIONS)


def test_review_is_due_in_two_working_days_across_the_national_holiday() -> None:
    submitted = step(Standing(state=ResourceState.DRAFT, version=1), ResourceAction.SUBMIT, 1)
    assert submitted.due_at is not None
    day = CALENDAR.add_working_days(NOW.astimezone(CHINA).date(), 2)
    assert submitted.due_at == CALENDAR.deadline(NOW, 2)
    assert day.month == 10


@given(st.sampled_from([ResourceAction.RETURN, ResourceAction.REJECT]), st.text(alphabet=" \t\n", max_size=3))
def test_a_blank_reason_is_no_reason(action: ResourceAction, reason: str) -> None:
    with pytest.raises(Invalid, match="reason"):
        step(Standing(state=ResourceState.SUBMITTED, version=1), action, 1, reason)


def test_a_refusal_names_what_is_possible() -> None:
    with pytest.raises(Conflict) as raised:
        step(Standing(state=ResourceState.DRAFT, version=1), ResourceAction.DISCARD, 1)
    assert raised.value.context["possible"] == ["sign_off", "submit", "drop"]


@pytest.mark.parametrize("state", [ResourceState.DRAFT, ResourceState.SUBMITTED, ResourceState.REJECTED])
@pytest.mark.parametrize(
    ("action", "target"),
    [
        (ResourceAction.SUSPEND, ResourceState.SUSPENDED),
        (ResourceAction.UNPUBLISH, ResourceState.REGISTERED),
        (ResourceAction.RETIRE, ResourceState.RETIRED),
    ],
)
def test_a_revision_under_way_shields_nothing_from_being_taken_from_view(
    state: ResourceState, action: ResourceAction, target: ResourceState
) -> None:
    after = step(Standing(state=state, version=3, published_version=2), action, 3)
    assert (after.state, after.version, after.visible) == (target, 2, False)


def test_a_cancelled_publication_is_published_again_or_revised_but_never_returned_for_editing() -> None:
    cancelled = step(
        Standing(state=ResourceState.PUBLISHED, version=1, published_version=1, frozen=True),
        ResourceAction.UNPUBLISH,
        1,
    )
    assert {row.action for row in possible_actions(cancelled)} == {
        ResourceAction.PUBLISH,
        ResourceAction.REVISE,
        ResourceAction.RETIRE,
    }
    assert step(cancelled, ResourceAction.PUBLISH, 1).published_version == 1
    assert step(cancelled, ResourceAction.REVISE, 1).version == 2
