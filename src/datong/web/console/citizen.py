"""The citizen's page: who used my data, for what, under which agreement, with a proof to take home."""

from fastapi import APIRouter
from fastapi.responses import Response

from datong.kernel import AccessId
from datong.web.api.uses import list_uses, use_proof
from datong.web.console.desk import SignedIn
from datong.web.console.evidence import json_file

router = APIRouter()


@router.get("/me")
def my_uses(desk: SignedIn) -> Response:
    """List every use of the caller's own record, newest first."""
    uses = list_uses(desk.caller, desk.services)
    return desk.page("portal/me.html", uses=uses, departments=len({use.department for use in uses}))


@router.get("/me/uses/{access_id}/proof")
def my_proof(desk: SignedIn, access_id: AccessId) -> Response:
    """Return the proof of one use as a file."""
    return json_file(use_proof(access_id, desk.caller, desk.services), f"datong-use-{access_id}.json")
