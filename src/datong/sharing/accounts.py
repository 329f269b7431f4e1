"""Accounts of people as values, and the evidence that acts on them leave."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from datong.kernel import Actor, DepartmentCode, JsonValue, PersonId, Text, Value
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.credentials import invalid_field
from datong.sharing.principals import Principal, Role
from datong.sharing.sign_in_methods import SignInMethod
from datong.sharing.standing import own_principal


class Account(Value):
    """A person's account. `has_subject` tells that it is bound to a citizen ID, which itself is not shown."""

    id: PersonId
    username: str
    name: str
    department: DepartmentCode | None
    roles: frozenset[Role]
    has_subject: bool
    disabled: bool
    created_at: datetime

    @property
    def principal(self) -> Principal:
        """The caller that the owner is in their own name; what is personal of a citizen is left out."""
        return own_principal(person=self.id, name=self.name, department=self.department, roles=self.roles)


class Session(Value):
    """A fresh session; the token is shown once and stored as a hash."""

    token: str
    account: Account
    expires_at: datetime


class OpenSession(Value):
    """A session that is open: `id` names it without being its token; `device` is what the browser said it is."""

    id: str
    device: str
    address: str = ""
    method: SignInMethod = SignInMethod.PASSWORD
    provider: str = ""
    """How the person was recognised, and by which identity provider, if by one."""
    created_at: datetime
    expires_at: datetime
    present: bool = False
    """Whether it is the one that asks."""


def require_roles(roles: frozenset[Role], department: DepartmentCode | None) -> None:
    """Let roles pass that an account of `department` can have.

    Raises:
        Invalid: there are none, or staff without a department.
    """
    staff = roles - {Role.CITIZEN}
    if not roles:
        raise invalid_field("roles", Text(zh="账号至少需要一个角色。", en="An account needs at least one role."))
    if staff and staff != {Role.OPERATOR} and department is None:
        raise invalid_field("department", Text(zh="工作人员账号须属于一个部门。", en="Staff belong to a department."))


def record_account(
    ledger: Ledger,
    connection: Connection,
    account: Account,
    step: str,
    actor: Actor,
    facts: Mapping[str, JsonValue] | None = None,
) -> None:
    """Put an act on an account on record: by ids and roles, never a name or what somebody signs in with."""
    ledger.append(
        connection,
        kind=EntryKind.ACCOUNT,
        subject=account.id,
        actor=actor,
        facts={
            "account_id": account.id,
            "step": step,
            "department": account.department,
            "roles": sorted(role.value for role in account.roles),
            "disabled": account.disabled,
            **(facts or {}),
        },
    )


def account_from(row: tables.Row) -> Account:
    """Return the account that a row says."""
    return Account(
        id=row["id"],
        username=row["username"],
        name=row["name"],
        department=row["department"],
        roles=frozenset(Role(role) for role in row["roles"]),
        has_subject=row["citizen_id"] is not None,
        disabled=row["disabled"],
        created_at=row["created_at"],
    )
