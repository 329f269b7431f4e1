"""The lower hub's side of requests that go on over a link: sends its own on, makes those that come, returns answers.

What is to be done follows from how things stand at both ends, each time anew, and every step may be taken twice:
nothing is lost and nothing is done twice, whichever hub is killed when.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from datong.federation import Cascade, Peer, Peers
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    NotFound,
    Refused,
    RequestId,
    Text,
)
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.ledger import Signer
from datong.sharing.agreement_rules import ENDED
from datong.sharing.agreements import Agreements
from datong.sharing.live import LiveServices
from datong.sharing.ports import DepartmentBook, PublishedResources
from datong.sharing.relay.answers import HigherHubs, is_followed
from datong.sharing.relay.desk import alive, comes_from, finish, open_requests, order_of, settle, take_over
from datong.sharing.relay.values import (
    WORK_PAGES_MAX,
    HigherHub,
    RelayedDecision,
    RelayedEnd,
    RelayedOrder,
    RelayedSignature,
    RelayedStanding,
    RelayedWork,
    relayed_id,
)
from datong.sharing.requests import Requests
from datong.sharing.terms import Agreement, AgreementState, Request, RequestState

LOGGER = logging.getLogger("datong.cascade")
_ENDED_THERE = "上下级平台间的协议已终止。 The agreement with the other hub has ended."
_WITHDRAWN = "申请部门已撤回。 Withdrawn by the department that asked."


class RelayFollower:
    """Follows the requests that go over the links to higher hubs."""

    def __init__(
        self,
        *,
        requests: Requests,
        agreements: Agreements,
        catalogue: PublishedResources,
        departments: DepartmentBook,
        cascade: Cascade,
        peers: Peers,
        live: LiveServices,
        signer: Signer,
        hubs: HigherHubs,
    ) -> None:
        self._requests, self._agreements, self._catalogue = requests, agreements, catalogue
        self._departments, self._cascade, self._peers = departments, cascade, peers
        self._live, self._signer, self._hubs = live, signer, hubs

    def follow_all(self) -> bool:
        """Follow every active link to a higher hub; what fails is tried again at the next turn. Returns False."""
        for peer in self._peers.all():
            if is_followed(peer):
                try:
                    self.follow(peer, self._hubs.at(peer))
                except DatongError as error:
                    LOGGER.warning("requests over the link to %s will be followed again: %s", peer.hub, error)
        return False

    def follow(self, peer: Peer, higher: HigherHub) -> None:
        """Do what is due over one link.

        Raises:
            Unreachable, Refused, …: the higher hub's errors; what was done before stays.
        """
        # Only the authority's agreements are signed by the hub itself.
        if not self._departments.get(peer.settings.department).is_authority:
            return
        actor = PLATFORM_ACTOR.model_copy(update={"department": peer.settings.department})
        work = _whole(higher)
        self._send_on(peer, higher, actor, {standing.reference: standing for standing in work.asked})
        for order in work.orders:
            with _apart(peer, order.reference):
                self._make(peer, higher, order, actor)
        for standing in work.given:
            with _apart(peer, standing.reference):
                self._look_after(peer, higher, standing, actor)
        for standing in work.asked:
            with _apart(peer, standing.reference):
                self._give_up(peer, higher, standing)

    def _send_on(self, peer: Peer, higher: HigherHub, actor: Actor, known: Mapping[str, RelayedStanding]) -> None:
        """Send this hub's requests on, and take back what became of them; how some stand there is `known`."""
        department = peer.settings.department
        for request in tuple(open_requests(self._requests, provider=department)):
            with _apart(peer, request.id):
                standing = self._ordered(peer, higher, request, known)
                if standing is not None and standing.state is not RequestState.SUBMITTED:
                    settle(self._requests, request, _decision(standing), actor)
        for agreement in tuple(alive(self._agreements, provider=department)):
            with _apart(peer, agreement.request_id):
                standing = self._ordered(peer, higher, self._requests.get(agreement.request_id), known)
                if standing is not None:
                    self._bring_into_force(peer, higher, agreement, standing, actor)

    def _ordered(
        self, peer: Peer, higher: HigherHub, request: Request, known: Mapping[str, RelayedStanding]
    ) -> RelayedStanding | None:
        """Return how a request stands at the higher hub, having it made there first; None: it does not go there."""
        remote_id = comes_from(self._catalogue, peer, request.resource_id)
        if remote_id is None:
            return None
        if request.id in known:
            return known[request.id]
        name = self._departments.get(request.consumer).name.zh
        try:
            return higher.order(order_of(request, remote_id, f"{self._cascade.hub} {name}"))
        except (Invalid, NotFound, Refused) as error:
            return RelayedStanding(reference=request.id, state=RequestState.REFUSED, reason=_said(error))

    def _bring_into_force(
        self, peer: Peer, higher: HigherHub, agreement: Agreement, standing: RelayedStanding, actor: Actor
    ) -> None:
        """Sign the higher hub's agreement; once it is in force, confirm this hub's, which rests on it."""
        above = standing.agreement
        if standing.state is RequestState.REFUSED or (above is not None and above.state in ENDED):
            finish(self._agreements, agreement, actor, _ENDED_THERE)
            return
        if above is None:
            return
        if not _covers(above, agreement):
            raise Refused(
                "sharing.relayed_other_terms",
                what=Text(
                    zh="上级平台的协议与所申请的不符。", en="The higher hub's agreement is not what was asked for."
                ),
                remedy=Text(zh="请与上级平台核对。", en="Talk to the higher hub."),
                context={"agreement_id": above.id},
            )
        if above.state in (AgreementState.DRAFT, AgreementState.CONFIRMED):
            self._sign(higher, above)
        if above.state is AgreementState.ACTIVE:
            self._live.relay(agreement.resource_id, peer.node_id, actor=actor)
        if above.state is AgreementState.ACTIVE and agreement.state is AgreementState.DRAFT:
            self._agreements.confirm(agreement.id, peer.settings.department, actor)

    def _make(self, peer: Peer, higher: HigherHub, order: RelayedOrder, actor: Actor) -> None:
        """Make a request that comes from above, and tell how it was answered."""
        try:
            request = take_over(self._requests, self._peers, peer, order, actor)
        except (Invalid, Refused, NotFound) as error:
            higher.decide(RelayedDecision(reference=order.reference, granted=False, reason=_said(error)))
            return
        agreement = self._agreements.of_request(request.id)
        if agreement is not None and agreement.state is AgreementState.DRAFT:
            self._agreements.confirm(agreement.id, peer.settings.department, actor)
        if request.state is not RequestState.SUBMITTED:
            masks = {item.column: item.mask for item in request.items}
            granted = request.state is RequestState.GRANTED
            reason = "" if granted else request.reason or _WITHDRAWN
            higher.decide(RelayedDecision(reference=order.reference, granted=granted, reason=reason, masks=masks))

    def _look_after(self, peer: Peer, higher: HigherHub, standing: RelayedStanding, actor: Actor) -> None:
        """Sign the agreement above as its provider once the one below it is in force; end it when that has ended."""
        above = standing.agreement
        below = self._agreements.of_request(relayed_id(peer, standing.reference))
        if above is None or below is None:
            return
        if below.state in ENDED:
            higher.end(RelayedEnd(request_id=above.request_id, reason=_ENDED_THERE))
        elif below.state is AgreementState.DRAFT:
            self._agreements.confirm(below.id, peer.settings.department, actor)
        elif below.state is AgreementState.ACTIVE and above.state in (AgreementState.DRAFT, AgreementState.CONFIRMED):
            self._sign(higher, above)

    def _give_up(self, peer: Peer, higher: HigherHub, standing: RelayedStanding) -> None:
        """Give up above what was withdrawn, or has ended, here."""
        try:
            request = self._requests.get(RequestId(standing.reference))
        except NotFound:
            return
        agreement = self._agreements.of_request(request.id)
        over = request.state is RequestState.WITHDRAWN or (agreement is not None and agreement.state in ENDED)
        theirs = comes_from(self._catalogue, peer, request.resource_id) is not None
        if over and theirs and standing.request_id is not None:
            higher.end(RelayedEnd(request_id=standing.request_id, reason=_WITHDRAWN))

    def _sign(self, higher: HigherHub, above: Agreement) -> None:
        signature = self._signer.sign(above.signing_bytes())
        higher.sign(RelayedSignature(agreement_id=above.id, signature=signature))


def _whole(higher: HigherHub) -> RelayedWork:
    """Return all that a higher hub has to tell, page by page."""
    pages: list[RelayedWork] = []
    for number in range(WORK_PAGES_MAX):
        pages.append(higher.work(number))
        if not pages[-1].more:
            break
    return RelayedWork(
        orders=tuple(order for page in pages for order in page.orders),
        given=tuple(standing for page in pages for standing in page.given),
        asked=tuple(standing for page in pages for standing in page.asked),
    )


@contextmanager
def _apart(peer: Peer, reference: str) -> Iterator[None]:
    """Let what is wrong with one request not keep the others waiting."""
    try:
        yield
    except (Conflict, Corrupt, Invalid, NotFound, Refused) as error:
        LOGGER.warning("request %s over the link to %s will be followed again: %s", reference, peer.hub, error)


def _covers(above: Agreement, below: Agreement) -> bool:
    """Whether an agreement grants what the one that rests on it promises."""
    return (
        above.columns >= below.columns
        and above.row_filter == below.row_filter
        and above.purpose.service_item == below.purpose.service_item
        and above.valid_until >= below.valid_until
    )


def _decision(standing: RelayedStanding) -> RelayedDecision:
    granted = standing.state is RequestState.GRANTED
    reason = "" if granted else standing.reason or _WITHDRAWN
    return RelayedDecision(reference=standing.reference, granted=granted, reason=reason, masks=standing.masks)


def _said(error: DatongError) -> str:
    return f"{error.what.zh} {error.what.en}"[:TEXT_CHARS_MAX]
