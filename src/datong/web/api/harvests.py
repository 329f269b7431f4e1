"""Catalogues of others that are harvested: sources, runs, and what came of each dataset."""

from datong.federation import (
    HarvestRun,
    HarvestSource,
    Outcome,
    RunId,
    RunMode,
    RunNote,
    SourceId,
    SourceSettings,
    SourceState,
)
from datong.kernel import Page, Value
from datong.sharing import Action, Principal
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/harvests", tag="harvests")


class NewRun(Value):
    """A run to be queued: the mode is chosen unless it is given; `accept_removals` retires whatever vanished."""

    mode: RunMode | None = None
    accept_removals: bool = False


class SourceStateChange(Value):
    """The state that a source is to have; `ended` is for good and retires what it brought."""

    state: SourceState


@router.get("")
def list_harvest_sources(caller: Caller, hub: Hub) -> tuple[HarvestSource, ...]:
    """Return every source with its last run."""
    hub.policy.require(caller, Action.HARVEST_READ)
    return hub.harvests.sources()


@router.post("", status_code=201)
def create_harvest_source(body: SourceSettings, caller: Caller, hub: Hub) -> HarvestSource:
    """Register a source; its first harvest is due at once."""
    require_manage(hub, caller, body)
    return hub.harvests.create(body, caller.actor)


@router.get("/{source_id}")
def read_harvest_source(source_id: SourceId, caller: Caller, hub: Hub) -> HarvestSource:
    """Return one source."""
    hub.policy.require(caller, Action.HARVEST_READ)
    return hub.harvests.source(source_id)


@router.put("/{source_id}")
def edit_harvest_source(source_id: SourceId, body: SourceSettings, caller: Caller, hub: Hub) -> HarvestSource:
    """Change a source; its next run reads everything."""
    require_manage(hub, caller, body)
    return hub.harvests.edit(source_id, body, caller.actor)


@router.post("/{source_id}/state")
def change_harvest_source(source_id: SourceId, body: SourceStateChange, caller: Caller, hub: Hub) -> HarvestSource:
    """Pause, resume or end a source."""
    hub.policy.require(caller, Action.HARVEST_MANAGE)
    return hub.harvests.set_state(source_id, body.state, caller.actor)


@router.post("/{source_id}/runs", status_code=202)
def start_harvest_run(source_id: SourceId, body: NewRun, caller: Caller, hub: Hub) -> HarvestRun:
    """Queue a run, or return the one that is under way."""
    hub.policy.require(caller, Action.HARVEST_MANAGE)
    return hub.harvests.start(
        source_id, caller.actor.name or caller.actor.id, mode=body.mode, accept_removals=body.accept_removals
    )


@router.get("/{source_id}/runs")
def list_harvest_runs(
    source_id: SourceId, caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[HarvestRun]:
    """Return a source's runs, newest first."""
    hub.policy.require(caller, Action.HARVEST_READ)
    hub.harvests.source(source_id)
    return hub.harvests.runs(source_id, offset=offset, limit=limit)


@router.get("/runs/{run_id}")
def read_harvest_run(run_id: RunId, caller: Caller, hub: Hub) -> HarvestRun:
    """Return one run: its progress while it goes on, its report afterwards."""
    hub.policy.require(caller, Action.HARVEST_READ)
    return hub.harvests.run(run_id)


@router.get("/runs/{run_id}/notes")
def list_harvest_notes(
    run_id: RunId,
    caller: Caller,
    hub: Hub,
    outcome: Outcome | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[RunNote]:
    """Return what came of the datasets of a run, with the reason for each."""
    hub.policy.require(caller, Action.HARVEST_READ)
    hub.harvests.run(run_id)
    return hub.harvests.notes(run_id, outcome=outcome, offset=offset, limit=limit)


def require_manage(hub: Services, caller: Principal, settings: SourceSettings) -> None:
    """Let those pass who may set up such a source; reaching into the network or past robots.txt needs an operator.

    Raises:
        Refused: the caller may not.
    """
    hub.policy.require(caller, Action.HARVEST_MANAGE)
    if settings.allow_private or not settings.follow_robots:
        hub.policy.require(caller, Action.HARVEST_ALLOW_PRIVATE)
