"""One Markdown file as a page: headings with anchors, links that lead within the site, text for the search.

markdown-it-py reads CommonMark and tables; HTML in a file is text, and addresses of scripts are no links.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from datong.kernel import Value

INDEXED_LEVEL_MAX = 3
"""Headings of deeper levels begin no section of the search."""


class Heading(Value):
    """A heading of a page; `anchor` is the same in every language, `own` is made of its own words."""

    level: int
    title: str
    anchor: str
    own: str


class Passage(Value):
    """What the search looks through: the text from one heading to the next."""

    anchor: str
    heading: str
    text: str


class Document(Value):
    """A rendered page: its title, its HTML, its headings and passages."""

    title: str
    html: str
    headings: tuple[Heading, ...]
    passages: tuple[Passage, ...]

    def anchors(self) -> frozenset[str]:
        """Return everything that a link may point at."""
        return frozenset(name for heading in self.headings for name in (heading.anchor, heading.own))


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def headings_of(text: str) -> tuple[Heading, ...]:
    """Return the headings of a file with anchors made of their own words."""
    return tuple(heading for _, heading in _headings(_reader().parse(text), ()))


def rendered(
    text: str,
    *,
    twin: str | None,
    link: Callable[[str], str | None],
    size: Callable[[str], tuple[int, int] | None] = lambda _: None,
) -> Document:
    """Render a file.

    `twin` is the same page in the language that gives the anchors, with the same outline. `link` turns an address in
    the file into one of the site; None says that it leads to something that the site does not have: its words stay.
    `size` says how wide and high a picture is, where that is known, so that nothing moves when it arrives.
    """
    tokens = _reader().parse(text)
    named = headings_of(twin) if twin is not None else ()
    headings = tuple(_headings(tokens, tuple(heading.anchor for heading in named)))
    for token, heading in headings:
        token.attrSet("id", heading.anchor)
    for token in tokens:
        if token.type == "inline":
            _relink(token.children or [], link, size)
    html = _reader().renderer.render(list(_framed(tokens, dict(_by_token(headings)))), _reader().options, {})
    found = tuple(heading for _, heading in headings)
    title = found[0].title if found else ""
    return Document(
        title=title, html=html, headings=found, passages=tuple(_passages(tokens, dict(_by_token(headings))))
    )


def _by_token(headings: Sequence[tuple[Token, Heading]]) -> Iterator[tuple[int, Heading]]:
    return ((id(token), heading) for token, heading in headings)


def _headings(tokens: Sequence[Token], anchors: Sequence[str]) -> Iterator[tuple[Token, Heading]]:
    """Yield each heading's opening with what it says; the n-th has the n-th of `anchors`, where there is one."""
    used: dict[str, int] = {}
    number = 0
    for token, inline in itertools.pairwise(tokens):
        if token.type != "heading_open":
            continue
        title = _plain(inline)
        own = slug(title)
        used[own] = used.get(own, -1) + 1
        own = f"{own}-{used[own]}" if used[own] else own
        anchor = anchors[number] if number < len(anchors) else own
        number += 1
        yield token, Heading(level=int(token.tag[1:]), title=title, anchor=anchor, own=own)


def slug(title: str) -> str:
    """Return the anchor that GitHub makes of a heading: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _plain(inline: Token) -> str:
    """Return the words of an inline token, without marks."""
    parts = (
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in inline.children or []
        if child.type in ("text", "code_inline", "softbreak", "hardbreak")
    )
    return "".join(parts)


def _relink(
    children: Sequence[Token], link: Callable[[str], str | None], size: Callable[[str], tuple[int, int] | None]
) -> None:
    """Let links and pictures lead within the site; a link that leads out of it becomes plain words."""
    closing: list[Token] = []
    for child in children:
        if child.type == "image":
            source = str(child.attrGet("src") or "")
            child.attrSet("src", link(source) or "")
            child.attrSet("loading", "lazy")
            for name, pixels in zip(("width", "height"), size(source) or (), strict=False):
                child.attrSet(name, str(pixels))
        elif child.type == "link_open":
            closing.append(child)
            address = link(str(child.attrGet("href") or ""))
            if address is None:
                child.tag, child.attrs = "span", {}
            else:
                child.attrSet("href", address)
        elif child.type == "link_close":
            child.tag = closing.pop().tag


def _framed(tokens: Sequence[Token], headings: dict[int, Heading]) -> Iterator[Token]:
    """Yield the tokens with tables in a box that scrolls, and a second anchor at headings that have one."""
    for token in tokens:
        if token.type == "table_open":
            yield Token("html_block", "", 0, content='<div class="table">')
        yield token
        heading = headings.get(id(token))
        if heading is not None and heading.own != heading.anchor:
            anchor = Token("anchor_open", "a", 1, attrs={"id": heading.own})
            yield from (anchor, Token("anchor_close", "a", -1))
        if token.type == "table_close":
            yield Token("html_block", "", 0, content="</div>\n")


def _passages(tokens: Sequence[Token], headings: dict[int, Heading]) -> Iterator[Passage]:
    """Yield the text of each section."""
    present: Heading | None = None
    words: list[str] = []
    title = False
    for token in tokens:
        heading = headings.get(id(token))
        title = heading is not None or (title and token.type != "heading_close")
        if heading is not None and heading.level <= INDEXED_LEVEL_MAX:
            if present is not None:
                yield Passage(anchor=present.anchor, heading=present.title, text=" ".join(words))
            present, words = heading, []
        elif token.type == "inline" and not title:
            words.append(_plain(token))
        elif token.type in ("fence", "code_block"):
            words.append(token.content.strip())
    if present is not None:
        yield Passage(anchor=present.anchor, heading=present.title, text=" ".join(words))
