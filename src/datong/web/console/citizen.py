"""The citizen's page: who used my data, for what, under which agreement; proofs, objections, and my consents."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import AccessId, AgreementId
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, ConsentAction, Target, shown_code
from datong.web.api.consents import ConsentAct, act_on_own_consent, list_own_consents
from datong.web.api.objections import NewObjection, list_own_objections, object_to_use, withdraw_objection
from datong.web.api.uses import own_subject, use_proof
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.evidence import json_file
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/me")
def my_uses(desk: SignedIn, offset: Offset) -> Response:
    """List the uses of the caller's own record, newest first, with the objections to them."""
    desk.require(Action.USES_READ, Target(id=desk.caller.actor.id))
    uses = desk.services.own_uses.of(own_subject(desk.caller))
    shown = uses[offset : offset + PAGE_ROWS]
    objections = {one.access_id: one for one in list_own_objections(desk.caller, desk.services)}
    return desk.page(
        "portal/me.html",
        uses=shown,
        codes=_codes(desk, {agreement for one in shown for agreement in one.use.agreement_ids}),
        total=len(uses),
        offset=offset,
        step=PAGE_ROWS,
        departments=len({one.use.department for one in uses}),
        objections=objections,
    )


def _codes(desk: Desk, agreements: Iterable[AgreementId]) -> dict[AgreementId, str]:
    """Return the codes by which anybody can check these agreements; older ones have none."""
    known = {one: desk.services.agreements.get(one).code for one in agreements}
    return {one: shown_code(code) for one, code in known.items() if code}


@router.get("/me/uses/{access_id}/proof")
def my_proof(desk: SignedIn, access_id: AccessId) -> Response:
    """Return the proof of one use as a file."""
    return json_file(use_proof(access_id, desk.caller, desk.services), f"datong-use-{access_id}.json")


@router.post("/me/uses/{access_id}/objection")
def object_to(
    desk: SignedIn, access_id: AccessId, statement: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = ""
) -> Response:
    """Object to one use."""
    body = NewObjection.model_construct(access_id=access_id, statement=statement)
    object_to_use(body, desk.caller, desk.services)
    return desk.go("/me", done="use_objection")


@router.post("/me/objections/{objection_id}/withdrawal")
def withdraw(desk: SignedIn, objection_id: str) -> Response:
    """Take back an objection."""
    withdraw_objection(objection_id, desk.caller, desk.services)
    return desk.go("/me", done="use_objection_ended")


@router.get("/me/consents")
def my_consents(desk: SignedIn) -> Response:
    """Show what the caller was asked to consent to, and what they consented to."""
    return desk.page("portal/consents.html", consents=list_own_consents(desk.caller, desk.services))


@router.post("/me/consents/{consent_id}")
def act_on_consent(desk: SignedIn, consent_id: str, action: Annotated[ConsentAction, Form()]) -> Response:
    """Give, decline or withdraw."""
    act_on_own_consent(consent_id, ConsentAct(action=action), desk.caller, desk.services)
    return desk.go("/me/consents", done="consent")
