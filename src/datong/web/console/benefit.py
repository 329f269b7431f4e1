"""Benefit: what sharing spared people and departments, by department and resource; the annual report."""

from fastapi.responses import Response

from datong.governance import Benefit
from datong.kernel import CHINA
from datong.sharing import Action
from datong.web.console.charts import Chart, bars
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

BARS_MAX = 12


@router.get("/governance/benefit")
def show_benefit(desk: SignedIn, period: str = "") -> Response:
    """Show the benefit of a period; without one, of the present year."""
    desk.require(Action.INDICATOR_READ)
    today = desk.now.astimezone(CHINA)
    names = {"month": f"{today:%Y-%m}", "quarter": f"{today.year}-Q{(today.month + 2) // 3}", "year": str(today.year)}
    chosen = period or names["year"]
    found = desk.services.benefits.compute(chosen)
    return desk.page(
        "governance/benefit.html",
        found=found,
        drawing=_drawing(desk, found),
        titles={use.resource_id: desk.resource_title(use.resource_id) for use in found.resources},
        names=names,
        chosen=chosen,
    )


@router.get("/governance/reports/{period}")
def download_report(desk: SignedIn, period: str) -> Response:
    """Return the annual report as PDF."""
    desk.require(Action.INDICATOR_READ)
    headers = {"Content-Disposition": f'attachment; filename="datong-{period[:4]}.pdf"'}
    return Response(desk.services.annual_reports.pdf(period), media_type="application/pdf", headers=headers)


def _drawing(desk: Desk, found: Benefit) -> Chart | None:
    """Return the hours that departments spared; None where nobody did."""
    shown = [one for one in found.departments if one.hours][:BARS_MAX]
    t = desk.speech.t
    if not shown:
        return None
    return bars(
        "hours",
        t("各部门为群众节省的小时数", "Hours that departments spared people"),
        names=[desk.department_name(one.department) for one in shown],
        values=[one.hours for one in shown],
        header=(t("部门", "Department"), t("小时", "Hours")),
    )
