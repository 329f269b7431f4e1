"""The site: which file of docs/ is at which address, and every file of it by its address."""

import json
import posixpath
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from datong.kernel import Language, Text, Value
from datong.web.manual.contents import CHAPTERS, GUIDE
from datong.web.manual.markdown import Document, rendered

HELP_PATH = "/help"
"""Where the hub serves the site."""
_SHIPPED = Path(__file__).parent / "docs"
DOCS = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[4] / "docs"
"""The Markdown: in an installed wheel beside this module (pyproject.toml puts it there), else the checkout's own."""
STATIC = Path(__file__).parents[1] / "static"
ASSETS = ("app.css", "help.css", "help.js", "icon.svg")
"""What the pages need of the console's static files, below assets/."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".yaml": "text/plain; charset=utf-8",
}
"""Kinds of files that the site has."""
ANCHORS_OF = Language.EN
"""The language whose headings name the anchors of a guide in every language."""


class Asset(Value):
    """A file of the site."""

    body: bytes
    media_type: str


class Link(Value):
    """A line of the navigation."""

    address: str
    title: str
    present: bool


class Section(Value):
    """A chapter of the navigation."""

    name: Text
    links: tuple[Link, ...]

    @property
    def present(self) -> bool:
        """Whether the page that is shown is in it."""
        return any(link.present for link in self.links)


class Site:
    """The pages of a folder of Markdown; `page` writes one from its parts (a template)."""

    def __init__(self, folder: Path, page: Callable[..., str]) -> None:
        self._folder, self._page = folder, page
        self.document = cache(self._document)
        self.title = cache(self._title)

    @cached_property
    def sources(self) -> dict[str, str]:
        """Each page's address with its file, as paths below the site and below docs/."""
        files = sorted(path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*.md"))
        return {address_of(source): source for source in files}

    def addresses(self) -> Iterator[str]:
        """Yield the address of every file of the site."""
        yield "index.html"
        yield from self.sources
        for language in Language:
            yield search_address(language)
        yield from (f"assets/{name}" for name in ASSETS)
        for path in sorted(self._folder.rglob("*")):
            if path.suffix in TYPES and path.suffix != ".html":
                yield f"en/{path.relative_to(self._folder).as_posix()}"

    def file(self, address: str) -> Asset | None:
        """Return the file at an address of the site, or None where there is none."""
        suffix = posixpath.splitext(address)[1]
        if suffix not in TYPES:
            return None
        body = self._written(address) if suffix == ".html" else self._plain(address)
        return None if body is None else Asset(body=body, media_type=TYPES[suffix])

    def anchors(self, source: str) -> frozenset[str]:
        """Return what a link to a file of docs/ may point at."""
        return self.document(source).anchors()

    def _written(self, address: str) -> bytes | None:
        if address == "index.html":
            return self._page(document=None, language=Language.ZH, root="", sections=(), other="").encode()
        source = self.sources.get(address)
        if source is None:
            return None
        language = language_of(source)
        written = self._page(
            document=self.document(source),
            language=language,
            root="../" * address.count("/"),
            sections=self._navigation(address, language),
            other=self._other(source, address),
        )
        return written.encode()

    def _plain(self, address: str) -> bytes | None:
        for language in Language:
            if address == search_address(language):
                return self._search_words(language)
        kind, _, name = address.partition("/")
        if kind == "assets":
            return (STATIC / name).read_bytes() if name in ASSETS else None
        path = (self._folder / name).resolve()
        known = kind == "en" and path.is_relative_to(self._folder.resolve()) and path.is_file()
        return path.read_bytes() if known else None

    def _document(self, source: str) -> Document:
        language = language_of(source)
        twin = twin_of(source, ANCHORS_OF)
        text = (self._folder / source).read_text(encoding="utf-8")
        given = (self._folder / twin).read_text(encoding="utf-8") if twin and language is not ANCHORS_OF else None
        return rendered(
            text,
            twin=given,
            link=lambda address: self.link(source, address),
            size=lambda address: self._size(source, address),
        )

    def _size(self, source: str, address: str) -> tuple[int, int] | None:
        path = self._folder / posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
        return webp_size(path.read_bytes()[:30]) if path.suffix == ".webp" and path.is_file() else None

    def link(self, source: str, address: str) -> str | None:
        """Return where a link in `source` leads within the site; None: to something that the site does not have."""
        parts = urlsplit(address)
        if parts.scheme or parts.netloc or not parts.path:
            return address
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(parts.path)))
        if (self._folder / target).is_dir():
            target += "/README.md"
        if target.startswith("..") or not (self._folder / target).is_file():
            return None
        here = posixpath.dirname(address_of(source))
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        return posixpath.relpath(address_of(target), here or ".") + anchor

    def _navigation(self, address: str, language: Language) -> tuple[Section, ...]:
        here = posixpath.dirname(address)
        sections = []
        for chapter in CHAPTERS:
            links = tuple(
                Link(
                    address=posixpath.relpath(address_of(source), here or "."),
                    title=self.title(source),
                    present=address_of(source) == address,
                )
                for source in chapter.sources(language)
                # The list of REST operations is written for a site in a folder only: a hub has OpenAPI.
                if address_of(source) in self.sources
            )
            sections.append(Section(name=chapter.name, links=links))
        return tuple(sections)

    def _title(self, source: str) -> str:
        """Return the first heading of a file, without rendering it."""
        with (self._folder / source).open(encoding="utf-8") as lines:
            return next((line[2:].strip().replace("`", "") for line in lines if line.startswith("# ")), source)

    def _other(self, source: str, address: str) -> str:
        """Return the same page in the other language, or that language's first page."""
        other = Language.EN if language_of(source) is Language.ZH else Language.ZH
        twin = twin_of(source, other)
        target = address_of(twin) if twin is not None else f"{other.value}/index.html"
        return posixpath.relpath(target, posixpath.dirname(address))

    def _search_words(self, language: Language) -> bytes:
        """Return what the search of a language's pages looks through: its guides first, then all other pages."""
        found = [source for source in self.sources.values() if not source.startswith(f"{GUIDE}/")]
        own = [source for source in self.sources.values() if source.startswith(f"{GUIDE}/{language.value}/")]
        passages = [
            [address_of(source), one.anchor, self.title(source), one.heading, one.text]
            for source in (*own, *found)
            for one in self.document(source).passages
        ]
        written = json.dumps(passages, ensure_ascii=False, separators=(",", ":"))
        return f"window.datongPassages={written};".encode()


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a WebP picture in the extended form that browsers write (RFC 9649 §2.7)."""
    if head[8:16] != b"WEBPVP8X" or len(head) < 30:
        return None
    width, height = (int.from_bytes(head[place : place + 3], "little") + 1 for place in (24, 27))
    return width, height


def search_address(language: Language) -> str:
    """Return where the words of a language's search are: a script, so that a folder opened as files has it, too."""
    return f"{language.value}/search.js"


def language_of(source: str) -> Language:
    """Return the language in which a file of docs/ is written."""
    return Language.ZH if source.startswith(f"{GUIDE}/zh/") else Language.EN


def twin_of(source: str, language: Language) -> str | None:
    """Return the file that says the same in `language`; None for what is written in one language."""
    parts = source.split("/")
    return "/".join((GUIDE, language.value, *parts[2:])) if parts[0] == GUIDE else None


def address_of(source: str) -> str:
    """Return the address of a file of docs/ in the site."""
    parts = source.split("/")
    parts = [parts[1], GUIDE, *parts[2:]] if parts[0] == GUIDE else ["en", *parts]
    if parts[-1] == "README.md":
        # The guides' list is the first page of its language.
        parts = [parts[0], "index.html"] if parts[1:2] == [GUIDE] else [*parts[:-1], "index.html"]
    return "/".join(parts).removesuffix(".md") + (".html" if parts[-1].endswith(".md") else "")
