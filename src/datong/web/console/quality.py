"""The quality of the catalogue: everything, one department, and the card on a resource's page."""

from fastapi.responses import Response

from datong.catalogue import QualityOverview
from datong.kernel import DepartmentCode
from datong.sharing import Action
from datong.web.console import charts
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

LOW_SCORE = 221


@router.get("/quality")
def show_quality(desk: SignedIn, department: str = "") -> Response:
    """Show the ranking of departments, or one department in detail."""
    desk.require(Action.INDICATOR_READ)
    quality = desk.services.quality
    code = DepartmentCode(department) if department in desk.departments else None
    overview = quality.overview(code)
    ranking = quality.ranking()
    t = desk.speech.t
    ranked = charts.bars(
        "quality-ranking",
        t(
            "各部门目录质量（满分 {points}）",
            "Catalogue quality by department (of {points})",
            points=quality.scheme.points,
        ),
        names=[desk.department_name(entry.department) for entry in ranking[:20]],
        values=[round(entry.score, 1) for entry in ranking[:20]],
        header=(t("部门", "Department"), t("平均分", "Mean score")),
    )
    return desk.page(
        "quality/overview.html",
        overview=overview,
        ranking=ranking,
        ranked=ranked,
        trend=_trend(desk, overview),
        scheme=quality.scheme,
        department=code,
        low=LOW_SCORE,
    )


def _trend(desk: Desk, overview: QualityOverview) -> charts.Chart:
    t = desk.speech.t
    return charts.trend(
        "quality-trend",
        t("目录质量的变化", "Quality over time"),
        times=[entry.day.isoformat() for entry in overview.trend],
        series={t("平均分", "Mean score"): [round(entry.score) for entry in overview.trend]},
        time_name=t("日期", "Day"),
    )
