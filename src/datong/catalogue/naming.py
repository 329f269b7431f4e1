"""How columns are named, and which data elements go by such names: Chinese, pinyin, initials, English, abbreviations.

A name is cut into words. Names are head-final in both languages (`contact_phone`, 联系电话), so an element's name at
the end of a column's name means the element, and the same words in front of others mean something about it
(`phone_verified`, 身份证号校验状态).
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from datong.catalogue.readings import toneless_syllables
from datong.kernel import Value
from datong.norms import NormPack

INITIALS_CHARS_MIN = 3
"""Two initials mean too many things to be derived; packs list those that are in use."""
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[\u3400-\u9fff]+|[0-9]+")
_CODED = re.compile(r"[A-Za-z]{2,4}[0-9]{2,4}[A-Za-z]?")
"""Column names that are codes of a norm, such as AAC002: they say nothing by themselves."""
_SAME = {
    "no": "number",
    "num": "number",
    "nbr": "number",
    "nr": "number",
    "tel": "telephone",
    "mob": "mobile",
    "cell": "mobile",
    "cellphone": "mobile",
    "addr": "address",
    "org": "organisation",
    "organization": "organisation",
    "dept": "department",
    "modified": "update",
    "updated": "update",
    "modify": "update",
    "identification": "identity",
    "gender": "sex",
    "birthday": "birthdate",
    "dob": "birthdate",
    "ethnicity": "ethnic",
    "race": "ethnic",
    "nationality": "citizenship",
    "cert": "certificate",
    "reg": "registration",
    "fullname": "name",
}
_JOINED = {
    ("birth", "date"): "birthdate",
    ("date", "birth"): "birthdate",
    ("ethnic", "group"): "ethnic",
    ("full", "name"): "name",
    ("mobile", "phone"): "mobile",
    ("cell", "phone"): "mobile",
    ("id", "card"): "idcard",
}
_BARE = (
    ("code", ("code",), ("代码", "编码")),
    ("dm", ("code",), ("代码", "编码")),
    ("daima", ("code",), ("代码", "编码")),
    ("name", ("name",), ("名称",)),
    ("mc", ("name",), ("名称",)),
    ("mingcheng", ("name",), ("名称",)),
    ("代码", ("code",), ("代码",)),
    ("编码", ("code",), ("编码", "代码")),
    ("名称", ("name",), ("名称",)),
    ("level", ("level",), ("级别",)),
    ("type", ("type",), ("类型",)),
    ("类型", ("type",), ("类型",)),
)
"""Names that say nothing without their table's, and how an element's name ends that means the same."""
_TABLE_PREFIX = re.compile(r"^(t|tb|tbl|tab|dim|dwd|ods|base|sys)_", re.IGNORECASE)
_TABLE_ENDING = re.compile(r"(信息|数据|字典)?表?$")
_TABLE_WORDS_MAX = 2
_FILLERS = {"of", "the", "a", "for", "and", "at", "to"}
_HEAD = re.compile(r"[:：,，;；(（\[【/|、。\n\t]|\s(?=[0-9])|[0-9](?=[-=:：.、\s]*[\u3400-\u9fff])")
_NUMBERED = re.compile(
    r"(编号|编码号|单号|流水号|凭证号|登记号|受理号|申请号|业务号|订单号|合同号|批次号|批号|预约号|住院号|病历号|档案号|案号|文号|票号)$"
    r"|^[\u3400-\u9fff]{2,8}编号"
)
_NUMBER = "编号"
"""What ends like this is the number under which somebody keeps something."""
_NETWORK = re.compile(
    r"(ip|mac|e?_?mail|web|url|server|host|邮箱|邮件|网络|网站|服务器|接口)[\s_]*(addr(ess)?|地址)$", re.IGNORECASE
)
_ASKS = re.compile(
    r"^(是否|有无|能否|可否|is_|has_|can_|was_)|(标志|标识位|状态|次数|个数|数量|图片|附件|照片|校验码|有效期|类型|种类)$"
)


class Fit(StrEnum):
    """How a name fits an element's name."""

    EXACT = "exact"
    HEAD = "head"
    INSIDE = "inside"


class NameMatch(Value):
    """An element whose name was found in a column's name or comment; `words` of it out of `of` were used.

    `short` marks names of two letters or characters and words that mean many things.
    """

    element: str
    fit: Fit
    words: int
    of: int
    short: bool


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name, in small letters, spelt in one way (`no`, `num` → `number`)."""
    found = [_SAME.get(word.lower(), word.lower()) for word in _WORDS.findall(name)]
    found = [_singular(word) for word in found if word not in _FILLERS]
    joined: list[str] = []
    for word in found:
        pair = (joined[-1], word) if joined else ("", "")
        if pair in _JOINED:
            joined[-1] = _JOINED[pair]
        else:
            joined.append(word)
    return tuple(joined)


def head_phrase(comment: str) -> str:
    """Return what a comment calls its column: the text before the first explanation, list or unit in it."""
    return _HEAD.split(comment.strip(), maxsplit=1)[0].strip()


def asks_about(name: str) -> bool:
    """Whether a name asks something about a thing, or counts it, instead of naming the thing."""
    return _ASKS.search(name) is not None


def record_number_chars(phrase: str) -> int:
    """Return how many characters at the end of a Chinese phrase call it the number of some record; 0 for none."""
    match = _NUMBERED.search(phrase)
    return 0 if match is None else len(match[1] or _NUMBER)


def is_network_address(name: str) -> bool:
    """Whether a name's address is one of a network or of mail, and no place."""
    return _NETWORK.search(name) is not None


def is_coded(name: str) -> bool:
    """Whether a column's name is a code of a norm (AAC002)."""
    return _CODED.fullmatch(name) is not None


def with_table(column: str, table: str, comment: str) -> list[str]:
    """Return the names that a column's name makes with its table's: `code` of a table of divisions is `division code`.

    Only names that say nothing by themselves are put together so. `comment` is the table's.
    """
    bare = column.strip().lower()
    stem = words(_TABLE_PREFIX.sub("", table.rsplit(".", 1)[-1]))
    if len(stem) >= _TABLE_WORDS_MAX and stem[-1] == bare:
        # `email_address.address` is what its table is called.
        return ["_".join(stem[-_TABLE_WORDS_MAX:])]
    endings = [(latin, chinese) for name, latin, chinese in _BARE if name == bare]
    if not endings:
        return []
    subjects = [stem[-size:] for size in range(1, min(_TABLE_WORDS_MAX, len(stem)) + 1)]
    about = _TABLE_ENDING.sub("", head_phrase(comment))
    found = []
    for latin, chinese in endings:
        found += ["_".join((*subject, ending)) for subject in subjects for ending in latin]
        # A table may be called in pinyin, and its column in English.
        found += ["".join((*subject, *toneless_syllables(ending))) for subject in subjects for ending in chinese]
        found += [f"{about}{ending}" for ending in chinese if about]
    return list(dict.fromkeys(found))


class Lexicon:
    """The names of a pack's data elements, in every spelling that columns use."""

    def __init__(
        self, pack: NormPack, common: Sequence[str] = (), more: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._latin: dict[tuple[str, ...], dict[str, bool]] = {}
        self._chinese: dict[str, dict[str, bool]] = {}
        self._common = frozenset(common)
        for element in pack.elements:
            for name in (
                element.code,
                element.name.zh,
                element.name.en,
                *element.aliases,
                *(more or {}).get(element.code, ()),
            ):
                self._learn(element.code, name)
        self._longest = max((len(spelling) for spelling in self._latin), default=0)

    def matches(self, name: str) -> list[NameMatch]:
        """Return the elements that a Latin or mixed name may mean, at most one match each, the best."""
        parts = words(name)
        if not parts or is_coded(name):
            return []
        joined = ("".join(parts),)
        found: dict[str, NameMatch] = {}
        for spelling in (parts, joined):
            self._keep(found, self._latin.get(spelling, {}), Fit.EXACT, len(parts), len(parts))
        for size in range(min(len(parts) - 1, self._longest), 0, -1):
            self._keep(found, self._latin.get(parts[-size:], {}), Fit.HEAD, size, len(parts))
        for size in range(min(len(parts) - 1, self._longest), 0, -1):
            for start in range(len(parts) - size):
                self._keep(found, self._latin.get(parts[start : start + size], {}), Fit.INSIDE, size, len(parts))
        return list(found.values())

    def chinese_matches(self, phrase: str) -> list[NameMatch]:
        """Return the elements that a Chinese phrase may mean, at most one match each, the best."""
        found: dict[str, NameMatch] = {}
        length = len(phrase)
        self._keep(found, self._chinese.get(phrase, {}), Fit.EXACT, length, length)
        for size in range(length - 1, 1, -1):
            self._keep(found, self._chinese.get(phrase[-size:], {}), Fit.HEAD, size, length)
        for size in range(length - 1, 1, -1):
            for start in range(length - size):
                self._keep(found, self._chinese.get(phrase[start : start + size], {}), Fit.INSIDE, size, length)
        return list(found.values())

    def _keep(self, found: dict[str, NameMatch], elements: dict[str, bool], fit: Fit, size: int, of: int) -> None:
        for element, short in elements.items():
            if element not in found:
                found[element] = NameMatch(element=element, fit=fit, words=size, of=of, short=short)

    def _learn(self, element: str, name: str) -> None:
        folded = name.strip().lower()
        if _is_chinese(folded):
            self._add_chinese(element, folded)
            syllables = tuple(toneless_syllables(folded))
            self._add_latin(element, ("".join(syllables),), short=len(syllables) < 2)
            if len(syllables) >= INITIALS_CHARS_MIN:
                self._add_latin(element, ("".join(syllable[0] for syllable in syllables),), short=False)
            return
        parts = words(name)
        short = len(folded) <= 2 or folded in self._common or (len(parts) == 1 and parts[0] in self._common)
        self._add_latin(element, parts, short=short)
        if len(parts) > 1:
            self._add_latin(element, ("".join(parts),), short=short)

    def _add_latin(self, element: str, spelling: tuple[str, ...], *, short: bool) -> None:
        if spelling and spelling[0]:
            known = self._latin.setdefault(spelling, {})
            known[element] = short and known.get(element, True)

    def _add_chinese(self, element: str, name: str) -> None:
        self._chinese.setdefault(name, {})[element] = name in self._common or len(name) < 2


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


def _is_chinese(text: str) -> bool:
    return any("\u3400" <= character <= "\u9fff" for character in text)
