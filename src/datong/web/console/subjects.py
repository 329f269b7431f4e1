"""What an entry of the log is about, in words: the resource, the agreement or the department instead of an id."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from datong.kernel import (
    AgreementId,
    CaseId,
    DatongError,
    DepartmentCode,
    FindingId,
    NotFound,
    ResourceId,
    TaskId,
    Text,
    Value,
)
from datong.ledger import EntryKind, RecordedEntry

if TYPE_CHECKING:
    from datong.web.console.desk import Desk

PLACES: Mapping[EntryKind, str] = {
    EntryKind.SOURCE: "/sources/",
    EntryKind.SERVICE_ITEM: "/service-items/",
    EntryKind.REQUEST: "/requests/",
    EntryKind.DECISION: "/requests/",
    EntryKind.AGREEMENT: "/agreements/",
    EntryKind.TASK: "/transfers/",
    EntryKind.BATCH: "/transfers/",
    EntryKind.RECEIPT: "/transfers/",
    EntryKind.DEAD_LETTERS: "/transfers/",
    EntryKind.RECONCILIATION: "/transfers/",
    EntryKind.FILE: "/files/",
    EntryKind.CORRECTION: "/corrections/",
    EntryKind.WISH: "/wishes/",
    EntryKind.FINDING: "/governance/findings/",
    EntryKind.CASE: "/cases/",
    EntryKind.MEETING: "/meetings/",
    EntryKind.ASSIGNMENT: "/assignments/",
    EntryKind.INCIDENT: "/incidents/",
    EntryKind.RATING: "/ratings/",
    EntryKind.APPLICATION: "/applications/",
    EntryKind.SUBSCRIPTION: "/webhooks/",
    EntryKind.RELEASE: "/releases/",
    EntryKind.LIVE: "/catalogue/",
}
"""Where the subject of an entry has a page of its own."""


def _service_item_name(desk: "Desk", item_id: str) -> Text:
    return desk.services.service_items.get(item_id).name


def _application_name(desk: "Desk", client_id: str) -> str:
    try:
        return desk.services.registrations.get(client_id).name
    except NotFound:
        # A program that nobody reviews.
        return desk.services.identity.application(client_id).name


def _account_text(_desk: "Desk", subject: str) -> Text:
    if subject.startswith("role:"):
        return Text(zh="一个角色的登录要求", en="How a role signs in")
    return Text(zh="一个账号", en="An account")


def _library_title(desk: "Desk", name: str) -> Text:
    return desk.services.library.definition(name).title


def _meeting_title(desk: "Desk", meeting: str) -> str:
    return desk.services.meetings.get(meeting).title


def _assignment_text(desk: "Desk", assignment: str) -> str:
    return desk.services.assignments.get(assignment).what


def _subscriber_name(desk: "Desk", subscription_id: str) -> str:
    one = desk.services.webhook_desk.get(subscription_id).subscription
    return desk.services.identity.application(one.client_id).name


def _incident_title(desk: "Desk", incident: str) -> str:
    return desk.services.incidents.get(incident).title


def _rated_title(desk: "Desk", rating: str) -> Text:
    return desk.resource_title(desk.services.ratings.get(rating).resource_id)


def _table_title(_desk: "Desk", subject: str) -> Text:
    period = subject.partition("/")[0]
    return Text(zh=f"{period} 共享绩效", en=f"Performance of {period}")


NAMED: Mapping[EntryKind, Callable[["Desk", str], Text | str]] = {
    EntryKind.INDICATOR: _table_title,
    EntryKind.SOURCE: lambda desk, element: desk.element_name(element),
    EntryKind.INVENTORY: lambda _desk, inventory: inventory.partition("/")[2] or inventory,
    EntryKind.SERVICE_ITEM: _service_item_name,
    EntryKind.MEETING: _meeting_title,
    EntryKind.ASSIGNMENT: _assignment_text,
    EntryKind.INCIDENT: _incident_title,
    EntryKind.RATING: _rated_title,
    EntryKind.STAFF: lambda desk, code: desk.department_text(DepartmentCode(code)),
    EntryKind.WISH: lambda _desk, _subject: Text(zh="公众数据需求", en="A wish of the public"),
    EntryKind.LIBRARY_DEFINITION: _library_title,
    EntryKind.ACCOUNT: _account_text,
    EntryKind.APPLICATION: _application_name,
    EntryKind.SUBSCRIPTION: _subscriber_name,
    EntryKind.SKETCH_KEY: lambda _desk, _subject: Text(zh="前置机共享的草图密钥", en="The nodes' sketch secret"),
}
"""How a subject is named that is found by its id alone."""


_LISTED: Mapping[EntryKind, str] = {
    EntryKind.LIBRARY_DEFINITION: "/library/definitions",
    EntryKind.DEPARTMENT_KEY: "/departments",
    EntryKind.SKETCH_KEY: "/sources",
    EntryKind.INVENTORY: "/inventories",
    EntryKind.STATISTIC: "/statistics",
}
"""Where a subject stands that has no page of its own."""
_LIBRARY_FACT: Mapping[EntryKind, str] = {
    EntryKind.RETENTION: "library",
    EntryKind.WEIGHTS: "library",
    EntryKind.ACCESS: "library",
    EntryKind.REFUSAL: "library",
    EntryKind.RELEASE: "dataset",
    EntryKind.STATISTIC: "dataset",
}
"""Which fact names the library that an entry is about; an access has one where it is a block-data view."""


class Subject(Value):
    """What an entry is about: its name, its page if it has one, and whether the name is only an id."""

    name: str
    address: str = ""
    exact: bool = False


def subject_of(desk: "Desk", entry: RecordedEntry) -> Subject:
    """Return what `entry` is about; something that the hub no longer knows stands for itself."""
    with suppress(DatongError):
        named = NAMED.get(entry.kind)
        title = _title(desk, entry) if named is None else named(desk, entry.subject)
        if title is not None:
            return Subject(name=desk.speech.say(title), address=_address(entry) if _has_page(desk, entry) else "")
    return Subject(name=entry.subject, exact=True)


def _has_page(desk: "Desk", entry: RecordedEntry) -> bool:
    """Whether the subject's kind of page exists for this one: applications that an operator made have none."""
    return entry.kind is not EntryKind.APPLICATION or desk.services.registrations.is_registered(entry.subject)


def _address(entry: RecordedEntry) -> str:
    if entry.kind is EntryKind.CATALOGUE_STEP:
        return f"/catalogue/{entry.subject}"
    if entry.kind is EntryKind.DATASET:
        return f"/library/{entry.subject.partition('/')[0]}"
    if entry.kind is EntryKind.WEIGHTS:
        library, _, number = entry.subject.partition("/")
        return f"/library/{library}/weights/{number}"
    if entry.kind is EntryKind.RETENTION:
        return f"/corrections/{entry.subject}" if "correction" in entry.facts else f"/library/{entry.subject}/versions"
    if entry.kind is EntryKind.INDICATOR:
        return f"/governance?period={entry.subject.partition('/')[0]}"
    if entry.kind in _LISTED:
        return _LISTED[entry.kind]
    if entry.kind is EntryKind.APPLICATION and "state" not in entry.facts:
        return "/applications"
    place = PLACES.get(entry.kind)
    if place is not None:
        return place + entry.subject
    resource = entry.facts.get("resource_id")
    return f"/catalogue/{resource}" if resource else ""


def _title(desk: "Desk", entry: RecordedEntry) -> Text | str | None:
    """Return the name of what an entry is about.

    Raises:
        NotFound: the hub does not know it.
    """
    hub, facts, subject = desk.services, entry.facts, entry.subject
    if entry.kind in {EntryKind.CATALOGUE_STEP, EntryKind.LIVE}:
        return desk.resource_title(ResourceId(subject))
    if entry.kind is EntryKind.DEPARTMENT_KEY:
        return desk.department_name(str(facts.get("department") or subject), long=True)
    if entry.kind is EntryKind.DATASET:
        name, _, version = subject.partition("/")
        title = next((found.title for found in hub.library.definitions() if found.name == name), None)
        return title and Text(zh=f"{title.zh} 第 {version} 版", en=f"{title.en}, version {version}")
    library = facts.get(_LIBRARY_FACT.get(entry.kind, ""))
    if isinstance(library, str):
        return _library_title(desk, library)
    if entry.kind is EntryKind.FINDING:
        return hub.monitor.finding(FindingId(subject)).finding.title
    if entry.kind is EntryKind.CASE:
        return hub.case_desk.title_of(hub.cases.get(CaseId(subject)))
    resource = facts.get("resource_id") or facts.get("resource")
    if isinstance(resource, str):
        return desk.resource_title(ResourceId(resource))
    agreement = facts.get("agreement") or facts.get("agreement_id")
    if isinstance(agreement, str):
        return hub.agreements.get(AgreementId(agreement)).resource_title
    if entry.kind in {EntryKind.TASK, EntryKind.BATCH, EntryKind.RECEIPT, EntryKind.RECONCILIATION}:
        return desk.resource_title(hub.exchange.task(TaskId(subject)).resource_id)
    return None
