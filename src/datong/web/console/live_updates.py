"""The stream by which pages learn that a part of them changed, and the badge of unread notices."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse

from datong.web.authentication import Caller
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes
from datong.web.updates import Topic, Updates

router = unlisted_routes()

EVENT_STREAM = "text/event-stream"
Topics = Annotated[list[Topic], Query(min_length=1, max_length=len(Topic))]


@router.get("/updates")
async def stream_updates(request: Request, caller: Caller, topic: Topics) -> Response:
    """Tell the caller's page of changes as they come, by topic; who does not ask for a stream is told to look again."""
    if EVENT_STREAM not in request.headers.get("accept", ""):
        return Response(status_code=204)
    updates: Updates = request.app.state.updates
    updates.require_room(caller.actor.id)
    told = updates.stream(caller.actor.id, frozenset(topic))
    return StreamingResponse(told, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


@router.get("/notices/badge")
def show_badge(desk: SignedIn) -> Response:
    """Show how many notices the caller has not read, as a piece of the page."""
    return desk.page("notices/badge.html")
