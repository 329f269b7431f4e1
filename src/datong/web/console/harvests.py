"""Catalogues of others: the sources, one source with its runs, what came of each dataset, and the form of a source."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response
from pydantic import ValidationError

from datong.federation import Outcome, RunId, RunMode, SourceId, SourceKind, SourceSettings, SourceState
from datong.kernel import DatongError, DepartmentCode, Invalid, Text
from datong.sharing import Action
from datong.web.api.harvests import (
    NewRun,
    SourceStateChange,
    change_harvest_source,
    create_harvest_source,
    edit_harvest_source,
    start_harvest_run,
)
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.problems import problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

FIELD_CHARS_MAX = 100_000
FormText = Annotated[str, Form(max_length=FIELD_CHARS_MAX)]


@router.get("/harvests")
def list_sources(desk: SignedIn) -> Response:
    """List every source with its last run."""
    desk.require(Action.HARVEST_READ)
    return desk.page(
        "harvests/list.html", sources=desk.services.harvests.sources(), may_manage=desk.may(Action.HARVEST_MANAGE)
    )


@router.get("/harvests/new")
def new_source(desk: SignedIn) -> Response:
    """Show the form of a new source."""
    desk.require(Action.HARVEST_MANAGE)
    return _form(desk, None, {}, None)


@router.post("/harvests/new")
async def create_source(desk: SignedIn) -> Response:
    """Register a source, or show what is wrong with it."""
    given = {name: str(value) for name, value in (await desk.request.form()).items()}
    try:
        made = create_harvest_source(settings_of(given), desk.caller, desk.services)
    except DatongError as error:
        return _form(desk, None, given, error)
    return desk.go(f"/harvests/{made.id}", done="harvest")


@router.get("/harvests/{source_id}")
def show_source(desk: SignedIn, source_id: SourceId, offset: Offset) -> Response:
    """Show one source with its runs."""
    desk.require(Action.HARVEST_READ)
    harvests = desk.services.harvests
    return desk.page(
        "harvests/source.html",
        source=harvests.source(source_id),
        page=harvests.runs(source_id, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        may_manage=desk.may(Action.HARVEST_MANAGE),
    )


@router.get("/harvests/{source_id}/edit")
def edit_source_form(desk: SignedIn, source_id: SourceId) -> Response:
    """Show the form of a source."""
    desk.require(Action.HARVEST_MANAGE)
    settings = desk.services.harvests.source(source_id).settings
    return _form(desk, source_id, form_of(settings), None)


@router.post("/harvests/{source_id}/edit")
async def edit_source(desk: SignedIn, source_id: SourceId) -> Response:
    """Change a source, or show what is wrong."""
    given = {name: str(value) for name, value in (await desk.request.form()).items()}
    try:
        edit_harvest_source(source_id, settings_of(given), desk.caller, desk.services)
    except DatongError as error:
        return _form(desk, source_id, given, error)
    return desk.go(f"/harvests/{source_id}", done="harvest")


@router.post("/harvests/{source_id}/run")
def run_now(desk: SignedIn, source_id: SourceId, mode: FormText = "", accept: FormText = "") -> Response:
    """Queue a run."""
    chosen = RunMode(mode) if mode in set(RunMode) else None
    run = start_harvest_run(source_id, NewRun(mode=chosen, accept_removals=bool(accept)), desk.caller, desk.services)
    return desk.go(f"/harvests/runs/{run.id}")


@router.post("/harvests/{source_id}/state")
def change_state(desk: SignedIn, source_id: SourceId, state: Annotated[SourceState, Form()]) -> Response:
    """Pause, resume or end a source."""
    change_harvest_source(source_id, SourceStateChange(state=state), desk.caller, desk.services)
    return desk.go(f"/harvests/{source_id}", done="harvest")


@router.get("/harvests/runs/{run_id}")
def show_run(desk: SignedIn, run_id: RunId, offset: Offset, outcome: str = "") -> Response:
    """Show one run: its progress while it goes on, then what came of each dataset."""
    desk.require(Action.HARVEST_READ)
    harvests = desk.services.harvests
    run = harvests.run(run_id)
    chosen = Outcome(outcome) if outcome in set(Outcome) else None
    return desk.page(
        "harvests/run.html",
        run=run,
        source=harvests.source(run.source_id),
        page=harvests.notes(run_id, outcome=chosen, offset=offset, limit=PAGE_ROWS),
        outcomes=tuple(Outcome),
        outcome=outcome,
        offset=offset,
        step=PAGE_ROWS,
        may_manage=desk.may(Action.HARVEST_MANAGE),
    )


def _form(desk: Desk, source_id: SourceId | None, given: dict[str, str], error: DatongError | None) -> Response:
    found = problem_of(error) if error is not None else None
    pack = desk.services.pack
    return desk.page(
        "harvests/form.html",
        status=found.status if found else 200,
        found=found,
        form=form_of(None) | given,
        source_id=source_id,
        kinds=tuple(SourceKind),
        themes=pack.themes,
        licences=pack.licences,
        may_allow=desk.may(Action.HARVEST_ALLOW_PRIVATE),
    )


def form_of(settings: SourceSettings | None) -> dict[str, str]:
    """Return settings as the fields of the form."""
    if settings is None:
        return {
            "name": "",
            "kind": SourceKind.CKAN.value,
            "address": "",
            "interval_hours": "24",
            "publishers": "",
            "fallback_department": "",
            "default_theme": "",
            "default_licence": "",
            "default_classification": "",
            "open_here": "on",
            "allow_private": "",
            "follow_robots": "on",
            "requests_per_minute": "60",
            "page_rows": "100",
            "removed_percent_max": "30",
            "excluded": "",
        }
    flags = ("open_here", "allow_private", "follow_robots")
    values = settings.model_dump(mode="json")
    return {
        **{name: str(value if value is not None else "") for name, value in values.items()},
        **{name: "on" if values[name] else "" for name in flags},
        "publishers": "\n".join(f"{entry.publisher} = {entry.department}" for entry in settings.publishers),
        "excluded": "\n".join(settings.excluded),
    }


def settings_of(form: dict[str, str]) -> SourceSettings:
    """Return the settings that a form says.

    Raises:
        Invalid: a field does not hold what it should.
    """
    lines = [line.rpartition("=") for line in form.get("publishers", "").splitlines() if line.strip()]
    values: dict[str, object] = {name: value for name, value in form.items() if name in SourceSettings.model_fields} | {
        "publishers": [
            {"publisher": name.strip(), "department": DepartmentCode(code.strip())} for name, _, code in lines
        ],
        "excluded": [line.strip() for line in form.get("excluded", "").splitlines() if line.strip()],
        **{name: bool(form.get(name)) for name in ("open_here", "allow_private", "follow_robots")},
    }
    try:
        return SourceSettings.model_validate(values)
    except ValidationError as error:
        field = "/" + "/".join(str(part) for part in error.errors()[0]["loc"])
        raise Invalid(
            "web.harvest_form",
            what=Text(zh=f"{field} 的内容不合要求。", en=f"{field} does not hold what it should."),
            remedy=Text(zh="发布者每行写“发布者 = 部门代码”。", en='A line of publishers: "publisher = code".'),
            field=field,
        ) from error
