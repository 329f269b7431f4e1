"""The rules of requests as pure functions: what is missing, what may follow, until when (Order 809, Arts. 20–22)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from datong.catalogue import Item, Resource
from datong.kernel import Conflict, DepartmentCode, Invalid, Refused, ResourceId, Text, Value, WorkingCalendar
from datong.kernel.limits import GATEWAY_ITEMS_MAX
from datong.norms import NormPack, ShareMode, ShareType
from datong.sharing.masks import MaskKind, mask_for, stricter_than
from datong.sharing.row_filters import faults
from datong.sharing.terms import (
    AgreementItem,
    ExtensionState,
    Purpose,
    PurposeDraft,
    Request,
    RequestLine,
    RequestState,
)

LINES_MAX = GATEWAY_ITEMS_MAX


class ReplyLimits(Value):
    """The time limits of sharing in working days; from the norm pack."""

    unconditional: int
    conditional: int
    extension: int
    provision: int

    def reply(self, share_type: ShareType) -> int:
        """Working days within which a request of `share_type` is answered."""
        return self.unconditional if share_type is ShareType.UNCONDITIONAL else self.conditional


def reply_limits(pack: NormPack) -> ReplyLimits:
    """Return the time limits of sharing (Arts. 21, 22) from the norm pack."""
    return ReplyLimits(
        unconditional=pack.time_limit("reply_unconditional"),
        conditional=pack.time_limit("reply_conditional"),
        extension=pack.time_limit("reply_extension"),
        provision=pack.time_limit("provide"),
    )


class RequestParty(StrEnum):
    """As what a department acts on a request."""

    CONSUMER = "consumer"
    PROVIDER = "provider"
    AUTHORITY = "authority"


class RequestAction(StrEnum):
    """What can be done with a request that awaits its reply."""

    APPROVE = "approve"
    REFUSE = "refuse"
    EXTEND = "extend"
    CONSENT_EXTENSION = "consent_extension"
    DENY_EXTENSION = "deny_extension"
    WITHDRAW = "withdraw"

    @property
    def label(self) -> Text:
        """What the action is called."""
        return _LABELS[self]


_LABELS = {
    RequestAction.APPROVE: Text(zh="同意", en="approve"),
    RequestAction.REFUSE: Text(zh="拒绝", en="refuse"),
    RequestAction.EXTEND: Text(zh="申请延期", en="ask for an extension"),
    RequestAction.CONSENT_EXTENSION: Text(zh="同意延期", en="consent to the extension"),
    RequestAction.DENY_EXTENSION: Text(zh="不同意延期", en="deny the extension"),
    RequestAction.WITHDRAW: Text(zh="撤回", en="withdraw"),
}


class Transition(Value):
    """One row of the table of transitions; every one starts in SUBMITTED."""

    party: RequestParty
    to_state: RequestState
    extension_from: frozenset[ExtensionState] = frozenset(ExtensionState)
    extension_to: ExtensionState | None = None
    reason_needed: bool = False


_ASKED = frozenset({ExtensionState.ASKED})
TRANSITIONS: Mapping[RequestAction, Transition] = {
    RequestAction.APPROVE: Transition(party=RequestParty.PROVIDER, to_state=RequestState.GRANTED),
    RequestAction.REFUSE: Transition(party=RequestParty.PROVIDER, to_state=RequestState.REFUSED, reason_needed=True),
    RequestAction.WITHDRAW: Transition(party=RequestParty.CONSUMER, to_state=RequestState.WITHDRAWN),
    RequestAction.EXTEND: Transition(
        party=RequestParty.PROVIDER,
        to_state=RequestState.SUBMITTED,
        extension_from=frozenset({ExtensionState.NONE}),
        extension_to=ExtensionState.ASKED,
        reason_needed=True,
    ),
    RequestAction.CONSENT_EXTENSION: Transition(
        party=RequestParty.AUTHORITY,
        to_state=RequestState.SUBMITTED,
        extension_from=_ASKED,
        extension_to=ExtensionState.CONSENTED,
    ),
    RequestAction.DENY_EXTENSION: Transition(
        party=RequestParty.AUTHORITY,
        to_state=RequestState.SUBMITTED,
        extension_from=_ASKED,
        extension_to=ExtensionState.DENIED,
        reason_needed=True,
    ),
}
"""Art. 21: an extension is asked for at most once and needs the authority's consent; a refusal needs reasons."""


class Problem(Value):
    """One thing that is missing or wrong in a request, at a JSON pointer."""

    field: str
    text: Text


def possible_actions(request: Request, parties: frozenset[RequestParty], now: datetime) -> tuple[RequestAction, ...]:
    """Return what a department that acts as `parties` can do with `request` now."""
    return tuple(action for action in RequestAction if _hindrance(request, action, parties, now) is None)


def follow(
    request: Request,
    action: RequestAction,
    *,
    parties: frozenset[RequestParty],
    reason: str,
    now: datetime,
    calendar: WorkingCalendar,
    limits: ReplyLimits,
) -> Request:
    """Return `request` after `action`.

    Raises:
        Refused: `sharing.request_other_party`: the acting department is not the one that may do this.
        Conflict: the request is answered or withdrawn, or its one extension is used up or not in that state.
        Invalid: `sharing.reason_missing`: a refusal, an extension or its denial needs reasons.
    """
    hindrance = _hindrance(request, action, parties, now)
    if hindrance is not None:
        raise hindrance
    rule = TRANSITIONS[action]
    if rule.reason_needed and not reason.strip():
        raise Invalid(
            "sharing.reason_missing",
            what=Text(zh=f"“{action.label.zh}”须说明理由。", en=f"To {action.label.en} needs reasons."),
            remedy=Text(zh="请填写理由（第二十一条）。", en="State them (Order 809, Art. 21)."),
            field="/reason",
        )
    change: dict[str, object] = {"state": rule.to_state, "revision": request.revision + 1}
    if rule.extension_to is not None:
        change["extension"] = rule.extension_to
    if action is RequestAction.EXTEND:
        change["extension_reason"] = reason.strip()
    elif action is RequestAction.CONSENT_EXTENSION:
        change["due_at"] = calendar.deadline(request.due_at - timedelta(microseconds=1), limits.extension)
    elif rule.to_state is not RequestState.SUBMITTED:
        change.update(reason=reason.strip(), decided_at=now)
    return request.model_copy(update=change)


def with_masks(request: Request, masks: Mapping[str, MaskKind]) -> Request:
    """Return `request` with other masks for some of its columns: those that the provider grants less of.

    Raises:
        Invalid: `sharing.masks_invalid`: no item has that column, or the mask shows more than the item's grade allows.
    """
    by_column = {item.column: item for item in request.items}
    for column, kind in masks.items():
        item = by_column.get(column)
        if item is None or kind not in stricter_than(item.mask):
            raise Invalid(
                "sharing.masks_invalid",
                what=Text(
                    zh=f"信息项 {column} 不能采用“{kind.label.zh}”的脱敏方式。",
                    en=f"The item {column} cannot be given as “{kind.label.en}”.",
                ),
                remedy=Text(
                    zh="请选择不宽于该项分级要求的脱敏方式。",
                    en="Choose a mask that shows no more than its grade allows.",
                ),
                field=f"/masks/{column}",
            )
    items = tuple(item.model_copy(update={"mask": masks.get(item.column, item.mask)}) for item in request.items)
    return request.model_copy(update={"items": items})


def amend(
    request: Request,
    purpose: PurposeDraft,
    *,
    parties: frozenset[RequestParty],
    now: datetime,
    calendar: WorkingCalendar,
    limits: ReplyLimits,
) -> Request:
    """Return a request that awaits its reply with another purpose; the provider has its whole time again.

    An extension that was asked for or given goes with the old purpose.

    Raises:
        Refused: not the consumer. Conflict: it is answered or withdrawn.
        Invalid: `sharing.request_incomplete`, listing everything that is missing.
    """
    hindrance = _hindrance(request, RequestAction.WITHDRAW, parties, now)
    if hindrance is not None:
        raise hindrance
    problems = tuple(purpose_problems(purpose, now))
    if problems:
        raise incomplete(problems)
    return request.model_copy(
        update={
            "purpose": completed(purpose),
            "due_at": calendar.deadline(now, limits.reply(request.share_type)),
            "extension": ExtensionState.NONE,
            "extension_reason": "",
            "revision": request.revision + 1,
        }
    )


def _hindrance(
    request: Request, action: RequestAction, parties: frozenset[RequestParty], now: datetime
) -> Conflict | Refused | None:
    rule = TRANSITIONS[action]
    if rule.party not in parties:
        return Refused(
            "sharing.request_other_party",
            what=Text(
                zh=f"“{action.label.zh}”不由本部门办理。",
                en=f"This department is not the one to {action.label.en} here.",
            ),
            remedy=Text(zh="请由有权的部门办理。", en="Leave it to the department in charge."),
            context={"party": rule.party.value},
        )
    if request.state is not RequestState.SUBMITTED:
        return conflict(
            "sharing.request_closed",
            Text(
                zh=f"申请已处于“{request.state.label.zh}”状态。", en=f"The request is already {request.state.label.en}."
            ),
        )
    if request.extension not in rule.extension_from:
        return conflict(
            "sharing.extension_conflict",
            Text(
                zh="答复期限只能延长一次，且须先由提供部门申请。",
                en="The reply can be extended once only, and only after the provider has asked.",
            ),
        )
    if action is RequestAction.EXTEND and now >= request.due_at:
        return conflict(
            "sharing.extension_late",
            Text(
                zh="答复期限已过，不能再申请延期。", en="The reply is overdue: it is too late to ask for an extension."
            ),
        )
    return None


def purpose_problems(purpose: PurposeDraft, now: datetime) -> Iterable[Problem]:
    """Yield what Art. 20 requires and `purpose` does not say."""
    for field, label in (
        ("legal_basis", Text(zh="使用依据", en="legal basis")),
        ("scene", Text(zh="使用场景", en="scene of use")),
        ("scope", Text(zh="使用范围", en="scope of use")),
        ("service_item", Text(zh="服务事项", en="service item")),
    ):
        if not str(getattr(purpose, field)).strip():
            yield _missing(f"/purpose/{field}", label)
    if not purpose.modes:
        yield _missing("/purpose/modes", Text(zh="共享方式", en="mode of sharing"))
    for field, at in (("valid_from", purpose.valid_from), ("valid_until", purpose.valid_until)):
        if at is None:
            yield _missing(f"/purpose/{field}", Text(zh="使用时限", en="term of use"))
        elif at.tzinfo is None:
            yield Problem(field=f"/purpose/{field}", text=Text(zh="时间须带时区", en="a time needs its time zone"))
    start, end = purpose.valid_from, purpose.valid_until
    if start and end and start.tzinfo and end.tzinfo and not (end > start and end > now):
        yield Problem(
            field="/purpose/valid_until",
            text=Text(zh="使用时限的终点须晚于起点和现在", en="the term must end after it begins, and in the future"),
        )


def line_problems(
    place: int, line: RequestLine, resource: Resource | None, consumer: DepartmentCode, modes: tuple[ShareMode, ...]
) -> Iterable[Problem]:
    """Yield what is wrong with one line; `resource` is None when nothing with that id is published."""
    where = f"/lines/{place}"
    if resource is None:
        yield Problem(
            field=f"{where}/resource_id",
            text=Text(zh=f"目录中没有已发布的资源 {line.resource_id}", en=f"no published resource {line.resource_id}"),
        )
        return
    title = resource.content.title
    origin = resource.content.origin
    # What came over a link can be asked for here: the request goes on over it. What was harvested cannot.
    if origin is not None and not origin.path:
        yield Problem(
            field=f"{where}/resource_id",
            text=Text(
                zh=f"《{title.zh}》来自其他平台，请到来源处申请：{origin.address}",
                en=f"“{title.en or title.zh}” comes from elsewhere; apply there: {origin.address}",
            ),
        )
        return
    if resource.department == consumer:
        yield Problem(
            field=f"{where}/resource_id",
            text=Text(zh=f"《{title.zh}》是本部门的资源", en=f"“{title.en}” is the department's own resource"),
        )
    if not line.items:
        yield Problem(field=f"{where}/items", text=Text(zh=f"《{title.zh}》未选信息项", en=f"no items of “{title.en}”"))
    for name in line.items:
        item = find_item(resource, name)
        if item is None:
            yield Problem(
                field=f"{where}/items",
                text=Text(zh=f"《{title.zh}》没有信息项 {name}", en=f"“{title.en}” has no item {name}"),
            )
            continue
        yield from _item_problems(f"{where}/items", resource, item, modes)
    for number, text in faults(line.rows, (item.column for item in resource.content.items)):
        yield Problem(
            field=f"{where}/rows/{number}",
            text=Text(zh=f"《{title.zh}》的行条件：{text.zh}", en=f"rows of “{title.en}”: {text.en}"),
        )


def _item_problems(where: str, resource: Resource, item: Item, modes: tuple[ShareMode, ...]) -> Iterable[Problem]:
    if item.share_type is ShareType.NONE:
        basis = item.legal_basis or resource.content.legal_basis
        yield Problem(
            field=where,
            text=Text(
                zh=f"信息项“{item.name.zh}”不予共享，依据：{basis}",
                en=f"the item “{item.name.en}” is not shared, on the basis of: {basis}",
            ),
        )
        return
    offered = item.share_modes or resource.content.share_modes
    lacking = [mode for mode in modes if offered and mode not in offered]
    if lacking:
        names = Text(zh="、".join(mode.label.zh for mode in lacking), en=", ".join(mode.label.en for mode in lacking))
        yield Problem(
            field=where,
            text=Text(
                zh=f"信息项“{item.name.zh}”不提供{names.zh}方式",
                en=f"the item “{item.name.en}” is not offered by {names.en}",
            ),
        )


def incomplete(problems: Iterable[Problem]) -> Invalid:
    """Return the one error that lists everything (Art. 21: one complete list of what is missing)."""
    listed = tuple(problems)
    return Invalid(
        "sharing.request_incomplete",
        what=Text(
            zh="申请材料不完整：" + "；".join(problem.text.zh for problem in listed) + "。",
            en="The request is incomplete: " + "; ".join(problem.text.en for problem in listed) + ".",
        ),
        remedy=Text(zh="请一次补齐以上内容后再提交。", en="Complete all of this, then submit again."),
        field=listed[0].field if listed else None,
        context={
            "problems": [{"field": problem.field, "zh": problem.text.zh, "en": problem.text.en} for problem in listed]
        },
    )


def completed(purpose: PurposeDraft) -> Purpose:
    """Return a purpose draft without problems as a purpose."""
    return Purpose.model_validate(purpose.model_dump())


def find_item(resource: Resource, name: str) -> Item | None:
    """Return the item that `name` means: its column, else its Chinese or English name, else its data element."""
    by: tuple[Callable[[Item], str | None], ...] = (
        lambda item: item.column,
        lambda item: item.name.zh,
        lambda item: item.name.en,
        lambda item: item.element,
    )
    for key in by:
        found = [item for item in resource.content.items if key(item) == name]
        if len(found) == 1:
            return found[0]
    return None


def items_by_share_type(
    resource: Resource, line: RequestLine, pack: NormPack
) -> Mapping[ShareType, tuple[AgreementItem, ...]]:
    """Return the requested items of one resource, described and split by share type, without repetition."""
    groups: dict[ShareType, dict[str, AgreementItem]] = {}
    for name in line.items:
        item = find_item(resource, name)
        if item is not None:
            groups.setdefault(item.share_type, {})[item.column] = describe_item(item, pack)
    return {share_type: tuple(found.values()) for share_type, found in sorted(groups.items())}


def describe_item(item: Item, pack: NormPack) -> AgreementItem:
    """Return what an agreement says about `item`, with the mask that its grade and element call for."""
    known = item.element is not None and pack.has_element(item.element)
    element_mask = pack.element(item.element).mask.value if known and item.element else "none"
    return AgreementItem(
        column=item.column,
        name=item.name,
        element=item.element,
        data_type=item.data_type.value,
        grade=item.grade.value,
        key=item.key,
        mask=mask_for(grade=item.grade.value, element_mask=element_mask),
    )


def merged_lines(lines: Iterable[RequestLine]) -> tuple[RequestLine, ...]:
    """Return the lines with those about the same resource put together, in the order of first mention."""
    merged: dict[ResourceId, RequestLine] = {}
    for line in lines:
        known = merged.get(line.resource_id)
        if known is not None:
            rows = tuple(dict.fromkeys((*known.rows, *line.rows)))
            merged[line.resource_id] = known.model_copy(
                update={"items": (*known.items, *line.items), "rows": rows, "calls": known.calls or line.calls}
            )
        else:
            merged[line.resource_id] = line
    return tuple(merged.values())


def _missing(field: str, label: Text) -> Problem:
    return Problem(field=field, text=Text(zh=f"未写明{label.zh}", en=f"no {label.en}"))


def conflict(code: str, what: Text) -> Conflict:
    """Return the error of an act that the present state does not allow."""
    return Conflict(code, what=what, remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."))
