"""Who asks: a person, a department's node, an application or a citizen, with the roles that a decision looks at."""

from datetime import datetime
from enum import StrEnum

from datong.kernel import Actor, ActorKind, DepartmentCode, Language, PersonId, Text, Value


class Role(StrEnum):
    """A role of a person's account; machines have none, their kind says what they are."""

    OPERATOR = "operator"
    AUTHORITY = "authority"
    DATA_OFFICER = "data_officer"
    DEPARTMENT_HEAD = "department_head"
    BUSINESS = "business"
    AUDITOR = "auditor"
    DEVELOPER = "developer"
    CITIZEN = "citizen"

    @property
    def label(self) -> Text:
        """What the role is called."""
        return _LABELS[self]


_LABELS = {
    Role.OPERATOR: Text(zh="平台运维员", en="platform operator"),
    Role.AUTHORITY: Text(zh="主管部门管理员", en="authority officer"),
    Role.DATA_OFFICER: Text(zh="部门数据管理员", en="data officer"),
    Role.DEPARTMENT_HEAD: Text(zh="部门负责人", en="head of the department"),
    Role.BUSINESS: Text(zh="业务经办人", en="business clerk"),
    Role.AUDITOR: Text(zh="审计员", en="auditor"),
    Role.DEVELOPER: Text(zh="应用开发者", en="developer"),
    Role.CITIZEN: Text(zh="自然人", en="citizen"),
}


class ActingFor(Value):
    """For whom a substitute acts, by which delegation, and until when at the latest."""

    delegation_id: str
    person: PersonId
    name: str
    until: datetime


class Principal(Value):
    """An authenticated caller."""

    actor: Actor
    roles: frozenset[Role] = frozenset()
    language: Language | None = None
    subject_id: str | None = None
    """The citizen ID (GB 11643) of a citizen's own account; personal, never logged."""
    acting_for: ActingFor | None = None
    """For whom the caller acts as a substitute; `roles` are then that person's, and every act is marked so."""
    key_id: str = ""
    """The key of a registered application that the caller's credentials were got with; revoking it ends them."""

    @property
    def department(self) -> DepartmentCode | None:
        """The department in whose name the caller acts, if any."""
        return self.actor.department

    @property
    def is_machine(self) -> bool:
        """Whether the caller is a node or an application."""
        return self.actor.kind in {ActorKind.NODE, ActorKind.APPLICATION}

    def has(self, *roles: Role) -> bool:
        """Whether the caller has at least one of `roles`."""
        return not self.roles.isdisjoint(roles)
