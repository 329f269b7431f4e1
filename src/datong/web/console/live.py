"""Live service interfaces: which resources are answered by their node, and whether they work now."""

from fastapi import APIRouter
from fastapi.responses import Response

from datong.kernel import Text, Value
from datong.sharing import Action, LiveService
from datong.web.console.desk import SignedIn

router = APIRouter()


class LiveLine(Value):
    """A live service in the list."""

    service: LiveService
    title: Text


@router.get("/live")
def list_live(desk: SignedIn) -> Response:
    """List the live services with their present health."""
    desk.require(Action.RESOURCE_READ)
    lines = [
        LiveLine(service=service, title=desk.resource_title(service.resource_id))
        for service in desk.services.live.all()
    ]
    return desk.page("live/list.html", lines=lines)
