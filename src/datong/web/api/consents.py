"""Consents: asked for and put down by departments, given and withdrawn by the people themselves."""

from datetime import datetime

from pydantic import Field

from datong.kernel import AgreementId, DepartmentCode, Page, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX
from datong.sharing import Action, Consent, ConsentAction, ConsentWay, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.api.uses import own_subject
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="consent")


class NewConsent(Value):
    """Whose consent to what is asked for (no columns: all of the agreement), until when.

    With `way` and `document_sha256` it was given on paper or electronically already, and is put down as given.
    """

    agreement_id: AgreementId
    citizen_id: str = Field(min_length=15, max_length=18)
    columns: tuple[str, ...] = Field((), max_length=GATEWAY_ITEMS_MAX)
    valid_until: datetime | None = None
    way: ConsentWay | None = None
    document_sha256: str = Field("", max_length=64)


class ConsentAct(Value):
    """What the person does with a consent."""

    action: ConsentAction


@router.get("/consents")
def list_consents(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Consent]:
    """Return the consents that departments asked for, all or those of the caller's; whose they are stays out."""
    scope = department_in_scope(hub, caller, Action.CONSENT_READ, department)
    return hub.consents.find(consumer=scope, offset=offset, limit=limit)


@router.post("/consents", status_code=201)
def ask_for_consent(body: NewConsent, caller: Caller, hub: Hub) -> Consent:
    """Ask a person for consent, or put down one that was given on paper or by electronic signature."""
    agreement = hub.agreements.get(body.agreement_id)
    hub.policy.require(caller, Action.CONSENT_RECORD, Target.of_agreement(agreement))
    if body.way is None:
        return hub.consents.ask(
            agreement.id, body.citizen_id, actor=caller.actor, columns=body.columns, valid_until=body.valid_until
        )
    return hub.consents.record(
        agreement.id,
        body.citizen_id,
        actor=caller.actor,
        way=body.way,
        document_sha256=body.document_sha256,
        columns=body.columns,
        valid_until=body.valid_until,
    )


@router.get("/me/consents")
def list_own_consents(caller: Caller, hub: Hub) -> tuple[Consent, ...]:
    """Return the caller's consents, and those that are asked for."""
    hub.policy.require(caller, Action.CONSENT_OWN, own_target(caller.actor.id))
    return hub.consents.of_subject(own_subject(caller))


@router.post("/me/consents/{consent_id}/actions")
def act_on_own_consent(consent_id: str, body: ConsentAct, caller: Caller, hub: Hub) -> Consent:
    """Give, decline or withdraw a consent; a withdrawal works from the next call on."""
    hub.policy.require(caller, Action.CONSENT_OWN, own_target(caller.actor.id))
    return hub.consents.act(consent_id, body.action, own_subject(caller), actor=caller.actor)


def own_target(account_id: str) -> Target:
    """Return what is a person's own as a target."""
    return Target(id=account_id, person=account_id)
