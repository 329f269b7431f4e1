"""Files in exchange: announce, upload in chunks, commit; list, fetch and acknowledge."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from datong.exchange import FileId, FileManifest, FileRecord, FileState, SignedFile, SignedFileReceipt
from datong.kernel import ActorKind, AgreementId, DepartmentCode, NodeId, Page, Refused, Text
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.downloads import file_response, requested_range
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/files", tag="exchange")

BINARY = "application/octet-stream"


def file_target(manifest: FileManifest) -> Target:
    """Return a file as the policy sees it."""
    return Target(
        id=manifest.file_id, department=manifest.sender, provider=manifest.sender, consumer=manifest.recipient
    )


@router.post("", status_code=201)
def open_file(body: SignedFile, caller: Caller, hub: Hub) -> FileRecord:
    """Announce a file by its signed manifest; `received_bytes` of the answer says from which byte on to upload."""
    hub.policy.require(caller, Action.FILE_SEND, file_target(body.manifest))
    return hub.files.open(body, node=NodeId(caller.actor.id))


@router.get("")
def list_files(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    recipient: DepartmentCode | None = None,
    agreement_id: AgreementId | None = None,
    state: FileState | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[FileRecord]:
    """Return files, newest first: all of them, or those that the caller's department sends or receives."""
    scope = department_in_scope(hub, caller, Action.FILE_READ, department)
    return hub.files.find(
        department=scope, recipient=recipient, agreement_id=agreement_id, state=state, offset=offset, limit=limit
    )


@router.get("/{file_id}")
def read_file(file_id: FileId, caller: Caller, hub: Hub) -> FileRecord:
    """Return a file: who sends it to whom, how many bytes have arrived, whether it was acknowledged."""
    return readable_file(hub, caller, file_id)


@router.put(
    "/{file_id}/chunks/{offset}",
    openapi_extra={"requestBody": {"required": True, "content": {BINARY: {}}}},
)
async def put_file_chunk(
    file_id: FileId,
    offset: Annotated[int, Path(ge=0)],
    request: Request,
    caller: Caller,
    hub: Hub,
    datong_chunk_digest: Annotated[str, Header(pattern="^[0-9a-f]{64}$", description="SHA-256 of the chunk, hex.")],
) -> FileRecord:
    """Upload a chunk of a file at an offset; a chunk that is there already is skipped."""
    data = await request.body()

    def put() -> FileRecord:
        hub.policy.require(caller, Action.FILE_SEND, file_target(hub.files.record(file_id).manifest))
        return hub.files.put_chunk(file_id, offset, data, datong_chunk_digest, node=NodeId(caller.actor.id))

    return await run_in_threadpool(put)


@router.post("/{file_id}/commit")
def commit_file(file_id: FileId, caller: Caller, hub: Hub) -> FileRecord:
    """Verify and record a file; the same file twice gives the same answer."""
    hub.policy.require(caller, Action.FILE_SEND, file_target(hub.files.record(file_id).manifest))
    return hub.files.commit(file_id, actor=caller.actor)


@router.get("/{file_id}/content", response_class=Response, responses=told_in(BINARY, in_parts=True))
def read_content(file_id: FileId, request: Request, caller: Caller, hub: Hub) -> Response:
    """Return a file's content, or a range of its bytes, to the recipient's node, or to its people if it is not sealed.

    What a person fetches is recorded.
    """
    manifest = hub.files.record(file_id).manifest
    if caller.actor.kind is ActorKind.NODE:
        hub.policy.require(caller, Action.FILE_RECEIVE, file_target(manifest))
        return file_response(request, hub.files.content(file_id), media_type=BINARY)
    hub.policy.require(caller, Action.FILE_DOWNLOAD, file_target(manifest))
    if manifest.sealing is not None:
        raise Refused(
            "web.file_sealed",
            what=Text(
                zh="文件已端到端加密，只有收件部门的前置机能打开。",
                en="The file is sealed: only a node of the recipient can open it.",
            ),
            remedy=Text(zh="请在前置机上执行 datong exchange receive。", en="Run datong exchange receive on the node."),
        )
    path = hub.files.content(file_id)
    span = requested_range(request.headers.get("range", ""), manifest.payload_bytes)
    if span is None or span[0] == 0:
        hub.files.note_download(file_id, actor=caller.actor)
    response = file_response(request, path, media_type=BINARY)
    response.headers["Content-Disposition"] = attachment(manifest.name)
    return response


@router.post("/{file_id}/receipt", status_code=201)
def record_file_receipt(file_id: FileId, body: SignedFileReceipt, caller: Caller, hub: Hub) -> FileRecord:
    """Record the recipient's signed receipt."""
    hub.policy.require(caller, Action.FILE_RECEIVE, file_target(hub.files.record(body.receipt.file_id).manifest))
    if body.receipt.file_id != file_id:
        raise Refused(
            "web.receipt_of_other_file",
            what=Text(zh="回执属于另一个文件。", en="The receipt is of another file."),
            remedy=Text(zh="请核对文件编号。", en="Check the file's id."),
        )
    return hub.files.record_receipt(body, actor=caller.actor)


@router.post("/{file_id}/withdrawal", status_code=201)
def withdraw_file(file_id: FileId, caller: Caller, hub: Hub) -> FileRecord:
    """Take back a file that its recipient has not acknowledged; its bytes are deleted at the hub."""
    hub.policy.require(caller, Action.FILE_WITHDRAW, file_target(hub.files.record(file_id).manifest))
    return hub.files.withdraw(file_id, actor=caller.actor)


def readable_file(hub: Services, caller: Principal, file_id: FileId) -> FileRecord:
    """Return a file that `caller` may know of.

    Raises:
        NotFound: there is no such file.
        Refused: it concerns other departments.
    """
    record = hub.files.record(file_id)
    hub.policy.require(caller, Action.FILE_READ, file_target(record.manifest))
    return record


def attachment(name: str) -> str:
    """Return the header with which a browser saves a file under `name` (RFC 6266)."""
    quoted = quote(name, safe="")
    return f"attachment; filename*=UTF-8''{quoted}"
