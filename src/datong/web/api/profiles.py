"""Profiles of Delta Sharing: issued, listed and revoked for an application by who may register one."""

from pydantic import Field

from datong.kernel import JsonValue, Value
from datong.sharing import PROFILE_DAYS_DEFAULT, PROFILE_DAYS_MAX, Action, Application, Profile
from datong.web.api.scope import concerning
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="profiles")


class NewProfile(Value):
    """How long a profile works, and whether it takes the place of the application's older ones (after a day)."""

    days: int = Field(PROFILE_DAYS_DEFAULT, ge=1, le=PROFILE_DAYS_MAX)
    replace: bool = False


class IssuedProfile(Value):
    """A fresh profile; `file` is the profile file, whose token is shown once."""

    profile: Profile
    file: dict[str, JsonValue]


@router.get("/applications/{client_id}/profiles")
def list_profiles(client_id: str, caller: Caller, hub: Hub) -> tuple[Profile, ...]:
    """Return an application's profiles, newest first."""
    application = hub.identity.application(client_id)
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(application.department))
    return hub.profiles.of_application(client_id)


@router.post("/applications/{client_id}/profiles", status_code=201)
def issue_profile(client_id: str, body: NewProfile, caller: Caller, hub: Hub) -> IssuedProfile:
    """Issue a profile with which the application reads whole tables; its token is shown once."""
    application: Application = hub.identity.application(client_id)
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(application.department))
    issued = hub.profiles.issue(client_id, days=body.days, replace=body.replace, actor=caller.actor)
    return IssuedProfile(profile=issued.profile, file=issued.document())


@router.post("/profiles/{profile_id}/revocation", status_code=201)
def revoke_profile(profile_id: str, caller: Caller, hub: Hub) -> Profile:
    """Make a profile worthless at once."""
    profile = hub.profiles.get(profile_id)
    hub.policy.require(caller, Action.APPLICATION_CREATE, concerning(profile.department))
    return hub.profiles.revoke(profile_id, actor=caller.actor)
