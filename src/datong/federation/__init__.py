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
    from datong.federation.harvester import Harvester
    from datong.federation.harvests import Harvests
else:
    __getattr__ = on_demand(__name__, {"harvester": ["Harvester"], "harvests": ["Harvests"]})

__all__ = [
    "BODY_BYTES_MAX",
    "ROBOTS_BYTES_MAX",
    "Document",
    "HarvestRun",
    "HarvestSource",
    "Harvester",
    "Harvests",
    "MemoryWeb",
    "OpenReader",
    "Outcome",
    "PublisherMapping",
    "ReaderTerms",
    "Rejected",
    "RemoteDataset",
    "RemotePage",
    "RunId",
    "RunMode",
    "RunNote",
    "RunState",
    "SourceId",
    "SourceKind",
    "SourceSettings",
    "SourceState",
    "WebReader",
]
