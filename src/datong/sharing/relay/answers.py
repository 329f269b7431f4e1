"""Calls of the gateway that go on over a link: up by asking the higher hub's gateway, down as a live call.

Every hub on the way decides by its own agreement and records the call. Values are masked where they are; a hub masks
again only what its own agreement shows less of.
"""

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from datong.federation import Peer, PeerId, Peers, PeerSide, PeerState
from datong.kernel import Actor, ActorKind, Clock, DatongError, NotFound, ResourceId, Text, Unavailable, Unreachable
from datong.ledger import Signer
from datong.sharing.agreements import Agreements
from datong.sharing.gateway_calls import Answer, Asked, Call, GatewayAnswer
from datong.sharing.live_sealing import LiveKey, sealed_answer
from datong.sharing.live_values import LiveAnswer, LiveCall, LiveKind, SealedLiveCall, SignedLiveAnswer
from datong.sharing.masks import ColumnMask, MaskKind, apply_mask
from datong.sharing.principals import Principal
from datong.sharing.relay.values import HigherHub, RelayedQuestion
from datong.sharing.row_filters import RowCondition

LOGGER = logging.getLogger("datong.cascade")
WAIT_SECONDS = 5.0
LATER_SECONDS = 5.0
"""How long a higher hub that did not answer is left alone."""
CALLS_AT_ONCE_MAX = 8
OpenHigher = Callable[[str, str], HigherHub]
"""Opens the higher hub at an address, calling as a node id."""


class HigherHubs:
    """The higher hubs of a process, each opened once."""

    def __init__(self, *, peers: Peers, open_higher: OpenHigher) -> None:
        self._peers, self._open = peers, open_higher
        self._known: dict[tuple[str, str], HigherHub] = {}
        self._lock = threading.Lock()

    def of(self, peer_id: str) -> HigherHub | None:
        """Return the hub at the other end of a link, if it is a higher one and the link is active."""
        try:
            peer = self._peers.get(PeerId(peer_id))
        except NotFound:
            return None
        return self.at(peer) if is_followed(peer) else None

    def at(self, peer: Peer) -> HigherHub:
        """Return the hub at the other end of a link to a higher hub."""
        with self._lock:
            found = self._known.get((peer.address, peer.node_id))
            if found is None:
                found = self._known[peer.address, peer.node_id] = self._open(peer.address, peer.node_id)
            return found


def is_followed(peer: Peer) -> bool:
    """Whether requests and calls go over a link to a higher hub."""
    return peer.side is PeerSide.SUPERIOR and peer.state is PeerState.ACTIVE


def ask_higher(
    higher: HigherHub,
    clock: Clock,
    call: Call,
    remote_id: ResourceId,
    conditions: tuple[RowCondition, ...],
    masks: Mapping[str, ColumnMask] | None,
    claims: Mapping[str, str] | None,
) -> LiveAnswer:
    """Have a higher hub answer a call about what came from it; its agreement has the same row filter as this hub's.

    Raises:
        Unavailable: `sharing.relay_offline`. Refused, NotFound, …: what the higher hub, or one behind it, answers.
    """
    question = RelayedQuestion(
        resource_id=remote_id,
        key_column=call.shape.key.column,
        key_value=call.key_value,
        columns=tuple(masks or {}),
        claims=claims,
        purpose=call.shape.purpose,
        case_number=call.case_number,
    )
    try:
        told = higher.ask(question)
    except Unreachable as error:
        raise Unavailable(
            "sharing.relay_offline",
            what=Text(zh="上级平台没有应答。", en="The higher hub does not answer."),
            remedy=Text(zh="请稍后再试。", en="Try again later."),
        ) from error
    rows = tuple(
        {column: masked(mask, row.get(column), told.masks.get(column)) for column, mask in (masks or {}).items()}
        for row in told.rows
    )
    return LiveAnswer(
        call_id="",
        rows=rows,
        results=told.results,
        found=len(rows),
        conditions=conditions,
        answered_at=clock.now(),
    )


def masked(wanted: ColumnMask, value: str | None, done: MaskKind | None) -> str | None:
    """Return what may be shown of a value that another hub has masked already, as `done`."""
    return value if wanted.kind in (MaskKind.NONE, done) else apply_mask(wanted.kind, value, wanted.key)


class RelayAnswerer:
    """Takes the calls that higher hubs have for this one, and answers them by its own gateway."""

    def __init__(
        self,
        *,
        answer: Callable[[Asked], Answer],
        agreements: Agreements,
        peers: Peers,
        hubs: HigherHubs,
        signer: Signer,
        clock: Clock,
    ) -> None:
        self._answer, self._agreements, self._peers, self._hubs = answer, agreements, peers, hubs
        self._signer, self._clock, self._key = signer, clock, LiveKey()
        self._pool: ThreadPoolExecutor | None = None
        self._later: dict[str, float] = {}

    def take_all(self) -> bool:
        """Wait a while for calls and begin to answer them; return whether there is a higher hub to ask again at once.

        One that does not answer is left alone for some seconds.
        """
        asked = False
        for peer in self._peers.all():
            if is_followed(peer) and time.monotonic() >= self._later.get(peer.id, 0.0):
                try:
                    higher = self._hubs.at(peer)
                    for sealed in higher.live_calls(self._key.public_key, WAIT_SECONDS):
                        self._workers().submit(self._serve, peer, higher, sealed)
                    asked = True
                except DatongError as error:
                    LOGGER.warning("calls of %s will be asked for again: %s", peer.hub, error)
                    self._later[peer.id] = time.monotonic() + LATER_SECONDS
        return asked

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=CALLS_AT_ONCE_MAX, thread_name_prefix="relay")
        return self._pool

    def _serve(self, peer: Peer, higher: HigherHub, sealed: SealedLiveCall) -> None:
        try:
            call = self._key.open_call(sealed)
            answer = self.answered(peer, call)
            signature = base64.b64encode(self._signer.sign(answer.signing_bytes())).decode()
            signed = SignedLiveAnswer(answer=answer, key_id=self._signer.key_id, signature=signature)
            higher.answer_live_call(sealed_answer(signed, call))
        except (DatongError, SQLAlchemyError) as error:
            LOGGER.warning("a call of %s was not answered: %s", peer.hub, error)

    def answered(self, peer: Peer, call: LiveCall) -> LiveAnswer:
        """Return this hub's answer to a call that came over a link; what goes wrong is an answer too, without values.

        The higher hub is a consumer like any other: the department that answers here for the link.
        """
        department = peer.settings.department
        actor = Actor(kind=ActorKind.NODE, id=peer.id, department=department, name=peer.hub)
        verifies = call.kind is LiveKind.VERIFY
        asked = Asked(
            Principal(actor=actor),
            ResourceId(call.table),
            {call.key_column: call.key_value},
            tuple(call.claims if verifies else call.columns),
            call.purpose,
            call.case_number,
            call.claims if verifies else None,
        )
        try:
            answer = self._answer(asked)
        except DatongError as error:
            return LiveAnswer(call_id=call.id, fault=error.what, answered_at=self._clock.now())
        used = [self._agreements.get(agreement_id) for agreement_id in answer.agreement_ids]
        if not {*call.conditions} <= {condition for agreement in used for condition in agreement.row_filter}:
            fault = Text(zh="两端协议的行条件不一致。", en="the row filters of the agreements differ.")
            return LiveAnswer(call_id=call.id, fault=fault, answered_at=self._clock.now())
        told = LiveAnswer(call_id=call.id, conditions=call.conditions, answered_at=self._clock.now())
        if not isinstance(answer, GatewayAnswer):
            return told.model_copy(update={"results": answer.results, "found": 1})
        keys = call.mask_keys
        rows = tuple(
            {
                column: masked(ColumnMask(kind, keys.get(column)), row.get(column), answer.masks.get(column))
                for column, kind in call.columns.items()
            }
            for row in answer.rows
        )
        return told.model_copy(
            update={"rows": rows[: call.rows_max], "found": len(rows), "too_many": len(rows) > call.rows_max}
        )
