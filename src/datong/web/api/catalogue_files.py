"""The catalogue in files: export, check and import of the ministry's spreadsheet and of JSON."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from datong.catalogue import CatalogueFiles, FileFormat, ImportReport, ResourceState
from datong.kernel import DepartmentCode
from datong.sharing import Action, Principal, Target
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="catalogue")

MEDIA_TYPES = {
    FileFormat.SPREADSHEET: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.JSON: "application/json",
}
IN_MEMORY_BYTES_MAX = 4 * 1024 * 1024
SENT_AT_ONCE_BYTES = 64 * 1024
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()
        },
    }
}


async def whole_body(request: Request) -> bytes:
    """Return the body as it came; the edge has bounded it."""
    return await request.body()


FileBody = Annotated[bytes, Depends(whole_body)]
Form = Annotated[FileFormat, Query(alias="format", description="xlsx, the ministry's layout, or json")]


@router.get("/catalogue/export", response_class=StreamingResponse, responses=told_in(*MEDIA_TYPES.values()))
def export_catalogue(
    caller: Caller,
    hub: Hub,
    file_format: Form = FileFormat.SPREADSHEET,
    department: DepartmentCode | None = None,
    state: ResourceState | None = None,
) -> StreamingResponse:
    """Export resources: every state of those the caller may review, the published ones of others."""
    return exported(hub, caller, file_format, department, state)


@router.post("/catalogue/check", openapi_extra=_FILE_BODY)
def check_catalogue_file(
    body: FileBody,
    caller: Caller,
    hub: Hub,
    file_format: Form = FileFormat.SPREADSHEET,
    department: DepartmentCode | None = None,
) -> ImportReport:
    """Read a file and say of each cell what is wrong with it; nothing is written."""
    return files_of(hub).check(body, file_format, importing(hub, caller, department))


@router.post(
    "/catalogue/check/annotated",
    openapi_extra=_FILE_BODY,
    response_class=Response,
    responses=told_in(MEDIA_TYPES[FileFormat.SPREADSHEET]),
)
def annotate_catalogue_file(
    body: FileBody, caller: Caller, hub: Hub, department: DepartmentCode | None = None
) -> Response:
    """Return the spreadsheet with a comment at each cell that has a problem."""
    copy = files_of(hub).annotated(body, importing(hub, caller, department))
    return Response(copy, media_type=MEDIA_TYPES[FileFormat.SPREADSHEET], headers=_as_file("checked.xlsx"))


@router.post("/catalogue/import", openapi_extra=_FILE_BODY)
def import_catalogue_file(
    body: FileBody,
    caller: Caller,
    hub: Hub,
    file_format: Form = FileFormat.SPREADSHEET,
    department: DepartmentCode | None = None,
    readable_only: bool = False,
) -> ImportReport:
    """Take in a file as drafts of the own department: all of it or nothing, or only what can be read."""
    code = importing(hub, caller, department)
    return files_of(hub).take_in(body, file_format, code, caller.actor, readable_only=readable_only)


def files_of(hub: Services) -> CatalogueFiles:
    """Return export and import over the hub's catalogue."""
    return CatalogueFiles(catalogue=hub.catalogue, departments=hub.departments, pack=hub.pack)


def importing(hub: Services, caller: Principal, department: DepartmentCode | None) -> DepartmentCode:
    """Return the department whose catalogue `caller` imports, or refuse."""
    code = department or caller.department or DepartmentCode("")
    hub.policy.require(caller, Action.RESOURCE_DRAFT, Target.of_department(code))
    hub.policy.require(caller, Action.RESOURCE_EDIT, Target.of_department(code))
    return code


def exported(
    hub: Services,
    caller: Principal,
    file_format: FileFormat,
    department: DepartmentCode | None,
    state: ResourceState | None,
) -> StreamingResponse:
    """Return the file with what `caller` may see; it is built on disk, a page of resources in memory at a time."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    target = Target.of_department(department or DepartmentCode(""))
    if not hub.policy.authorise(caller, Action.RESOURCE_READ_UNPUBLISHED, target).allowed:
        state = ResourceState.PUBLISHED
    with ExitStack() as opened:
        file = opened.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES_MAX))
        files_of(hub).export(file, file_format, department=department, state=state)
        file.seek(0)
        # From here on the answer closes the file, when its last piece is on its way.
        rest = opened.pop_all()
    return StreamingResponse(
        _sent(file, rest), media_type=MEDIA_TYPES[file_format], headers=_as_file(f"catalogue.{file_format.value}")
    )


def _sent(file: IO[bytes], opened: ExitStack) -> Iterator[bytes]:
    with opened:
        while piece := file.read(SENT_AT_ONCE_BYTES):
            yield piece


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
