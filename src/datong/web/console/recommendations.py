"""Recommendations to departments: what to publish, to share more widely, to request, and why."""

from fastapi.responses import Response

from datong.governance import RECOMMENDATION_NAMES, RecommendationKind
from datong.kernel import DepartmentCode
from datong.sharing import Action
from datong.web.api.recommendations import recommended_to
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/governance/recommendations")
def show_recommendations(desk: SignedIn, department: str = "") -> Response:
    """Show what is recommended to the caller's department, or to all."""
    scope = recommended_to(desk.services, desk.caller, DepartmentCode(department) if department else None)
    found = desk.services.demand_mining.recommend(scope)
    return desk.page(
        "governance/recommendations.html",
        found={kind: [one for one in found if one.kind is kind] for kind in RecommendationKind},
        names=RECOMMENDATION_NAMES,
        scope=scope,
        departments=tuple(desk.departments.values()),
        may_see_all=desk.may(Action.FINDING_READ),
        may_see_demand=desk.may(Action.DEMAND_READ),
    )
