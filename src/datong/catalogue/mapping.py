"""Maps columns to data elements, with a confidence and the evidence in words; pure.

Many signals speak for or against an element: the column's name, its comment, declared type, values (ratios only),
codes listed in the comment, keys and foreign keys, and what else the table holds. Each adds a bounded weight
(log-odds), so that no single wrong signal decides: a name that the values contradict is not believed, but name and
comment together outweigh values that were entered badly. The confidence is the logistic function of the sum.
"""

import math
from collections.abc import Mapping as Table
from collections.abc import Sequence

from datong.catalogue.enumerations import enumerated, fitting_code_lists
from datong.catalogue.naming import (
    Fit,
    Lexicon,
    NameMatch,
    asks_about,
    head_phrase,
    is_network_address,
    record_number_chars,
    with_table,
)
from datong.catalogue.profile import ColumnProfile, TableProfile
from datong.catalogue.types import TypeClass, TypeFit, type_class, type_fit
from datong.kernel import Text, Value
from datong.norms import DataElement, DataType, IdentifierKind, NormPack

CONFIDENCE_MIN = 50
TELLING_CHARS_MIN = 3
"""A comment of fewer characters (名称, 代码) only translates a bare name."""
RATIO_TYPICAL = 0.6
RATIO_CONTRADICTS = 0.2
PRIOR = -2.2
"""Log-odds of an element before anything is known of a column."""
RECORD_ELEMENT = "record_id"
PERSON_NAME = "person_name"
NEIGHBOURS_MAX = 2
_CHECKED = (
    IdentifierKind.CITIZEN_ID,
    IdentifierKind.USCC,
    IdentifierKind.CERTIFICATE_ID,
    IdentifierKind.REAL_ESTATE_UNIT,
)
COMMON_NAMES = (
    "关系",
    "代码",
    "number",
    *("name", "id", "area", "location", "level", "relation", "relationship", "grade", "usage", "nation", "benefit"),
    *("allowance", "pk", "income", "school", "serial_no"),
    *("编号", "序号", "级别", "用途", "面积", "名字", "区划"),
)
"""Names that mean other things as often as the element that lists them: they need support."""
_PLACES = frozenset({"address", "property_address"})
_OWN_CODES = frozenset({"code", "代码", "编码"})
REFERENCES_OF_RECORDS = 3
"""A table that refers to several others keeps events or things, and its bare `code` numbers them; in others it is a
code that explains values."""
MORE_NAMES = {RECORD_ELEMENT: ("number",)}
"""Names too common for a pack to list."""
_NAME = {Fit.EXACT: 3.6, Fit.HEAD: 2.7, Fit.INSIDE: 0.4}
_COMMENT = {Fit.EXACT: 3.7, Fit.HEAD: 3.0, Fit.INSIDE: 0.4}
_SHORT = 0.55
"""What a short or common name weighs of a plain one."""
_TYPE = {TypeFit.FITS: 0.4, TypeFit.NEUTRAL: 0.0, TypeFit.UNLIKELY: -1.2, TypeFit.IMPOSSIBLE: -4.5}
_VALUES_FIT, _VALUES_PROVE, _VALUES_CONTRADICT = 1.6, 2.8, -3.6
_CODES_FIT, _CODES_CONTRADICT = 1.9, -1.6
_REFERENCE, _KEY, _NEIGHBOURS, _ASKED = 2.8, 1.6, 1.0, -2.4
_NO_PLACE = -6.0
"""An address of a network or of mail is no place, whatever else is said."""
_UNSAID = -1.2
"""The comment says something else than a name that means many things."""
_CLASH = -1.2
"""Name and comment name different elements: each weighs less."""
_OUTNAMED = -2.2
"""The same words name another element exactly: 监护人身份证号 is a guardian's number before it is a number."""
_OTHER_PROVEN = -2.0
"""The check characters prove another identifier."""


class Mapping(Value):
    """A proposed data element; `confidence` is a percentage, `log_odds` what it was rounded from."""

    element: str
    confidence: int
    evidence: tuple[Text, ...]
    log_odds: float = 0.0


class ColumnMapper:
    """Maps the columns of tables to the elements of one norm pack."""

    def __init__(self, pack: NormPack) -> None:
        self._pack = pack
        self._lexicon = Lexicon(pack, COMMON_NAMES, MORE_NAMES)

    def map_tables(self, tables: Sequence[TableProfile]) -> dict[str, dict[str, Mapping]]:
        """Return the mappings by table and column; a foreign key takes the element of the column it refers to."""
        first = {table.table: self.map_table(table) for table in tables}
        return {table.table: self.map_table(table, first) for table in tables}

    def map_name(self, name: str) -> Mapping | None:
        """Return the most likely data element of a column of which only the name is known, if there is one."""
        column = ColumnProfile(
            name=name, type="", comment="", null_ratio=1.0, distinct=0, unique=False, length_min=0, length_max=0
        )
        table = TableProfile(table="", comment="", rows=0, rows_total=None, columns=(column,))
        return self.map_table(table).get(name)

    def map_table(
        self, table: TableProfile, known: Table[str, Table[str, Mapping]] | None = None
    ) -> dict[str, Mapping]:
        """Return the mappings of one table's columns; `known` are those of the tables that it may refer to."""
        alone = {column.name: self._candidates(column, table, known or {}) for column in table.columns}
        sure = {
            name: found[0].element for name, found in alone.items() if found and found[0].confidence >= CONFIDENCE_MIN
        }
        result = {}
        for column in table.columns:
            others = {element for name, element in sure.items() if name != column.name}
            best = max(
                (self._beside(found, others) for found in alone[column.name]),
                key=lambda found: (found.log_odds, -len(found.element)),
                default=None,
            )
            if best is not None and best.confidence >= CONFIDENCE_MIN:
                result[column.name] = best
        return result

    def _beside(self, found: Mapping, others: set[str]) -> Mapping:
        """Weigh what else the table holds: other facts of persons support one; a bare name needs them."""
        if not self._pack.element(found.element).personal:
            return found
        persons = sum(self._pack.element(code).personal for code in others)
        support = min(persons, NEIGHBOURS_MAX) / NEIGHBOURS_MAX * _NEIGHBOURS
        alone = -_NEIGHBOURS if found.element == PERSON_NAME else 0.0
        weight = (support if found.element == PERSON_NAME else support / 2) if persons else alone
        if not weight:
            return found
        text = Text(zh=f"同表有 {persons} 个个人信息项", en=f"the table has {persons} other item(s) about persons")
        return _shifted(found, weight, text)

    def _candidates(
        self, column: ColumnProfile, table: TableProfile, known: Table[str, Table[str, Mapping]]
    ) -> list[Mapping]:
        """Return every element that something speaks for, the likeliest first."""
        names = {match.element: match for match in self._name_matches(column, table)}
        comments = {match.element: match for match in self._comment_matches(column)}
        lists = fitting_code_lists(enumerated(column.comment), self._pack)
        reference = _reference(column, table, known)
        together = with_table(column.name, table.table, table.comment)
        addressed = (column.name, head_phrase(column.comment), *together)
        proven = {kind for kind in _CHECKED if column.identifiers.get(kind, 0.0) >= RATIO_TYPICAL}
        found = []
        for element in self._pack.elements:
            code = element.code
            spoken = code in names or code in comments or (reference is not None and reference[0] == code)
            # Only the plain element may be claimed by values alone: an ID column need not be the spouse's.
            shown = element.identifier in proven and code == element.identifier
            listed = element.code_list in lists
            if not (spoken or shown or listed):
                continue
            signals = _name_signals(column, element, names.get(code), comments.get(code))
            signals += [_type_signal(column, element)]
            signals += [_outnamed(code, names), _outnamed(code, comments)]
            signals += [_value_signal(column, element), _other_signal(element, proven)]
            signals += [_code_signal(column, element, lists)]
            signals += [_key_signal(column, element, table)]
            if code in _PLACES and any(is_network_address(called) for called in addressed):
                signals.append((_NO_PLACE, Text(zh="是网络或邮件地址", en="an address of a network or of mail")))
            if reference is not None and reference[0] == code:
                signals.append((_REFERENCE, reference[1]))
            if comments and names and code in names and code not in comments and _clash(names[code], comments):
                signals.append((_CLASH, None))
            elif (
                code in names
                and names[code].short
                and code not in comments
                and len(head_phrase(column.comment)) >= TELLING_CHARS_MIN
            ):
                signals.append((_UNSAID, None))
            found.append(_mapping(code, signals))
        return sorted(found, key=lambda one: (-one.log_odds, len(one.element)))

    def _name_matches(self, column: ColumnProfile, table: TableProfile) -> list[NameMatch]:
        found = self._lexicon.matches(column.name) + self._lexicon.chinese_matches(column.name.lower())
        stem = table.table.rsplit(".", 1)[-1].lower().rsplit("_", 1)[-1].removesuffix("s")
        own = column.name.lower().removeprefix(f"{stem}_")
        if own != column.name.lower() and own:
            # `person_name` in the table `person`: the table's own name adds nothing.
            found += self._lexicon.matches(own)
        found += self._table_matches(column, table)
        if len(table.references) >= REFERENCES_OF_RECORDS and column.name.lower() in _OWN_CODES:
            found.append(NameMatch(element=RECORD_ELEMENT, fit=Fit.EXACT, words=1, of=1, short=True))
        best: dict[str, NameMatch] = {}
        order = list(Fit)
        for match in found:
            held = best.get(match.element)
            if held is None or order.index(match.fit) < order.index(held.fit):
                best[match.element] = match
        return list(best.values())

    def _table_matches(self, column: ColumnProfile, table: TableProfile) -> list[NameMatch]:
        """What a bare name means together with its table's name, as a short name: values may deny it."""
        together = with_table(column.name, table.table, table.comment)
        found = [one for name in together for one in self._lexicon.matches(name) + self._lexicon.chinese_matches(name)]
        return [one.model_copy(update={"short": True}) for one in found if one.fit is Fit.EXACT]

    def _comment_matches(self, column: ColumnProfile) -> list[NameMatch]:
        phrase = head_phrase(column.comment).lower()
        if not phrase:
            return []
        found = self._lexicon.chinese_matches(phrase) or self._lexicon.matches(phrase)
        chars = record_number_chars(phrase)
        # 证书编号 names its element more fully than 编号 does; 凭证号 is no 证号.
        fuller = any(match.fit is not Fit.INSIDE and match.words > chars for match in found if _is_other(match))
        exact = any(match.fit is Fit.EXACT for match in found if _is_other(match))
        if chars and not fuller and not exact:
            others = [match for match in found if _is_other(match) and match.words > chars]
            size = len(phrase)
            number = NameMatch(element=RECORD_ELEMENT, fit=Fit.HEAD, words=1, of=size, short=False)
            found = [*others, number]
        return found


def _is_other(match: NameMatch) -> bool:
    return match.element != RECORD_ELEMENT


Signal = tuple[float, Text | None]


def _mapping(element: str, signals: Sequence[Signal]) -> Mapping:
    total = PRIOR + sum(weight for weight, _ in signals)
    return Mapping(
        element=element,
        confidence=_percent(total),
        evidence=tuple(text for _, text in signals if text is not None),
        log_odds=total,
    )


def _shifted(found: Mapping, weight: float, text: Text) -> Mapping:
    odds = found.log_odds + weight
    return found.model_copy(
        update={"confidence": _percent(odds), "evidence": (*found.evidence, text), "log_odds": odds}
    )


def _percent(log_odds: float) -> int:
    return min(99, max(1, round(100 / (1 + math.exp(-log_odds)))))


def _name_signals(
    column: ColumnProfile, element: DataElement, name: NameMatch | None, comment: NameMatch | None
) -> list[Signal]:
    """What the name and the comment say."""
    signals: list[Signal] = []
    if name is not None:
        text = Text(
            zh=f"列名“{column.name}”与数据元“{element.name.zh}”的名称相符",
            en=f'the column name "{column.name}" fits the element "{element.name.en}"',
        )
        signals.append((_weight(_NAME, name), text if name.fit is not Fit.INSIDE else None))
    if comment is not None:
        text = Text(
            zh=f"注释“{column.comment}”与数据元“{element.name.zh}”的名称相符",
            en=f'the comment "{column.comment}" fits the element "{element.name.en}"',
        )
        signals.append((_weight(_COMMENT, comment), text if comment.fit is not Fit.INSIDE else None))
    if name is not None and comment is not None:
        # They are seldom independent: whoever named the column also wrote the comment. A common word said twice
        # (`relation`, 关系) says no more than said once.
        twice = min(signals[0][0], signals[1][0]) if name.short and comment.short else 0.0
        signals.append((-max(1.0, twice), None))
    asked = asks_about(head_phrase(column.comment)) or asks_about(column.name.lower())
    if (
        asked
        and not (comment is not None and comment.fit is Fit.EXACT)
        and not (name is not None and name.fit is Fit.EXACT)
    ):
        text = Text(zh="名称说的是它的状态或数量", en="the name asks about it or counts it")
        signals.append((_ASKED, text))
    return signals


def _weight(weights: Table[Fit, float], match: NameMatch) -> float:
    weight = weights[match.fit]
    # `prescription_id`: with something before it, even a common word for a number is one.
    plain = not match.short or (match.element == RECORD_ELEMENT and match.fit is Fit.HEAD)
    return weight if plain else weight * _SHORT


def _clash(name: NameMatch, comments: Table[str, NameMatch]) -> bool:
    """Whether the comment names another element at least as clearly."""
    order = list(Fit)
    return any(
        order.index(match.fit) <= order.index(name.fit) and match.fit is not Fit.INSIDE for match in comments.values()
    )


def _outnamed(code: str, matches: Table[str, NameMatch]) -> Signal:
    """Whether the words that name `code` in part are another element's exact name."""
    match = matches.get(code)
    exact = any(other.fit is Fit.EXACT and not other.short for other in matches.values())
    return (_OUTNAMED if match is not None and match.fit is not Fit.EXACT and exact else 0.0), None


def _other_signal(element: DataElement, proven: set[IdentifierKind]) -> Signal:
    """Whether the values are proven to be an identifier that the element does not have."""
    if not proven or element.identifier in proven:
        return 0.0, None
    names = "、".join(kind.label.zh for kind in sorted(proven)), ", ".join(kind.label.en for kind in sorted(proven))
    return _OTHER_PROVEN, Text(zh=f"校验码表明是{names[0]}", en=f"check characters prove: {names[1]}")


def _type_signal(column: ColumnProfile, element: DataElement) -> Signal:
    kind, length = type_class(column.type)
    fit = type_fit(element, kind, length)
    if element.code == RECORD_ELEMENT and kind in {TypeClass.INTEGER, TypeClass.UUID}:
        fit = TypeFit.FITS
    text = None
    if fit in {TypeFit.UNLIKELY, TypeFit.IMPOSSIBLE}:
        text = Text(zh=f"类型 {column.type} 与数据元不符", en=f"the type {column.type} does not suit the element")
    return _TYPE[fit], text


def _key_signal(column: ColumnProfile, element: DataElement, table: TableProfile) -> Signal:
    if element.code != RECORD_ELEMENT:
        return 0.0, None
    if table.key_columns == (column.name,):
        return _KEY, Text(zh="是表的主键", en="it is the table's key")
    if len(table.references) >= REFERENCES_OF_RECORDS and column.name.lower() in _OWN_CODES:
        return _KEY / 2, Text(
            zh="所在表引用多张表，是业务记录", en="its table refers to several others: it keeps records"
        )
    return 0.0, None


def _reference(
    column: ColumnProfile, table: TableProfile, known: Table[str, Table[str, Mapping]]
) -> tuple[str, Text] | None:
    """The element of the column that a single-column foreign key refers to."""
    for reference in table.references:
        if reference.columns == (column.name,) and len(reference.other_columns) == 1:
            found = known.get(reference.table, {}).get(reference.other_columns[0])
            if found is not None:
                place = f"{reference.table}.{reference.other_columns[0]}"
                return found.element, Text(
                    zh=f"外键引用 {place}，沿用其数据元", en=f"a foreign key to {place}, whose element it takes"
                )
    return None


def _code_signal(column: ColumnProfile, element: DataElement, lists: Table[str, float]) -> Signal:
    pairs = enumerated(column.comment)
    if not pairs:
        return 0.0, None
    if element.code_list is not None and element.code_list in lists:
        return _CODES_FIT, Text(
            zh=f"注释列出的 {len(pairs)} 个代码与“{element.name.zh}”的代码表相符",
            en=f"the {len(pairs)} codes in the comment fit the code list of “{element.name.en}”",
        )
    text = Text(zh="注释列出的是另外的代码", en="the comment lists other codes")
    return _CODES_CONTRADICT, text


def _value_signal(column: ColumnProfile, element: DataElement) -> Signal:
    """What the values say: nothing where there are none, or where the element's values prove nothing."""
    ratio, what = _looks(column, element)
    if ratio is None or column.null_ratio >= 1:
        return 0.0, None
    percent = round(ratio * 100)
    text = Text(zh=f"{percent}% 的值{what.zh}", en=f"{percent}% of the values are {what.en}")
    if ratio >= RATIO_TYPICAL:
        return (_VALUES_PROVE if element.identifier in _CHECKED else _VALUES_FIT), text
    if ratio < RATIO_CONTRADICTS:
        return _VALUES_CONTRADICT, text
    return 0.0, text


def _looks(column: ColumnProfile, element: DataElement) -> tuple[float | None, Text]:
    """The ratio of present values that look like the element's, and in words what they look like."""
    kind = element.identifier
    patterns = column.patterns
    if kind is IdentifierKind.MOBILE:
        return max(column.identifiers.get(kind, 0.0), patterns.get("telephone", 0.0)), Text(
            zh="像电话号码", en="like telephone numbers"
        )
    if kind is not None:
        ratio = column.identifiers.get(kind, 0.0)
        if kind is IdentifierKind.CITIZEN_ID:
            # First-generation numbers have no check character: they support, the others prove.
            ratio = max(ratio, min(patterns.get("citizen_id_shape", 0.0), ratio + 0.3))
        return ratio, Text(zh=f"通过{kind.label.zh}校验", en=f"valid as {kind.label.en.lower()}")
    if element.code_list is not None:
        codes = Text(zh=f"是“{element.name.zh}”的代码", en=f"codes of “{element.name.en}”")
        return column.code_lists.get(element.code_list, 0.0), codes
    if element.data_type in (DataType.DATE, DataType.DATETIME):
        return min(1.0, patterns.get("date", 0.0) + patterns.get("time", 0.0)), Text(
            zh="是日期或时间", en="dates or times"
        )
    if element.data_type in (DataType.NUMERIC, DataType.CURRENCY, DataType.INTEGER):
        return patterns.get("number", 0.0), Text(zh="是数值", en="numbers")
    if element.code == PERSON_NAME:
        return patterns.get("chinese_name", 0.0), Text(zh="像人名", en="like names of people")
    if element.code in ("address", "property_address"):
        return patterns.get("address", 0.0), Text(zh="像地址", en="like addresses")
    return None, Text(zh="", en="")
