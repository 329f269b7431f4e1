"""The catalogue in files: export, and import with a report that names every cell."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import Response

from datong.catalogue import FileFormat, ImportReport
from datong.kernel import DepartmentCode, Invalid
from datong.kernel.limits import REQUEST_BODY_BYTES_MAX
from datong.sharing import Action, Target
from datong.web.api.catalogue_files import MEDIA_TYPES, exported, files_of, importing
from datong.web.console.desk import Desk, SignedIn

router = APIRouter()


@router.get("/catalogue/files")
def show_files(desk: SignedIn) -> Response:
    """Show what can be exported and imported."""
    desk.require(Action.RESOURCE_READ)
    return _page(desk)


@router.get("/catalogue/files/export")
def export_file(
    desk: SignedIn,
    file_format: Annotated[FileFormat, Query(alias="format")] = FileFormat.SPREADSHEET,
    department: str = "",
) -> Response:
    """Send the catalogue as a file; without a department the own one, for those who do not see all."""
    own = None if desk.may(Action.RESOURCE_READ_UNPUBLISHED) else desk.caller.department
    chosen = DepartmentCode(department) if department else own
    return exported(desk.services, desk.caller, file_format, chosen, None)


@router.post("/catalogue/files")
def import_file(
    desk: SignedIn, file: UploadFile, act: Annotated[Literal["check", "all", "readable", "annotated"], Form()] = "check"
) -> Response:
    """Check a file, take it in, or send it back with comments at its cells."""
    department = importing(desk.services, desk.caller, None)
    body = file.file.read(REQUEST_BODY_BYTES_MAX)
    is_json = (file.filename or "").lower().endswith(".json")
    file_format = FileFormat.JSON if is_json else FileFormat.SPREADSHEET
    files = files_of(desk.services)
    try:
        if act == "annotated":
            copy = files.annotated(body, department)
            headers = {"Content-Disposition": 'attachment; filename="checked.xlsx"'}
            return Response(copy, media_type=MEDIA_TYPES[FileFormat.SPREADSHEET], headers=headers)
        if act == "check":
            return _page(desk, report=files.check(body, file_format, department))
        report = files.take_in(body, file_format, department, desk.caller.actor, readable_only=act == "readable")
    except Invalid as problem:
        return _page(desk, problem=problem)
    return _page(desk, report=report)


def _page(desk: Desk, *, report: ImportReport | None = None, problem: Invalid | None = None) -> Response:
    own = desk.caller.department
    may_import = own is not None and desk.may(Action.RESOURCE_DRAFT, Target.of_department(own))
    everything = desk.may(Action.RESOURCE_READ_UNPUBLISHED)
    return desk.page(
        "catalogue/files.html", report=report, problem=problem, may_import=may_import, everything=everything
    )
