"""The public portal: what is open to everybody, found without signing in."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from datong.kernel import ResourceId
from datong.kernel.limits import NAME_CHARS_MAX
from datong.web.console.desk import PAGE_ROWS, Anyone, Offset
from datong.web.open import negotiated

router = APIRouter()


@router.get("/open")
def open_catalogue(desk: Anyone, offset: Offset, q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "") -> Response:
    """Search the open resources."""
    found = desk.services.open_catalogue.find(text=q, offset=offset, limit=PAGE_ROWS)
    return desk.page("portal/open.html", q=q, found=found, offset=offset, step=PAGE_ROWS)


@router.get("/open/{resource_id}")
def open_resource(desk: Anyone, resource_id: ResourceId) -> Response:
    """Show one open resource.

    Raises:
        NotFound: there is none with that id, or it is not open.
    """
    described = negotiated(desk.request, desk.services, resource_id)
    if described is not None:
        return described
    resource = desk.services.open_catalogue.get(resource_id)
    return desk.page("portal/resource.html", resource=resource, content=resource.content)
