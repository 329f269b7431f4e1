"""The life of a wish on the demand wall: what people and firms ask to be opened, and what came of it. Pure.

A wish is read by the authority before anybody else sees it, given to the department that holds the data, answered
within a deadline and followed until the data is there. The acts are one table; who does which is the policy's question.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from datong.kernel import CHINA, Conflict, DepartmentCode, EntryId, Invalid, ResourceId, Text, Value, WorkingCalendar
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

WISHED_FIELDS_MAX = 30
PLAN_DAYS_MAX = 366
"""A department promises data within a year, or says why not."""
_PERSONAL_NUMBER = re.compile(r"\d{11}")
"""A run of so many digits is a phone number, or part of an identity card's or a bank card's."""


class WishState(StrEnum):
    """Where a wish stands."""

    RECEIVED = "received"
    ADMITTED = "admitted"
    ASSIGNED = "assigned"
    PLANNED = "planned"
    THERE = "there"
    DECLINED = "declined"
    PUBLISHED = "published"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class WishAction(StrEnum):
    """What can be done with a wish."""

    ADMIT = "admit"
    REJECT = "reject"
    ASSIGN = "assign"
    HAND_BACK = "hand_back"
    PLAN = "plan"
    POINT = "point"
    DECLINE = "decline"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"

    @property
    def label(self) -> Text:
        """What the act is called."""
        return _ACTIONS[self]


class AskerKind(StrEnum):
    """In whose name somebody says to ask; nobody verifies it."""

    PERSON = "person"
    FIRM = "firm"
    RESEARCH = "research"

    @property
    def label(self) -> Text:
        """What the kind is called."""
        return _ASKERS[self]


class WishedCycle(StrEnum):
    """How often the data should be renewed."""

    ONCE = "once"
    YEARLY = "yearly"
    MONTHLY = "monthly"
    DAILY = "daily"
    REAL_TIME = "real_time"

    @property
    def label(self) -> Text:
        """What the cycle is called."""
        return _CYCLES[self]


_STATES = {
    WishState.RECEIVED: Text(zh="待审核", en="being read"),
    WishState.ADMITTED: Text(zh="待交办", en="awaits a department"),
    WishState.ASSIGNED: Text(zh="待答复", en="awaits its answer"),
    WishState.PLANNED: Text(zh="计划开放", en="planned"),
    WishState.THERE: Text(zh="已有数据", en="already there"),
    WishState.DECLINED: Text(zh="不予开放", en="declined"),
    WishState.PUBLISHED: Text(zh="已开放", en="opened"),
    WishState.REJECTED: Text(zh="未通过审核", en="not admitted"),
    WishState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}
_ACTIONS = {
    WishAction.ADMIT: Text(zh="公示", en="Admit"),
    WishAction.REJECT: Text(zh="不予公示", en="Do not admit"),
    WishAction.ASSIGN: Text(zh="交办", en="Assign"),
    WishAction.HAND_BACK: Text(zh="退回主管部门", en="Hand back"),
    WishAction.PLAN: Text(zh="计划开放", en="Promise it"),
    WishAction.POINT: Text(zh="已有数据", en="It is there"),
    WishAction.DECLINE: Text(zh="不予开放", en="Decline"),
    WishAction.PUBLISH: Text(zh="已开放", en="It is open now"),
    WishAction.WITHDRAW: Text(zh="撤回", en="Withdraw"),
}
_ASKERS = {
    AskerKind.PERSON: Text(zh="个人", en="a person"),
    AskerKind.FIRM: Text(zh="企业", en="a firm"),
    AskerKind.RESEARCH: Text(zh="研究机构或媒体", en="research or press"),
}
_CYCLES = {
    WishedCycle.ONCE: Text(zh="一次即可", en="once"),
    WishedCycle.YEARLY: Text(zh="每年", en="every year"),
    WishedCycle.MONTHLY: Text(zh="每月", en="every month"),
    WishedCycle.DAILY: Text(zh="每日", en="every day"),
    WishedCycle.REAL_TIME: Text(zh="实时", en="in real time"),
}
_R, _A, _G, _P, _D = (
    WishState.RECEIVED,
    WishState.ADMITTED,
    WishState.ASSIGNED,
    WishState.PLANNED,
    WishState.DECLINED,
)
TRANSITIONS: Mapping[tuple[WishState, WishAction], WishState] = {
    (_R, WishAction.ADMIT): WishState.ADMITTED,
    (_R, WishAction.ASSIGN): WishState.ASSIGNED,
    (_R, WishAction.REJECT): WishState.REJECTED,
    (_R, WishAction.WITHDRAW): WishState.WITHDRAWN,
    (_A, WishAction.ASSIGN): WishState.ASSIGNED,
    (_A, WishAction.REJECT): WishState.REJECTED,
    (_A, WishAction.WITHDRAW): WishState.WITHDRAWN,
    (_G, WishAction.ASSIGN): WishState.ASSIGNED,
    (_G, WishAction.HAND_BACK): WishState.ADMITTED,
    (_G, WishAction.PLAN): WishState.PLANNED,
    (_G, WishAction.POINT): WishState.THERE,
    (_G, WishAction.DECLINE): WishState.DECLINED,
    (_G, WishAction.WITHDRAW): WishState.WITHDRAWN,
    (_P, WishAction.PUBLISH): WishState.PUBLISHED,
    (_P, WishAction.DECLINE): WishState.DECLINED,
    (_D, WishAction.ASSIGN): WishState.ASSIGNED,
}
"""Everything that can be done with a wish; what is not here cannot."""
OF_THE_AUTHORITY = frozenset({WishAction.ADMIT, WishAction.REJECT, WishAction.ASSIGN})
OF_THE_DEPARTMENT = frozenset(
    {WishAction.HAND_BACK, WishAction.PLAN, WishAction.POINT, WishAction.DECLINE, WishAction.PUBLISH}
)
REASONED = frozenset({WishAction.REJECT, WishAction.HAND_BACK, WishAction.DECLINE})
"""Whoever says no says why."""
LINKED = frozenset({WishAction.POINT, WishAction.PUBLISH})
"""Acts that name the open resource in which the data is."""
ON_THE_WALL = frozenset(
    {
        WishState.ADMITTED,
        WishState.ASSIGNED,
        WishState.PLANNED,
        WishState.THERE,
        WishState.DECLINED,
        WishState.PUBLISHED,
    }
)
"""What everybody sees."""
SUPPORTED = frozenset({WishState.ADMITTED, WishState.ASSIGNED, WishState.PLANNED, WishState.DECLINED})
"""States in which others can join a wish: the data is not there."""


class WishDraft(Value):
    """What somebody asks for; everybody will read it."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=4, max_length=80)]
    purpose: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=TEXT_CHARS_MAX)]
    fields: tuple[str, ...] = Field(default=(), max_length=WISHED_FIELDS_MAX)
    format: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""
    cycle: WishedCycle = WishedCycle.YEARLY
    asker: AskerKind = AskerKind.PERSON

    @field_validator("fields")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one.strip()[:NAME_CHARS_MAX] for one in value if one.strip())


class WishStep(Value):
    """One act in the history of a wish, as everybody may read it; people have no names in it."""

    action: str
    state: WishState
    at: datetime
    department: DepartmentCode | None = None
    words: str = ""
    entry_id: EntryId | None = None


class Wish(Value):
    """A wish with its history, newest act last.

    `department` is who must answer, `due_at` by when somebody must act (None: nobody must), `planned_for` the day that
    was promised, `resource_id` the open resource in which the data is.
    """

    id: str
    draft: WishDraft
    state: WishState
    made_at: datetime
    changed_at: datetime
    due_at: datetime | None
    department: DepartmentCode | None = None
    planned_for: date | None = None
    resource_id: ResourceId | None = None
    steps: tuple[WishStep, ...] = ()
    supporters: int = 0

    @property
    def is_public(self) -> bool:
        """Whether it stands on the wall."""
        return self.state in ON_THE_WALL

    @property
    def answer(self) -> str:
        """The words of the newest act."""
        return self.steps[-1].words if self.steps else ""


class WishAct(Value):
    """What is done with a wish: `department` at assign, `resource_id` at point and publish, `planned_for` at plan."""

    action: WishAction
    words: str = Field(default="", max_length=TEXT_CHARS_MAX)
    department: DepartmentCode | None = None
    resource_id: ResourceId | None = None
    planned_for: date | None = None


def require_no_person(draft: WishDraft) -> None:
    """Let a wish pass that names nobody's number.

    Raises:
        Invalid: the title is too short once trimmed, or there is a number like a phone's or an identity card's in it.
    """
    said = (draft.title, draft.purpose, draft.format, *draft.fields)
    if any(_PERSONAL_NUMBER.search(re.sub(r"[\s-]", "", one)) for one in said):
        raise Invalid(
            "sharing.wish_personal",
            what=Text(
                zh="内容中有电话、证件或银行卡一样的号码，而需求会公开。",
                en="There is a number in it like that of a phone, an identity card or a bank card; wishes are public.",
            ),
            remedy=Text(
                zh="请只写需要什么数据、用来做什么，不要写个人信息。",
                en="Say what data you need and what for; leave personal details out.",
            ),
            field="/purpose",
        )


def follow(wish: Wish, act: WishAct, *, now: datetime, calendar: WorkingCalendar, assign: int, answer: int) -> Wish:
    """Return the wish after an act; `assign` and `answer` are the working days for giving it on and for answering.

    Raises:
        Conflict: the act does not fit its state.
        Invalid: the act lacks the reason, the department, the resource or a day within the next year.
    """
    after = TRANSITIONS.get((wish.state, act.action))
    if after is None:
        raise Conflict(
            "sharing.wish_state",
            what=Text(
                zh=f"该需求“{wish.state.label.zh}”，不能{act.action.label.zh}。",
                en=f"The wish is “{wish.state.label.en}”; “{act.action.label.en}” does not fit.",
            ),
            remedy=Text(zh="请刷新后查看。", en="Reload to see the present state."),
        )
    _require_parts(act, now)
    due_at = wish.due_at if act.action is WishAction.ADMIT else None
    if act.action is WishAction.HAND_BACK:
        due_at = calendar.deadline(now, assign)
    elif after is WishState.ASSIGNED:
        due_at = calendar.deadline(now, answer)
    elif act.planned_for is not None and after is WishState.PLANNED:
        due_at = datetime.combine(act.planned_for + timedelta(days=1), time(), CHINA)
    change: dict[str, object] = {"state": after, "changed_at": now, "due_at": due_at}
    if after is WishState.ASSIGNED:
        change |= {"department": act.department, "planned_for": None, "resource_id": None}
    elif act.action is WishAction.HAND_BACK:
        change["department"] = None
    elif act.action is WishAction.PLAN:
        change["planned_for"] = act.planned_for
    elif act.action in LINKED:
        change["resource_id"] = act.resource_id
    department = act.department if after is WishState.ASSIGNED else wish.department
    step = WishStep(action=act.action.value, state=after, at=now, department=department, words=act.words.strip())
    return wish.model_copy(update={**change, "steps": (*wish.steps, step)})


def _require_parts(act: WishAct, now: datetime) -> None:
    if act.action in REASONED and not act.words.strip():
        raise _lacking("words", Text(zh="请写明理由。", en="State the reason."))
    if act.action is WishAction.ASSIGN and act.department is None:
        raise _lacking("department", Text(zh="请选择部门。", en="Choose the department."))
    if act.action in LINKED and act.resource_id is None:
        raise _lacking("resource_id", Text(zh="请填写数据所在的开放资源。", en="Name the open resource it is in."))
    if act.action is WishAction.PLAN:
        days = None if act.planned_for is None else (act.planned_for - now.astimezone(CHINA).date()).days
        if days is None or not 0 < days <= PLAN_DAYS_MAX:
            what = Text(zh="请写明一年之内的开放日期。", en="Give a day within the next year.")
            raise _lacking("planned_for", what)


def _lacking(field: str, what: Text) -> Invalid:
    return Invalid(
        f"sharing.wish_{field}",
        what=what,
        remedy=Text(zh="请补充后重新提交。", en="Add it and submit again."),
        field=f"/{field}",
    )
