"""Maps a column to a data element, with a confidence and the evidence in words; pure.

Two kinds of evidence meet: what the column is called (name, comment, against the pack's aliases) and what its values
look like (checksum, code list and pattern ratios). A name alone is believed to 85%; both together reach 99%; values
alone count only where a check character proves them. What the values contradict loses half its weight.
"""

import re

from datong.catalogue.profile import ColumnProfile
from datong.kernel import Text, Value
from datong.norms import DataElement, DataType, IdentifierKind, NormPack

NAME_EXACT = 85
NAME_CONTAINED = 60
VALUES_SUPPORT = 14
VALUES_ALONE = 55
RATIO_TYPICAL = 0.6
RATIO_CONTRADICTS = 0.2
CONFIDENCE_MIN = 50
_CHECKED = (
    IdentifierKind.CITIZEN_ID,
    IdentifierKind.USCC,
    IdentifierKind.CERTIFICATE_ID,
    IdentifierKind.REAL_ESTATE_UNIT,
)
_SPLIT = re.compile(r"[\s_:：,，;；()（）/\-]+")


class Mapping(Value):
    """A proposed data element; `confidence` is a percentage."""

    element: str
    confidence: int
    evidence: tuple[Text, ...]


def map_column(column: ColumnProfile, pack: NormPack) -> Mapping | None:
    """Return the most likely data element of a column, or None if nothing speaks for one."""
    candidates = [found for element in pack.elements if (found := _judge(column, element)) is not None]
    best = max(candidates, key=lambda found: (found.confidence, -len(found.element)), default=None)
    return best if best is not None and best.confidence >= CONFIDENCE_MIN else None


def _judge(column: ColumnProfile, element: DataElement) -> Mapping | None:
    name_score, name_evidence = _by_name(column, element)
    ratio, value_evidence = _by_values(column, element)
    if name_score == 0:
        proven = element.identifier in _CHECKED and ratio is not None and ratio >= RATIO_TYPICAL
        # Only the plain element may be claimed by values alone: an ID column need not be the spouse's.
        if not proven or element.code != element.identifier:
            return None
        return Mapping(element=element.code, confidence=VALUES_ALONE + int(25 * (ratio or 0)), evidence=value_evidence)
    score = name_score
    if ratio is not None and ratio >= RATIO_TYPICAL:
        score = min(99, score + VALUES_SUPPORT)
    elif ratio is not None and ratio < RATIO_CONTRADICTS and column.null_ratio < 1:
        score //= 2
    return Mapping(element=element.code, confidence=score, evidence=name_evidence + value_evidence)


def _by_name(column: ColumnProfile, element: DataElement) -> tuple[int, tuple[Text, ...]]:
    """How well the column's name or comment fits the element's names."""
    names = {alias.casefold() for alias in (element.code, element.name.zh, *element.aliases)}
    best = 0
    evidence: tuple[Text, ...] = ()
    for label, text in (("列名", column.name), ("注释", column.comment)):
        folded = text.strip().casefold()
        if not folded:
            continue
        english = "column name" if label == "列名" else "comment"
        exact = folded in names or folded.replace("_", "") in names
        parts = [part for part in _SPLIT.split(folded) if part]
        if exact or (parts and parts[0] in names and label == "注释"):
            score = NAME_EXACT
        else:
            held = [name for name in names if len(name) >= 2 and _holds(folded, parts, name)]
            score = NAME_CONTAINED + min(20, 2 * max((len(name) for name in held), default=0)) if held else 0
        if score > best:
            best = score
            evidence = (
                Text(
                    zh=f"{label}“{text}”与数据元“{element.name.zh}”的名称相符",
                    en=f'the {english} "{text}" fits the element "{element.name.en}"',
                ),
            )
    return best, evidence


def _holds(text: str, parts: list[str], name: str) -> bool:
    """Whether `text` holds `name`: Chinese names anywhere, Latin ones as a whole part."""
    return name in parts if name.isascii() else name in text


def _by_values(column: ColumnProfile, element: DataElement) -> tuple[float | None, tuple[Text, ...]]:
    """The ratio of present values that look like the element; None where the element's values prove nothing."""
    kind = element.identifier
    if kind is not None:
        ratio = column.identifiers.get(kind, 0.0)
        if kind is IdentifierKind.CITIZEN_ID:
            # First-generation numbers have no check character: they support, the others prove.
            ratio = max(ratio, min(column.patterns.get("citizen_id_shape", 0.0), ratio + 0.3))
        what = Text(zh=f"通过{kind.label.zh}校验", en=f"valid as {kind.label.en.lower()}")
    elif element.code_list is not None:
        ratio = column.code_lists.get(element.code_list, 0.0)
        what = Text(zh=f"是“{element.name.zh}”的代码", en=f"codes of “{element.name.en}”")
    elif element.data_type in (DataType.DATE, DataType.DATETIME):
        ratio = min(1.0, column.patterns.get("date", 0.0) + column.patterns.get("time", 0.0))
        what = Text(zh="是日期或时间", en="dates or times")
    elif element.data_type in (DataType.NUMERIC, DataType.CURRENCY, DataType.INTEGER):
        ratio = column.patterns.get("number", 0.0)
        what = Text(zh="是数值", en="numbers")
    elif element.code == "person_name":
        ratio = column.patterns.get("chinese_name", 0.0)
        what = Text(zh="像人名", en="like names of people")
    elif element.code in ("address", "property_address"):
        ratio = column.patterns.get("address", 0.0)
        what = Text(zh="像地址", en="like addresses")
    else:
        return None, ()
    percent = round(ratio * 100)
    return ratio, (Text(zh=f"{percent}% 的值{what.zh}", en=f"{percent}% of the values are {what.en}"),)
