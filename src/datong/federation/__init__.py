"""Catalogues of others: harvested from CKAN and DCAT, exchanged with higher and lower hubs."""

from typing import TYPE_CHECKING

from datong.federation.values import (
    HarvestRun,
    HarvestSource,
    Outcome,
    PublisherMapping,
    Rejected,
    RemoteDataset,
    RemotePage,
    RunId,
    RunMode,
    RunNote,
    RunState,
    SourceId,
    SourceKind,
    SourceSettings,
    SourceState,
)
from datong.federation.web import (
    BODY_BYTES_MAX,
    ROBOTS_BYTES_MAX,
    Document,
    MemoryWeb,
    OpenReader,
    ReaderTerms,
    WebReader,
)
from datong.kernel import on_demand

if TYPE_CHECKING:
    from datong.federation.cascade import Cascade
    from datong.federation.exchanges import Exchanges, Joined, LocalSuperior, Superior
    from datong.federation.harvester import Harvester
    from datong.federation.harvests import Harvests
    from datong.federation.links import (
        CascadeBatch,
        CascadeEntry,
        Peer,
        PeerId,
        PeerSettings,
        PeerSide,
        PeerState,
        Scope,
        SignedBatch,
        Standing,
    )
    from datong.federation.peers import Peers
else:
    __getattr__ = on_demand(
        __name__,
        {
            "cascade": ["Cascade"],
            "exchanges": ["Exchanges", "Joined", "LocalSuperior", "Superior"],
            "harvester": ["Harvester"],
            "harvests": ["Harvests"],
            "links": [
                "CascadeBatch",
                "CascadeEntry",
                "Peer",
                "PeerId",
                "PeerSettings",
                "PeerSide",
                "PeerState",
                "Scope",
                "SignedBatch",
                "Standing",
            ],
            "peers": ["Peers"],
        },
    )

__all__ = [
    "BODY_BYTES_MAX",
    "ROBOTS_BYTES_MAX",
    "Cascade",
    "CascadeBatch",
    "CascadeEntry",
    "Document",
    "Exchanges",
    "HarvestRun",
    "HarvestSource",
    "Harvester",
    "Harvests",
    "Joined",
    "LocalSuperior",
    "MemoryWeb",
    "OpenReader",
    "Outcome",
    "Peer",
    "PeerId",
    "PeerSettings",
    "PeerSide",
    "PeerState",
    "Peers",
    "PublisherMapping",
    "ReaderTerms",
    "Rejected",
    "RemoteDataset",
    "RemotePage",
    "RunId",
    "RunMode",
    "RunNote",
    "RunState",
    "Scope",
    "SignedBatch",
    "SourceId",
    "SourceKind",
    "SourceSettings",
    "SourceState",
    "Standing",
    "Superior",
    "WebReader",
]
