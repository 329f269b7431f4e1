"""Batches: announce, upload in chunks, commit; fetch and acknowledge. Payloads are bytes, never JSON."""

from typing import Annotated

from fastapi import Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from datong.exchange import BatchRecord, ReceiptRecord, SignedManifest, SignedReceipt, UploadState
from datong.kernel import BatchId, NodeId
from datong.sharing import Action
from datong.web.api.nodes import own_node
from datong.web.api.tasks import target_for, task_target
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.downloads import file_response
from datong.web.routing import api_routes

router = api_routes("/batches", tag="exchange")

ARROW_STREAM = "application/vnd.apache.arrow.stream"


@router.post("", status_code=201)
def open_upload(body: SignedManifest, caller: Caller, hub: Hub) -> UploadState:
    """Announce a batch by its signed manifest; the answer says from which byte on to upload."""
    task = hub.exchange.task(body.manifest.task_id)
    hub.policy.require(caller, Action.TASK_PRODUCE, task_target(task, task_id=task.id))
    return hub.exchange.open_upload(body, node=NodeId(caller.actor.id))


@router.get("/{batch_id}")
def read_upload(batch_id: BatchId, caller: Caller, hub: Hub) -> UploadState:
    """Say how many bytes of a batch have arrived, and whether it is committed."""
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    return hub.exchange.upload(batch_id)


@router.put(
    "/{batch_id}/chunks/{offset}",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {}}}},
)
async def put_chunk(
    batch_id: BatchId,
    offset: Annotated[int, Path(ge=0)],
    request: Request,
    caller: Caller,
    hub: Hub,
    datong_chunk_digest: Annotated[str, Header(pattern="^[0-9a-f]{64}$", description="SHA-256 of the chunk, hex.")],
) -> UploadState:
    """Upload at most 16 MiB at an offset; a chunk that is there already is skipped."""
    data = await request.body()

    def put() -> UploadState:
        hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
        return hub.exchange.put_chunk(batch_id, offset, data, datong_chunk_digest, node=NodeId(caller.actor.id))

    return await run_in_threadpool(put)


@router.post("/{batch_id}/commit")
def commit_batch(batch_id: BatchId, caller: Caller, hub: Hub) -> BatchRecord:
    """Verify and record a batch; the same batch twice gives the same answer.

    The exchange takes chunks and commits only from the node that announced the batch.
    """
    hub.policy.require(caller, Action.NODE_WORK, own_node(caller))
    record = hub.exchange.commit(batch_id, actor=caller.actor)
    hub.bell.ring()
    return record


@router.get("/{batch_id}/payload", response_class=Response, responses=told_in(ARROW_STREAM, in_parts=True))
def read_payload(batch_id: BatchId, request: Request, caller: Caller, hub: Hub) -> Response:
    """Return a committed batch's Arrow stream, or a range of its bytes."""
    task = hub.exchange.task(hub.exchange.batch(batch_id).manifest.task_id)
    target = target_for(hub, caller, task)
    hub.policy.require(caller, Action.TASK_CONSUME, target)
    hub.exchange.subscriptions.check_delivery(task, target.consumer or task.consumer)
    return file_response(request, hub.exchange.payload(batch_id), media_type=ARROW_STREAM)


@router.post("/{batch_id}/receipts", status_code=201)
def record_receipt(batch_id: BatchId, body: SignedReceipt, caller: Caller, hub: Hub) -> ReceiptRecord:
    """Record the consumer's signed receipt."""
    task = hub.exchange.task(hub.exchange.batch(batch_id).manifest.task_id)
    hub.policy.require(caller, Action.TASK_CONSUME, target_for(hub, caller, task))
    return hub.exchange.record_receipt(body, actor=caller.actor)
