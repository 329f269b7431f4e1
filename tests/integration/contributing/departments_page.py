"""A page: the departments that take part, for everybody who may see indicators."""

from fastapi.responses import Response

from datong.sharing import Action
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes("/governance/departments-taking-part")


@router.get("")
def show(desk: SignedIn) -> Response:
    """Show every department, the authority first."""
    desk.require(Action.INDICATOR_READ)
    rows = sorted(desk.departments.values(), key=lambda one: (not one.is_authority, one.code))
    return desk.page("departments_page.html", departments=rows)
