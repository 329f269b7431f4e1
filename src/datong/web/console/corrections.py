"""校核 pages: report a wrong cell, the list of reports, one report with its course; a citizen's own record."""

from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response

from datong.kernel import CorrectionId, EntityId, NotFound, ResourceId
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.library import BELIEVED_CHARS_MAX, Claim, Correction, CorrectionAction, CorrectionState
from datong.sharing import AgreementState, Role
from datong.web.api.corrections import (
    CorrectionActRequest,
    EntityCell,
    OwnCell,
    RecordCell,
    ReportRequest,
    act_on_correction,
    corrections_in_scope,
    prove_correction,
    read_correction,
    read_own_record,
    report_correction,
    reported_value,
    view_of,
)
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.evidence import json_file
from datong.web.console.library import in_words
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Name = Annotated[str, Query(max_length=NAME_CHARS_MAX)]
FormName = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
TONES = {
    CorrectionState.REPORTED: "info",
    CorrectionState.ACCEPTED: "warn",
    CorrectionState.REJECTED: "bad",
    CorrectionState.CORRECTED: "info",
    CorrectionState.CLOSED: "good",
    CorrectionState.WITHDRAWN: "",
}


@router.get("/me/record")
def own_record(desk: SignedIn) -> Response:
    """Show the citizen's own record, cell by cell, with the reports about it."""
    try:
        record = read_own_record(desk.caller, desk.services)
    except NotFound:
        record = None
    reports = corrections_in_scope(desk.services, desk.caller, limit=PAGE_ROWS_MAX).rows
    return desk.page(
        "portal/record.html",
        record=record,
        reports={report.element: report for report in reversed(reports)},
        in_words=lambda element, value: in_words(desk, element, value),
        tones=TONES,
    )


@router.get("/corrections")
def list_corrections(desk: SignedIn, offset: Offset, show: str = "") -> Response:
    """List the reports that the caller may know of, the nearest deadline first."""
    if view := desk.opening_view():
        return desk.go(view)
    waiting = {"waiting": True, "answered": False}.get(show)
    page = corrections_in_scope(desk.services, desk.caller, waiting=waiting, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "corrections/list.html",
        page=page,
        rows=[view_of(desk.services, desk.caller, found) for found in page.rows],
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        tones=TONES,
        title_of=lambda found: _title(desk, found.resource_id),
        resources=_usable(desk),
    )


@router.get("/corrections/new")
def new_correction(
    desk: SignedIn,
    element: Name = "",
    library: Name = "",
    entity: Name = "",
    resource: Name = "",
) -> Response:
    """Show the form: about a cell of an entity, of one's own record, or of a record that is found by a key."""
    about = _reference(desk, element=element, library=library, entity=entity, resource=resource)
    present = None if isinstance(about, RecordCell) else reported_value(desk.services, desk.caller, about)
    chosen = desk.services.catalogue.published(ResourceId(resource)) if resource and present is None else None
    return desk.page(
        "corrections/new.html",
        cell=present,
        element=element,
        library=library,
        entity=entity,
        resource=resource,
        chosen=chosen,
        title=_title(desk, present.resource_id) if present is not None else None,
        in_words=lambda code, value: in_words(desk, code, value),
        believed_max=BELIEVED_CHARS_MAX,
        statement_max=TEXT_CHARS_MAX,
    )


@router.post("/corrections")
def report(
    desk: SignedIn,
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
    element: FormName,
    believed: Annotated[str, Form(max_length=BELIEVED_CHARS_MAX)] = "",
    library: FormName = "",
    entity: FormName = "",
    resource: FormName = "",
    key_element: FormName = "",
    key_value: FormName = "",
) -> Response:
    """Report what the form says."""
    cell = _reference(
        desk,
        element=element,
        library=library,
        entity=entity,
        resource=resource,
        key_element=key_element,
        key_value=key_value,
    )
    claim = Claim(believed=believed or None, statement=statement)
    made = report_correction(ReportRequest(cell=cell, claim=claim), desk.caller, desk.services)
    return desk.go(f"/corrections/{made.correction.id}", done="correction")


@router.get("/corrections/{correction_id}")
def show_correction(desk: SignedIn, correction_id: CorrectionId) -> Response:
    """Show one report: the values to those who may see them, its course, and whom the correction has reached."""
    view = read_correction(correction_id, desk.caller, desk.services)
    found: Correction = view.correction
    return desk.page(
        "corrections/correction.html",
        view=view,
        found=found,
        title=_title(desk, found.resource_id),
        tones=TONES,
        in_words=lambda element, value: in_words(desk, element, value),
        statement_max=TEXT_CHARS_MAX,
    )


@router.post("/corrections/{correction_id}/actions")
def act(
    desk: SignedIn,
    correction_id: CorrectionId,
    action: Annotated[CorrectionAction, Form()],
    statement: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Accept, reject, withdraw, close or send back."""
    body = CorrectionActRequest(action=action, statement=statement)
    act_on_correction(correction_id, body, desk.caller, desk.services)
    return desk.go(f"/corrections/{correction_id}", done="correction")


@router.get("/corrections/{correction_id}/acts/{number}/proof")
def proof(desk: SignedIn, correction_id: CorrectionId, number: int) -> Response:
    """Hand out the proof of one act as a file."""
    bundle = prove_correction(correction_id, number, desk.caller, desk.services)
    return json_file(bundle, f"datong-correction-{correction_id}-{number}.json")


def _reference(
    desk: Desk, *, element: str, library: str, entity: str, resource: str, key_element: str = "", key_value: str = ""
) -> OwnCell | EntityCell | RecordCell:
    """Return which cell is meant: of one's own record, of an entity, or of a record that is found by a key."""
    of_resource = ResourceId(resource) if resource else None
    if desk.caller.has(Role.CITIZEN):
        return OwnCell(element=element or "-", resource_id=of_resource)
    if entity:
        return EntityCell(
            library=library or "-", entity_id=EntityId(entity), element=element or "-", resource_id=of_resource
        )
    return RecordCell(
        resource_id=ResourceId(resource),
        key_element=key_element or "row_key",
        key_value=key_value or "-",
        element=element or "-",
    )


def _title(desk: Desk, resource_id: str) -> str:
    try:
        return desk.speech.say(desk.resource_title(ResourceId(resource_id)))
    except NotFound:
        return resource_id


def _usable(desk: Desk) -> list[tuple[ResourceId, str]]:
    """Return the resources that the caller's department uses under an agreement in force."""
    department = desk.caller.department
    if department is None or not desk.caller.has(Role.BUSINESS, Role.DATA_OFFICER, Role.AUTHORITY):
        return []
    agreements = desk.services.agreements.find(
        department=department, state=AgreementState.ACTIVE, limit=PAGE_ROWS_MAX
    ).rows
    used = {one.resource_id: desk.speech.say(one.resource_title) for one in agreements if one.consumer == department}
    return sorted(used.items(), key=lambda pair: pair[1])
