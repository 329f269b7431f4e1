"""The annual report as PDF, in both languages: league table, trend, findings, ways of requests, benefit.

Set in STSong-Light, which PDF readers bring along, like agreements on paper (ADR 0130). What is computed stands in the
services; this module sets it.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus.doctemplate import SimpleDocTemplate
from reportlab.platypus.flowables import Flowable
from reportlab.platypus.paragraph import Paragraph
from reportlab.platypus.tables import Table, TableStyle

from datong.governance.benefit import Benefit
from datong.governance.duties import RULES, DutyKind
from datong.governance.indicators import Performance
from datong.governance.request_flow import STEP_NAMES, FlowMap
from datong.kernel import DepartmentCode, ResourceId, Text, Value, minute
from datong.norms import IndicatorGroup

FONT = "STSong-Light"
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN - 12
"""The frame pads its text by six points on either side."""
ROWS_SHOWN_MAX = 60
"""Rows of one table; a report is for reading, the whole is in the console and the interface."""
DAY_SECONDS = 86_400
pdfmetrics.registerFont(UnicodeCIDFont(FONT))

TITLE = ParagraphStyle("title", fontName=FONT, fontSize=20, leading=28, alignment=1, spaceAfter=2 * mm)
HEADING = ParagraphStyle("heading", fontName=FONT, fontSize=12.5, leading=18, spaceBefore=6 * mm, spaceAfter=2 * mm)
BODY = ParagraphStyle("body", fontName=FONT, fontSize=9.5, leading=14, wordWrap="CJK")
CELL = ParagraphStyle("cell", parent=BODY, fontSize=8, leading=11)
HEAD = ParagraphStyle("head", parent=BODY, fontSize=6.8, leading=9)
_GROUPS: Mapping[IndicatorGroup, Text] = {
    IndicatorGroup.READINESS: Text(zh="就绪度", en="Readiness"),
    IndicatorGroup.STANDARDISATION: Text(zh="标准化", en="Standards"),
    IndicatorGroup.TIMELINESS: Text(zh="及时性", en="Time"),
    IndicatorGroup.STAFF: Text(zh="人员", en="Staff"),
    IndicatorGroup.QUALITY: Text(zh="质量", en="Quality"),
    IndicatorGroup.EFFECT: Text(zh="成效", en="Effect"),
    IndicatorGroup.SECURITY: Text(zh="安全", en="Security"),
}
_GRID = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#9aa5b1")),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eef2f6")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
    ]
)


class AnnualFigures(Value):
    """What a report is made of: the year's league table, published scores by month, findings, ways and benefit.

    `months` holds by month (1 to 12) the published score of each department; `findings` how many there are of each
    kind, and the hundredths of points that they charge.
    """

    year: int
    made_at: datetime
    performance: Performance
    months: dict[int, dict[DepartmentCode, float | None]]
    findings: dict[DutyKind, tuple[int, int]]
    ways: FlowMap
    benefit: Benefit
    titles: dict[ResourceId, Text]


def annual_report_pdf(figures: AnnualFigures) -> bytes:
    """Return the report; the same figures give the same bytes."""
    names = {line.department: line.name for line in figures.performance.departments}
    year = figures.year
    story: list[Flowable] = [
        Paragraph(f"{year} 年政务数据共享年度报告", TITLE),
        Paragraph(f"Annual report on government data sharing, {year}", TITLE),
        _line(
            f"数字均由存证计算，生成于 {minute(figures.made_at)}。",
            f"Every figure is computed from evidence; made on {minute(figures.made_at)}.",
        ),
        _heading("一、部门排名", "Ranking of departments"),
        _ranking(figures.performance),
        _heading("二、各月公布得分", "Published scores by month"),
        _months(figures.months, names),
        _heading("三、责任认定", "Findings"),
        _findings(figures.findings),
        _heading("四、申请流程", "Ways of requests"),
        *_ways(figures.ways),
        _heading("五、共享成效", "Benefit"),
        *_benefit(figures.benefit, names, figures.titles),
    ]
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"{year} 年政务数据共享年度报告",
        author="打通 Datong",
        lang="zh-CN",
        invariant=1,
    )

    def footer(canvas: Canvas, _: SimpleDocTemplate) -> None:
        canvas.setFont(FONT, 8)
        canvas.drawRightString(A4[0] - MARGIN, 11 * mm, f"{year} · {canvas.getPageNumber()}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return written.getvalue()


def _ranking(performance: Performance) -> Flowable:
    rows = [
        (
            "—" if line.rank is None else str(line.rank),
            _both(line.name),
            _score(line.score),
            *(_score(line.groups.get(group)) for group in _groups(performance)),
            f"{line.points / 100:.1f}",
        )
        for line in performance.departments
    ]
    groups = [f"{_GROUPS[group].zh}|{_GROUPS[group].en}" for group in _groups(performance)]
    return _table(("#", "部门|Department", "得分|Score", *groups, "扣分|Points"), rows, widths=(20, 125))


def _groups(performance: Performance) -> list[IndicatorGroup]:
    return list(dict.fromkeys(definition.group for definition in performance.definitions))


def _months(
    months: Mapping[int, Mapping[DepartmentCode, float | None]], names: Mapping[DepartmentCode, Text]
) -> Flowable:
    if not months:
        return _line("本年没有公布的月份。", "No month of this year was published.")
    shown = sorted(months)
    rows = [(_both(name), *(_score(months[month].get(code)) for month in shown)) for code, name in names.items()]
    return _table(("部门|Department", *(f"{month}" for month in shown)), rows, widths=(130,))


def _findings(findings: Mapping[DutyKind, tuple[int, int]]) -> Flowable:
    if not findings:
        return _line("本年没有责任认定。", "There are no findings of this year.")
    rows = [
        (_both(RULES[kind].name), f"{RULES[kind].clause.article}", f"{count:,}", f"{points / 100:,.1f}")
        for kind, (count, points) in sorted(findings.items(), key=lambda one: -one[1][1])
    ]
    return _table(("类别|Kind", "条|Art.", "件数|Number", "扣分|Points"), rows, widths=(170,))


def _ways(ways: FlowMap) -> Sequence[Flowable]:
    rows = [
        (
            f"{_both(STEP_NAMES[edge.before])} → {_both(STEP_NAMES[edge.step])}",
            f"{edge.requests:,}",
            f"{edge.median_seconds / DAY_SECONDS:.1f}",
            f"{edge.ninetieth_seconds / DAY_SECONDS:.1f}",
        )
        for edge in ways.edges
    ]
    told = _line(
        f"申请 {ways.requests:,} 件，送达数据 {ways.delivered:,} 件，有过退回 {ways.turned_back:,} 件；"
        "等待以工作日计。",
        f"{ways.requests:,} requests, {ways.delivered:,} with data delivered, {ways.turned_back:,} turned back at "
        "least once; waits in working days.",
    )
    head = ("步骤|Step", "件数|Requests", "中位数|Median", "九成以内|90th")
    return [told, _table(head, rows, widths=(250,))] if rows else [told]


def _benefit(
    benefit: Benefit, names: Mapping[DepartmentCode, Text], titles: Mapping[ResourceId, Text]
) -> Sequence[Flowable]:
    total, factors = benefit.total, benefit.factors
    of_departments = [
        (
            _both(names.get(one.department)) or one.department,
            f"{one.cases:,}",
            f"{one.documents:,}",
            f"{one.trips:,}",
            f"{one.collections_avoided:,}",
            f"{one.hours:,}",
            f"{one.yuan:,}",
        )
        for one in benefit.departments
    ]
    of_resources = [
        (
            _both(titles.get(one.resource_id)) or one.resource_id,
            f"{one.consumers}",
            f"{one.calls:,}",
            f"{one.rows:,}",
        )
        for one in benefit.resources
    ]
    found: list[Flowable] = [
        _line(
            f"办件 {total.cases:,} 件，免交材料 {total.documents:,} 份（{total.sheets:,} 张），"
            f"减少跑动 {total.trips:,} 次，免重复采集每年 {total.collections_avoided:,} 项次；"
            f"折合 {total.hours:,} 小时、{total.yuan:,} 元。",
            f"{total.cases:,} cases; spared: {total.documents:,} documents ({total.sheets:,} sheets), "
            f"{total.trips:,} trips, {total.collections_avoided:,} values a year that need not be collected "
            f"again; {total.hours:,} hours and "
            f"{total.yuan:,} yuan.",
        ),
        _line(
            f"折算：每次跑动 {factors.hours_per_trip:g} 小时，每份材料 {factors.hours_per_document:g} 小时，每小时 "
            f"{factors.yuan_per_hour:g} 元，每张 {factors.yuan_per_sheet:g} 元。",
            f"Factors: {factors.hours_per_trip:g} h a trip, {factors.hours_per_document:g} h a document, "
            f"{factors.yuan_per_hour:g} yuan an hour, {factors.yuan_per_sheet:g} yuan a sheet.",
        ),
    ]
    if of_departments:
        head = (
            "部门|Department",
            "办件|Cases",
            "材料|Documents",
            "跑动|Trips",
            "免采集|Not collected",
            "小时|h",
            "元|¥",
        )
        found.append(_table(head, of_departments, widths=(150,)))
    if of_resources:
        found.append(_heading("资源使用", "Use of resources"))
        used = ("资源|Resource", "部门|Users", "调用|Calls", "行|Rows")
        found.append(_table(used, of_resources, widths=(250,)))
    return found


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, widths: tuple[float, ...]) -> Flowable:
    """Return a table; `widths` are those of its first columns, in points, the others share what is left."""
    rest = (WIDTH - sum(widths)) / max(1, len(head) - len(widths))
    cells = [[Paragraph(escape(cell).replace("|", "<br/>"), HEAD) for cell in head]]
    cells += [[Paragraph(escape(cell), CELL) for cell in row] for row in rows[:ROWS_SHOWN_MAX]]
    columns = [*widths, *[rest] * (len(head) - len(widths))]
    return Table(cells, colWidths=columns, repeatRows=1, style=_GRID)


def _heading(zh: str, en: str) -> Flowable:
    return Paragraph(f"{escape(zh)}　{escape(en)}", HEADING)


def _line(zh: str, en: str) -> Flowable:
    return Paragraph(f"{escape(zh)}<br/>{escape(en)}", BODY)


def _both(text: Text | None) -> str:
    return "" if text is None else f"{text.zh} {text.en}"


def _score(score: float | None) -> str:
    return "—" if score is None else f"{score:.1f}"
