"""The simulator: who could see a column on a day, and why a chosen caller may or may not."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from datong.catalogue import ResourceState
from datong.kernel import DatongError, DepartmentCode, ResourceId
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_MAX
from datong.norms import ShareMode
from datong.sharing import Action, SimulatedCall, Target
from datong.web.api.simulations import require_simulation
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.requests import end_of, start_of
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()
Words = Annotated[str, Query(max_length=NAME_CHARS_MAX)]


@router.get("/simulator")
def simulate(
    desk: SignedIn,
    resource: Words = "",
    column: Words = "",
    day: Annotated[str, Query(max_length=10)] = "",
    department: Words = "",
    mode: str = ShareMode.INTERFACE.value,
    purpose: Words = "",
    case_number: Words = "",
) -> Response:
    """Show who could see a column; with a department also whether a call of it would be let through."""
    own = desk.caller.department
    desk.require(Action.ACCESS_SIMULATE, Target() if own is None else Target.of_department(own))
    view, answer, found = None, None, None
    resource_id = ResourceId(resource)
    at = end_of(day) and start_of(day)
    try:
        chosen = desk.services.catalogue.published(resource_id) if resource else None
        if chosen is not None:
            require_simulation(desk.services, desk.caller, resource_id)
        if chosen is not None and column:
            view = desk.services.simulator.column(resource_id, column, at=at)
            if department:
                answer = desk.services.simulator.ask(
                    SimulatedCall(
                        resource_id=resource_id,
                        columns=(column,),
                        department=DepartmentCode(department),
                        mode=ShareMode(mode) if mode in set(ShareMode) else ShareMode.INTERFACE,
                        purpose=purpose,
                        case_number=case_number,
                        at=at,
                    )
                )
    except DatongError as error:
        chosen, found = None, problem_of(error)
    named = [verdict.agreement_id for verdict in answer.verdicts if verdict.agreement_id] if answer is not None else []
    return _page(
        desk,
        found,
        agreements={agreement_id: desk.services.agreements.get(agreement_id) for agreement_id in named},
        chosen=chosen,
        view=view,
        answer=answer,
        form={
            "resource": resource,
            "column": column,
            "day": day,
            "department": department,
            "mode": mode,
            "purpose": purpose,
            "case_number": case_number,
        },
    )


def _page(desk: Desk, found: Problem | None, **shown: object) -> Response:
    own = None if desk.may(Action.ACCESS_SIMULATE) else desk.caller.department
    resources = desk.services.catalogue.find(department=own, state=ResourceState.PUBLISHED, limit=PAGE_ROWS_MAX).rows
    return desk.page(
        "agreements/simulator.html",
        status=200 if found is None else found.status,
        found=found,
        resources=resources,
        modes=tuple(ShareMode),
        **shown,
    )
