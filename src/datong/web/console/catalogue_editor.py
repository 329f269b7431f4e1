"""The page on which a draft is edited, and the new draft."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData

from datong.catalogue import (
    FieldComment,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceStep,
    assess,
    content_digest,
    content_problems,
    field_name,
)
from datong.kernel import Conflict, ResourceId, Text
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX
from datong.sharing import Action, Target
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.editing import (
    BLANK_ROWS,
    ITEM_INPUTS,
    Typed,
    comments_by_input,
    content_from,
    gaps_with_inputs,
    groups_of,
    item_numbers,
    name_of_pointer,
    set_all,
    typed_from,
    typed_in,
)
from datong.web.routing import unlisted_routes

router = unlisted_routes()

# Each item has about 18 inputs.
FORM_FIELDS_MAX = 20 * ITEMS_PER_RESOURCE_MAX


async def sent_form(request: Request) -> FormData:
    """Return the form that was sent, with as many fields as the largest resource needs."""
    return await request.form(max_fields=FORM_FIELDS_MAX, max_files=0)


SentForm = Annotated[FormData, Depends(sent_form)]


@router.post("/catalogue/new")
def new_resource(desk: SignedIn) -> Response:
    """Make an empty draft of the own department and open it."""
    department = desk.caller.department
    target = Target.of_department(department) if department is not None else None
    desk.require(Action.RESOURCE_DRAFT, target)
    content = ResourceContent(title=Text(zh="未命名资源", en="Untitled"))
    made = desk.services.catalogue.draft(department, content, desk.caller.actor) if department is not None else None
    return desk.go(f"/catalogue/{made.id}/edit" if made is not None else "/catalogue/work")


@router.get("/catalogue/{resource_id}/edit")
def edit_page(desk: SignedIn, resource_id: ResourceId) -> Response:
    """Show a draft as a form."""
    resource = _editable(desk, resource_id)
    typed = typed_from(resource.content, desk.services.pack)
    return _page(desk, resource, typed, content_digest(resource.content))


@router.post("/catalogue/{resource_id}/edit")
def save(desk: SignedIn, resource_id: ResourceId, form: SentForm) -> Response:
    """Save what was typed, if it can be read and nobody has saved something else meanwhile."""
    resource = _editable(desk, resource_id)
    typed, pack = typed_in(form), desk.services.pack
    act, digest = _one(typed, "act"), _one(typed, "expected_digest")
    version = _one(typed, "expected_version")
    if act == "bulk":
        typed = set_all(typed, {name: _one(typed, f"bulk.{name}") for name in ("share_type", "grade")})
    content, wrong = content_from(typed, resource.content, pack)
    if content is None:
        if act == "autosave":
            return JSONResponse({"state": "wrong"})
        return _page(desk, resource, typed, digest, wrong=wrong)
    try:
        saved = desk.services.catalogue.edit(
            resource_id,
            content,
            desk.caller.actor,
            int(version) if version.isascii() and version.isdecimal() else resource.version,
            expected_digest=digest,
        )
    except Conflict as conflict:
        if act == "autosave":
            return JSONResponse({"state": "conflict"})
        return _page(desk, resource, typed, content_digest(resource.content), conflict=conflict)
    now = content_digest(saved.content)
    if act == "autosave":
        return JSONResponse({"state": "saved", "digest": now})
    blank = BLANK_ROWS if act == "add" else 0
    return _page(desk, saved, typed_from(saved.content, pack), now, saved=True, blank=blank)


def _editable(desk: Desk, resource_id: ResourceId) -> Resource:
    resource = desk.services.catalogue.get(resource_id)
    desk.require(Action.RESOURCE_EDIT, Target.of_department(resource.department, name=resource.id))
    return resource


def _last_review(desk: Desk, resource: Resource) -> ResourceStep | None:
    """Return the return or rejection that the officer still has to answer, until the entry is submitted again."""
    for done in reversed(desk.services.catalogue.steps(resource.id)):
        if done.action in (ResourceAction.RETURN, ResourceAction.REJECT):
            return done
        if done.action in (ResourceAction.SUBMIT, ResourceAction.PUBLISH):
            return None
    return None


def _name_of(comment: FieldComment, content: ResourceContent) -> Text:
    """Return what a comment is about; an item by its column, because its place may have changed."""
    place = next((place for place, item in enumerate(content.items) if item.column == comment.column), None)
    if not comment.column or place is None:
        return Text(zh=comment.column, en=comment.column) if comment.column else field_name(comment.field, content)
    rest = comment.field.split("/")[3:]
    return field_name("/".join(["/items", str(place), *rest]), content)


def _one(typed: Typed, name: str) -> str:
    return (typed.get(name) or [""])[-1]


def _page(
    desk: Desk,
    resource: Resource,
    typed: Typed,
    digest: str,
    *,
    wrong: dict[str, Text] | None = None,
    conflict: Conflict | None = None,
    saved: bool = False,
    blank: int = 0,
) -> Response:
    pack = desk.services.pack
    problems = [(name_of_pointer(pointer), text) for pointer, text in content_problems(resource.content, pack)]
    shown = wrong or ({} if conflict else dict(problems))
    numbers = item_numbers(typed)
    start = max(numbers, default=-1) + 1
    blank = blank or (0 if numbers else BLANK_ROWS)
    fresh = list(range(start, start + blank))
    opened = {int(name.split(".")[1]) for name in shown if name.startswith("items.") and name.split(".")[1].isdecimal()}
    quality = assess(resource.content, pack)
    review = _last_review(desk, resource)
    said = {} if review is None else comments_by_input(review.comments, typed)
    opened |= {int(name.split(".")[1]) for name in said if name.startswith("items.")}
    return desk.page(
        "catalogue/edit.html",
        resource=resource,
        review=review,
        said=said,
        remark_name=lambda comment: _name_of(comment, resource.content),
        typed=typed,
        digest=digest,
        wrong=shown,
        conflict=conflict,
        saved=saved,
        problems=problems,
        quality=quality,
        gaps=gaps_with_inputs(quality.missing, pack),
        groups=groups_of(pack),
        item_inputs=ITEM_INPUTS,
        numbers=[*numbers, *fresh],
        opened=opened | set(fresh[:1]),
        elements=pack.elements,
    )
