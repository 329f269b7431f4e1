"""The norms: data elements and who uses them, code lists, classes, limits, grades, local changes, standardisation."""

from collections.abc import Sequence

from fastapi.responses import Response

from datong.catalogue import holdings_of
from datong.kernel import Text, Value, page_of
from datong.norms import (
    Classification,
    DataElement,
    IndicatorGroup,
    Severity,
    find_elements,
)
from datong.sharing import Action
from datong.web.api.norms import (
    DepartmentStandard,
    department_standards,
    element_view,
    local_changes,
    pack_view,
)
from datong.web.console import charts
from datong.web.console.charts import Chart
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class Tab(Value):
    """One of the pages about norms."""

    path: str
    name: Text


TABS = (
    Tab(path="/norms", name=Text(zh="数据元", en="Data elements")),
    Tab(path="/norms/lists", name=Text(zh="代码表", en="Code lists")),
    Tab(path="/norms/classes", name=Text(zh="资源分类", en="Classification")),
    Tab(path="/norms/rules", name=Text(zh="时限与分级", en="Limits and grades")),
    Tab(path="/norms/changes", name=Text(zh="本地变化", en="Local changes")),
    Tab(path="/norms/standardisation", name=Text(zh="标准化程度", en="Standardisation")),
)


class ClassNode(Value):
    """A class of the resource classification with what lies under it."""

    known: Classification
    below: tuple["ClassNode", ...]


def class_tree(classes: Sequence[Classification]) -> tuple[ClassNode, ...]:
    """Return the classification as a tree, by code."""
    below: dict[str | None, list[Classification]] = {}
    for known in sorted(classes, key=lambda one: one.code):
        below.setdefault(known.parent, []).append(known)

    def grow(parent: str | None) -> tuple[ClassNode, ...]:
        return tuple(ClassNode(known=known, below=grow(known.code)) for known in below.get(parent, ()))

    return grow(None)


@router.get("/norms")
def list_elements(desk: SignedIn, offset: Offset, q: str = "", domain: str = "") -> Response:
    """Search the data elements; show the layers of the pack in force."""
    desk.require(Action.NORM_READ)
    pack = desk.services.pack
    found = find_elements(pack, q, domain=domain)
    counts: dict[str, int] = {}
    for element in pack.elements:
        counts[element.domain] = counts.get(element.domain, 0) + 1
    return desk.page(
        "norms/elements.html",
        tabs=TABS,
        view=pack_view(desk.services),
        page=page_of(found[offset : offset + PAGE_ROWS], total=len(found), offset=offset),
        domains=[(theme, counts[theme.key]) for theme in pack.themes if counts.get(theme.key)],
        q=q,
        domain=domain,
        offset=offset,
        step=PAGE_ROWS,
    )


@router.get("/norms/elements/{code}")
def show_element(desk: SignedIn, code: str, offset: Offset = 0) -> Response:
    """Show a data element: what it means, where its values come from, its codes, and which resources use it."""
    desk.require(Action.NORM_READ)
    pack = desk.services.pack
    view = element_view(desk.services, code)
    uses = holdings_of(desk.services.database, code, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "norms/element.html",
        tabs=TABS,
        view=view,
        element=view.element,
        category=pack.data_category(view.element.category) if view.element.category else None,
        theme=next((theme for theme in pack.themes if theme.key == view.element.domain), None),
        identifier=next((known for known in pack.identifiers if known.key == view.element.identifier), None),
        uses=uses,
        offset=offset,
        step=PAGE_ROWS,
    )


@router.get("/norms/lists")
def list_code_lists(desk: SignedIn) -> Response:
    """Show every code list and the elements that use it."""
    desk.require(Action.NORM_READ)
    pack = desk.services.pack
    users: dict[str, list[DataElement]] = {}
    for element in pack.elements:
        if element.code_list is not None:
            users.setdefault(element.code_list, []).append(element)
    return desk.page("norms/lists.html", tabs=TABS, lists=pack.code_lists, users=users)


@router.get("/norms/lists/{key}")
def show_code_list(desk: SignedIn, key: str) -> Response:
    """Show the codes of one list."""
    desk.require(Action.NORM_READ)
    pack = desk.services.pack
    users = [element for element in pack.elements if element.code_list == key]
    return desk.page("norms/list.html", tabs=TABS, codes=pack.code_list(key), users=users)


@router.get("/norms/classes")
def show_classes(desk: SignedIn) -> Response:
    """Show the resource classification and the data categories."""
    desk.require(Action.NORM_READ)
    pack = desk.services.pack
    return desk.page(
        "norms/classes.html",
        tabs=TABS,
        tree=class_tree(pack.classifications),
        categories=pack.data_categories,
        pack=pack,
    )


@router.get("/norms/rules")
def show_rules(desk: SignedIn) -> Response:
    """Show time limits, security grades, identifiers and licences."""
    desk.require(Action.NORM_READ)
    return desk.page("norms/rules.html", tabs=TABS, pack=desk.services.pack)


@router.get("/norms/changes")
def show_changes(desk: SignedIn) -> Response:
    """Show what the local layers change in the national pack, the gravest first."""
    desk.require(Action.NORM_READ)
    found = local_changes(desk.services)
    return desk.page(
        "norms/changes.html",
        tabs=TABS,
        found=found,
        view=pack_view(desk.services),
        counts=[(severity, len(found.of(severity))) for severity in Severity],
    )


@router.get("/norms/standardisation")
def show_standardisation(desk: SignedIn) -> Response:
    """Show how far every department's catalogue agrees with the norms."""
    desk.require(Action.INDICATOR_READ)
    lines = department_standards(desk.services)
    definitions = [known for known in desk.services.pack.indicators if known.group is IndicatorGroup.STANDARDISATION]
    return desk.page(
        "norms/standardisation.html",
        tabs=TABS,
        lines=lines,
        definitions=definitions,
        chart=_chart(desk, lines),
        weights=desk.services.pack.scoring,
    )


def _chart(desk: Desk, lines: Sequence[DepartmentStandard]) -> Chart | None:
    scored = [line for line in lines if line.score is not None]
    if not scored:
        return None
    t = desk.speech.t
    return charts.bars(
        "standardisation",
        t("各部门标准化程度得分", "Score of standardisation, by department"),
        names=[desk.department_name(line.department) for line in scored],
        values=[round(line.score or 0, 1) for line in scored],
        header=(t("部门", "Department"), t("得分", "Score")),
    )
