"""Words for the search: one way to fold and cut a text, for what is indexed, what is asked and what is highlighted.

Two thirds of the words in Chinese catalogue titles have two characters, which trigram tokenisers miss, so runs of
Chinese characters become overlapping pairs. Latin letters and digits form words. Everything is folded first: full
width to half width, upper to lower case, traditional to simplified characters.
"""

import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources

from datong.catalogue.search_values import Fragment

HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f"
RUN = re.compile(f"[{HAN}]+|[a-z0-9]+")
_HAN_FIRST = re.compile(f"[{HAN}]")
_DIVISION = re.compile(
    f"[{HAN}]{{2,9}}?(?:自治区|自治州|自治县)(?=[{HAN}]{{2}})|[{HAN}]{{1,4}}?(?:省|市|州|县|区|旗)(?=[{HAN}]{{2}})"
)
_NO_DIVISION = re.compile(
    "(?:行政|地|社|小|园|开发|景|学|校|灾|城|矿|林|牧|库|海|山|片|辖|保护|旅游|试验|示范|街|老|新|功能)区$"
    "|(?:城|上|超|门|股|楼|菜|夜|集|全|本|各|跨)市$|(?:全|本|各|跨|我|该)[省州县区]$"
)
_DATE = re.compile(
    r"(?:19|20)\d\d(?:\s*[-—~至/.]\s*(?:19|20)\d\d)?\s*(?:年度|学年度?|年)?(?:\d{1,2}(?:-\d{1,2})?月(?:份)?)?"
)
CORE_CHARS_MIN = 3
_TAIL = re.compile(r"[_\-\s(（【\[]*\d*[)）】\]]*$")


def fold(text: str) -> str:
    """Return `text` in compatibility form (full-width to half-width), lower case and simplified characters."""
    return unicodedata.normalize("NFKC", text).lower().translate(simplified())


def runs(text: str) -> list[str]:
    """Return the runs of Chinese characters, and the words of Latin letters and digits, of a folded text."""
    return RUN.findall(text)


def is_han(run: str) -> bool:
    """Whether a run consists of Chinese characters."""
    return _HAN_FIRST.match(run) is not None


def squeezed(text: str) -> str:
    """Return a folded text without anything that is not a letter, a digit or a Chinese character."""
    return "".join(RUN.findall(text))


@cache
def simplified() -> dict[int, int]:
    """Return code points of traditional characters, each with its simplified form."""
    text = resources.files("datong.catalogue").joinpath("data", "traditional.txt").read_text(encoding="utf-8")
    pairs = [pair for line in text.splitlines() if not line.startswith("#") for pair in line.split()]
    return {ord(pair[0]): ord(pair[1]) for pair in pairs}


def core_title(title: str) -> str:
    """Return what a title is about: without the division before it, and without a year or a number.

    Resources with one core are near-duplicates: 宣汉县不动产登记信息 and 大竹县不动产登记信息(2021年).
    """
    rest = _DATE.sub("", title).strip()
    while (division := _DIVISION.match(rest)) and not _NO_DIVISION.search(division[0]):
        rest = rest[division.end() :]
    core = _TAIL.sub("", rest).strip(" _-—:：,，、")
    return core if len(core) >= CORE_CHARS_MIN else title.strip()


def highlight(text: str, words: tuple[str, ...]) -> tuple[Fragment, ...]:
    """Return the original `text` in fragments, those that match a word or a pair of its characters marked."""
    folded = fold(text)
    if len(folded) != len(text):
        folded = "".join(_fold_one(character) for character in text)
    spans: list[tuple[int, int]] = []
    for word, pairs in _needles(words):
        for needle in (word,) if word in folded else pairs:
            start = folded.find(needle)
            while start >= 0:
                spans.append((start, start + len(needle)))
                start = folded.find(needle, start + 1)
    fragments: list[Fragment] = []
    at = 0
    for start, end in sorted(spans):
        if start > at:
            fragments.append(Fragment(text=text[at:start], match=False))
        if end > at and fragments and fragments[-1].match and start <= at:
            fragments[-1] = Fragment(text=fragments[-1].text + text[at:end], match=True)
        elif end > at:
            fragments.append(Fragment(text=text[max(at, start) : end], match=True))
        at = max(at, end)
    if at < len(text):
        fragments.append(Fragment(text=text[at:], match=False))
    return tuple(fragments)


@lru_cache(maxsize=256)
def _needles(words: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each word with what is looked for where it is not found as a whole: the pairs of a Chinese word."""
    return tuple(
        (word, tuple(word[index : index + 2] for index in range(len(word) - 1)) if is_han(word) else ())
        for word in words
        if word
    )


def _fold_one(character: str) -> str:
    folded = fold(character)
    return folded if len(folded) == 1 else character
