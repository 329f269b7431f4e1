"""Benefit of a period, and the annual report as PDF."""

from fastapi import Response

from datong.governance import Benefit
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.routing import api_routes

router = api_routes(tag="governance")

PDF = "application/pdf"


@router.get("/benefit")
def read_benefit(caller: Caller, hub: Hub, period: str | None = None) -> Benefit:
    """Return what sharing spared in a period (2026-11, 2026-Q4, 2026); without one, in the present month."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return hub.benefits.compute(period)


@router.get("/annual-reports/{period}", response_class=Response, responses=told_in(PDF))
def read_annual_report(period: str, caller: Caller, hub: Hub) -> Response:
    """Return the report on a year (such as 2026) as PDF in both languages; of the present one, what is known so far."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return Response(hub.annual_reports.pdf(period), media_type=PDF)
