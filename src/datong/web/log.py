"""The transparency log as plain files (C2SP tlog-tiles): public, cacheable, readable by any static-file client."""

from fastapi import APIRouter
from fastapi.responses import Response

from datong.web.authentication import Hub

router = APIRouter(prefix="/log", tags=["transparency log"])

TILE_CACHE = "public, max-age=31536000, immutable"


@router.get("/checkpoint", response_class=Response)
def checkpoint(hub: Hub) -> Response:
    """Return the newest signed checkpoint with the witnesses' cosignatures."""
    return Response(hub.ledger.checkpoint(), media_type="text/plain; charset=utf-8")


@router.get("/tile/{path:path}", response_class=Response)
def tile(path: str, hub: Hub) -> Response:
    """Return one tile; tiles never change."""
    return Response(
        hub.ledger.tile(f"tile/{path}"),
        media_type="application/octet-stream",
        headers={"Cache-Control": TILE_CACHE},
    )
