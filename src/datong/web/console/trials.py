"""The first answer: a call of the gateway from the console, in one's own name, and the same call for programs."""

import json
import shlex
from collections.abc import Mapping
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.catalogue import Item, Resource
from datong.kernel import AgreementId, DatongError
from datong.kernel.limits import NAME_CHARS_MAX
from datong.norms import ShareMode
from datong.sharing import KEY_ELEMENTS, SUBJECT_ELEMENTS, Agreement, GatewayAnswer
from datong.web.api.scope import readable_agreement
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/agreements/{agreement_id}/try")
def show_trial(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Show the form of a first call: by which key, which items, for which case."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    columns = tuple(item.column for item in agreement.items)
    return _page(desk, agreement, key="", value="", columns=columns, case_number="", answer=None, found=None)


@router.post("/agreements/{agreement_id}/try")
def call_gateway(
    desk: SignedIn,
    agreement_id: AgreementId,
    key: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    value: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    columns: Annotated[list[str] | None, Form()] = None,
    case_number: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Call the gateway in the caller's own name; the call is decided, recorded and answered like any other."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    chosen = tuple(columns or ())
    answer, found = None, None
    try:
        answer = desk.services.gateway.query(
            desk.caller,
            agreement.resource_id,
            key={key: value},
            items=chosen,
            purpose=agreement.purpose.service_item,
            case_number=case_number,
        )
    except DatongError as error:
        found = problem_of(error)
    return _page(
        desk, agreement, key=key, value=value, columns=chosen, case_number=case_number, answer=answer, found=found
    )


def _page(
    desk: Desk,
    agreement: Agreement,
    *,
    key: str,
    value: str,
    columns: tuple[str, ...],
    case_number: str,
    answer: GatewayAnswer | None,
    found: Problem | None,
) -> Response:
    resource = desk.services.catalogue.published(agreement.resource_id)
    keys = _keys(resource, agreement)
    body = {
        "key": {key or (keys[0].column if keys else ""): value},
        "items": list(columns),
        "purpose": agreement.purpose.service_item,
        "case_number": case_number,
    }
    return desk.page(
        "agreements/try.html",
        status=200 if found is None else found.status,
        agreement=agreement,
        callable=ShareMode.INTERFACE in agreement.purpose.modes,
        keys=keys,
        key=key,
        value=value,
        columns=columns,
        case_number=case_number,
        answer=answer,
        found=found,
        command=_command(desk.services.settings.base_url, agreement, body),
    )


def _keys(resource: Resource, agreement: Agreement) -> list[Item]:
    """Return the items by which the consumer can find records, those that identify people and things first."""
    usable = [
        item
        for item in resource.content.items
        if (item.key or item.element in KEY_ELEMENTS)
        and (item.column in agreement.columns or item.element in SUBJECT_ELEMENTS)
    ]
    return sorted(usable, key=lambda item: item.element not in KEY_ELEMENTS)


def _command(base_url: str, agreement: Agreement, body: Mapping[str, object]) -> str:
    """Return the same call as a program makes it, with the token of its application in TOKEN."""
    text = shlex.quote(json.dumps(body, ensure_ascii=False))
    return "\n".join(
        (
            f"curl -s {base_url}/gateway/v1/{agreement.resource_id}/query \\",
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\',
            f"  -d {text}",
        )
    )
