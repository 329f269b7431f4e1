"""The life of a resource as one transition table (《政务数据共享条例》 Arts 12, 16, 17).

Pure: state and action in, the next standing out, or the reason why not. A revision is a new working version; the
version published before it stays visible until the new one is published, or the revision is discarded.
"""

from datetime import datetime

from datong.catalogue.values import Party, ResourceAction, ResourceState
from datong.kernel import Conflict, Invalid, Text, Value, WorkingCalendar

S, A = ResourceState, ResourceAction


class Transition(Value):
    """One row of the table; `starts_review` starts the authority's time limit, `keeps_deadline` lets it run on.

    With `sets_aside` a revision that is under way is kept in the history, and the act concerns what is published.
    """

    source: ResourceState
    action: ResourceAction
    target: ResourceState
    party: Party
    needs_reason: bool = False
    new_version: bool = False
    starts_review: bool = False
    keeps_deadline: bool = False
    sets_aside: bool = False


_WORKING = (S.DRAFT, S.SUBMITTED, S.REGISTERED, S.RETURNED, S.REJECTED)


def _withdrawals() -> tuple[Transition, ...]:
    """What takes a published resource from view, whether or not a revision of it is under way."""
    return tuple(
        Transition(source=source, action=action, target=target, party=party, needs_reason=True, sets_aside=aside)
        for source, aside in ((S.PUBLISHED, False), *((state, True) for state in _WORKING))
        for action, target, party in (
            (A.UNPUBLISH, S.REGISTERED, Party.AUTHORITY),
            (A.SUSPEND, S.SUSPENDED, Party.EITHER),
            (A.RETIRE, S.RETIRED, Party.EITHER),
        )
    )


TRANSITIONS = (
    Transition(source=S.DRAFT, action=A.SIGN_OFF, target=S.DRAFT, party=Party.PROVIDER),
    Transition(source=S.RETURNED, action=A.SIGN_OFF, target=S.RETURNED, party=Party.PROVIDER),
    Transition(source=S.DRAFT, action=A.SUBMIT, target=S.SUBMITTED, party=Party.PROVIDER, starts_review=True),
    Transition(source=S.RETURNED, action=A.SUBMIT, target=S.SUBMITTED, party=Party.PROVIDER, starts_review=True),
    Transition(source=S.SUBMITTED, action=A.WITHDRAW, target=S.DRAFT, party=Party.PROVIDER),
    Transition(source=S.SUBMITTED, action=A.APPROVE, target=S.REGISTERED, party=Party.AUTHORITY, keeps_deadline=True),
    Transition(source=S.SUBMITTED, action=A.RETURN, target=S.RETURNED, party=Party.AUTHORITY, needs_reason=True),
    Transition(source=S.SUBMITTED, action=A.REJECT, target=S.REJECTED, party=Party.AUTHORITY, needs_reason=True),
    Transition(source=S.REGISTERED, action=A.PUBLISH, target=S.PUBLISHED, party=Party.AUTHORITY),
    Transition(source=S.REGISTERED, action=A.RETURN, target=S.RETURNED, party=Party.AUTHORITY, needs_reason=True),
    *_withdrawals(),
    Transition(source=S.SUSPENDED, action=A.RESUME, target=S.PUBLISHED, party=Party.EITHER),
    Transition(source=S.SUSPENDED, action=A.RETIRE, target=S.RETIRED, party=Party.EITHER, needs_reason=True),
    Transition(source=S.PUBLISHED, action=A.REVISE, target=S.DRAFT, party=Party.PROVIDER, new_version=True),
    Transition(source=S.REGISTERED, action=A.REVISE, target=S.DRAFT, party=Party.PROVIDER, new_version=True),
    Transition(source=S.REJECTED, action=A.REVISE, target=S.DRAFT, party=Party.PROVIDER, new_version=True),
    *(
        Transition(source=source, action=action, target=target, party=Party.PROVIDER)
        for source in (S.DRAFT, S.RETURNED, S.REJECTED)
        for action, target in ((A.DISCARD, S.PUBLISHED), (A.DROP, S.RETIRED))
    ),
)
"""The whole life. Nothing happens to a resource that is not a row here."""

EDITABLE_STATES = frozenset({S.DRAFT, S.RETURNED})
_TABLE = {(row.source, row.action): row for row in TRANSITIONS}


class Standing(Value):
    """Where a resource stands: its working version, and the version that is published, if any.

    `frozen` says that the working version was published once: agreements name it, so its content never changes again.
    """

    state: ResourceState
    version: int
    published_version: int | None = None
    frozen: bool = False
    due_at: datetime | None = None

    @property
    def visible(self) -> bool:
        """Whether everybody sees the resource: it is published, and neither suspended nor retired."""
        return self.published_version is not None and self.state not in (S.SUSPENDED, S.RETIRED)


def possible_actions(standing: Standing) -> tuple[Transition, ...]:
    """Return the rows that apply now."""
    return tuple(row for row in TRANSITIONS if row.source is standing.state and _applies(row, standing))


def advance(
    standing: Standing,
    action: ResourceAction,
    *,
    reason: str,
    now: datetime,
    calendar: WorkingCalendar,
    review_working_days: int,
    newest_version: int,
) -> Standing:
    """Return the standing after `action`; `newest_version` is the highest version number ever used.

    Raises:
        Conflict: the table has no such row for the present state.
        Invalid: the row asks for a reason and none is given.
    """
    row = transition_of(standing, action)
    if row.needs_reason and not reason.strip():
        raise Invalid(
            "catalogue.reason_missing",
            what=Text(zh=f"“{action.label.zh}”必须说明理由。", en=f'"{action.label.en}" needs a reason.'),
            remedy=Text(zh="请填写理由后重试。", en="Give the reason and try again."),
            field="/reason",
        )
    version, published, frozen = standing.version, standing.published_version, standing.frozen
    if row.new_version:
        version, frozen = newest_version + 1, False
    elif (action is A.DISCARD or row.sets_aside) and published is not None:
        version, frozen = published, True
    if action is A.PUBLISH:
        published, frozen = version, True
    elif action is A.UNPUBLISH:
        published = None
    due_at = None
    if row.starts_review:
        due_at = calendar.deadline(now, review_working_days)
    elif row.keeps_deadline:
        due_at = standing.due_at
    return Standing(state=row.target, version=version, published_version=published, frozen=frozen, due_at=due_at)


def transition_of(standing: Standing, action: ResourceAction) -> Transition:
    """Return the row for `action` in the present state, or raise Conflict."""
    row = _TABLE.get((standing.state, action))
    if row is not None and _applies(row, standing):
        return row
    possible = [entry.action for entry in possible_actions(standing)]
    raise Conflict(
        "catalogue.action_impossible",
        what=Text(
            zh=f"资源处于“{standing.state.label.zh}”状态，不能“{action.label.zh}”。",
            en=f'The resource is "{standing.state.label.en}": "{action.label.en}" is not possible.',
        ),
        remedy=Text(
            zh="现在可以：" + ("、".join(entry.label.zh for entry in possible) or "无") + "。",
            en="Possible now: " + (", ".join(entry.label.en for entry in possible) or "nothing") + ".",
        ),
        context={"state": standing.state.value, "possible": [entry.value for entry in possible]},
    )


def _applies(row: Transition, standing: Standing) -> bool:
    """Return whether a row fits what is published, beyond the state."""
    published, frozen = standing.published_version is not None, standing.frozen
    if row.source is S.REGISTERED and frozen:
        # Its publication was cancelled: it can be published again, revised or retired, but its content stays.
        return row.action in (A.PUBLISH, A.REVISE, A.RETIRE)
    if row.source is S.REGISTERED and row.action is A.REVISE:
        return False
    if row.action is A.DISCARD or row.sets_aside:
        return published
    if row.action is A.DROP:
        return not published
    return True
