"""What a hub needs for its links to higher and lower hubs, over HTTP and with its own key."""

from datong.adapters.hub_link import HubLink, join_superior
from datong.catalogue import Catalogue, Departments
from datong.federation import Cascade, Exchanges, Joined, Peers, Superior
from datong.kernel import Clock, Settings
from datong.ledger import Ed25519Signer
from datong.sharing import Agreements, Gateway, LiveServices, Requests
from datong.sharing.relay import HigherHub, HigherHubs, RelayAnswerer, RelayDesk, RelayFollower
from datong.web import Relay


def compose_exchanges(
    settings: Settings, cascade: Cascade, peers: Peers, *, clock: Clock, signer: Ed25519Signer
) -> Exchanges:
    """Return what exchanges with higher hubs over HTTP, in the name and with the key of this hub."""
    hub, networks = settings.log_origin, settings.intranets

    def join(address: str, token: str, own_name: str) -> Joined:
        return join_superior(address, token, name=own_name, hub=hub, signer=signer, clock=clock, networks=networks)

    def open_superior(address: str, node_id: str) -> Superior:
        return HubLink(address=address, node_id=node_id, signer=signer, clock=clock, networks=networks)

    return Exchanges(cascade=cascade, peers=peers, join=join, open_superior=open_superior)


def compose_relay(
    settings: Settings,
    *,
    clock: Clock,
    signer: Ed25519Signer,
    requests: Requests,
    agreements: Agreements,
    catalogue: Catalogue,
    departments: Departments,
    cascade: Cascade,
    peers: Peers,
    live: LiveServices,
    gateway: Gateway,
) -> Relay:
    """Return what has requests and calls go on over the links; `live` then asks higher hubs."""

    def open_higher(address: str, node_id: str) -> HigherHub:
        return HubLink(address=address, node_id=node_id, signer=signer, clock=clock, networks=settings.intranets)

    hubs = HigherHubs(peers=peers, open_higher=open_higher)
    live.higher = hubs.of
    return Relay(
        desk=RelayDesk(
            requests=requests, agreements=agreements, catalogue=catalogue, cascade=cascade, peers=peers, live=live
        ),
        follower=RelayFollower(
            requests=requests,
            agreements=agreements,
            catalogue=catalogue,
            departments=departments,
            cascade=cascade,
            peers=peers,
            live=live,
            signer=signer,
            hubs=hubs,
        ),
        answerer=RelayAnswerer(
            answer=gateway.answer, agreements=agreements, peers=peers, hubs=hubs, signer=signer, clock=clock
        ),
    )
