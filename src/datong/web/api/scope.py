"""What a list shows to whom: everything, or what concerns the caller's own department, as the policy decides."""

from typing import Annotated

from fastapi import Query

from datong.kernel import AgreementId, DepartmentCode, Refused, Text
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.sharing import Action, Agreement, Principal, Target
from datong.web.services import Services

Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Rows to skip.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows to return at most.")]
LIMIT_DEFAULT = PAGE_ROWS_DEFAULT


def department_in_scope(
    hub: Services, caller: Principal, action: Action, wanted: DepartmentCode | None = None
) -> DepartmentCode | None:
    """Return the department to which a list is narrowed; None: the caller may see all of it.

    Raises:
        Refused: the caller may see neither everything nor the department asked for.
    """
    if hub.policy.authorise(caller, action).allowed:
        return wanted
    department = wanted or caller.department
    hub.policy.require(caller, action, Target() if department is None else concerning(department))
    return department


def concerning(department: DepartmentCode) -> Target:
    """Return a target that `department` is a party to."""
    return Target(id=department, department=department)


def own_department(caller: Principal) -> DepartmentCode:
    """Return the department in whose name the caller acts.

    Raises:
        Refused: the caller belongs to none.
    """
    if caller.department is None:
        raise Refused(
            "web.no_department",
            what=Text(zh="您不代表任何部门。", en="You act for no department."),
            remedy=Text(zh="请用部门账号办理。", en="Use an account of a department."),
        )
    return caller.department


def readable_agreement(hub: Services, caller: Principal, agreement_id: AgreementId) -> Agreement:
    """Return an agreement that `caller` may read.

    Raises:
        NotFound: there is no such agreement.
        Refused: it concerns other departments.
    """
    agreement = hub.agreements.get(agreement_id)
    hub.policy.require(caller, Action.AGREEMENT_READ, Target.of_agreement(agreement))
    return agreement
