"""How a harvest reads the web: one Protocol, its limits, and a web in memory for tests and fakes."""

from collections.abc import Callable, Mapping
from typing import Protocol

from datong.kernel import NotFound, Text, Value

BODY_BYTES_MAX = 48 * 1024 * 1024
"""A page or a whole catalogue in one file; rdflib needs about twenty times this in memory."""
ROBOTS_BYTES_MAX = 512 * 1024


class Document(Value):
    """What an address answered; `unmodified`: the validators still hold, and there is no body."""

    address: str
    media_type: str = ""
    charset: str = ""
    body: bytes = b""
    etag: str = ""
    last_modified: str = ""
    unmodified: bool = False


class WebReader(Protocol):
    """Reads documents, politely and safely. One reader serves one run of one source."""

    def get(self, address: str, *, accept: str, etag: str = "", last_modified: str = "") -> Document:
        """Return the document at `address`, following redirects.

        Raises:
            NotFound: the origin says that there is nothing (404, 410).
            Refused: the address must not be read from here, or the origin's robots.txt forbids it.
            Unavailable: it does not answer, or asks to come back later.
            TooLarge: it is longer than is read.
            Corrupt: it answers with something else than a document.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class ReaderTerms(Value):
    """How one source may be read."""

    allow_private: bool = False
    follow_robots: bool = True
    requests_per_minute: int = 60


OpenReader = Callable[[ReaderTerms], WebReader]
"""Makes the reader of one run."""


class MemoryWeb:
    """A web of documents in memory: `pages` maps an address to a document or to the error that reading it raises."""

    def __init__(self, pages: Mapping[str, Document | Exception]) -> None:
        self.pages = dict(pages)
        self.asked: list[str] = []

    def get(self, address: str, *, accept: str, etag: str = "", last_modified: str = "") -> Document:
        """Return the page, or say that it is unmodified when its validator is given."""
        del accept, last_modified
        self.asked.append(address)
        found = self.pages.get(address)
        if found is None:
            raise NotFound(
                "federation.address_empty",
                what=Text(zh=f"{address} 没有内容。", en=f"There is nothing at {address}."),
                remedy=Text(zh="请核对地址。", en="Check the address."),
            )
        if isinstance(found, Exception):
            raise found
        if etag and found.etag == etag:
            return Document(address=address, etag=etag, unmodified=True)
        return found

    def close(self) -> None:
        """Nothing is open."""
