"""As whom a person stands before the platform: in their own name, or as somebody's substitute.

The one place where an account becomes a caller. A substitute's session says for which delegation it acts; with each
call it is looked at whether that is in force, so it ends by itself and, when withdrawn, at once: the session then goes
on in the person's own name.
"""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, select

from datong.kernel import Actor, ActorKind, DepartmentCode
from datong.sharing import tables
from datong.sharing.delegation_rules import LENT_ROLES, DelegationState
from datong.sharing.principals import ActingFor, Principal, Role

_LENDER = tables.account.alias("lender")


def principal_of_session(connection: Connection, hashed: str, now: datetime) -> Principal | None:
    """Return who calls with the session whose token has this hash; None: it is over, or the account is closed."""
    account, session, lent = tables.account, tables.session, tables.delegation
    in_force = and_(
        lent.c.id == session.c.delegation_id,
        lent.c.substitute == account.c.id,
        lent.c.department == account.c.department,
        lent.c.state == DelegationState.ACCEPTED.value,
        lent.c.begins_at <= now,
        lent.c.ends_at > now,
    )
    lender = and_(
        _LENDER.c.id == lent.c.delegator,
        _LENDER.c.disabled.is_(False),
        _LENDER.c.department == account.c.department,
    )
    query = (
        select(
            account.c.id,
            account.c.name,
            account.c.department,
            account.c.roles,
            account.c.citizen_id,
            lent.c.id.label("delegation_id"),
            lent.c.ends_at.label("acting_until"),
            _LENDER.c.id.label("lender_id"),
            _LENDER.c.name.label("lender_name"),
            _LENDER.c.roles.label("lender_roles"),
        )
        .join(session, session.c.account_id == account.c.id)
        .join(lent, in_force, isouter=True)
        .join(_LENDER, lender, isouter=True)
        .where(session.c.token_hash == hashed, session.c.expires_at > now, account.c.disabled.is_(False))
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _principal(row)


def own_principal(
    *, person: str, name: str, department: DepartmentCode | None, roles: frozenset[Role], subject: str | None = None
) -> Principal:
    """Return the caller that the owner of an account is in their own name; `subject` is a citizen's ID."""
    kind = ActorKind.CITIZEN if roles == {Role.CITIZEN} else ActorKind.PERSON
    return Principal(
        actor=Actor(kind=kind, id=person, department=department, name=name), roles=roles, subject_id=subject
    )


def substitute_principal(own: Principal, acting: ActingFor, roles: frozenset[Role]) -> Principal:
    """Return `own` as the substitute of somebody whose account has `roles`: theirs instead of one's own."""
    actor = own.actor.model_copy(update={"acting_for": acting.person})
    return Principal(actor=actor, roles=roles & LENT_ROLES, acting_for=acting)


def _principal(row: RowMapping) -> Principal:
    own = own_principal(
        person=row["id"],
        name=row["name"],
        department=row["department"],
        roles=frozenset(Role(role) for role in row["roles"]),
        subject=row["citizen_id"],
    )
    if row["lender_id"] is None:
        return own
    acting = ActingFor(
        delegation_id=row["delegation_id"],
        person=row["lender_id"],
        name=row["lender_name"],
        until=row["acting_until"],
    )
    return substitute_principal(own, acting, frozenset(Role(role) for role in row["lender_roles"]))
