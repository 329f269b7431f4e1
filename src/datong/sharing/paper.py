"""The agreement on paper: a PDF in Chinese with a verification code on every page, the same bytes for the same terms.

The text is set in STSong-Light, one of the Chinese fonts that PDF readers bring along (ADR 0130), so neither a font
file nor a browser is needed where the hub runs.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus.doctemplate import SimpleDocTemplate
from reportlab.platypus.flowables import Flowable, Spacer
from reportlab.platypus.paragraph import Paragraph
from reportlab.platypus.tables import Table, TableStyle

from datong.catalogue import Department
from datong.kernel import CHINA, DepartmentCode
from datong.sharing.obligations import AgreementSide
from datong.sharing.paper_codes import shown_code
from datong.sharing.quotas import QuotaWindow
from datong.sharing.row_filters import RowCondition
from datong.sharing.terms import Agreement, PartySignature

FONT = "STSong-Light"
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN - 12
"""The frame pads its text by six points on either side."""
QR_SIDE = 28 * mm
DAY_SHOWN = "%Y年%m月%d日"
TIME_SHOWN = "%Y年%m月%d日 %H:%M:%S"
pdfmetrics.registerFont(UnicodeCIDFont(FONT))

TITLE = ParagraphStyle("title", fontName=FONT, fontSize=20, leading=28, alignment=1, spaceAfter=4 * mm)
HEADING = ParagraphStyle("heading", fontName=FONT, fontSize=12.5, leading=18, spaceBefore=5 * mm, spaceAfter=1.5 * mm)
BODY = ParagraphStyle("body", fontName=FONT, fontSize=10.5, leading=16, wordWrap="CJK")
SMALL = ParagraphStyle("small", parent=BODY, fontSize=8.5, leading=12)
_GRID = TableStyle(
    [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.HexColor("#9aa5b1")),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eef2f6")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
)


def agreement_pdf(agreement: Agreement, *, provider: Department, consumer: Department, check_address: str) -> bytes:
    """Return the agreement as PDF; `check_address` is the page on which its code can be checked."""
    names = {provider.code: provider.name.zh, consumer.code: consumer.name.zh}
    story: list[Flowable] = [
        Paragraph("政务数据共享协议", TITLE),
        *_head(agreement, check_address),
        _heading("一、协议双方"),
        _line(f"提供部门：{provider.name.zh}（统一社会信用代码 {provider.code}）"),
        _line(f"需求部门：{consumer.name.zh}（统一社会信用代码 {consumer.code}）"),
        _heading("二、共享的数据"),
        _line(f"资源：《{agreement.resource_title.zh}》，第 {agreement.resource_version} 版"),
        *_rows(agreement),
        _items(agreement),
        _heading("三、用途"),
        *_purpose(agreement),
        _heading("四、服务水平"),
        *_levels(agreement),
        *_obligations(agreement),
        _heading("六、责任分担"),
        _line(_liability(agreement)),
        _heading("七、状态与签署"),
        *_signatures(agreement, names),
    ]
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"政务数据共享协议 {agreement.id}",
        author="打通 Datong",
        subject=agreement.resource_title.zh,
        lang="zh-CN",
        # Neither dates nor random ids: the same terms and signatures give the same bytes.
        invariant=1,
    )

    def footer(canvas: Canvas, _: SimpleDocTemplate) -> None:
        canvas.setFont(FONT, 8)
        canvas.drawString(
            MARGIN, 11 * mm, f"协议 {agreement.id} · 第 {agreement.version} 版 · 验证码 {_code(agreement)}"
        )
        canvas.drawRightString(A4[0] - MARGIN, 11 * mm, f"第 {canvas.getPageNumber()} 页")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return written.getvalue()


def _head(agreement: Agreement, check_address: str) -> Sequence[Flowable]:
    qr = QrCodeWidget(f"{check_address}?code={agreement.code}")
    left, bottom, right, top = qr.getBounds()
    scale = QR_SIDE / max(right - left, top - bottom)
    drawing = Drawing(QR_SIDE, QR_SIDE, transform=[scale, 0, 0, scale, 0, 0])
    drawing.add(qr)
    facts = [
        _line(f"协议编号：{agreement.id}"),
        _line(f"版本：第 {agreement.version} 版　　状态：{agreement.state.label.zh}"),
        _line(f"有效期：{_time(agreement.valid_from)} 起，至 {_time(agreement.valid_until)} 止"),
        _line(f"验证码：{_code(agreement)}"),
        Paragraph(escape(f"核验：扫描右侧二维码，或访问 {check_address} 输入验证码。"), SMALL),
        Paragraph(f"条款摘要（SHA-256）：{agreement.terms_digest}", SMALL),
    ]
    table = Table([[facts, drawing]], colWidths=[WIDTH - QR_SIDE - 4 * mm, QR_SIDE + 4 * mm])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)]))
    return [table]


def _rows(agreement: Agreement) -> Sequence[Flowable]:
    if not agreement.row_filter:
        return [_line("数据行：全部。")]
    said = "；".join(_condition(agreement, condition) for condition in agreement.row_filter)
    return [_line(f"数据行：仅限同时满足以下条件的行——{said}。")]


def _condition(agreement: Agreement, condition: RowCondition) -> str:
    item = agreement.item(condition.column)
    name = item.name.zh if item is not None else condition.column
    return f"{name} {condition.operator.label.zh} {'、'.join(condition.values)}"


def _items(agreement: Agreement) -> Flowable:
    rows = [[Paragraph(text, SMALL) for text in ("序号", "信息项", "字段", "分级", "展示时脱敏")]]
    rows += [
        [
            Paragraph(escape(text), SMALL)
            for text in (
                str(number),
                item.name.zh + ("（主键）" if item.key else ""),
                item.column,
                item.grade,
                item.mask.label.zh,
            )
        ]
        for number, item in enumerate(agreement.items, 1)
    ]
    shares = (0.08, 0.34, 0.26, 0.08, 0.24)
    table = Table(rows, colWidths=[WIDTH * share for share in shares], repeatRows=1, spaceBefore=2 * mm)
    table.setStyle(_GRID)
    return table


def _purpose(agreement: Agreement) -> Sequence[Flowable]:
    purpose = agreement.purpose
    modes = "、".join(mode.label.zh for mode in purpose.modes)
    return [
        _line(f"使用依据：{purpose.legal_basis}"),
        _line(f"使用场景：{purpose.scene}"),
        _line(f"使用范围：{purpose.scope}"),
        _line(f"服务事项：{purpose.service_item}　　共享方式：{modes}"),
        *(
            [_line(f"告知时间：依法在每次使用 {purpose.told_after_days} 天后告知本人。")]
            if purpose.told_after_days
            else []
        ),
        *([_line("使用条件：每次使用须经本人同意，同意撤回后不得使用。")] if purpose.consent else []),
    ]


def _levels(agreement: Agreement) -> Sequence[Flowable]:
    levels = agreement.levels
    due = agreement.provide_due_at.astimezone(CHINA).strftime(DAY_SHOWN)
    return [
        _line(f"提供期限：同意后 {levels.provide_within_working_days} 个工作日内，不迟于 {due}。"),
        _line(
            f"鲜度：{levels.freshness_hours} 小时内；响应：95% 的调用在 {levels.latency_ms_p95} 毫秒内；"
            f"可用率不低于 {levels.availability_permille / 10:.1f}%；"
            f"完整率不低于 {levels.completeness_permille / 10:.1f}%。"
        ),
        *_calls(agreement),
    ]


def _calls(agreement: Agreement) -> Sequence[Flowable]:
    quota = agreement.calls
    if quota is None:
        return []
    limits = "，".join(f"每{_WINDOWS[window]}不超过 {limit} 次" for window, limit in quota.limits())
    return [_line(f"网关调用：{limits}。")]


_WINDOWS = {QuotaWindow.MINUTE: "分钟", QuotaWindow.DAY: "日"}


def _obligations(agreement: Agreement) -> Sequence[Flowable]:
    story: list[Flowable] = [_heading("五、双方义务")]
    for side in AgreementSide:
        story.append(_line(f"{side.label.zh}："))
        owed = agreement.owed_by(side)
        story += [_line(f"（{number}）{one.label.zh}") for number, one in enumerate(owed, 1)]
        if not owed:
            story.append(_line("按《政务数据共享条例》履行。"))
    return story


def _liability(agreement: Agreement) -> str:
    weights = agreement.liability
    return (
        "双方均有过错且证据不足以区分的，按以下比例承担："
        f"提供部门 {weights.provider_permille / 10:.1f}%，需求部门 {weights.consumer_permille / 10:.1f}%，"
        f"平台 {weights.platform_permille / 10:.1f}%。"
    )


def _signatures(agreement: Agreement, names: Mapping[DepartmentCode, str]) -> Sequence[Flowable]:
    signed = {done.department: done for done in agreement.signatures}
    story: list[Flowable] = [
        _line(f"{names[party]}：{_signature(signed.get(party))}") for party in dict.fromkeys(agreement.parties)
    ]
    if agreement.state_reason:
        story.append(_line(f"{agreement.state.label.zh}理由：{agreement.state_reason}"))
    story.append(Spacer(1, 3 * mm))
    story.append(Paragraph("本协议以电子签名生效；纸面内容以平台存证日志中同一摘要的条款为准，可凭验证码核验。", SMALL))
    return story


def _signature(signed: PartySignature | None) -> str:
    if signed is None:
        return "尚未签署"
    return f"已用部门密钥 {signed.key_id} 于 {_time(signed.at)} 签署（Ed25519）"


def _time(at: datetime) -> str:
    return at.astimezone(CHINA).strftime(TIME_SHOWN)


def _code(agreement: Agreement) -> str:
    return shown_code(agreement.code)


def _heading(text: str) -> Flowable:
    return Paragraph(text, HEADING)


def _line(text: str) -> Flowable:
    return Paragraph(escape(text).replace("\n", "<br/>"), BODY)
