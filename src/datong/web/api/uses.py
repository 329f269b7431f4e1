"""A citizen's own page: who used my record, for what, and the proof of it."""

from fastapi import APIRouter

from datong.kernel import AccessId, Refused, Text
from datong.sharing import Action, Principal, Target, Use
from datong.web.authentication import Caller, Hub

router = APIRouter(prefix="/me/uses", tags=["citizen"])


@router.get("")
def list_uses(caller: Caller, hub: Hub) -> tuple[Use, ...]:
    """Return every use of the caller's record, newest first."""
    hub.policy.require(caller, Action.USES_READ, Target(id=caller.actor.id))
    return tuple(hub.usage.uses_of(own_subject(caller)))


@router.get("/{access_id}/proof")
def use_proof(access_id: AccessId, caller: Caller, hub: Hub) -> dict[str, object]:
    """Return a bundle that proves one use offline, with the openings of its commitments."""
    hub.policy.require(caller, Action.USES_READ, Target(id=caller.actor.id))
    return hub.usage.proof(access_id, citizen_id=own_subject(caller))


def own_subject(caller: Principal) -> str:
    """Return the citizen ID to which the caller's account is bound.

    Raises:
        Refused: it is bound to none.
    """
    if caller.subject_id is None:
        raise Refused(
            "web.no_subject",
            what=Text(zh="该账号没有关联公民身份号码。", en="This account is bound to no citizen ID."),
            remedy=Text(zh="请用本人的自然人账号登录。", en="Sign in with your own citizen account."),
        )
    return caller.subject_id
