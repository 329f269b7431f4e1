"""Recommendations: what departments ought to publish, share more widely and request."""

from datong.governance import Recommendation
from datong.kernel import DepartmentCode
from datong.sharing import Action, Principal
from datong.web.api.scope import department_in_scope
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="governance")


@router.get("/recommendations")
def list_recommendations(
    caller: Caller, hub: Hub, department: DepartmentCode | None = None
) -> tuple[Recommendation, ...]:
    """Return what is recommended to the caller's department; to all, for those who read all findings."""
    return tuple(hub.demand_mining.recommend(recommended_to(hub, caller, department)))


def recommended_to(hub: Services, caller: Principal, wanted: DepartmentCode | None) -> DepartmentCode | None:
    """Return the department whose recommendations the caller sees; None: those of all, for who reads all findings.

    Raises:
        Refused: they are another department's.
    """
    hub.policy.require(caller, Action.INDICATOR_READ)
    return department_in_scope(hub, caller, Action.FINDING_READ, wanted)
