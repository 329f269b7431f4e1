"""The gateway's ways out for many records: lists, files, webhooks, and server-sent events with `Last-Event-ID`."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple

import anyio.to_thread
from fastapi import Header, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import Field
from starlette.background import BackgroundTask

from datong.kernel import ActorKind, DatongError, Invalid, Overloaded, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import (
    DeliveryState,
    FileForm,
    PageAsk,
    Principal,
    RecordPage,
    ResourceEvent,
    WebhookDelivery,
    WebhookSecret,
    WebhookSubscription,
)
from datong.web.authentication import Caller, Hub
from datong.web.problems import language_of, problem_document, problem_of
from datong.web.routing import machine_routes
from datong.web.services import Services

STREAMS_MAX = 200
"""Streams of events that one process serves at once."""
STREAM_SECONDS_MAX = 300.0
"""A stream ends after so long; the client connects again with a fresh token and the last id it saw."""
LOOK_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 15.0
URL_CHARS_MAX = 2000
VERSION_DIGITS_MAX = 9


class NewSubscription(Value):
    """Where to send events, and for which service item they are used."""

    url: str = Field(max_length=URL_CHARS_MAX)
    purpose: str = Field(max_length=NAME_CHARS_MAX)


class Replay(Value):
    """After which version to begin once more; 0: from the first that is kept."""

    after: int = Field(ge=0)


class Replayed(Value):
    """How many deliveries were made anew."""

    deliveries: int


router = machine_routes("/gateway/v1", tag="gateway")
Purpose = Annotated[str, Query(max_length=NAME_CHARS_MAX)]


@router.post("/{resource_id}/subscriptions", status_code=201)
def subscribe(resource_id: ResourceId, body: NewSubscription, caller: Caller, hub: Hub) -> WebhookSecret:
    """Let the calling application be told by webhook of each new version, with the keys that changed.

    The answer holds the secret that signs the messages (Standard Webhooks, `v1`).
    """
    return hub.subscriptions.create(caller, resource_id, purpose=body.purpose, url=body.url)


@router.get("/{resource_id}/subscriptions")
def list_webhooks(resource_id: ResourceId, caller: Caller, hub: Hub) -> tuple[WebhookSubscription, ...]:
    """Return the calling application's subscriptions to a resource."""
    return hub.subscriptions.of(caller, resource_id)


@router.get("/subscriptions/{subscription_id}")
def read_webhook(subscription_id: str, caller: Caller, hub: Hub) -> WebhookSubscription:
    """Return one of the calling application's subscriptions."""
    return hub.subscriptions.get(caller, subscription_id)


@router.delete("/subscriptions/{subscription_id}")
def end_webhook(subscription_id: str, caller: Caller, hub: Hub) -> WebhookSubscription:
    """End a subscription; what is due is not sent any more."""
    return hub.subscriptions.end(caller, subscription_id)


@router.post("/subscriptions/{subscription_id}/secret")
def renew_webhook_secret(subscription_id: str, caller: Caller, hub: Hub) -> WebhookSecret:
    """Make a new secret; the one before signs as well for a day."""
    return hub.subscriptions.renew_secret(caller, subscription_id)


@router.get("/subscriptions/{subscription_id}/deliveries")
def list_deliveries(
    subscription_id: str, caller: Caller, hub: Hub, state: DeliveryState | None = None
) -> tuple[WebhookDelivery, ...]:
    """Return what became of telling a subscription, newest first; `state=dead` lists what was given up."""
    return hub.subscriptions.deliveries(caller, subscription_id, state)


@router.post("/subscriptions/{subscription_id}/replay")
def replay_webhook(subscription_id: str, body: Replay, caller: Caller, hub: Hub) -> Replayed:
    """Tell of the kept versions after `after` once more, those that were given up included."""
    return Replayed(deliveries=hub.subscriptions.replay(caller, subscription_id, after=body.after))


@router.post("/{resource_id}/list")
def list_records(resource_id: ResourceId, body: PageAsk, caller: Caller, hub: Hub) -> RecordPage:
    """Return the agreed items of the records that meet a filter, masked, page by page; every page leaves evidence.

    A page's token continues the list: for a quarter of an hour, for the same caller and the same question only.
    """
    return hub.record_pages.page(caller, resource_id, body)


@router.get(
    "/{resource_id}/file",
    response_class=FileResponse,
    responses={200: {"content": {form.media_type: {"schema": {"type": "string"}} for form in FileForm}}},
)
def download_file(
    resource_id: ResourceId, caller: Caller, hub: Hub, purpose: Purpose, form: FileForm = FileForm.PARQUET
) -> FileResponse:
    """Return the newest version of a resource as a file: agreed columns and rows, masked.

    Inside is a manifest that the hub signed, with the proof of its entry in the log: `datong ledger verify` checks it.
    """
    made = hub.shared_files.download(caller, resource_id, purpose=purpose, form=form)
    return FileResponse(
        made.path, media_type=form.media_type, filename=made.name, background=BackgroundTask(made.remove)
    )


@router.get(
    "/{resource_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream_events(
    resource_id: ResourceId,
    request: Request,
    caller: Caller,
    hub: Hub,
    purpose: Purpose,
    last_event_id: Annotated[str | None, Header(max_length=NAME_CHARS_MAX)] = None,
) -> StreamingResponse:
    """Stream the events of a resource as they come; an event's id is the version.

    With `Last-Event-ID` the stream begins after that version, else after the newest one. It ends after five minutes:
    clients connect again by themselves.
    """
    newest = await anyio.to_thread.run_sync(hub.events.newest, caller, resource_id, purpose)
    after = newest if last_event_id is None else _version_of(last_event_id)
    streams = request.app.state.event_streams = getattr(request.app.state, "event_streams", 0) + 1
    if streams > STREAMS_MAX:
        request.app.state.event_streams -= 1
        raise Overloaded(
            "web.streams_full",
            what=Text(zh="同时打开的事件流已达上限。", en="As many streams of events are open as may be."),
            remedy=Text(zh="请按 Retry-After 稍后重试。", en="Try again after the time in Retry-After."),
        )

    async def told() -> AsyncIterator[str]:
        try:
            async for text in _told(request, hub, Heard(caller, resource_id, purpose), after):
                yield text
        finally:
            request.app.state.event_streams -= 1

    return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


class Heard(NamedTuple):
    """Who listens to what, and for which service item."""

    caller: Principal
    resource_id: ResourceId
    purpose: str


async def _told(request: Request, hub: Services, heard: Heard, after: int) -> AsyncIterator[str]:
    """Yield events as they come; an error ends the stream, told as an event of its own."""
    loop = asyncio.get_running_loop()
    until, spoken = loop.time() + STREAM_SECONDS_MAX, 0.0
    yield "retry: 2000\n\n"
    while loop.time() < until and not request.app.state.draining.begun:
        try:
            versions = await anyio.to_thread.run_sync(hub.events.published_after, heard.resource_id, after)
            for version in versions:
                yield _written(version, await anyio.to_thread.run_sync(_event, hub, heard, version))
                after, spoken = version, loop.time()
        except DatongError as error:
            yield _failed(request, error)
            return
        if loop.time() - spoken > KEEP_ALIVE_SECONDS:
            yield ": \n\n"
            spoken = loop.time()
        await asyncio.sleep(LOOK_SECONDS)


def _event(hub: Services, heard: Heard, version: int) -> ResourceEvent:
    """Return an event once it is on record, unless the listener was revoked since the stream began."""
    actor = heard.caller.actor
    if actor.kind in (ActorKind.APPLICATION, ActorKind.NODE):
        hub.identity.require_in_force(heard.caller)
    event, _ = hub.events.event(heard.caller, heard.resource_id, heard.purpose, version)
    return event


def _written(version: int, event: ResourceEvent) -> str:
    return f"id: {version}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"


def _failed(request: Request, error: DatongError) -> str:
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    document = problem_document(
        problem_of(error), language_of(request), instance=request.url.path, request_id=request_id
    )
    return f"event: problem\ndata: {json.dumps(document.model_dump(mode='json'), ensure_ascii=False)}\n\n"


def _version_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= VERSION_DIGITS_MAX):
        raise Invalid(
            "web.last_event_id_invalid",
            what=Text(zh="Last-Event-ID 须为收到过的事件编号。", en="Last-Event-ID is the id of an event you got."),
            remedy=Text(zh="请去掉该头，或填写版本号。", en="Leave it out, or give a version's number."),
            field="Last-Event-ID",
        )
    return int(text)
