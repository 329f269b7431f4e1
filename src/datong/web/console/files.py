"""Files from department to department: what is on its way, what waits, who received it."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.exchange import FileId, FileRecord, FileState
from datong.kernel import Value
from datong.sharing import Action
from datong.web.api.files import file_target, readable_file, withdraw_file
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class FileLine(Value):
    """A file with what the caller may do to it."""

    record: FileRecord
    may_download: bool
    may_withdraw: bool


@router.get("/files")
def list_files(desk: SignedIn, offset: Offset, state: Annotated[FileState | None, Query()] = None) -> Response:
    """List the files that the caller may know of, with live progress."""
    page = desk.services.files.find(
        department=department_in_scope(desk.services, desk.caller, Action.FILE_READ),
        state=state,
        offset=offset,
        limit=PAGE_ROWS,
    )
    return desk.page(
        "files/list.html",
        page=page,
        lines=[_line(desk, record) for record in page.rows],
        state=state,
        states=list(FileState),
        offset=offset,
        step=PAGE_ROWS,
    )


@router.get("/files/{file_id}")
def show_file(desk: SignedIn, file_id: FileId) -> Response:
    """Show one file."""
    record = readable_file(desk.services, desk.caller, file_id)
    return desk.page("files/file.html", line=_line(desk, record), record=record, manifest=record.manifest)


@router.post("/files/{file_id}/withdrawal")
def withdraw(desk: SignedIn, file_id: FileId) -> Response:
    """Take a file back."""
    withdraw_file(file_id, desk.caller, desk.services)
    return desk.go(f"/files/{file_id}", done="file_withdrawn")


def _line(desk: Desk, record: FileRecord) -> FileLine:
    target = file_target(record.manifest)
    open_to_people = record.is_kept and record.manifest.sealing is None
    return FileLine(
        record=record,
        may_download=open_to_people and desk.may(Action.FILE_DOWNLOAD, target),
        may_withdraw=record.state in (FileState.UPLOADING, FileState.READY) and desk.may(Action.FILE_WITHDRAW, target),
    )
