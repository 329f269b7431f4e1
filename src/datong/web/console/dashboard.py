"""The workbench: numbers, what the caller has to do, who exchanges with whom, and what happened last."""

from fastapi.responses import Response

from datong.sharing import Action
from datong.web.console import overview
from datong.web.console.desk import SignedIn
from datong.web.console.starts import starts
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/")
def dashboard(desk: SignedIn) -> Response:
    """Show the workbench; its live parts ask for the same page again."""
    desk.require(Action.DASHBOARD_READ)
    return desk.page(
        "dashboard.html",
        numbers=overview.numbers(desk),
        duties=overview.duties(desk),
        starts=starts(desk),
        sent=overview.sent_requests(desk),
        network=overview.exchange_network(desk),
        trend=overview.activity(desk),
        recent=overview.recent_entries(desk),
    )
