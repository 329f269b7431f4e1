"""Agreements: read, confirm, sign, suspend and terminate; the contract as an ODCS document."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Path, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from datong.kernel import Actor, AgreementId, DepartmentCode, Page, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import (
    Action,
    Agreement,
    AgreementState,
    Amendment,
    AmendmentAction,
    EndCause,
    PaperFacts,
    Target,
    TermsChange,
)
from datong.web.api.base64_bytes import Base64Bytes
from datong.web.api.scope import (
    LIMIT_DEFAULT,
    Limit,
    Offset,
    concerning,
    department_in_scope,
    own_department,
    readable_agreement,
)
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/agreements", tag="agreements")

papers = api_routes("/agreement-papers", tag="agreements")

YAML = "application/yaml"
JSON_LD = "application/ld+json"
PDF = "application/pdf"

NEEDED = {
    "suspend": Action.AGREEMENT_SUSPEND,
    "resume": Action.AGREEMENT_SUSPEND,
    "terminate": Action.AGREEMENT_TERMINATE,
    "withdraw": Action.AGREEMENT_WITHDRAW,
    "dispose": Action.AGREEMENT_WITHDRAW,
}
"""The permission that each act needs."""


class AgreementSigning(Value):
    """What the parties' keys sign; `signing_bytes` is base64."""

    agreement_id: AgreementId
    signing_bytes: Base64Bytes
    terms_digest: str


class NewSignature(Value):
    """A signature (base64) by the department's key `key_id` over the signing bytes."""

    key_id: str = Field(min_length=16, max_length=16)
    signature: Base64Bytes


class AgreementActRequest(Value):
    """An act on an agreement; each needs its reason. `cause` says why it is suspended or terminated.

    The reason of `dispose` says how the consumer disposed of the data.
    """

    action: Literal["suspend", "resume", "terminate", "withdraw", "dispose"]
    reason: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    cause: EndCause = EndCause.OTHER


class NewAmendment(Value):
    """Other terms, or a longer term, with the reasons for them."""

    change: TermsChange
    reason: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class AmendmentActRequest(Value):
    """A party's word about proposed terms; declining needs its reason."""

    action: AmendmentAction
    reason: str = Field("", max_length=TEXT_CHARS_MAX)


class MaskKeyGeneration(Value):
    """Which generation of keys masks what a department receives for a service item."""

    consumer: DepartmentCode
    service_item: str
    generation: int


@router.get("")
def list_agreements(
    caller: Caller,
    hub: Hub,
    state: AgreementState | None = None,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Agreement]:
    """Return agreements, newest first: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.AGREEMENT_READ, department)
    return hub.agreements.find(department=scope, state=state, offset=offset, limit=limit)


@router.get("/to-sign")
def list_agreements_to_sign(caller: Caller, hub: Hub) -> tuple[Agreement, ...]:
    """Return the agreements that wait for the signature of the caller's department, oldest first."""
    department = own_department(caller)
    hub.policy.require(caller, Action.AGREEMENT_READ, concerning(department))
    return hub.agreements.to_sign(department)


@router.get("/{agreement_id}")
def read_agreement(agreement_id: AgreementId, caller: Caller, hub: Hub) -> Agreement:
    """Return one agreement."""
    return readable_agreement(hub, caller, agreement_id)


@router.get("/{agreement_id}/signing")
def read_signing(agreement_id: AgreementId, caller: Caller, hub: Hub) -> AgreementSigning:
    """Return the bytes that the parties sign: of proposed terms, where there are some."""
    readable_agreement(hub, caller, agreement_id)
    agreement = hub.agreements.unsigned(agreement_id)
    return AgreementSigning(
        agreement_id=agreement.id,
        signing_bytes=agreement.signing_bytes(),
        terms_digest=agreement.terms_digest,
    )


@router.post("/{agreement_id}/confirm")
def confirm_agreement(agreement_id: AgreementId, caller: Caller, hub: Hub) -> Agreement:
    """Confirm the agreement in the name of the caller's department; its node then signs."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    return hub.agreements.confirm(agreement_id, own_department(caller), actor=caller.actor)


@router.post("/{agreement_id}/signatures", status_code=201)
def sign_agreement(agreement_id: AgreementId, body: NewSignature, caller: Caller, hub: Hub) -> Agreement:
    """Add a department's signature; with both, the agreement comes into force."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_SIGN, Target.of_agreement(agreement))
    return hub.agreements.sign(agreement_id, key_id=body.key_id, signature=body.signature, actor=caller.actor)


@router.post("/{agreement_id}/actions")
def act_on_agreement(agreement_id: AgreementId, body: AgreementActRequest, caller: Caller, hub: Hub) -> Agreement:
    """Suspend, resume, terminate or give up an agreement; tell how its data was disposed of (Art. 27)."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, NEEDED[body.action], Target.of_agreement(agreement))
    return _acts(hub, body.cause)[body.action](agreement_id, caller.actor, body.reason)


@router.get("/{agreement_id}/amendments")
def list_amendments(agreement_id: AgreementId, caller: Caller, hub: Hub) -> tuple[Amendment, ...]:
    """Return the versions of an agreement that were proposed or replaced, newest first."""
    readable_agreement(hub, caller, agreement_id)
    return hub.agreements.amendments.of(agreement_id)


@router.post("/{agreement_id}/amendments", status_code=201)
def propose_amendment(agreement_id: AgreementId, body: NewAmendment, caller: Caller, hub: Hub) -> Amendment:
    """Propose other terms or a longer term; both parties confirm and sign them before they hold."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    return hub.agreements.propose(agreement_id, body.change, caller.actor, body.reason)


@router.post("/{agreement_id}/amendments/{version}/actions")
def act_on_amendment(
    agreement_id: AgreementId, version: int, body: AmendmentActRequest, caller: Caller, hub: Hub
) -> Amendment:
    """Confirm proposed terms, take them back, or decline them."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    return hub.agreements.act_on_amendment(agreement_id, version, body.action, caller.actor, body.reason)


@router.post("/{agreement_id}/mask-keys", status_code=201)
def renew_mask_keys(agreement_id: AgreementId, caller: Caller, hub: Hub) -> MaskKeyGeneration:
    """Begin a new generation of keys: pseudonyms from before cannot be linked with those from now on."""
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_RENEW_KEYS, Target.of_agreement(agreement))
    return MaskKeyGeneration(
        consumer=agreement.consumer,
        service_item=agreement.purpose.service_item,
        generation=hub.mask_keys.renew(agreement, caller.actor),
    )


@router.get("/{agreement_id}/contract.yaml", response_class=Response, responses=told_in(YAML))
def read_contract(agreement_id: AgreementId, caller: Caller, hub: Hub) -> Response:
    """Return the agreement as an Open Data Contract Standard 3.1.0 document."""
    readable_agreement(hub, caller, agreement_id)
    return Response(hub.documents.contract(agreement_id), media_type=YAML)


@router.get("/{agreement_id}/policy.jsonld", response_class=Response, responses=told_in(JSON_LD))
def read_policy(agreement_id: AgreementId, caller: Caller, hub: Hub) -> Response:
    """Return the agreement's usage policy: ODRL 2.2 as JSON-LD."""
    readable_agreement(hub, caller, agreement_id)
    return JSONResponse(hub.documents.policy(agreement_id), media_type=JSON_LD)


@router.get("/{agreement_id}/agreement.pdf", response_class=Response, responses=told_in(PDF))
def read_paper(agreement_id: AgreementId, caller: Caller, hub: Hub) -> Response:
    """Return the agreement on paper: a PDF in Chinese with a verification code."""
    readable_agreement(hub, caller, agreement_id)
    return Response(hub.documents.pdf(agreement_id), media_type=PDF)


@papers.get("/{code}")
def check_paper(code: Annotated[str, Path(max_length=40)], hub: Hub) -> PaperFacts:
    """Return what is on record about the agreement that bears a verification code; open to everybody."""
    return hub.documents.check(code)


def _acts(hub: Services, cause: EndCause) -> dict[str, Callable[[AgreementId, Actor, str], Agreement]]:
    agreements = hub.agreements
    return {
        "suspend": lambda agreement_id, actor, reason: agreements.suspend(agreement_id, actor, reason, cause),
        "resume": lambda agreement_id, actor, _reason: agreements.resume(agreement_id, actor),
        "terminate": lambda agreement_id, actor, reason: agreements.terminate(agreement_id, actor, reason, cause),
        "withdraw": agreements.withdraw,
        "dispose": agreements.dispose,
    }
