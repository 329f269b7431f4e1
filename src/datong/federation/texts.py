"""Text from elsewhere: unknown encodings, HTML, control characters, any length. Pure, and never raises on content."""

import re
from datetime import UTC, date, datetime
from html import unescape
from html.parser import HTMLParser

from datong.kernel import Corrupt, Text

TEXT_BYTES_FALLBACK = ("utf-8-sig", "gb18030")
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_TAG = re.compile(r"<(?:[a-zA-Z/!])")
_SPACES = re.compile(r"[ \t\u3000\xa0]+")
_HAN = re.compile("[\u3400-\u9fff]")
_BLOCKS = frozenset({"p", "br", "div", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table"})
_SILENT = frozenset({"script", "style", "template", "noscript"})
_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-\d{2}")


class _Plain(HTMLParser):
    """Collects what a reader would see of an HTML fragment."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line at a block, and silence what is no text."""
        del attrs
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End a line at a block."""
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep text."""
        if not self._silent:
            self.parts.append(data)


def decode(body: bytes, charset: str = "") -> str:
    """Return the text of a document: by its declared charset if that fits, else UTF-8, else GB 18030.

    Portals declare UTF-8 and send GBK, or the reverse; a wrong declaration therefore only ranks last.

    Raises:
        Corrupt: it is none of them.
    """
    candidates: tuple[str, ...] = (*TEXT_BYTES_FALLBACK[:1], charset, *TEXT_BYTES_FALLBACK[1:])
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        candidates = ("utf-16",)
    for name in candidates:
        try:
            return body.decode(name) if name else _nothing()
        except (UnicodeDecodeError, LookupError):
            continue
    raise Corrupt(
        "federation.encoding_unknown",
        what=Text(zh="来源文件的文字编码无法识别。", en="The encoding of the origin's document is unknown."),
        remedy=Text(zh="请让来源以 UTF-8 提供。", en="Ask the origin to send UTF-8."),
    )


def _nothing() -> str:
    raise LookupError("no charset was declared")


def clean(value: object) -> str:
    """Return a scalar as text that can be stored and signed; anything else as an empty text."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    return _UNWRITABLE.sub("", value).strip() if isinstance(value, str) else ""


def plain(value: object) -> str:
    """Return the text of a description that may be HTML, without markup, with its line breaks."""
    text = clean(value)
    if _TAG.search(text):
        reader = _Plain()
        reader.feed(text)
        reader.close()
        text = "".join(reader.parts)
    elif "&" in text:
        text = unescape(text)
    text = _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    # By lines: a pattern for white space around line ends takes the square of the time that a long run of it is long.
    lines = (line.strip() for line in _SPACES.sub(" ", text).split("\n"))
    return "\n".join(line for line in lines if line)


def one_line(value: object) -> str:
    """Return `plain` text on a single line."""
    return " ".join(plain(value).split())


def is_chinese(text: str) -> bool:
    """Whether a text holds a Chinese character."""
    return _HAN.search(text) is not None


def bilingual(by_language: dict[str, str]) -> Text:
    """Return texts by language tag ("" for none) as one; a sole English text stands in the Chinese place too.

    Lists and search need a Chinese text, so that the Chinese side is never empty while there is any text.
    """
    chinese = next((text for tag, text in sorted(by_language.items()) if tag.lower().startswith("zh") and text), "")
    english = next((text for tag, text in sorted(by_language.items()) if tag.lower().startswith("en") and text), "")
    untagged = by_language.get("", "")
    other = untagged or next((text for _, text in sorted(by_language.items()) if text), "")
    if not chinese and untagged and is_chinese(untagged):
        chinese = untagged
    if not english and untagged and untagged != chinese:
        english = untagged
    return Text(zh=chinese or english or other, en=english)


def moment_of(value: object) -> datetime | None:
    """Return an ISO 8601 time, in UTC where no zone is given; None for anything else."""
    text = clean(value).replace("Z", "+00:00")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        day = date_of(text)
        return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        return None


def date_of(value: object) -> date | None:
    """Return the day of an ISO 8601 date, month, year or time; None for anything else."""
    text = clean(value)[:10]
    if _YEAR.fullmatch(text):
        text += "-01-01"
    elif _MONTH.fullmatch(text):
        text += "-01"
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
