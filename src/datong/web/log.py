"""The transparency log as plain files (C2SP tlog-tiles), readable by any static-file client.

Checkpoints and hashes are everybody's: with them anybody checks that the log only grows, and that a proof belongs to
it. The entries themselves tell of resources, requests and departments' acts that are not open, so their bundles are
given to those who may export the log (docs/adr/0021).
"""

from importlib.resources import files

from fastapi.responses import Response

from datong.kernel import NotFound, Text
from datong.ledger import Quorum
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import machine_routes

router = machine_routes("/log", tag="transparency log")

TILE_CACHE = "public, max-age=31536000, immutable"
ENTRIES_CACHE = "private, max-age=31536000, immutable"
TILE = "application/octet-stream"


@router.get("/checkpoint", response_class=Response, responses=told_in("text/plain"))
def checkpoint(hub: Hub) -> Response:
    """Return the newest signed checkpoint with the witnesses' cosignatures."""
    return Response(hub.ledger.checkpoint(), media_type="text/plain; charset=utf-8")


@router.get("/keys", response_class=Response, responses=told_in("application/json"))
def keys(hub: Hub) -> Response:
    """Return the keys with which the log has signed, each vouched for by the one before it, the newest last."""
    return Response(hub.ledger.keys().encode(), media_type="application/json")


@router.get("/quorum")
def quorum(hub: Hub) -> Quorum:
    """Say who witnesses the log; 503 while too few do, with who is missing and since when.

    This is what to watch a hub's honesty by. `/readyz` answers all the same: a hub that nothing reaches could not be
    witnessed again (docs/adr/0182).
    """
    state = hub.quorum.state()
    state.require()
    return state


@router.get("/verify.py", response_class=Response, responses=told_in("text/x-python"))
def verifier() -> Response:
    """Return a verifier in one file, for machines without this platform: Python and `cryptography` are enough."""
    program = files("datong.ledger").joinpath("standalone_verifier.py").read_bytes()
    return Response(program, media_type="text/x-python; charset=utf-8")


@router.get("/rederive.py", response_class=Response, responses=told_in("text/x-python"))
def rederiver() -> Response:
    """Return a program in one file that derives published indicators and findings again from an exported log."""
    program = files("datong.ledger").joinpath("standalone_rederiver.py").read_bytes()
    return Response(program, media_type="text/x-python; charset=utf-8")


@router.get("/tile/entries/{path:path}", response_class=Response, responses=told_in(TILE))
def entries(path: str, caller: Caller, hub: Hub) -> Response:
    """Return one bundle of entries to somebody who may export the log; bundles never change."""
    hub.policy.require(caller, Action.LEDGER_EXPORT)
    return Response(hub.ledger.tile(f"tile/entries/{path}"), media_type=TILE, headers={"Cache-Control": ENTRIES_CACHE})


@router.get("/tile/{path:path}", response_class=Response, responses=told_in(TILE))
def tile(path: str, hub: Hub) -> Response:
    """Return one tile of hashes; tiles never change."""
    if not path[:1].isdigit():
        raise NotFound(
            "web.tile_not_found",
            what=Text(zh="没有这个哈希块。", en="There is no such tile of hashes."),
            remedy=Text(zh="地址形如 /log/tile/0/000。", en="Addresses look like /log/tile/0/000."),
        )
    return Response(hub.ledger.tile(f"tile/{path}"), media_type=TILE, headers={"Cache-Control": TILE_CACHE})
