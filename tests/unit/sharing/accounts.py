"""Accounts of the sharing tests: one person with a password, as clerk of the education bureau unless told otherwise."""

from datong.kernel import DepartmentCode
from datong.sharing.accounts import Account
from datong.sharing.principals import Role
from tests.unit.sharing.samples import BUREAU, EDUCATION, person
from tests.unit.sharing.world import World

PASSWORD = "correct horse battery"
CLERK = frozenset({Role.BUSINESS})


def open_account(
    world: World,
    username: str = "wang",
    *,
    password: str = PASSWORD,
    name: str = "王芳",
    roles: frozenset[Role] = CLERK,
    department: DepartmentCode | None = EDUCATION,
    citizen_id: str | None = None,
) -> Account:
    """Open an account, as an operator would."""
    return world.identity.create_account(
        username=username,
        password=password,
        name=name,
        roles=roles,
        department=department,
        citizen_id=citizen_id,
        actor=person(BUREAU),
    )
