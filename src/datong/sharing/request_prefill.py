"""What a new request may be filled with, and where each answer comes from. Pure; nothing is decided for anybody."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from datong.catalogue import Resource, ServiceItem
from datong.kernel import DepartmentCode, RequestId, ResourceId, Text, Value
from datong.norms import ShareMode, ShareType
from datong.sharing.terms import PurposeDraft, Request, RequestLine, RequestState

SIMILAR_MAX = 5
TERM_DEFAULT = timedelta(days=365)
_FROM_ITEM = Text(zh="取自服务事项", en="from the service item")
_FROM_CATALOGUE = Text(zh="取自目录", en="from the catalogue")
_BY_DEFAULT = Text(zh="默认", en="by default")
_FROM_REQUEST = Text(zh="取自本部门以往的申请", en="from an earlier request of your department")


class SimilarRequest(Value):
    """An earlier request of the department that is like the new one; `score` counts what they share."""

    request_id: RequestId
    resource_title: Text
    service_item: str
    scene: str
    state: RequestState
    submitted_at: datetime
    score: int


class Prefill(Value):
    """Suggested answers, and for each field that has one where it comes from; the rest is left to the requester."""

    lines: tuple[RequestLine, ...]
    purpose: PurposeDraft
    origins: dict[str, Text]
    similar: tuple[SimilarRequest, ...]


def prefill(
    *,
    consumer: DepartmentCode,
    resources: Sequence[Resource],
    service_item: str,
    registered: ServiceItem | None,
    earlier: Iterable[Request],
    now: datetime,
) -> Prefill:
    """Return what a request of `consumer` about `resources` for a service item may say.

    The service item's own legal basis comes before anything that was written in a request; of requests the most alike
    is followed: one for the same service item, then one about the same resources, then a granted one, then the newest.
    Requests of other departments tell nothing: what they use data for is theirs.
    """
    wanted = {resource.id for resource in resources}
    ranked = sorted(
        ((_score(request, wanted, service_item), request) for request in earlier if request.consumer == consumer),
        key=lambda pair: (pair[0], pair[1].submitted_at),
        reverse=True,
    )
    alike = [(score, request) for score, request in ranked if score > 0]
    best = alike[0][1].purpose if alike else None
    answers: dict[str, tuple[object, Text]] = {}
    if service_item:
        answers["service_item"] = (service_item, _FROM_ITEM)
    elif best is not None:
        answers["service_item"] = (best.service_item, _FROM_REQUEST)
    if registered is not None and registered.legal_basis:
        answers["legal_basis"] = (registered.legal_basis, _FROM_ITEM)
    elif best is not None:
        answers["legal_basis"] = (best.legal_basis, _FROM_REQUEST)
    if best is not None:
        answers["scene"] = (best.scene, _FROM_REQUEST)
        answers["scope"] = (best.scope, _FROM_REQUEST)
    elif registered is not None:
        answers["scene"] = (f"办理“{registered.name.zh}”时核对申请人信息", _FROM_ITEM)
    answers["modes"] = (_modes(resources), _FROM_CATALOGUE)
    answers["valid_from"] = (now, _BY_DEFAULT)
    answers["valid_until"] = (now + TERM_DEFAULT, _BY_DEFAULT)
    return Prefill(
        lines=tuple(RequestLine(resource_id=one.id, items=_items(one, registered, alike)) for one in resources),
        purpose=PurposeDraft.model_validate({field: value for field, (value, _) in answers.items()}),
        origins={field: origin for field, (_, origin) in answers.items()},
        similar=tuple(_similar(request, score) for score, request in alike[:SIMILAR_MAX]),
    )


def _score(request: Request, wanted: set[ResourceId], service_item: str) -> int:
    """How much a request is like the new one; a refused or withdrawn one is no example."""
    if request.state in {RequestState.REFUSED, RequestState.WITHDRAWN}:
        return 0
    same_item = bool(service_item) and request.purpose.service_item == service_item
    same_resource = request.resource_id in wanted
    if not (same_item or same_resource):
        return 0
    return 4 * same_item + 2 * same_resource + (request.state is RequestState.GRANTED)


def _modes(resources: Sequence[Resource]) -> tuple[ShareMode, ...]:
    """Return the least that serves: calls, where every resource offers them; else what all offer in common."""
    offered = [set(resource.content.share_modes or tuple(ShareMode)) for resource in resources]
    common = set(ShareMode).intersection(*offered)
    if ShareMode.INTERFACE in common:
        return (ShareMode.INTERFACE,)
    return tuple(mode for mode in ShareMode if mode in common)[:1]


def _items(resource: Resource, registered: ServiceItem | None, alike: Sequence[tuple[int, Request]]) -> tuple[str, ...]:
    """Return the columns to tick: what an earlier request about the resource asked for, else what the form asks for.

    With the latter go the keys by which records are found. What is not shared is never suggested.
    """
    shared = {item.column: item for item in resource.content.items if item.share_type is not ShareType.NONE}
    for _, request in alike:
        if request.resource_id == resource.id:
            return tuple(column for column in request.columns if column in shared)
    asked = {field.element for field in registered.fields if field.element} if registered is not None else set()
    needed = [item for item in shared.values() if item.element in asked]
    if not needed:
        return ()
    return tuple(item.column for item in shared.values() if item.element in asked or item.key)


def _similar(request: Request, score: int) -> SimilarRequest:
    return SimilarRequest(
        request_id=request.id,
        resource_title=request.resource_title,
        service_item=request.purpose.service_item,
        scene=request.purpose.scene,
        state=request.state,
        submitted_at=request.submitted_at,
        score=score,
    )
