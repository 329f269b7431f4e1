"""The catalogue in files: export, and import with a report that names every cell."""

from typing import Annotated, Literal

from fastapi import Form, Query, UploadFile
from fastapi.responses import Response

from datong.catalogue import FileFormat, ImportProgress, ImportReport
from datong.kernel import Conflict, DatongError, DepartmentCode, Invalid
from datong.kernel.limits import REQUEST_BODY_BYTES_MAX
from datong.sharing import Action, Target
from datong.web.api.catalogue_files import MEDIA_TYPES, exported, files_of, importing
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()
# A file that takes longer gets a page with its progress.
ANSWER_SECONDS_MAX = 2.0


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
    if act == "annotated":
        try:
            copy = files.annotated(body, department)
        except Invalid as problem:
            return _page(desk, problem=problem)
        headers = {"Content-Disposition": 'attachment; filename="checked.xlsx"'}
        return Response(copy, media_type=MEDIA_TYPES[FileFormat.SPREADSHEET], headers=headers)
    actor = desk.caller.actor

    def work(progress: ImportProgress) -> ImportReport:
        if act == "check":
            return files.check(body, file_format, department, progress=progress)
        wanted = act == "readable"
        return files.take_in(body, file_format, department, actor, readable_only=wanted, progress=progress)

    try:
        job = desk.services.import_jobs.start(actor.id, work)
    except Conflict as busy:
        return _page(desk, problem=busy)
    if not job.wait(ANSWER_SECONDS_MAX):
        return desk.go(f"/catalogue/files/jobs/{job.id}")
    return _page(desk, report=job.report, problem=job.problem)


@router.get("/catalogue/files/jobs/{job_id}")
def show_progress(desk: SignedIn, job_id: str) -> Response:
    """Show how far an import of the caller's is, or what came of it."""
    job = desk.services.import_jobs.get(job_id, desk.caller.actor.id)
    return desk.page("catalogue/import.html", job=job, over=job.over, report=job.report, problem=job.problem)


def _page(desk: Desk, *, report: ImportReport | None = None, problem: DatongError | None = None) -> Response:
    own = desk.caller.department
    may_import = own is not None and desk.may(Action.RESOURCE_DRAFT, Target.of_department(own))
    everything = desk.may(Action.RESOURCE_READ_UNPUBLISHED)
    return desk.page(
        "catalogue/files.html", report=report, problem=problem, may_import=may_import, everything=everything
    )
