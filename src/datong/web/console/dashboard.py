"""The workbench: what the caller's role opens in the morning; operators and auditors have one of their own."""

from fastapi.responses import Response

from datong.sharing import Action, Role
from datong.web.api.ratings import to_rate
from datong.web.console import auditing, operations, overview
from datong.web.console.desk import Desk, Lent, SignedIn
from datong.web.console.starts import starts
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/")
def dashboard(desk: SignedIn) -> Response:
    """Show the caller's workbench, or their account if they have no role; live parts ask for the same page again."""
    if not desk.caller.roles:
        return desk.go("/account")
    desk.require(Action.DASHBOARD_READ)
    desk.lent, desk.asked = lent(desk), desk.services.delegations.asked_of(desk.caller)
    if desk.caller.has(Role.OPERATOR):
        return operations.page(desk)
    if desk.caller.has(Role.AUDITOR):
        return auditing.page(desk)
    return city_page(desk)


@router.get("/overview")
def city(desk: SignedIn) -> Response:
    """Show numbers, duties, who exchanges with whom, and what happened last, to whoever asks."""
    desk.require(Action.DASHBOARD_READ)
    return city_page(desk)


def lent(desk: Desk) -> tuple[Lent, ...]:
    """Return for whom the caller may act now, with how many duties wait there; nobody while they act for somebody."""
    caller, delegations = desk.caller, desk.services.delegations
    if caller.acting_for is not None:
        return ()
    return tuple(
        Lent(
            delegation=one,
            duties=len(overview.duties(Desk(desk.request, desk.services, delegations.as_substitute(caller, one)))),
        )
        for one in delegations.lent_to(caller)
    )


def city_page(desk: Desk) -> Response:
    """Return numbers, what the caller has to do, who exchanges with whom, and what happened last."""
    return desk.page(
        "dashboard.html",
        numbers=overview.numbers(desk),
        duties=overview.duties(desk),
        starts=starts(desk),
        sent=overview.sent_requests(desk),
        to_rate=to_rate(desk.caller, desk.services, limit=overview.TO_RATE_SHOWN),
        network=overview.exchange_network(desk),
        trend=overview.activity(desk),
        recent=overview.recent_entries(desk),
    )
