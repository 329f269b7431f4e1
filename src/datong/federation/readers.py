"""Walking a remote catalogue: which addresses to ask, in which order, and whether it was given whole.

A reader yields pages and then knows three things: whether everything was enumerated, where the next incremental harvest
starts, and which of the entries known here are gone there. Only a reader that can prove an absence names it.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from importlib import import_module
from typing import Protocol

from datong.federation import ckan
from datong.federation.values import RemotePage, RunMode, SourceKind, SourceSettings
from datong.federation.web import WebReader
from datong.kernel import NotFound, Text, Value

PAGES_MAX = 100_000
CONFIRMATIONS_MAX = 2000
"""Absences that are confirmed one by one in a run; the rest wait for the next run."""


class Position(Value):
    """Where the last complete run of a source left off; empty strings for nothing."""

    cursor: str = ""
    etag: str = ""
    last_modified: str = ""


class Reader(Protocol):
    """One walk over one remote catalogue."""

    @property
    def position(self) -> Position:
        """Where the next incremental run starts, once every page was read."""
        ...

    @property
    def shortfall(self) -> Text | None:
        """Why the enumeration cannot be trusted to be whole, or None."""
        ...

    def pages(self) -> Iterator[RemotePage]:
        """Yield the pages of the walk."""
        ...

    def gone(self, unseen: Mapping[str, str]) -> frozenset[str]:
        """Return which of the entries not seen in this walk (remote id → remote name) are no longer there."""
        ...


MakeReader = Callable[[SourceSettings, WebReader, RunMode, Position], Reader]


def reader_of(settings: SourceSettings, web: WebReader, mode: RunMode, position: Position) -> Reader:
    """Return the reader of a source's kind."""
    if settings.kind is SourceKind.CKAN:
        return CkanReader(settings, web, mode, position)
    # RDF's library is large, and most hubs harvest nothing in RDF.
    make: MakeReader = import_module("datong.federation.dcat_reader").DcatReader
    return make(settings, web, mode, position)


class CkanReader:
    """Pages of `package_search`; an incremental walk asks for what was modified since, then for the list of names."""

    def __init__(self, settings: SourceSettings, web: WebReader, mode: RunMode, position: Position) -> None:
        self._settings, self._web, self._mode = settings, web, mode
        self._since = position.cursor if mode is RunMode.INCREMENTAL else ""
        self._newest = position.cursor
        self._seen = 0
        self._total: int | None = None

    @property
    def position(self) -> Position:
        """The newest modification seen; the next run asks from that very moment on, so that none is missed."""
        return Position(cursor=self._newest)

    @property
    def shortfall(self) -> Text | None:
        """A full walk must have met at least as many packages as were announced."""
        if self._since or self._total is None or self._seen >= self._total:
            return None
        return Text(
            zh=f"来源称有 {self._total} 个数据集，只给出 {self._seen} 个",
            en=f"the origin announced {self._total} datasets and sent {self._seen}",
        )

    def pages(self) -> Iterator[RemotePage]:
        """Yield pages until one is empty: a portal may send fewer rows than were asked for."""
        start = 0
        for _ in range(PAGES_MAX):
            address = ckan.search_address(
                self._settings.address, start=start, rows=self._settings.page_rows, since=self._since
            )
            page = ckan.parse_search(self._web.get(address, accept=ckan.ACCEPT), portal=self._settings.address)
            rows = len(page.datasets) + len(page.rejected) + len(page.deleted)
            if not rows:
                return
            start += rows
            self._seen, self._total = start, page.total
            for dataset in page.datasets:
                if dataset.modified_at is not None:
                    self._newest = max(self._newest, _solr(dataset.modified_at))
            yield page
            if page.total is not None and start >= page.total:
                return

    def gone(self, unseen: Mapping[str, str]) -> frozenset[str]:
        """Return the unseen packages that the portal, asked for each by its id, says it does not have."""
        candidates = sorted(unseen)
        if self._since:
            document = self._web.get(ckan.action_address(self._settings.address, "package_list"), accept=ckan.ACCEPT)
            names = ckan.parse_names(document)
            candidates = [key for key in candidates if key not in names and unseen[key] not in names]
        return frozenset(key for key in candidates[:CONFIRMATIONS_MAX] if self._is_gone(key))

    def _is_gone(self, remote_id: str) -> bool:
        try:
            document = self._web.get(ckan.show_address(self._settings.address, remote_id), accept=ckan.ACCEPT)
        except NotFound:
            return True
        return ckan.parse_show(document, portal=self._settings.address) is None


def _solr(at: datetime) -> str:
    """Return a time as CKAN's search engine reads it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
