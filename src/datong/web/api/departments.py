"""Departments, their keys, their people and their applications."""

from datetime import datetime

from pydantic import AwareDatetime, Field

from datong.catalogue import Department, DepartmentKey, RecipientKey
from datong.kernel import DepartmentCode, NodeId, NotFound, Page, PersonId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Account, Action, Application, ApplicationSecret, Principal, Role, Target
from datong.web.api.base64_bytes import Base64Bytes
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, concerning, department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="departments")


class PublicKey(Value):
    """A department's public key; `public_key` is the 32 raw bytes of Ed25519 in base64."""

    key_id: str
    node_id: NodeId | None
    public_key: Base64Bytes
    registered_at: datetime
    revoked_at: datetime | None


class NewPerson(Value):
    """An account to be opened."""

    username: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    password: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    roles: frozenset[Role]
    department: DepartmentCode | None = None
    citizen_id: str | None = Field(None, max_length=18)


class PersonState(Value):
    """Whether a person may sign in."""

    disabled: bool


class PersonRoles(Value):
    """The roles that a person has from now on."""

    roles: frozenset[Role]


class GivenPassword(Value):
    """The password that a person gets from an operator or officer."""

    password: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class NewApplication(Value):
    """An application to be registered."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    department: DepartmentCode


class KeyRevocation(Value):
    """Why a key is revoked; the reason stands in the public log."""

    reason: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    since: AwareDatetime | None = None
    """Since when others may have held it: what it signed from then on is in doubt."""


@router.get("/departments")
def list_departments(caller: Caller, hub: Hub) -> tuple[Department, ...]:
    """Return every department."""
    hub.policy.require(caller, Action.DEPARTMENT_READ)
    return tuple(hub.departments.all())


@router.post("/departments", status_code=201)
def register_department(body: Department, caller: Caller, hub: Hub) -> Department:
    """Register a department, or correct its name."""
    hub.policy.require(caller, Action.DEPARTMENT_CREATE, concerning(body.code))
    hub.departments.register(body, caller.actor)
    return hub.departments.get(body.code)


@router.get("/departments/{code}/keys")
def list_department_keys(code: DepartmentCode, caller: Caller, hub: Hub) -> tuple[PublicKey, ...]:
    """Return the public keys with which the department's nodes sign, revoked ones included."""
    hub.policy.require(caller, Action.DEPARTMENT_READ)
    return tuple(public_key_of(key) for key in hub.departments.keys(code))


@router.post("/departments/{code}/keys/{key_id}/revocation", status_code=201)
def revoke_department_key(
    code: DepartmentCode, key_id: str, body: KeyRevocation, caller: Caller, hub: Hub
) -> PublicKey:
    """Revoke a node's key from now on, for example because its machine was lost; what it signed stays evidence.

    Whoever may let a node of the department in may also put it out.
    """
    hub.policy.require(caller, Action.ENROLMENT_CREATE, concerning(code))
    if hub.departments.key(key_id).department != code:
        raise NotFound(
            "web.key_of_other_department",
            what=Text(zh=f"该部门没有密钥 {key_id}。", en=f"The department has no key {key_id}."),
            remedy=Text(zh="请核对密钥编号。", en="Check the key's id."),
        )
    return public_key_of(hub.departments.revoke_key(key_id, caller.actor, body.reason, body.since))


@router.get("/departments/{code}/recipient-keys")
def list_recipient_keys(code: DepartmentCode, caller: Caller, hub: Hub) -> tuple[RecipientKey, ...]:
    """Return the keys to which payloads are sealed for the department's nodes, revoked ones included."""
    hub.policy.require(caller, Action.DEPARTMENT_READ)
    return hub.recipient_keys.of_department(code)


@router.post("/departments/{code}/recipient-keys/{key_id}/revocation", status_code=201)
def revoke_recipient_key(
    code: DepartmentCode, key_id: str, body: KeyRevocation, caller: Caller, hub: Hub
) -> RecipientKey:
    """Revoke a recipient key from now on, for example because its node's machine was lost."""
    hub.policy.require(caller, Action.ENROLMENT_CREATE, concerning(code))
    if hub.recipient_keys.key(key_id).department != code:
        raise NotFound(
            "web.key_of_other_department",
            what=Text(zh=f"该部门没有密钥 {key_id}。", en=f"The department has no key {key_id}."),
            remedy=Text(zh="请核对密钥编号。", en="Check the key's id."),
        )
    return hub.recipient_keys.revoke(key_id, caller.actor, body.reason)


@router.get("/people")
def list_people(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[Account]:
    """Return accounts: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.ACCOUNT_READ, department)
    return hub.identity.accounts(department=scope, offset=offset, limit=limit)


@router.post("/people", status_code=201)
def create_person(body: NewPerson, caller: Caller, hub: Hub) -> Account:
    """Open an account."""
    hub.policy.require(
        caller,
        Action.ACCOUNT_CREATE,
        Target(id=body.username, department=body.department, grants=body.roles),
    )
    return hub.identity.create_account(
        username=body.username,
        password=body.password,
        name=body.name,
        roles=body.roles,
        actor=caller.actor,
        department=body.department,
        citizen_id=body.citizen_id,
    )


@router.post("/people/{person_id}/state")
def change_person_state(person_id: PersonId, body: PersonState, caller: Caller, hub: Hub) -> Account:
    """Close an account, which ends the person's sessions at once, or open it again."""
    _require_care(person_id, caller, hub)
    return hub.identity.set_disabled(person_id, disabled=body.disabled, actor=caller.actor)


@router.post("/people/{person_id}/roles")
def change_person_roles(person_id: PersonId, body: PersonRoles, caller: Caller, hub: Hub) -> Account:
    """Give a person other roles; the caller must be one who may give the old ones and the new ones."""
    _require_care(person_id, caller, hub, grants=body.roles)
    return hub.identity.set_roles(person_id, body.roles, actor=caller.actor)


@router.post("/people/{person_id}/password")
def give_password(person_id: PersonId, body: GivenPassword, caller: Caller, hub: Hub) -> Account:
    """Give a person who forgot theirs another password; their sessions end."""
    _require_care(person_id, caller, hub)
    return hub.identity.set_password(person_id, body.password, actor=caller.actor)


@router.get("/applications")
def list_applications(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> tuple[Application, ...]:
    """Return the programs that hold credentials, newest first: all of them, or those of the caller's department."""
    return hub.identity.applications(department_in_scope(hub, caller, Action.APPLICATION_READ, department))


@router.post("/applications/{client_id}/revocation", status_code=201)
def revoke_application(client_id: str, caller: Caller, hub: Hub) -> Application:
    """Make a program's secret and tokens worthless at once."""
    application = hub.identity.application(client_id)
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(application.department))
    return hub.identity.revoke_application(client_id, caller.actor)


@router.post("/applications", status_code=201)
def create_application(body: NewApplication, caller: Caller, hub: Hub) -> ApplicationSecret:
    """Register an application; its secret is shown once."""
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(body.department))
    return hub.identity.create_application(name=body.name, department=body.department, actor=caller.actor)


def public_key_of(key: DepartmentKey) -> PublicKey:
    """Return a department's key as the API shows it."""
    return PublicKey(
        key_id=key.key_id,
        node_id=key.node_id,
        public_key=key.public_key,
        registered_at=key.registered_at,
        revoked_at=key.revoked_at,
    )


def _require_care(person: PersonId, caller: Principal, hub: Services, *, grants: frozenset[Role] = frozenset()) -> None:
    """Check that the caller could have opened the account as it is, with `grants` besides.

    Raises:
        Refused: they could not. NotFound: there is no such account.
    """
    account = hub.identity.account(person)
    target = Target(id=account.username, department=account.department, grants=account.roles | grants)
    hub.policy.require(caller, Action.ACCOUNT_CREATE, target)
