"""Requests that go on from hub to hub (跨级申请): what the two ends of a link tell each other.

At every hub on the way stands an ordinary request, made in the name of the department that answers there for the link,
and from it grows an ordinary agreement. The lower hub makes every connection; each message may be said twice.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from pydantic import Field

from datong.federation import Peer
from datong.kernel import AgreementId, Base64Bytes, RequestId, ResourceId, Value
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.sharing.live_values import SealedLiveAnswer, SealedLiveCall
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match
from datong.sharing.quotas import CallQuota
from datong.sharing.row_filters import RowCondition
from datong.sharing.terms import Agreement, Purpose, Request, RequestState

WORK_MAX = 1_000
"""Requests or agreements of one kind that one page of work tells."""
WORK_PAGES_MAX = 1_000
_LINK_CHARS = 12


class RelayedOrder(Value):
    """A request as the other hub is to make it: `reference` is its id here, the resource's id is the one there."""

    reference: str = Field(min_length=1, max_length=40, pattern=r"^[0-9A-Za-z-]+$")
    resource_id: ResourceId
    items: tuple[str, ...] = Field(min_length=1, max_length=GATEWAY_ITEMS_MAX)
    rows: tuple[RowCondition, ...] = Field((), max_length=GATEWAY_ITEMS_MAX)
    calls: CallQuota | None = None
    purpose: Purpose


class RelayedStanding(Value):
    """What became of an order (a request with an id of its own there), and the agreement that grew out of it."""

    reference: str
    request_id: RequestId | None = None
    state: RequestState
    reason: str = ""
    masks: Mapping[str, MaskKind] = {}
    agreement: Agreement | None = None


class RelayedDecision(Value):
    """The answer to an order; `masks` as in the agreement that was granted there, by column."""

    reference: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    granted: bool
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    masks: Mapping[str, MaskKind] = Field({}, max_length=GATEWAY_ITEMS_MAX)


class RelayedSignature(Value):
    """The other hub's signature on an agreement: it confirms the terms, too."""

    agreement_id: AgreementId
    signature: Base64Bytes = Field(min_length=64, max_length=64)


class RelayedEnd(Value):
    """That an agreement, or a request that is not answered yet, is given up or ended, and why."""

    request_id: RequestId
    reason: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class RelayedWork(Value):
    """What the lower hub has to do: `orders` to make, `given` agreements about its resources that are not in force or
    are still to be looked after, and how its own requests stand (`asked`). `more`: there is another page."""

    orders: tuple[RelayedOrder, ...] = ()
    given: tuple[RelayedStanding, ...] = ()
    asked: tuple[RelayedStanding, ...] = ()
    more: bool = False


class RelayedQuestion(Value):
    """A call of the gateway that goes on to another hub, all by columns; a verification has claims."""

    resource_id: ResourceId
    key_column: str
    key_value: str = Field(repr=False)
    columns: tuple[str, ...] = ()
    claims: Mapping[str, str] | None = Field(None, repr=False)
    purpose: str
    case_number: str


class RelayedRows(Value):
    """What the other hub answers, masked there."""

    rows: tuple[dict[str, str | None], ...] = Field((), repr=False)
    masks: Mapping[str, MaskKind] = {}
    results: Mapping[str, Match] = {}


class HigherHub(Protocol):
    """A higher hub, as a lower one asks it: `adapters.HubLink`."""

    def order(self, order: RelayedOrder) -> RelayedStanding:
        """Have a request made there, or learn how it stands."""
        ...

    def work(self, page: int) -> RelayedWork:
        """Return a page (from 0) of what this hub has to do."""
        ...

    def decide(self, decision: RelayedDecision) -> None:
        """Answer an order."""
        ...

    def sign(self, signature: RelayedSignature) -> None:
        """Confirm and sign an agreement there."""
        ...

    def end(self, end: RelayedEnd) -> None:
        """Give up or end what was agreed there."""
        ...

    def ask(self, question: RelayedQuestion) -> RelayedRows:
        """Have its gateway answer a call."""
        ...

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Return the calls that wait for this hub, sealed to `key`."""
        ...

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in the answer to a call."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def bundle_of(peer: Peer, reference: str) -> str:
    """Return the bundle under which a hub keeps a request that came over a link."""
    return f"{peer.id[-_LINK_CHARS:]}.{reference}"


def reference_of(peer: Peer, request: Request) -> str | None:
    """Return what a request is called at the other end of a link; None if it did not come over it."""
    link, _, reference = request.bundle_id.partition(".")
    return reference if reference and link == peer.id[-_LINK_CHARS:] else None


def relayed_id(peer: Peer, reference: str) -> RequestId:
    """Return the id of a request that came over a link: the same order is the same request."""
    return RequestId(sha256(f"{peer.id}\n{reference}".encode()).hexdigest()[:32])


def standing_of(reference: str, request: Request, agreement: Agreement | None) -> RelayedStanding:
    """Return how a request stands, for the other hub."""
    return RelayedStanding(
        reference=reference,
        request_id=request.id,
        state=request.state,
        reason=request.reason,
        masks={item.column: item.mask for item in request.items} if agreement is not None else {},
        agreement=agreement,
    )
