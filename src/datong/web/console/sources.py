"""一数一源: who holds what several times over, how far the copies agree, and who is the source."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.catalogue import ColumnOverlap, ElementOverlaps, HeldByMany, HeldColumn
from datong.kernel import DepartmentCode, ResourceId
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Target
from datong.web.console.charts import Chart, heat
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

MATRIX_DEPARTMENTS_MAX = 20
MATRIX_COLUMNS_MAX = 16
CHOICE_MARK = "|"
ShortText = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
LongText = Annotated[str, Form(max_length=TEXT_CHARS_MAX)]


@router.get("/sources")
def show_sources(desk: SignedIn, show: str = "several") -> Response:
    """Show which elements several departments hold, and which of them have a source."""
    desk.require(Action.SOURCE_READ)
    found = desk.services.sources.overview()
    several = [one for one in found if len(one.departments) > 1]
    undecided = [one for one in several if not one.sources]
    rows = {"several": several, "undecided": undecided, "all": list(found)}.get(show, several)
    total = desk.services.service_items.report().total
    return desk.page(
        "sources/overview.html",
        rows=rows,
        show=show,
        several=len(several),
        undecided=len(undecided),
        decided=sum(bool(one.sources) for one in found),
        objections=sum(one.objections for one in found),
        burden=total,
        matrix=_department_matrix(desk, several),
        epochs=desk.services.sketch_keys.epochs(),
        may_end_epoch=desk.may(Action.SKETCH_END_EPOCH),
    )


@router.post("/sources/epoch")
def end_epoch(desk: SignedIn, reason: ShortText = "") -> Response:
    """End the sketch epoch: the nodes make a new secret and sketch anew."""
    desk.require(Action.SKETCH_END_EPOCH)
    desk.services.sketch_keys.end_epoch(desk.caller.actor, reason)
    return desk.go("/sources", done="epoch_ended")


@router.get("/sources/{element}")
def show_element(desk: SignedIn, element: str) -> Response:
    """Show the holders of one element, their overlaps, the candidates, and the history of its source."""
    desk.require(Action.SOURCE_READ)
    found = desk.services.sources.of_element(element)
    definition = desk.services.pack.element(element)
    own = desk.caller.department
    repeats = [one for one in desk.services.service_items.repeats() if one.element == element]
    return desk.page(
        "sources/element.html",
        definition=definition,
        found=found,
        holders=_numbered(found.overlaps),
        pairs=_pairs(found.overlaps),
        matrix=_column_matrix(desk, found.overlaps),
        repeats=repeats,
        mark=CHOICE_MARK,
        may_designate=desk.may(Action.SOURCE_DESIGNATE),
        may_object=own is not None and desk.may(Action.SOURCE_OBJECT, Target.of_department(own)),
        choices=tuple(desk.departments.values()),
    )


@router.post("/sources/{element}/designations")
def designate(
    desk: SignedIn,
    element: str,
    choice: ShortText,
    legal_basis: LongText = "",
    reason: LongText = "",
    scope: ShortText = "",
) -> Response:
    """Designate the source; `choice` is a department, or a department and its resource."""
    desk.require(Action.SOURCE_DESIGNATE)
    department, _, resource_id = choice.partition(CHOICE_MARK)
    desk.services.sources.designate(
        element=element,
        department=DepartmentCode(department),
        actor=desk.caller.actor,
        legal_basis=legal_basis,
        reason=reason,
        scope=scope,
        resource_id=ResourceId(resource_id) if resource_id else None,
    )
    return desk.go(f"/sources/{element}", done="source")


@router.post("/sources/{element}/withdrawal")
def withdraw(desk: SignedIn, element: str, source_id: ShortText, reason: LongText = "") -> Response:
    """Withdraw a designation."""
    desk.require(Action.SOURCE_DESIGNATE)
    desk.services.sources.withdraw(source_id, desk.caller.actor, reason)
    return desk.go(f"/sources/{element}", done="source")


@router.post("/sources/{element}/objections")
def raise_objection(desk: SignedIn, element: str, source_id: ShortText, reason: LongText = "") -> Response:
    """Object to a designation in the name of the caller's department."""
    own = desk.caller.department
    desk.require(Action.SOURCE_OBJECT, Target() if own is None else Target.of_department(own))
    desk.services.sources.object(source_id, desk.caller.actor, reason)
    return desk.go(f"/sources/{element}", done="objection")


@router.post("/sources/{element}/answers")
def answer(desk: SignedIn, element: str, objection_id: ShortText, outcome: ShortText, text: LongText = "") -> Response:
    """Answer an objection."""
    desk.require(Action.SOURCE_DESIGNATE)
    desk.services.sources.answer(objection_id, desk.caller.actor, uphold=outcome == "uphold", answer=text)
    return desk.go(f"/sources/{element}", done="objection_answered")


def _department_matrix(desk: Desk, several: list[HeldByMany]) -> Chart | None:
    """How many elements each two departments hold both; the departments with most in common."""
    counts: dict[tuple[str, str], int] = {}
    weight: dict[str, int] = {}
    for one in several:
        for left in one.departments:
            weight[left] = weight.get(left, 0) + len(one.departments) - 1
            for right in one.departments:
                if left != right:
                    counts[left, right] = counts.get((left, right), 0) + 1
    names = sorted(weight, key=lambda code: (-weight[code], code))[:MATRIX_DEPARTMENTS_MAX]
    if len(names) < 2:
        return None
    cells = {
        (x, y): float(counts[left, right])
        for y, left in enumerate(names)
        for x, right in enumerate(names)
        if (left, right) in counts
    }
    t = desk.speech.t
    shown = [desk.department_name(code) for code in names]
    return heat(
        "common",
        t("每两个部门都持有的数据元（个）", "Data elements that both departments hold"),
        across=shown,
        down=shown,
        cells=cells,
        corner=t("部门", "Department"),
        unit="",
    )


def _numbered(overlaps: ElementOverlaps) -> list[tuple[int, HeldColumn]]:
    return list(enumerate(overlaps.holders, start=1))


def _pairs(overlaps: ElementOverlaps) -> list[tuple[HeldColumn, HeldColumn, ColumnOverlap]]:
    """The pairs with their holders, those that share most first."""
    by_place = {(holder.resource_id, holder.column): holder for holder in overlaps.holders}
    found = [
        (by_place[pair.left, pair.left_column], by_place[pair.right, pair.right_column], pair)
        for pair in overlaps.pairs
        if (pair.left, pair.left_column) in by_place and (pair.right, pair.right_column) in by_place
    ]
    return sorted(found, key=lambda one: -_both(one[2]))


def _both(pair: ColumnOverlap) -> float:
    shown = pair.subjects or pair.values
    return 0.0 if shown is None else shown.both.value


def _column_matrix(desk: Desk, overlaps: ElementOverlaps) -> Chart | None:
    """What share of the row's values (or people) the column's holder has as well."""
    holders = overlaps.holders[:MATRIX_COLUMNS_MAX]
    places = {(holder.resource_id, holder.column): number for number, holder in enumerate(holders)}
    cells: dict[tuple[int, int], float] = {}
    for pair in overlaps.pairs:
        left, right = places.get((pair.left, pair.left_column)), places.get((pair.right, pair.right_column))
        shown = pair.subjects or pair.values
        if left is None or right is None or shown is None:
            continue
        cells[right, left] = round(shown.left_held.value * 100, 1)
        cells[left, right] = round(shown.right_held.value * 100, 1)
    if not cells:
        return None
    t = desk.speech.t
    names = [
        t("{number}. {name}", "{number}. {name}", number=number, name=desk.department_name(holder.department))
        for number, holder in enumerate(holders, start=1)
    ]
    return heat(
        "held",
        t("左侧部门的数据，上方部门也有的比例", "Share of the left one's data that the upper one holds as well"),
        across=names,
        down=names,
        cells=cells,
        corner=t("持有", "Holder"),
    )
