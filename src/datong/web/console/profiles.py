"""Shared tables on an agreement's page: what the table is called, and a profile for an application of the consumer."""

import json
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import AgreementId, NotFound, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.norms import ShareMode
from datong.sharing import PROFILE_DAYS_DEFAULT, PROFILE_DAYS_MAX, Action, Agreement, AgreementState, Application
from datong.web.api.scope import concerning, readable_agreement
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class TableOffer(Value):
    """What the consumer's staff need to read an agreement's table: its name, and their applications."""

    name: str
    applications: tuple[Application, ...]


def table_offer(desk: Desk, agreement: Agreement) -> TableOffer | None:
    """Return how the caller's department reads the agreement's table; None: it is not the caller's, or not in bulk."""
    if agreement.state is not AgreementState.ACTIVE or ShareMode.BULK not in agreement.purpose.modes:
        return None
    if not desk.may(Action.APPLICATION_CREATE, concerning(agreement.consumer)):
        return None
    name = desk.services.delta_shares.name_of(agreement)
    applications = desk.services.identity.applications(agreement.consumer)
    return TableOffer(
        name=f"{name.share}.{name.schema_name}.{name.table}",
        applications=tuple(one for one in applications if one.in_force),
    )


@router.post("/agreements/{agreement_id}/profile")
def download_profile(
    desk: SignedIn,
    agreement_id: AgreementId,
    client_id: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    days: Annotated[int, Form(ge=1, le=PROFILE_DAYS_MAX)] = PROFILE_DAYS_DEFAULT,
) -> Response:
    """Issue a profile for an application of the consumer (a new one if none is chosen) and return its file."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    desk.require(Action.APPLICATION_CREATE, concerning(agreement.consumer))
    identity, actor = desk.services.identity, desk.caller.actor
    if not client_id:
        made = identity.create_application(name=name, department=agreement.consumer, actor=actor)
        client_id = made.application.client_id
    elif identity.application(client_id).department != agreement.consumer:
        raise NotFound(
            "web.application_of_other_department",
            what=Text(zh="需求部门没有这个应用。", en="The consumer has no such application."),
            remedy=Text(zh="请从列表中选择。", en="Choose one from the list."),
        )
    issued = desk.services.profiles.issue(client_id, days=days, replace=False, actor=actor)
    return Response(
        json.dumps(issued.document(), ensure_ascii=False, indent=2),
        media_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="datong-{client_id}.share"',
            "Cache-Control": "no-store",
        },
    )
