"""Agreements: the list, one agreement with its terms and signatures, the contract, and what an officer can do."""

import json
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Query
from fastapi.responses import Response

from datong.kernel import CHINA, AgreementId, DatongError, DepartmentCode, NotFound, Text
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.norms import ShareMode
from datong.sharing import (
    Action,
    Agreement,
    AgreementSide,
    AgreementState,
    AmendmentAction,
    EndCause,
    Target,
    TermsChange,
    amendment_actions,
    shown_code,
)
from datong.web.api.scope import department_in_scope, readable_agreement
from datong.web.console.desk import PAGE_ROWS, Anyone, Desk, Offset, SignedIn
from datong.web.console.profiles import table_offer
from datong.web.console.requests import end_of
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


class Step(StrEnum):
    """What an officer or the authority can do with an agreement."""

    CONFIRM = "confirm"
    SUSPEND = "suspend"
    RESUME = "resume"
    RENEW_KEYS = "renew_keys"
    TERMINATE = "terminate"
    WITHDRAW = "withdraw"
    DISPOSE = "dispose"

    @property
    def label(self) -> Text:
        """What the step is called on its button."""
        return _LABELS[self]


_LABELS = {
    Step.CONFIRM: Text(zh="确认条款", en="Confirm the terms"),
    Step.SUSPEND: Text(zh="中止", en="Suspend"),
    Step.RESUME: Text(zh="恢复", en="Resume"),
    Step.RENEW_KEYS: Text(zh="更换脱敏密钥", en="Renew the masks' keys"),
    Step.TERMINATE: Text(zh="终止", en="Terminate"),
    Step.WITHDRAW: Text(zh="不再使用，退出", en="Give up"),
    Step.DISPOSE: Text(zh="告知数据已处置", en="Say that the data was disposed of"),
}
NEEDED: Mapping[Step, Action] = {
    Step.CONFIRM: Action.AGREEMENT_CONFIRM,
    Step.SUSPEND: Action.AGREEMENT_SUSPEND,
    Step.RESUME: Action.AGREEMENT_SUSPEND,
    Step.RENEW_KEYS: Action.AGREEMENT_RENEW_KEYS,
    Step.TERMINATE: Action.AGREEMENT_TERMINATE,
    Step.WITHDRAW: Action.AGREEMENT_WITHDRAW,
    Step.DISPOSE: Action.AGREEMENT_WITHDRAW,
}
POSSIBLE: Mapping[AgreementState, tuple[Step, ...]] = {
    AgreementState.DRAFT: (Step.CONFIRM, Step.WITHDRAW, Step.TERMINATE),
    AgreementState.CONFIRMED: (Step.WITHDRAW, Step.TERMINATE),
    AgreementState.ACTIVE: (Step.RENEW_KEYS, Step.SUSPEND, Step.WITHDRAW, Step.TERMINATE),
    AgreementState.SUSPENDED: (Step.RESUME, Step.WITHDRAW, Step.TERMINATE),
    AgreementState.TERMINATED: (Step.DISPOSE,),
    AgreementState.EXPIRED: (Step.DISPOSE,),
}
"""Which buttons a state shows; the service decides again."""
REASONED = frozenset({Step.SUSPEND, Step.TERMINATE, Step.WITHDRAW, Step.DISPOSE})
CAUSED = frozenset({Step.SUSPEND, Step.TERMINATE})
CAUSES = (EndCause.OTHER, EndCause.PURPOSE_GONE, EndCause.BREACH)


@router.get("/agreements")
def list_agreements(desk: SignedIn, offset: Offset, state: str = "", department: str = "") -> Response:
    """List the agreements of the caller's department, or all of them for those who oversee."""
    if view := desk.opening_view():
        return desk.go(view)
    wanted = DepartmentCode(department) if department else None
    chosen = AgreementState(state) if state in set(AgreementState) else None
    page = desk.services.agreements.find(
        department=department_in_scope(desk.services, desk.caller, Action.AGREEMENT_READ, wanted),
        state=chosen,
        offset=offset,
        limit=PAGE_ROWS,
    )
    return desk.page(
        "agreements/list.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        state=state,
        states=tuple(AgreementState),
        department=department,
        everything=desk.may(Action.AGREEMENT_READ),
    )


@router.get("/agreements/{agreement_id}")
def show_agreement(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Show one agreement: parties, items and masks, levels, signatures, transfers, evidence."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    may_agree = desk.caller.department in agreement.parties and desk.may(
        Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement)
    )
    return desk.page(
        "agreements/agreement.html",
        agreement=agreement,
        code=shown_code(agreement.code),
        table=table_offer(desk, agreement),
        sides=tuple(AgreementSide),
        parties=[
            (party, _role(agreement, party), _confirmed(agreement, party), _signed(agreement, party))
            for party in agreement.parties
        ],
        steps=[(step, step in REASONED, step in CAUSED) for step in _steps(desk, agreement)],
        causes=CAUSES,
        versions=[
            (version, amendment_actions(version, desk.caller.department) if may_agree else ())
            for version in desk.services.agreements.amendments.of(agreement_id)
        ],
        may_try=desk.caller.department == agreement.consumer
        and ShareMode.INTERFACE in agreement.purpose.modes
        and agreement.state in (AgreementState.CONFIRMED, AgreementState.ACTIVE),
        may_rate=desk.may(Action.RATING_GIVE, Target.of_agreement(agreement))
        and desk.services.ratings.may_be_rated(agreement),
        may_propose=may_agree and agreement.state in (AgreementState.ACTIVE, AgreementState.SUSPENDED),
        tasks=desk.services.exchange.tasks(agreement_id=agreement_id, limit=PAGE_ROWS).rows,
        entries=desk.services.ledger.newest(subject=agreement_id, limit=PAGE_ROWS),
    )


@router.get("/agreements/{agreement_id}/contract.yaml")
def download_contract(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Return the agreement as an Open Data Contract Standard document."""
    readable_agreement(desk.services, desk.caller, agreement_id)
    content = desk.services.documents.contract(agreement_id)
    return _file(content, "application/yaml", f"contract-{agreement_id}.yaml")


@router.get("/agreements/{agreement_id}/policy.jsonld")
def download_policy(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Return the usage policy in ODRL."""
    readable_agreement(desk.services, desk.caller, agreement_id)
    content = json.dumps(desk.services.documents.policy(agreement_id), ensure_ascii=False, indent=2)
    return _file(content, "application/ld+json", f"policy-{agreement_id}.jsonld")


@router.get("/agreements/{agreement_id}/agreement.pdf")
def download_paper(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Return the agreement on paper."""
    readable_agreement(desk.services, desk.caller, agreement_id)
    content = desk.services.documents.pdf(agreement_id)
    return _file(content, "application/pdf", f"agreement-{agreement_id}.pdf")


@router.get("/open/agreements")
def check_paper(desk: Anyone, code: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Check the verification code of a printed agreement; open to everybody."""
    facts, unknown = None, None
    if code.strip():
        try:
            facts = desk.services.documents.check(code)
        except NotFound as error:
            unknown = problem_of(error)
    return desk.page(
        "portal/paper.html",
        status=HTTPStatus.OK if unknown is None else unknown.status,
        code=code,
        facts=facts,
        unknown=unknown,
    )


@router.post("/agreements/{agreement_id}/actions")
def act(
    desk: SignedIn,
    agreement_id: AgreementId,
    action: Annotated[Step, Form()],
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    cause: Annotated[EndCause, Form()] = EndCause.OTHER,
) -> Response:
    """Confirm, suspend, resume, give up or terminate; renew the keys of its masks; say how data was disposed of."""
    agreements = desk.services.agreements
    agreement = agreements.get(agreement_id)
    desk.require(NEEDED[action], Target.of_agreement(agreement))
    actor = desk.caller.actor
    if action is Step.CONFIRM:
        agreements.confirm(agreement_id, actor.department or agreement.provider, actor)
        return desk.go(f"/agreements/{agreement_id}", done="confirmed")
    if action is Step.RENEW_KEYS:
        desk.services.mask_keys.renew(agreement, actor)
    elif action is Step.RESUME:
        agreements.resume(agreement_id, actor)
    elif action is Step.SUSPEND:
        agreements.suspend(agreement_id, actor, reason, cause)
    elif action is Step.WITHDRAW:
        agreements.withdraw(agreement_id, actor, reason)
    elif action is Step.DISPOSE:
        agreements.dispose(agreement_id, actor, reason)
    else:
        agreements.terminate(agreement_id, actor, reason, cause)
    return desk.go(f"/agreements/{agreement_id}", done="agreement")


@router.get("/agreements/{agreement_id}/change")
def change_form(desk: SignedIn, agreement_id: AgreementId) -> Response:
    """Show the form on which a party proposes other terms or a longer term."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    desk.require(Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    return desk.page("agreements/change.html", agreement=agreement, until=_last_day(agreement), found=None, reason="")


@router.post("/agreements/{agreement_id}/change")
def propose_change(
    desk: SignedIn,
    agreement_id: AgreementId,
    valid_until: Annotated[str, Form(max_length=10)] = "",
    columns: Annotated[list[str] | None, Form()] = None,
    scene: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    scope: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
    consent: Annotated[bool, Form()] = False,
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Propose what was filled in; what stays the same is no change."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    desk.require(Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    change = TermsChange(
        valid_until=end_of(valid_until) if valid_until != _last_day(agreement) else None,
        columns=tuple(columns or ()),
        scene=scene,
        scope=scope,
        consent=consent,
    )
    try:
        desk.services.agreements.propose(agreement_id, change, desk.caller.actor, reason)
    except DatongError as error:
        found = problem_of(error)
        return desk.page(
            "agreements/change.html",
            status=found.status,
            agreement=agreement,
            until=valid_until,
            found=found,
            reason=reason,
        )
    return desk.go(f"/agreements/{agreement_id}", done="proposed")


@router.post("/agreements/{agreement_id}/versions/{version}")
def act_on_version(
    desk: SignedIn,
    agreement_id: AgreementId,
    version: int,
    action: Annotated[AmendmentAction, Form()],
    reason: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Confirm proposed terms, take them back, or decline them."""
    agreement = readable_agreement(desk.services, desk.caller, agreement_id)
    desk.require(Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
    desk.services.agreements.act_on_amendment(agreement_id, version, action, desk.caller.actor, reason)
    return desk.go(
        f"/agreements/{agreement_id}", done="confirmed" if action is AmendmentAction.CONFIRM else "agreement"
    )


def _last_day(agreement: Agreement) -> str:
    """Return the last day of the term as a form writes it."""
    return (agreement.valid_until.astimezone(CHINA) - timedelta(microseconds=1)).date().isoformat()


def _file(content: str | bytes, media_type: str, name: str) -> Response:
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _steps(desk: Desk, agreement: Agreement) -> list[Step]:
    target = Target.of_agreement(agreement)
    steps = [step for step in POSSIBLE.get(agreement.state, ()) if desk.may(NEEDED[step], target)]
    if not any(item.mask.keyed for item in agreement.items):
        steps = [step for step in steps if step is not Step.RENEW_KEYS]
    if agreement.disposed_at is not None:
        steps = [step for step in steps if step is not Step.DISPOSE]
    department = desk.caller.department
    if department not in agreement.parties or _confirmed(agreement, department):
        return [step for step in steps if step is not Step.CONFIRM]
    return steps


def _role(agreement: Agreement, party: DepartmentCode) -> Text:
    if party == agreement.provider:
        return Text(zh="提供部门", en="Provider")
    return Text(zh="需求部门", en="Consumer")


def _confirmed(agreement: Agreement, party: DepartmentCode | None) -> object | None:
    return next((done for done in agreement.confirmations if done.department == party), None)


def _signed(agreement: Agreement, party: DepartmentCode) -> object | None:
    return next((done for done in agreement.signatures if done.department == party), None)
