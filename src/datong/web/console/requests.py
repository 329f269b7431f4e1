"""Requests for data: the list, the form with its five statements, one request with its way, and the acts on it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response

from datong.catalogue import Resource, SearchFilters
from datong.kernel import CHINA, DatongError, Page, RequestId, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.ledger import RecordedEntry
from datong.norms import ShareMode
from datong.sharing import (
    Action,
    MaskKind,
    Prefill,
    PurposeDraft,
    Request,
    RequestAction,
    RequestLine,
    RequestState,
    Target,
    stricter_than,
)
from datong.web.api.requests import MASKS_MAX, NEEDED
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

CANDIDATES_MAX = 30
ITEM_MARK = "::"
"""Separates the resource from the item's column in the value of a box."""
DEFAULT_TERM = timedelta(days=365)
STEPS = {
    "submit": Text(zh="提交申请", en="Submitted"),
    "grant_unconditional": Text(zh="无条件共享，平台当即同意", en="Unconditional: granted by the platform at once"),
    "approve": Text(zh="提供部门同意", en="Approved by the provider"),
    "refuse": Text(zh="提供部门不同意", en="Refused by the provider"),
    "extend": Text(zh="提供部门申请延期答复", en="The provider asked for an extension"),
    "consent_extension": Text(zh="主管部门同意延期", en="The authority consented to the extension"),
    "deny_extension": Text(zh="主管部门不同意延期", en="The authority denied the extension"),
    "amend": Text(zh="需求部门修改用途，重新计算答复期限", en="Purpose changed; the reply has its whole time again"),
    "withdraw": Text(zh="需求部门撤回", en="Withdrawn by the consumer"),
}
"""What each step in a request's evidence is called."""
REASONED = frozenset({RequestAction.REFUSE, RequestAction.EXTEND, RequestAction.DENY_EXTENSION})


class Moment(Value):
    """One point of a request's way; `late` marks one that came after its deadline."""

    at: datetime
    text: Text
    detail: str = ""
    late: bool = False
    done: bool = True
    entry_id: str = ""


class Filled(Value):
    """What the form holds, so that it comes back as it was when something is missing."""

    legal_basis: str = ""
    scene: str = ""
    consent: bool = False
    scope: str = ""
    modes: tuple[str, ...] = ()
    valid_from: str = ""
    valid_until: str = ""
    service_item: str = ""
    items: frozenset[str] = frozenset()


@router.get("/requests")
def list_requests(desk: SignedIn, offset: Offset, show: str = "all", state: str = "") -> Response:
    """List the requests in which the caller's department has a part, or all of them for those who oversee."""
    if view := desk.opening_view():
        return desk.go(view)
    own = desk.caller.department
    oversees = desk.may(Action.REQUEST_READ)
    chosen = RequestState(state) if state in set(RequestState) else None
    requests = desk.services.requests
    page: Page[Request] = Page(rows=(), total=0)
    if oversees or own is not None:
        page = requests.find(
            department=own if show == "all" and not oversees else None,
            consumer=own if show == "sent" else None,
            provider=own if show == "received" or (show == "overdue" and not oversees) else None,
            overdue=show == "overdue",
            state=chosen,
            offset=offset,
            limit=PAGE_ROWS,
        )
    return desk.page(
        "requests/list.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        state=state,
        states=tuple(RequestState),
        own=own,
        may_request=desk.may_request,
    )


@router.get("/requests/new")
def new_request(
    desk: SignedIn,
    resource: Annotated[list[str] | None, Query()] = None,
    q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    element: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    service_item: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    legal_basis: Annotated[str, Query(max_length=TEXT_CHARS_MAX)] = "",
    scene: Annotated[str, Query(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Show the form: choose resources, tick items, state the five things.

    Whoever leads here may fill in what is known: the items of a data element, the service item, its basis and scene.
    """
    desk.require(Action.REQUEST_SUBMIT, Target(id="new", consumer=desk.caller.department))
    today = desk.now.astimezone(CHINA).date()
    known = _prefilled(desk, resource or [], service_item)
    ticked = frozenset(
        f"{line.resource_id}{ITEM_MARK}{column}" for line in (known.lines if known else ()) for column in line.items
    )
    answers = known.purpose if known else PurposeDraft()
    form = Filled(
        modes=tuple(mode.value for mode in answers.modes) or (ShareMode.INTERFACE.value,),
        valid_from=today.isoformat(),
        valid_until=(today + DEFAULT_TERM).isoformat(),
        service_item=service_item or answers.service_item,
        legal_basis=legal_basis or answers.legal_basis,
        scene=scene or answers.scene,
        scope=answers.scope,
        items=_items_of_element(desk, resource or [], element) or ticked,
    )
    return _form_page(desk, tuple(resource or ()), q, form, None, known)


@router.post("/requests/new")
def submit_request(
    desk: SignedIn,
    resource: Annotated[list[str] | None, Form()] = None,
    items: Annotated[list[str] | None, Form()] = None,
    legal_basis: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    scene: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    scope: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    modes: Annotated[list[str] | None, Form()] = None,
    valid_from: Annotated[str, Form(max_length=10)] = "",
    valid_until: Annotated[str, Form(max_length=10)] = "",
    service_item: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    consent: Annotated[bool, Form()] = False,
) -> Response:
    """Submit a bundle; whatever is missing is listed at once and the form keeps what was filled in."""
    desk.require(Action.REQUEST_SUBMIT, Target(id="new", consumer=desk.caller.department))
    form = Filled(
        legal_basis=legal_basis,
        scene=scene,
        scope=scope,
        modes=tuple(modes or ()),
        valid_from=valid_from,
        valid_until=valid_until,
        service_item=service_item,
        consent=consent,
        items=frozenset(items or ()),
    )
    department = desk.caller.department
    if department is None:
        return desk.go("/requests")
    try:
        submitted = desk.services.requests.submit(
            consumer=department,
            lines=lines_of(form.items),
            purpose=PurposeDraft(
                legal_basis=legal_basis,
                scene=scene,
                scope=scope,
                modes=tuple(ShareMode(mode) for mode in form.modes if mode in set(ShareMode)),
                valid_from=start_of(valid_from),
                valid_until=end_of(valid_until),
                service_item=service_item,
                consent=consent,
            ),
            actor=desk.caller.actor,
        )
    except DatongError as error:
        return _form_page(desk, tuple(resource or ()), "", form, problem_of(error))
    address = f"/requests/{submitted[0].id}" if len(submitted) == 1 else "/requests?show=sent"
    return desk.go(address, done="requested")


@router.get("/requests/{request_id}")
def show_request(desk: SignedIn, request_id: RequestId) -> Response:
    """Show one request: what was asked, why, how it went, and what can be done."""
    request = desk.services.requests.get(request_id)
    target = Target.of_request(request)
    desk.require(Action.REQUEST_READ, target)
    possible = desk.services.requests.possible_actions(request, desk.caller.department)
    actions = [(action, action in REASONED) for action in possible if desk.may(NEEDED[action], target)]
    entries = desk.services.ledger.newest(subject=request_id, limit=PAGE_ROWS)
    return desk.page(
        "requests/request.html",
        request=request,
        together=[other for other in desk.services.requests.bundle(request.bundle_id) if other.id != request.id],
        timeline=timeline(desk, request, entries),
        may_amend=RequestAction.WITHDRAW in possible and desk.may(Action.REQUEST_WITHDRAW, target),
        actions=actions,
        masks=_mask_choices(request) if RequestAction.APPROVE in dict(actions) else {},
        mark=ITEM_MARK,
    )


@router.post("/requests/{request_id}/actions")
def act(
    desk: SignedIn,
    request_id: RequestId,
    action: Annotated[RequestAction, Form()],
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    mask: Annotated[list[str] | None, Form(max_length=MASKS_MAX)] = None,
) -> Response:
    """Approve (with the masks that were chosen), refuse, extend, consent, or withdraw."""
    request = desk.services.requests.get(request_id)
    desk.require(NEEDED[action], Target.of_request(request))
    desk.services.requests.act(request_id, action, desk.caller.actor, reason, masks_of(mask or ()))
    return desk.go(f"/requests/{request_id}", done="decided")


@router.post("/requests/{request_id}/purpose")
def amend_purpose(
    desk: SignedIn,
    request_id: RequestId,
    legal_basis: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    scene: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    scope: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Change what a request that awaits its reply is for."""
    request = desk.services.requests.get(request_id)
    desk.require(Action.REQUEST_WITHDRAW, Target.of_request(request))
    words = {"legal_basis": legal_basis, "scene": scene, "scope": scope}
    purpose = PurposeDraft.model_validate({**request.purpose.model_dump(), **words})
    desk.services.requests.amend(request_id, purpose, desk.caller.actor)
    return desk.go(f"/requests/{request_id}", done="decided")


def lines_of(boxes: frozenset[str]) -> tuple[RequestLine, ...]:
    """Return the lines of a request from the ticked boxes, in a stable order."""
    lines: dict[str, list[str]] = {}
    for box in sorted(boxes):
        resource_id, mark, column = box.partition(ITEM_MARK)
        if mark and column:
            lines.setdefault(resource_id, []).append(column)
    return tuple(
        RequestLine(resource_id=ResourceId(resource_id), items=tuple(columns)) for resource_id, columns in lines.items()
    )


def masks_of(choices: Sequence[str]) -> dict[str, MaskKind]:
    """Return the masks that were chosen, each told as its name and the column it is for; anything else is none."""
    found = {}
    for choice in choices:
        kind, mark, column = choice.partition(ITEM_MARK)
        if mark and kind in set(MaskKind):
            found[column] = MaskKind(kind)
    return found


def start_of(day: str) -> datetime | None:
    """Return the start of a day in China; None when it is no date."""
    try:
        return datetime.combine(date.fromisoformat(day), time(0), tzinfo=CHINA)
    except ValueError:
        return None


def end_of(day: str) -> datetime | None:
    """Return the end of a day in China; None when it is no date."""
    start = start_of(day)
    return None if start is None else start + timedelta(days=1)


def timeline(desk: Desk, request: Request, entries: Sequence[RecordedEntry]) -> tuple[Moment, ...]:
    """Return the way of a request so far, from its evidence (newest first), and the deadline ahead of it."""
    way = [
        Moment(
            at=entry.at,
            text=STEPS.get(str(entry.facts.get("step")), Text(zh="办理", en="Acted on")),
            detail=desk.department_name(entry.actor.department) if entry.actor.department else "",
            late=entry.at > request.due_at,
            entry_id=entry.entry_id,
        )
        for entry in reversed(entries)
    ]
    if request.state is RequestState.SUBMITTED:
        late = request.is_overdue(desk.now)
        way.append(Moment(at=request.due_at, text=Text(zh="答复期限", en="Reply due"), late=late, done=False))
    return tuple(way)


def _mask_choices(request: Request) -> dict[str, tuple[MaskKind, ...]]:
    """By column, the masks under which an item may be granted, the one its grade calls for first."""
    return {
        item.column: (
            item.mask,
            *(kind for kind in MaskKind if kind is not item.mask and kind in stricter_than(item.mask)),
        )
        for item in request.items
    }


def _items_of_element(desk: Desk, chosen: Sequence[str], element: str) -> frozenset[str]:
    """The boxes of the items that are a data element, and of the keys by which they are found."""
    if not element:
        return frozenset()
    return frozenset(
        f"{resource.id}{ITEM_MARK}{item.column}"
        for resource in published_among(desk, chosen)
        for item in resource.content.items
        if item.element == element or item.key
    )


def published_among(desk: Desk, chosen: Sequence[str]) -> list[Resource]:
    """Return those of the chosen resources that are published."""
    resources: list[Resource] = []
    for resource_id in dict.fromkeys(chosen):
        with suppress(DatongError):
            resources.append(desk.services.catalogue.published(ResourceId(resource_id)))
    return resources


def _prefilled(desk: Desk, chosen: Sequence[str], service_item: str) -> Prefill | None:
    """Return what is known already about a request of the caller's department."""
    department = desk.caller.department
    if department is None:
        return None
    registered = desk.services.service_items.with_code(service_item) if service_item else None
    return desk.services.requests.prefill(
        department,
        [resource.id for resource in published_among(desk, chosen)],
        service_item=service_item,
        registered=registered,
    )


def _form_page(
    desk: Desk,
    chosen: tuple[str, ...],
    q: str,
    form: Filled,
    found: Problem | None,
    known: Prefill | None = None,
) -> Response:
    resources = published_among(desk, chosen)
    hits = desk.services.catalogue.search(q, filters=SearchFilters(), offset=0, limit=CANDIDATES_MAX).hits
    own = desk.caller.department
    picked = {resource.id for resource in resources}
    return desk.page(
        "requests/new.html",
        status=HTTPStatus.OK if found is None else found.status,
        form=form,
        found=found,
        origins=known.origins if known else {},
        similar=known.similar if known else (),
        q=q,
        resources=resources,
        candidates=[hit.resource for hit in hits if hit.resource.department != own and hit.resource.id not in picked],
        modes=tuple(ShareMode),
        mark=ITEM_MARK,
        hints={
            resource.id: desk.services.sources.hints(
                resource.department, [(item.column, item.element) for item in resource.content.items]
            )
            for resource in resources
        },
    )
