"""Registered applications: registration, review, agreements, keys, health; the showcase for everybody."""

from pydantic import Field

from datong.kernel import AgreementId, DepartmentCode, Page, Value, page_of
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Principal, Target
from datong.sharing.applications import (
    AGREEMENTS_MAX,
    KEY_DAYS_DEFAULT,
    KEY_DAYS_MAX,
    OVERLAP_HOURS_DEFAULT,
    OVERLAP_HOURS_MAX,
    ApplicationAction,
    ApplicationHealth,
    ApplicationKey,
    ApplicationParty,
    ApplicationState,
    IssuedKey,
    KeyKind,
    NewRegistration,
    Registration,
    SandboxTable,
)
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, concerning, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="applications")

NEEDED = {
    ApplicationAction.SUBMIT: Action.APPLICATION_CREATE,
    ApplicationAction.APPROVE: Action.APPLICATION_REVIEW,
    ApplicationAction.RETURN: Action.APPLICATION_REVIEW,
    ApplicationAction.SUSPEND: Action.APPLICATION_REVIEW,
    ApplicationAction.RESUME: Action.APPLICATION_REVIEW,
}
"""What each act needs; both sides may retire an application."""


class DepartmentRegistration(NewRegistration):
    """An application that a department registers."""

    department: DepartmentCode


class ApplicationAct(Value):
    """An act on an application, with its reason; submitting again may correct what was said."""

    action: ApplicationAction
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    change: NewRegistration | None = None


class Binding(Value):
    """The agreements that an application is bound to from now on."""

    agreements: tuple[AgreementId, ...] = Field(max_length=AGREEMENTS_MAX)


class NewKey(Value):
    """A key to be issued; with `replace`, older ones of its kind end after the overlap."""

    kind: KeyKind = KeyKind.LIVE
    days: int = Field(KEY_DAYS_DEFAULT, ge=1, le=KEY_DAYS_MAX)
    replace: bool = False
    overlap_hours: int = Field(OVERLAP_HOURS_DEFAULT, ge=0, le=OVERLAP_HOURS_MAX)


class Shown(Value):
    """What everybody may see of an approved application that is to be shown."""

    name: str
    department: DepartmentCode
    purpose: str
    scenes: tuple[str, ...]


@router.get("/registrations")
def list_registrations(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    state: ApplicationState | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Registration]:
    """Return registered applications, newest first: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.APPLICATION_READ, department)
    return hub.registrations.find(department=scope, state=state, offset=offset, limit=limit)


@router.post("/registrations", status_code=201)
def register_application(body: DepartmentRegistration, caller: Caller, hub: Hub) -> Registration:
    """Register an application for review; it may use the sandbox at once."""
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(body.department))
    new = NewRegistration.model_validate(body.model_dump(exclude={"department"}))
    return hub.registrations.register(new, body.department, caller.actor)


@router.get("/registrations/{client_id}")
def read_registration(client_id: str, caller: Caller, hub: Hub) -> Registration:
    """Return one registered application."""
    return readable_registration(hub, caller, client_id)


@router.post("/registrations/{client_id}/actions")
def act_on_registration(client_id: str, body: ApplicationAct, caller: Caller, hub: Hub) -> Registration:
    """Submit again, approve, return, suspend, resume or retire."""
    registration = hub.registrations.get(client_id)
    parties = parties_of(hub, caller, registration)
    needed = NEEDED.get(body.action)
    if needed is None:
        needed = Action.APPLICATION_REVIEW if ApplicationParty.AUTHORITY in parties else Action.APPLICATION_CREATE
    hub.policy.require(caller, needed, own(registration))
    return hub.registrations.act(
        client_id, body.action, parties=parties, actor=caller.actor, reason=body.reason, change=body.change
    )


@router.put("/registrations/{client_id}/agreements")
def bind_agreements(client_id: str, body: Binding, caller: Caller, hub: Hub) -> Registration:
    """Bind the application to these agreements of its department, and to no others."""
    hub.policy.require(caller, Action.APPLICATION_CREATE, own(hub.registrations.get(client_id)))
    return hub.registrations.bind(client_id, body.agreements, caller.actor)


@router.get("/registrations/{client_id}/keys")
def list_keys(client_id: str, caller: Caller, hub: Hub) -> tuple[ApplicationKey, ...]:
    """Return an application's keys, newest first."""
    return hub.registrations.keys(readable_registration(hub, caller, client_id).client_id)


@router.post("/registrations/{client_id}/keys", status_code=201)
def issue_key(client_id: str, body: NewKey, caller: Caller, hub: Hub) -> IssuedKey:
    """Issue a key, or rotate; its secret is shown once."""
    hub.policy.require(caller, Action.APPLICATION_CREATE, own(hub.registrations.get(client_id)))
    return hub.registrations.issue_key(
        client_id,
        body.kind,
        caller.actor,
        days=body.days,
        replace=body.replace,
        overlap_hours=body.overlap_hours,
    )


@router.post("/registrations/{client_id}/keys/{key_id}/revocation", status_code=201)
def revoke_key(client_id: str, key_id: str, caller: Caller, hub: Hub) -> ApplicationKey:
    """Revoke a key."""
    hub.policy.require(caller, Action.APPLICATION_CREATE, own(hub.registrations.get(client_id)))
    return hub.registrations.revoke_key(client_id, key_id, caller.actor)


@router.get("/registrations/{client_id}/health")
def read_health(client_id: str, caller: Caller, hub: Hub) -> ApplicationHealth:
    """Return calls, refusals, failures and latency by day, and what to see to."""
    registration = readable_registration(hub, caller, client_id)
    return hub.call_meter.health(registration, hub.registrations.keys(client_id))


@router.get("/registrations/{client_id}/sandbox")
def read_sandbox(client_id: str, caller: Caller, hub: Hub) -> tuple[SandboxTable, ...]:
    """Return the synthetic records of the resources that the application is bound to."""
    readable_registration(hub, caller, client_id)
    return hub.sandbox.tables(client_id)


@router.get("/showcase")
def read_showcase(hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[Shown]:
    """Return the approved applications that their departments show to everybody."""
    found = hub.registrations.find(showcase=True, offset=offset, limit=limit)
    rows = tuple(
        Shown(name=one.name, department=one.department, purpose=one.purpose, scenes=one.scenes) for one in found.rows
    )
    return page_of(rows, total=found.total, offset=offset)


def readable_registration(hub: Services, caller: Principal, client_id: str) -> Registration:
    """Return a registered application that the caller may read.

    Raises:
        NotFound: there is none. Refused: it is another department's.
    """
    registration = hub.registrations.get(client_id)
    hub.policy.require(caller, Action.APPLICATION_READ, own(registration))
    return registration


def parties_of(hub: Services, caller: Principal, registration: Registration) -> frozenset[ApplicationParty]:
    """Return as what the caller acts on an application, by the policy."""
    may = {
        ApplicationParty.AUTHORITY: Action.APPLICATION_REVIEW,
        ApplicationParty.OWNER: Action.APPLICATION_CREATE,
    }
    target = own(registration)
    return frozenset(party for party, action in may.items() if hub.policy.authorise(caller, action, target).allowed)


def own(registration: Registration) -> Target:
    """Return an application as a target."""
    return Target.of_department(registration.department, name=registration.client_id)
