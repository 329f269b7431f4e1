"""Applications: the register, registration and review, one application with agreements, keys, health and sandbox."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.kernel import AgreementId, DatongError, Invalid, Text
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, Agreement, QuotaUse
from datong.sharing.applications import (
    ApplicationAction,
    ApplicationState,
    IssuedKey,
    KeyKind,
    NewRegistration,
    possible_actions,
)
from datong.web.api.applications import (
    ApplicationAct,
    Binding,
    DepartmentRegistration,
    NewKey,
    act_on_registration,
    bind_agreements,
    issue_key,
    own,
    parties_of,
    readable_registration,
    register_application,
    revoke_key,
)
from datong.web.api.scope import concerning, department_in_scope, own_department
from datong.web.console.charts import trend
from datong.web.console.desk import PAGE_ROWS, Anyone, Desk, Offset, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

RECORDS_SHOWN = 5
WEBHOOKS_SHOWN = 8
Name = Annotated[str, Form(max_length=NAME_CHARS_MAX)]
Words = Annotated[str, Form(max_length=TEXT_CHARS_MAX)]
TONES = {"submitted": "info", "returned": "warn", "approved": "good", "suspended": "bad"}


@router.get("/open/applications")
def showcase(desk: Anyone, offset: Offset) -> Response:
    """Show everybody the approved applications that are to be shown."""
    page = desk.services.registrations.find(showcase=True, offset=offset, limit=PAGE_ROWS)
    return desk.page("portal/applications.html", page=page, offset=offset, step=PAGE_ROWS)


@router.get("/applications")
def list_applications(desk: SignedIn, offset: Offset, state: str = "") -> Response:
    """List the applications of the caller's department, or all of them for those who review."""
    return _list(desk, offset, state, None)


@router.post("/applications")
def register(
    desk: SignedIn,
    name: Name = "",
    purpose: Words = "",
    scenes: Words = "",
    contacts: Words = "",
    showcase: Annotated[bool, Form()] = False,
) -> Response:
    """Register an application of the caller's department."""
    try:
        made = register_application(
            DepartmentRegistration(
                name=name.strip(),
                purpose=purpose.strip(),
                scenes=_lines(scenes),
                contacts=_lines(contacts),
                showcase=showcase,
                department=own_department(desk.caller),
            ),
            desk.caller,
            desk.services,
        )
    except ValidationError:
        return _list(desk, 0, "", problem_of(_incomplete()))
    except DatongError as error:
        return _list(desk, 0, "", problem_of(error))
    return desk.go(f"/applications/{made.client_id}", done="application")


@router.get("/applications/{client_id}")
def show_application(desk: SignedIn, client_id: str) -> Response:
    """Show one application with everything about it."""
    return _page(desk, client_id, None)


@router.post("/applications/{client_id}/actions")
def act(
    desk: SignedIn,
    client_id: str,
    action: Annotated[ApplicationAction, Form()],
    reason: Words = "",
    name: Name = "",
    purpose: Words = "",
    scenes: Words = "",
    contacts: Words = "",
    showcase: Annotated[bool, Form()] = False,
) -> Response:
    """Submit again with corrections, review, suspend, resume or retire."""
    try:
        change = None
        if action is ApplicationAction.SUBMIT:
            change = NewRegistration(
                name=name.strip(),
                purpose=purpose.strip(),
                scenes=_lines(scenes),
                contacts=_lines(contacts),
                showcase=showcase,
            )
        body = ApplicationAct(action=action, reason=reason, change=change)
        act_on_registration(client_id, body, desk.caller, desk.services)
    except ValidationError:
        return _page(desk, client_id, None, found=problem_of(_incomplete()))
    except DatongError as error:
        return _page(desk, client_id, None, found=problem_of(error))
    return desk.go(f"/applications/{client_id}", done="application")


@router.post("/applications/{client_id}/agreements")
def bind(desk: SignedIn, client_id: str, agreements: Annotated[list[str] | None, Form()] = None) -> Response:
    """Bind the application to the ticked agreements."""
    body = Binding(agreements=tuple(AgreementId(one) for one in agreements or ()))
    bind_agreements(client_id, body, desk.caller, desk.services)
    return desk.go(f"/applications/{client_id}", done="application")


@router.post("/applications/{client_id}/keys")
def new_key(
    desk: SignedIn, client_id: str, kind: Annotated[KeyKind, Form()], replace: Annotated[bool, Form()] = False
) -> Response:
    """Issue or rotate a key and show its secret, once."""
    try:
        issued = issue_key(client_id, NewKey(kind=kind, replace=replace), desk.caller, desk.services)
    except DatongError as error:
        return _page(desk, client_id, None, found=problem_of(error))
    return _page(desk, client_id, issued)


@router.post("/applications/{client_id}/keys/{key_id}/revocation")
def end_key(desk: SignedIn, client_id: str, key_id: str) -> Response:
    """Revoke a key."""
    revoke_key(client_id, key_id, desk.caller, desk.services)
    return desk.go(f"/applications/{client_id}", done="application")


def _list(desk: Desk, offset: int, state: str, found: Problem | None) -> Response:
    scope = department_in_scope(desk.services, desk.caller, Action.APPLICATION_READ)
    chosen = ApplicationState(state) if state in set(ApplicationState) else None
    department = desk.caller.department
    return desk.page(
        "applications/list.html",
        status=200 if found is None else found.status,
        found=found,
        page=desk.services.registrations.find(department=scope, state=chosen, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        state=state,
        states=tuple(ApplicationState),
        tones=TONES,
        may_register=department is not None and desk.may(Action.APPLICATION_CREATE, concerning(department)),
    )


def _page(desk: Desk, client_id: str, issued: IssuedKey | None, *, found: Problem | None = None) -> Response:
    hub = desk.services
    registration = readable_registration(hub, desk.caller, client_id)
    keys = hub.registrations.keys(client_id)
    health = hub.call_meter.health(registration, keys)
    parties = parties_of(hub, desk.caller, registration)
    tables = hub.sandbox.tables(client_id)
    agreements = hub.agreements.of_consumer(registration.department)
    t = desk.speech.t
    chart = None
    # A line needs two days.
    if len(health.days) > 1:
        chart = trend(
            "calls",
            t("每天的调用", "Calls by day"),
            times=[one.day.isoformat() for one in health.days],
            series={
                t("调用", "calls"): [one.calls for one in health.days],
                t("被拒绝", "refused"): [one.refused for one in health.days],
            },
            time_name=t("日期", "Day"),
            filled=False,
        )
    return desk.page(
        "applications/application.html",
        status=200 if found is None else found.status,
        found=found,
        application=registration,
        keys=keys,
        kinds=tuple(KeyKind),
        issued=issued,
        health=health,
        chart=chart,
        tables=[(table, table.records[:RECORDS_SHOWN]) for table in tables],
        agreements=agreements,
        quotas=_quotas(desk, client_id, [one for one in agreements if one.id in registration.agreements]),
        webhooks=hub.webhook_desk.find(client_id=client_id, limit=WEBHOOKS_SHOWN),
        actions=possible_actions(registration, parties),
        may_edit=desk.may(Action.APPLICATION_CREATE, own(registration)) and registration.state != "retired",
        entries=hub.ledger.newest(subject=client_id, limit=PAGE_ROWS),
        tones=TONES,
        base_url=hub.settings.base_url,
    )


def _quotas(desk: Desk, client_id: str, bound: list[Agreement]) -> list[tuple[Text, str, QuotaUse]]:
    """Return (whose, where it is agreed, how far it is used up) of the application's own quota and its agreements'."""
    watch = desk.services.quota_watch
    own_quota = Text(zh="本应用（平台规定）", en="This application (set by the platform)")
    found = [(own_quota, "", use) for use in watch.of_application(client_id)]
    for agreement in bound:
        uses = watch.of_agreement(agreement.id, agreement.calls)
        found += [(agreement.resource_title, f"/agreements/{agreement.id}", use) for use in uses]
    return found


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _incomplete() -> Invalid:
    return Invalid(
        "web.application_incomplete",
        what=Text(zh="名称、用途、使用场景和联系人都须填写。", en="Name, purpose, scenes and contacts are all needed."),
        remedy=Text(zh="请补全后重新提交。", en="Complete them and submit again."),
    )
