"""Column sketches: how nodes share the secret they are made with, and hand them in."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from datong.catalogue import ColumnSketch, Envelope, SketchEpoch, SketchKeyWork, SketchWork
from datong.catalogue.sketch_keys import ENVELOPES_MAX
from datong.catalogue.sketches import SKETCHES_PER_TABLE_MAX
from datong.kernel import Base64Bytes, ResourceId, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="sketches")
EpochName = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]


class NewSealingKey(Value):
    """A node's X25519 key (32 raw bytes), signed by the node's registered Ed25519 key."""

    public_key: Base64Bytes
    signature: Base64Bytes


class Envelopes(Value):
    """The secret of an epoch, sealed to some nodes."""

    envelopes: tuple[Envelope, ...] = Field(max_length=ENVELOPES_MAX)


class NewEpoch(Envelopes):
    """An epoch whose secret the calling node made."""

    epoch: str = Field(pattern=r"^[0-9a-f-]{1,64}$")
    commitment: str = Field(pattern=r"^[0-9a-f]{64}$")


class EpochEnd(Value):
    """Why an epoch ends."""

    reason: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class NewSketches(Value):
    """All sketches of one resource's table."""

    sketches: tuple[ColumnSketch, ...] = Field(max_length=SKETCHES_PER_TABLE_MAX)


class AcceptedSketches(Value):
    """How many sketches were kept that tell something."""

    telling: int


@router.get("/sketch-keys/work")
def take_sketch_key_work(caller: Caller, hub: Hub) -> SketchKeyWork:
    """Return what the calling node must do so that all nodes share the secret."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    return hub.sketch_keys.work(caller.actor)


@router.post("/sketch-keys/sealing-keys", status_code=204)
def register_sealing_key(body: NewSealingKey, caller: Caller, hub: Hub) -> None:
    """Register the key to which other nodes may seal the secret for the calling node."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    hub.sketch_keys.register(caller.actor, body.public_key, body.signature)


@router.get("/sketch-keys/epochs")
def list_sketch_epochs(caller: Caller, hub: Hub) -> tuple[SketchEpoch, ...]:
    """Return the epochs, newest first."""
    hub.policy.require(caller, Action.SOURCE_READ)
    return hub.sketch_keys.epochs()


@router.post("/sketch-keys/epochs", status_code=201)
def open_sketch_epoch(body: NewEpoch, caller: Caller, hub: Hub) -> SketchEpoch:
    """Begin an epoch, unless one is running: then that one is returned and the caller's secret is forgotten."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    return hub.sketch_keys.open_epoch(caller.actor, body.epoch, body.commitment, body.envelopes)


@router.post("/sketch-keys/epochs/{epoch}/envelopes", status_code=204)
def hand_in_envelopes(epoch: EpochName, body: Envelopes, caller: Caller, hub: Hub) -> None:
    """Hand in the running epoch's secret, sealed to nodes that lack it."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    hub.sketch_keys.hand_in(caller.actor, epoch, body.envelopes)


@router.post("/sketch-keys/end", status_code=201)
def end_sketch_epoch(body: EpochEnd, caller: Caller, hub: Hub) -> SketchEpoch:
    """End the running epoch, for example because a node was lost: nodes make a new secret and sketch anew."""
    hub.policy.require(caller, Action.SKETCH_END_EPOCH)
    return hub.sketch_keys.end_epoch(caller.actor, body.reason)


@router.get("/sketches/work")
def take_sketch_work(caller: Caller, hub: Hub) -> tuple[SketchWork, ...]:
    """Return the calling node's tables that wait to be sketched."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    return hub.overlaps.work(caller.actor)


@router.put("/resources/{resource_id}/sketches")
def put_sketches(resource_id: ResourceId, body: NewSketches, caller: Caller, hub: Hub) -> AcceptedSketches:
    """Replace the sketches of one resource's table."""
    hub.policy.require(caller, Action.SKETCH_SEND)
    return AcceptedSketches(telling=hub.overlaps.accept(caller.actor, resource_id, body.sketches))
