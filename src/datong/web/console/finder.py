"""Search everywhere: what somebody who types a few words, a code or an id in the top bar may want to open."""

from collections.abc import Callable, Iterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import Response

from datong.catalogue import SearchRequest
from datong.kernel import (
    AgreementId,
    EntryId,
    NotFound,
    Refused,
    RequestId,
    ResourceId,
    TaskId,
    Text,
    Value,
)
from datong.kernel.limits import NAME_CHARS_MAX
from datong.norms import find_elements
from datong.sharing import Action, Target
from datong.web.api.ledger import readable_entry
from datong.web.api.resources import visible_resource
from datong.web.api.scope import readable_agreement
from datong.web.api.tasks import readable_task
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.navigation import sections_for
from datong.web.console.vocabulary import ENTRY_KINDS
from datong.web.routing import unlisted_routes

router = unlisted_routes("/find")

Words = Annotated[str, Query(max_length=NAME_CHARS_MAX)]
GROUP_SHOWN_MAX = 20
GROUP_SUGGESTED_MAX = 5
ID_CHARS_MIN = 20
"""No word that somebody looks for is as long as an id and as free of spaces."""


class Place(Value):
    """Something that can be opened; `note` tells it from others of the same name."""

    name: Text
    note: Text
    address: str


class Places(Value):
    """Places of one kind; `more` is where all of them are."""

    kind: Text
    places: tuple[Place, ...]
    more: str = ""


@router.get("")
def find(desk: SignedIn, words: Words = "") -> Response:
    """Show everything that the words lead to."""
    return desk.page("find.html", words=words.strip(), groups=_groups(desk, words, GROUP_SHOWN_MAX))


@router.get("/suggestions")
def suggestions(desk: SignedIn, words: Words = "") -> Response:
    """Return the first few of each kind, as a piece of the page."""
    return desk.page("find_piece.html", words=words.strip(), groups=_groups(desk, words, GROUP_SUGGESTED_MAX))


def _groups(desk: Desk, words: str, limit: int) -> tuple[Places, ...]:
    """Return what was found, kind by kind; nothing for no words, and no kind without places."""
    wanted = words.strip()
    if not wanted:
        return ()
    found = (
        Places(kind=Text(zh="编号", en="With this id"), places=tuple(_with_id(desk, wanted))),
        Places(kind=Text(zh="页面", en="Pages"), places=tuple(_pages(desk, wanted))[:limit]),
        *_resources(desk, wanted, limit),
        Places(kind=Text(zh="部门", en="Departments"), places=tuple(_departments(desk, wanted))[:limit]),
        *_elements(desk, wanted, limit),
    )
    return tuple(group for group in found if group.places)


def _request(desk: Desk, request_id: str) -> Text:
    request = desk.services.requests.get(RequestId(request_id))
    desk.require(Action.REQUEST_READ, Target.of_request(request))
    return request.resource_title


def _entry(desk: Desk, entry_id: str) -> Text:
    kind = readable_entry(desk.services, desk.caller, EntryId(entry_id)).kind
    return ENTRY_KINDS.get(kind, Text(zh=kind, en=kind))


def _resource(desk: Desk, resource_id: str) -> Text:
    desk.require(Action.RESOURCE_READ)
    return visible_resource(desk.services, desk.caller, ResourceId(resource_id)).content.title


_HAVE_IDS: tuple[tuple[Text, str, Callable[[Desk, str], Text]], ...] = (
    (
        Text(zh="共享协议", en="Agreement"),
        "/agreements",
        lambda desk, key: readable_agreement(desk.services, desk.caller, AgreementId(key)).resource_title,
    ),
    (Text(zh="信息资源", en="Resource"), "/catalogue", _resource),
    (Text(zh="需求申请", en="Request"), "/requests", _request),
    (
        Text(zh="交换任务", en="Transfer"),
        "/transfers",
        lambda desk, key: desk.resource_title(readable_task(desk.services, desk.caller, TaskId(key)).resource_id),
    ),
    (Text(zh="存证", en="Evidence"), "/evidence", _entry),
)


def _with_id(desk: Desk, wanted: str) -> Iterator[Place]:
    """Yield what has the id that was typed, as far as the caller may read it."""
    if len(wanted) < ID_CHARS_MIN or not wanted.isascii() or " " in wanted:
        return
    for note, path, read in _HAVE_IDS:
        try:
            yield Place(name=read(desk, wanted), note=note, address=f"{path}/{wanted}")
        except (NotFound, Refused):
            continue


def _pages(desk: Desk, wanted: str) -> Iterator[Place]:
    """Yield the pages of the caller's rail with such a name."""
    for section in sections_for(desk.principal):
        for link in section.links:
            if _holds(link.name, wanted):
                yield Place(name=link.name, note=section.name, address=link.path)


def _resources(desk: Desk, wanted: str, limit: int) -> Iterator[Places]:
    """Yield the published resources, best first. The search of the catalogue notes unmet demand, this one does not."""
    if not desk.may(Action.RESOURCE_READ):
        return
    page = desk.services.catalogue.discovery.search(SearchRequest(text=wanted, grouped=True, limit=limit))
    yield Places(
        kind=Text(zh="共享目录", en="Catalogue"),
        places=tuple(
            Place(
                name=hit.resource.content.title,
                note=desk.department_text(hit.resource.department),
                address=f"/catalogue/{hit.resource.id}",
            )
            for hit in page.hits
        ),
        more=f"/catalogue?{urlencode({'q': wanted})}",
    )


def _departments(desk: Desk, wanted: str) -> Iterator[Place]:
    """Yield the departments with such a name; each leads to its resources."""
    resources = Text(zh="该部门的共享目录", en="its resources")
    for department in desk.departments.values():
        if _holds(department.name, wanted) or _holds(department.short_name, wanted):
            yield Place(name=department.name, note=resources, address=f"/catalogue?departments={department.code}")


def _elements(desk: Desk, wanted: str, limit: int) -> Iterator[Places]:
    """Yield the data elements of the norms, the closest first."""
    yield Places(
        kind=Text(zh="数据元", en="Data elements"),
        places=tuple(
            Place(
                name=element.name,
                note=Text(zh=element.code, en=element.code),
                address=f"/norms/elements/{element.code}",
            )
            for element in find_elements(desk.services.pack, wanted)[:limit]
        ),
        more=f"/norms?{urlencode({'q': wanted})}",
    )


def _holds(name: Text, wanted: str) -> bool:
    return any(wanted.casefold() in each.casefold() for each in (name.zh, name.en))
