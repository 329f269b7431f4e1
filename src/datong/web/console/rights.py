"""People's rights as departments see them: consents asked for, objections to answer, orders that delay disclosure."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import AgreementId, DatongError, DepartmentCode
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, ConsentWay, HoldGround, HoldOrder, ObjectionAction, Target
from datong.web.api.consents import NewConsent, ask_for_consent
from datong.web.api.disclosures import end_hold, order_hold
from datong.web.api.objections import ObjectionAnswer, answer_objection
from datong.web.api.scope import department_in_scope
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.problem import form_incomplete
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

Name = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
Words = Annotated[str, Form(max_length=TEXT_CHARS_MAX)]


@router.get("/objections")
def list_objections(desk: SignedIn, offset: Offset, show: str = "") -> Response:
    """List the objections to what the caller's department did, or all of them."""
    scope = department_in_scope(desk.services, desk.caller, Action.OBJECTION_READ)
    page = desk.services.objections.find(consumer=scope, waiting=show == "waiting", offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "citizens/objections.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        answerable={
            one.id
            for one in page.rows
            if one.ended_at is None and desk.may(Action.OBJECTION_ANSWER, Target(id=one.id, department=one.consumer))
        },
        actions=(ObjectionAction.UPHOLD, ObjectionAction.DISMISS),
    )


@router.post("/objections/{objection_id}")
def answer(
    desk: SignedIn, objection_id: str, action: Annotated[ObjectionAction, Form()], answer: Words = ""
) -> Response:
    """Uphold or dismiss an objection."""
    body = ObjectionAnswer.model_construct(action=action, answer=answer)
    answer_objection(objection_id, body, desk.caller, desk.services)
    return desk.go("/objections", done="use_objection_ended")


@router.get("/consents")
def list_consents(desk: SignedIn, offset: Offset) -> Response:
    """List the consents that the caller's department asked for, and the form to ask for one."""
    return _consents(desk, offset, None)


@router.post("/consents")
def ask(desk: SignedIn, agreement_id: Name, citizen_id: Name, way: Name = "", document_sha256: Name = "") -> Response:
    """Ask for a consent, or put down one that was given on paper."""
    try:
        body = NewConsent(
            agreement_id=AgreementId(agreement_id),
            citizen_id=citizen_id.strip(),
            way=ConsentWay(way) if way else None,
            document_sha256=document_sha256.strip()[:64],
        )
        ask_for_consent(body, desk.caller, desk.services)
    except (ValidationError, ValueError):
        return _consents(desk, 0, problem_of(form_incomplete()))
    except DatongError as error:
        return _consents(desk, 0, problem_of(error))
    return desk.go("/consents", done="consent_asked")


@router.get("/disclosure-holds")
def list_holds(desk: SignedIn, offset: Offset) -> Response:
    """List the orders that delay disclosure, and the form to make one."""
    return _holds(desk, offset, None)


@router.post("/disclosure-holds")
def order(
    desk: SignedIn,
    agreement_id: Name,
    ground: Annotated[HoldGround, Form()],
    reason: Words = "",
    case_number: Name = "",
    delay_days: Annotated[int, Form()] = 0,
) -> Response:
    """Order that uses are told so many days later."""
    try:
        wanted = HoldOrder(
            agreement_id=AgreementId(agreement_id.strip()),
            case_number=case_number.strip(),
            ground=ground,
            reason=reason,
            delay_days=delay_days,
        )
        order_hold(wanted, desk.caller, desk.services)
    except ValidationError:
        return _holds(desk, 0, problem_of(form_incomplete()))
    except DatongError as error:
        return _holds(desk, 0, problem_of(error))
    return desk.go("/disclosure-holds", done="hold")


@router.post("/disclosure-holds/{hold_id}/end")
def end(desk: SignedIn, hold_id: str) -> Response:
    """End an order early."""
    end_hold(hold_id, desk.caller, desk.services)
    return desk.go("/disclosure-holds", done="hold")


def _consents(desk: Desk, offset: int, found: Problem | None) -> Response:
    scope = department_in_scope(desk.services, desk.caller, Action.CONSENT_READ)
    own = desk.caller.department
    agreements = desk.services.agreements.of_consumer(DepartmentCode(own)) if own else ()
    return desk.page(
        "citizens/consents.html",
        status=200 if found is None else found.status,
        found=found,
        page=desk.services.consents.find(consumer=scope, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        agreements=[one for one in agreements if one.purpose.consent and one.state == "active"],
        may_ask=own is not None and desk.may(Action.CONSENT_RECORD, Target(id=own, consumer=own)),
        ways=(ConsentWay.ON_PAPER, ConsentWay.ELECTRONIC),
    )


def _holds(desk: Desk, offset: int, found: Problem | None) -> Response:
    desk.require(Action.DISCLOSURE_READ)
    return desk.page(
        "citizens/holds.html",
        status=200 if found is None else found.status,
        found=found,
        page=desk.services.disclosure_holds.find(offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        may_order=desk.may(Action.DISCLOSURE_HOLD),
        grounds=tuple(ground for ground in HoldGround if ground is not HoldGround.AGREED),
    )
