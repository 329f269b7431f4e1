"""Definitions of libraries: which are in force, and adding one from a file, with its plan first."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import Text
from datong.library import DEFINITION_CHARS_MAX, DefinitionPlan, LibraryKind
from datong.sharing import Action
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

KIND_NAMES = {
    LibraryKind.LINKED: Text(zh="统计关联", en="linked"),
    LibraryKind.KEYED: Text(zh="按键关联", en="by keys"),
    LibraryKind.REFERENCE: Text(zh="代码参照", en="reference"),
    LibraryKind.GRAPH: Text(zh="图谱", en="graph"),
    LibraryKind.DERIVED: Text(zh="派生", en="derived"),
}
DefinitionForm = Annotated[str, Form(max_length=DEFINITION_CHARS_MAX)]


@router.get("/library/definitions")
def list_definitions(desk: SignedIn) -> Response:
    """Show the definitions in force and, to those who may, the form for a new one."""
    desk.require(Action.LIBRARY_READ)
    return _page(desk, text="", plan=None)


@router.post("/library/definitions/plan")
def plan(desk: SignedIn, text: DefinitionForm = "") -> Response:
    """Show what the definition would change, and every problem it has."""
    desk.require(Action.LIBRARY_DEFINE)
    return _page(desk, text=text, plan=desk.services.library.defining.plan(text))


@router.post("/library/definitions")
def define(desk: SignedIn, text: DefinitionForm = "") -> Response:
    """Put the definition in force; with problems, show them instead."""
    desk.require(Action.LIBRARY_DEFINE)
    defining = desk.services.library.defining
    found = defining.plan(text)
    if found.problems:
        return _page(desk, text=text, plan=found)
    defining.define(text, actor=desk.caller.actor)
    return desk.go("/library/definitions", done="definition")


def _page(desk: Desk, *, text: str, plan: DefinitionPlan | None) -> Response:
    library = desk.services.library
    return desk.page(
        "library/definitions.html",
        definitions=library.definitions(),
        stored=library.defining.stored(),
        titles={known.name: known.title for known in library.definitions()},
        kinds=KIND_NAMES,
        may_define=desk.may(Action.LIBRARY_DEFINE),
        text=text,
        plan=plan,
    )
