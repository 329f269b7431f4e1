"""Open releases: check a table against its rule, find the least coarse levels, release it, fetch what was released."""

from typing import Literal

from fastapi import Request
from fastapi.responses import Response

from datong.kernel import Page
from datong.sharing import Action, AnonymityReport, OpenRelease, Principal, ReleasePlan, Suggestion
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.described import told_in
from datong.web.downloads import file_response
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/releases", tag="releases")

MEDIA = {"data.parquet": "application/vnd.apache.parquet", "data.csv": "text/csv"}


@router.post("/check")
def check_release(body: ReleasePlan, caller: Caller, hub: Hub) -> AnonymityReport:
    """Return what the rule finds at the plan's levels; which groups offend only for who may see them."""
    hub.policy.require(caller, Action.RELEASE_CHECK)
    return seen_by(hub, caller, hub.open_releases.check(body))


@router.post("/suggest")
def suggest_release(body: ReleasePlan, caller: Caller, hub: Hub) -> Suggestion:
    """Return the levels that keep the rule with the least loss."""
    hub.policy.require(caller, Action.RELEASE_CHECK)
    found = hub.open_releases.suggest(body)
    return found.model_copy(update={"report": seen_by(hub, caller, found.report)})


@router.post("", status_code=201)
def make_release(body: ReleasePlan, caller: Caller, hub: Hub) -> OpenRelease:
    """Release the table as the plan says."""
    hub.policy.require(caller, Action.RELEASE_MAKE)
    return hub.open_releases.release(body, caller.actor)


@router.get("")
def list_releases(caller: Caller, hub: Hub, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT) -> Page[OpenRelease]:
    """Return what was released, newest first."""
    hub.policy.require(caller, Action.RELEASE_READ)
    return hub.open_releases.releases(offset=offset, limit=limit)


@router.get("/{release_id}")
def read_release(release_id: str, caller: Caller, hub: Hub) -> OpenRelease:
    """Return one release."""
    hub.policy.require(caller, Action.RELEASE_READ)
    return hub.open_releases.get(release_id)


@router.get("/{release_id}/{name}", response_class=Response, responses=told_in(*MEDIA.values(), in_parts=True))
def download_release(
    release_id: str, name: Literal["data.parquet", "data.csv"], request: Request, caller: Caller, hub: Hub
) -> Response:
    """Return a file of a release, whole or the range that was asked for."""
    hub.policy.require(caller, Action.RELEASE_READ)
    return file_response(request, hub.open_releases.file(release_id, name), media_type=MEDIA[name])


def seen_by(hub: Services, caller: Principal, report: AnonymityReport) -> AnonymityReport:
    """Return a report as `caller` may see it."""
    may = hub.policy.authorise(caller, Action.RELEASE_READ_GROUPS).allowed
    return report if may else report.without_values()
