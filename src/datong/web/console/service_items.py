"""Service items: what they ask of citizens although somebody holds it, what that costs, and how it ends."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import File, Form, UploadFile
from fastapi.responses import Response

from datong.catalogue import Progress, RepeatCollection, RepeatReport, ServiceAction, ServiceItem
from datong.catalogue.service_files import FILE_BYTES_MAX
from datong.kernel import DatongError, DepartmentCode, Text
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.api.service_items import FieldsAct, act_on_service_item, import_file
from datong.web.console.charts import Chart, bars, trend
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

BARS_MAX = 12
REPEATS_SHOWN = 50
PROGRESS_MONTHS_MIN = 3
ITEM_MARK = "/"


@router.get("/service-items")
def list_service_items(desk: SignedIn, offset: Offset, department: str = "") -> Response:
    """Show the burden of repeat collection, ranked, and the register."""
    return _list_page(desk, offset, department, None)


@router.post("/service-items/import")
def import_service_items(desk: SignedIn, file: Annotated[UploadFile, File()]) -> Response:
    """Register the service items of a file, or show what is wrong in which cell."""
    try:
        # One byte more than a file may have: the service then refuses it with its own words.
        import_file(desk.services, desk.caller, file.file.read(FILE_BYTES_MAX + 1))
    except DatongError as error:
        return _list_page(desk, 0, "", problem_of(error))
    return desk.go("/service-items", done="service_items")


@router.get("/service-items/{item_id}")
def show_service_item(desk: SignedIn, item_id: str) -> Response:
    """Show one service item: its fields, where each could come from, and what was done."""
    desk.require(Action.SERVICE_ITEM_READ)
    item = desk.services.service_items.get(item_id)
    repeats = {one.position: one for one in desk.services.service_items.repeats(item_id=item_id)}
    own = desk.caller.department == item.department
    return desk.page(
        "service_items/item.html",
        item=item,
        repeats=repeats,
        requests={
            position: _request_address(item, one)
            for position, one in repeats.items()
            if one.resource_id and not one.own
        },
        steps=desk.services.service_items.steps(item_id),
        may_edit=not item.retired and desk.may(Action.SERVICE_ITEM_EDIT, Target.of_department(item.department)),
        may_handle=not item.retired
        and desk.may(Action.SERVICE_CASE_HANDLE, Target.of_department(item.department, name=item.id)),
        may_trace=desk.may(Action.CORRECTION_READ)
        or desk.may(Action.CORRECTION_READ, Target(id=item.id, consumer=item.department)),
        benefit=desk.services.service_cases.benefit(item_id=item.id).total,
        may_request=own and desk.may(Action.REQUEST_SUBMIT, Target(id="new", consumer=item.department)),
        acts=(ServiceAction.SHARE, ServiceAction.KEEP, ServiceAction.ASK),
    )


@router.post("/service-items/{item_id}/actions")
def act(
    desk: SignedIn,
    item_id: str,
    action: Annotated[ServiceAction, Form()],
    positions: Annotated[list[int] | None, Form()] = None,
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Change how the item comes by some of its fields, or retire it."""
    body = FieldsAct(action=action, positions=tuple(positions or ()), reason=reason)
    act_on_service_item(item_id, body, desk.caller, desk.services)
    return desk.go(f"/service-items/{item_id}", done="service_item")


def _list_page(desk: Desk, offset: int, department: str, found: Problem | None) -> Response:
    desk.require(Action.SERVICE_ITEM_READ)
    scope = DepartmentCode(department[:NAME_CHARS_MAX]) if department else None
    report = desk.services.service_items.report(department=scope)
    own = desk.caller.department
    return desk.page(
        "service_items/list.html",
        status=200 if found is None else found.status,
        found=found,
        report=report,
        benefit=desk.services.service_cases.benefit(department=scope).total,
        repeats=report.repeats[:REPEATS_SHOWN],
        page=desk.services.service_items.find(department=scope, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        department=department,
        ranking=_ranking(desk, report),
        elements=_elements(desk, report),
        progress=_progress(desk, desk.services.service_items.progress()),
        may_import=own is not None and desk.may(Action.SERVICE_ITEM_EDIT, Target.of_department(own)),
    )


def _ranking(desk: Desk, report: RepeatReport) -> Chart | None:
    shown = report.departments[:BARS_MAX]
    if not shown:
        return None
    t = desk.speech.t
    return bars(
        "burden-departments",
        t("各部门一年重复收取（项次）", "Answers asked again in a year, by department"),
        names=[desk.department_name(one.department) for one in shown],
        values=[one.burden.answers for one in shown],
        header=(t("部门", "Department"), t("项次", "Answers")),
    )


def _elements(desk: Desk, report: RepeatReport) -> Chart | None:
    shown = report.elements[:BARS_MAX]
    if not shown:
        return None
    t = desk.speech.t
    return bars(
        "burden-elements",
        t("重复收取最多的数据元（项次）", "Data elements asked again most often"),
        names=[desk.element_name(one.element) for one in shown],
        values=[one.burden.answers for one in shown],
        header=(t("数据元", "Data element"), t("项次", "Answers")),
    )


def _progress(desk: Desk, months: tuple[Progress, ...]) -> Chart | None:
    """The fields by state over the months, from the first that had any."""
    first = next((place for place, one in enumerate(months) if one.asked + one.requested + one.shared + one.kept), None)
    if first is None:
        return None
    shown = months[min(first, len(months) - PROGRESS_MONTHS_MIN) :]
    t = desk.speech.t
    return trend(
        "progress",
        t("从收取到共享（字段数）", "From asking to sharing (fields)"),
        times=[one.month for one in shown],
        series={
            t("仍在收取", "still asked"): [one.asked for one in shown],
            t("已申请共享", "requested"): [one.requested for one in shown],
            t("已改为共享", "shared"): [one.shared for one in shown],
        },
        time_name=t("月份", "Month"),
        filled=False,
    )


def _request_address(item: ServiceItem, repeat: RepeatCollection) -> str:
    """The form of a request with everything filled in that the register knows."""
    scene = Text(
        zh=f"办理“{item.name.zh}”时代替群众填报“{repeat.field_name.zh}”",
        en=f'Instead of asking citizens for "{repeat.field_name.en}" in "{item.name.en}"',
    )
    known = {
        "resource": repeat.resource_id or "",
        "element": repeat.element,
        "service_item": item.code,
        "legal_basis": item.legal_basis,
        "scene": scene.zh,
    }
    return "/requests/new?" + urlencode({name: value for name, value in known.items() if value})
