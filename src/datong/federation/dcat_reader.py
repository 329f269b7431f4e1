"""Walking a catalogue in RDF: one file, or the pages that hydra links."""

from collections.abc import Iterator, Mapping

from datong.federation import dcat
from datong.federation.readers import PAGES_MAX, Position
from datong.federation.values import RemotePage, RunMode, SourceSettings
from datong.federation.web import Document, WebReader
from datong.kernel import Text


class DcatReader:
    """A catalogue file, or the pages that hydra links; a single unchanged file is not even downloaded."""

    def __init__(self, settings: SourceSettings, web: WebReader, mode: RunMode, position: Position) -> None:
        self._settings, self._web = settings, web
        self._before = position if mode is RunMode.INCREMENTAL else Position()
        self._after = Position()
        self._seen: set[str] = set()
        self._unread = 0
        self._total: int | None = None
        self._unmodified = False

    @property
    def position(self) -> Position:
        """The validators of the file, if the catalogue is one file."""
        return self._after

    @property
    def shortfall(self) -> Text | None:
        """The pages must hold as many datasets as the first announced."""
        seen = len(self._seen) + self._unread
        if self._unmodified or self._total is None or seen >= self._total:
            return None
        return Text(
            zh=f"来源称有 {self._total} 个数据集，只给出 {seen} 个",
            en=f"the origin announced {self._total} datasets and sent {seen}",
        )

    def pages(self) -> Iterator[RemotePage]:
        """Yield the pages; a link back to a page that was read ends the walk."""
        address: str | None = self._settings.address
        visited: set[str] = set()
        first: Document | None = None
        while address is not None and address not in visited and len(visited) < PAGES_MAX:
            visited.add(address)
            document = self._web.get(
                address,
                accept=dcat.ACCEPT,
                etag=self._before.etag if first is None else "",
                last_modified=self._before.last_modified if first is None else "",
            )
            if document.unmodified:
                self._unmodified, self._after = True, self._before
                return
            first = first or document
            page = dcat.parse_catalogue(document)
            self._total = page.total if page.total is not None else self._total
            self._seen.update(dataset.remote_id for dataset in page.datasets)
            self._unread += len(page.rejected)
            yield page
            address = page.next_address
        if first is not None and len(visited) == 1:
            self._after = Position(etag=first.etag, last_modified=first.last_modified)

    def gone(self, unseen: Mapping[str, str]) -> frozenset[str]:
        """Return everything unseen: a whole catalogue that does not list a dataset no longer has it."""
        return frozenset() if self._unmodified else frozenset(unseen)
