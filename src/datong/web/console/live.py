"""Live service interfaces: which resources are answered by their node, whether they work now, and offering one."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.catalogue import Resource, ResourceState
from datong.kernel import DatongError, DepartmentCode, Invalid, ResourceId, Text, Value
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.sharing import Action, LiveService, LiveTerms
from datong.web.api.live import LiveOffer, offer_live_service
from datong.web.api.scope import concerning
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class LiveLine(Value):
    """A live service in the list; `may_end`: the reader may end it."""

    service: LiveService
    title: Text
    may_end: bool


@router.get("/live")
def list_live(desk: SignedIn) -> Response:
    """List the live services with their present health, and what else the reader's department may offer."""
    return _list(desk, LiveTerms(), None)


@router.post("/live")
async def offer(desk: SignedIn) -> Response:
    """Have a resource answered live, or show what is wrong."""
    given = {name: str(value) for name, value in (await desk.request.form()).items()}
    resource_id = ResourceId(given.pop("resource_id", ""))
    try:
        terms = LiveTerms.model_validate(given)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        wrong = Invalid(
            "web.live_terms",
            what=Text(zh="接口参数超出允许范围。", en="A term of the interface is out of its range."),
            remedy=Text(zh="请按各栏提示的范围填写。", en="Keep to the range that stands beside each field."),
            field=f"/terms/{field}",
        )
        return _list(desk, LiveTerms(), wrong)
    try:
        offer_live_service(resource_id, LiveOffer(terms=terms), desk.caller, desk.services)
    except DatongError as error:
        return _list(desk, terms, error)
    return desk.go("/live", done="live")


@router.post("/live/end")
def end(desk: SignedIn, resource_id: Annotated[ResourceId, Form()]) -> Response:
    """Have a resource no longer answered live."""
    offer_live_service(resource_id, LiveOffer(terms=None), desk.caller, desk.services)
    return desk.go("/live", done="live_ended")


def _list(desk: Desk, terms: LiveTerms, wrong: DatongError | None) -> Response:
    desk.require(Action.RESOURCE_READ)
    lines = [
        LiveLine(
            service=service,
            title=desk.resource_title(service.resource_id),
            may_end=desk.may(Action.LIVE_OFFER, concerning(_department(desk, service))),
        )
        for service in desk.services.live.all()
    ]
    found = None if wrong is None else problem_of(wrong)
    return desk.page(
        "live/list.html",
        status=200 if found is None else found.status,
        lines=lines,
        choices=_choices(desk, {line.service.resource_id for line in lines}),
        terms=terms,
        found=found,
    )


def _department(desk: Desk, service: LiveService) -> DepartmentCode:
    return desk.services.catalogue.published(service.resource_id).department


def _choices(desk: Desk, offered: set[ResourceId]) -> list[Resource]:
    """Return the bound resources that the reader may offer."""
    department = desk.caller.actor.department
    if department is None or not desk.may(Action.LIVE_OFFER, concerning(department)):
        return []
    page = desk.services.catalogue.find(department=department, state=ResourceState.PUBLISHED, limit=PAGE_ROWS_MAX)
    return [one for one in page.rows if one.content.binding is not None and one.id not in offered]
