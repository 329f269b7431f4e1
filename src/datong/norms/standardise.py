"""Brings a column into the canonical form of its data element, and says what is wrong with each raw value.

Both functions return a DuckDB expression over `column`, an SQL expression of any type (a quoted column name, usually).
The clean value is always VARCHAR in canonical form, NULL when the source does not know it:

- dates `YYYY-MM-DD`, times `YYYY-MM-DD HH:MM:SS`, numbers with the element's decimals, codes as in the code list;
- identifiers and phones in half-width characters without separators, 15-digit citizen IDs as 18;
- names with one kind of middle dot and, if Chinese, without spaces; addresses without spaces.

A text that cannot be understood stays in its folded form (a mistyped identifier still helps linkage); a date, number or
code that cannot be understood becomes NULL. `flag_sql` tells the two apart from a missing value.
"""

import re

from datong.norms.entries import DataElement
from datong.norms.identifier_sql import (
    check_sql,
    check_steps,
    citizen_date_sql,
    citizen_to_18_sql,
    identifier_valid_sql,
    let_sql,
    matches_sql,
    plain_pattern,
    text_literal,
)
from datong.norms.identifiers import PATTERNS, IdentifierKind
from datong.norms.terms import DataType, Mask, QualityFlag

_FULL_WIDTH = "".join(chr(point) for point in range(0xFF01, 0xFF5F)) + "\u3000\u00a0"
FOLDABLE = r"[\x{ff01}-\x{ff5e}\x{3000}\x{a0}]"
_HALF_WIDTH = "".join(chr(point) for point in range(0x21, 0x7F)) + "  "
_FOLDING = str.maketrans(_FULL_WIDTH, _HALF_WIDTH)
_BLANK = r"[ \t\r\n]"
INVISIBLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{200b}-\x{200f}\x{2060}\x{feff}]"
_TRIMMED = "E' \\t\\r\\n'"
_UNTIDY = f"{FOLDABLE}|{INVISIBLE}|^{_BLANK}|{_BLANK}$"
PHONES = (IdentifierKind.MOBILE, IdentifierKind.LANDLINE, IdentifierKind.TELEPHONE)
_SHORT_NUMBER = r"-?[0-9]{1,9}(\.[0-9]{1,8})?"
_SHORT_SCALED = r"-?[0-9]{1,5}(\.[0-9]{1,6})?万.*"
NUMBERS = (DataType.NUMERIC, DataType.CURRENCY, DataType.DOUBLE, DataType.INTEGER, DataType.FLOAT)
MIDDLE_DOTS = "[.•‧∙⋅・･˙●｡]"


def fold_sql(column: str) -> str:
    """`column` as text: full-width characters folded to half-width, invisible ones removed, trimmed."""
    return let_sql(f"CAST({column} AS VARCHAR)", "text", fold_text_sql("text"))


def fold_text_sql(text: str) -> str:
    """`fold_sql` of a text that has the name `text`."""
    # Most values need no folding: one search decides, and the costly replacements run on the others only.
    folded = f"translate({text}, {text_literal(_FULL_WIDTH)}, {text_literal(_HALF_WIDTH)})"
    tidy = f"trim(regexp_replace({folded}, '{INVISIBLE}', '', 'g'), {_TRIMMED})"
    return (
        f"(CASE WHEN NOT regexp_matches({text}, '{_UNTIDY}') THEN {text}"
        f" WHEN regexp_matches({text}, '{FOLDABLE}|{INVISIBLE}') THEN {tidy} ELSE trim({text}, {_TRIMMED}) END)"
    )


def known_sql(element: DataElement, column: str) -> str:
    """The folded text of `column`, or NULL where the source says that it does not know."""
    return let_sql(fold_sql(column), "folded", known_folded_sql(element, "folded"))


def known_folded_sql(element: DataElement, folded: str) -> str:
    """`known_sql` of a folded text that has the name `folded`."""
    markers = ", ".join(text_literal(marker) for marker in dict.fromkeys(("", *element.null_markers)))
    return f"(CASE WHEN {folded} IN ({markers}) THEN NULL ELSE {folded} END)"


def clean_sql(element: DataElement, column: str) -> str:
    """The canonical form of `column` under `element` (see the module's text)."""
    return let_sql(known_sql(element, column), "known", clean_known_sql(element, "known"))


def flag_sql(element: DataElement, column: str) -> str:
    """The code of `QualityFlag` for the raw value of `column`, or NULL if nothing is wrong with it."""
    body = flag_case_sql(element, "known", "clean", "its")
    for step in reversed(flag_steps(element, "clean", "its")):
        for name, value in step.items():
            body = let_sql(value, name, body)
    body = let_sql(plain_sql(element, "clean") or "false", "its_plain", body)
    judged = let_sql(clean_known_sql(element, "known"), "clean", body)
    return let_sql(known_sql(element, column), "known", judged)


def flag_steps(element: DataElement, clean: str, name: str) -> list[dict[str, str]]:
    """What `flag_case_sql` reads besides the value and `{name}_plain`: each step from the names of those before it."""
    if element.codes or element.identifier is None or element.identifier is IdentifierKind.MOBILE:
        return []
    return check_steps(element.identifier, clean, name)


def plain_sql(element: DataElement, text: str) -> str | None:
    """Whether the text of the name `text` needs no standardising (false: nobody knows yet); None: it never tells."""
    pattern = plain_pattern(element.identifier) if element.identifier is not None and not element.codes else None
    if pattern is None or any(re.fullmatch(pattern, marker) for marker in element.null_markers):
        return None
    return matches_sql(text, pattern)


def flag_case_sql(element: DataElement, known: str, clean: str, name: str) -> str:
    """The code of `QualityFlag`, or NULL, from the names of a value's known and its canonical form.

    `name` is what the names of `flag_steps` begin with.
    """
    cases = [f"WHEN {known} IS NULL THEN {_flag(QualityFlag.MISSING)}"]
    if element.codes:
        cases.append(f"WHEN {clean} IS NULL THEN {_flag(QualityFlag.UNKNOWN_CODE)}")
    elif element.identifier is not None:
        cases.extend(_identifier_cases(element.identifier, clean, name))
    elif element.data_type in (DataType.DATE, DataType.DATETIME):
        shaped = f"regexp_matches({known}, '^[0-9]{{4}}\\D{{0,3}}[0-9]{{1,2}}\\D{{0,3}}[0-9]{{1,2}}')"
        cases.append(f"WHEN {clean} IS NULL AND {shaped} THEN {_flag(QualityFlag.IMPOSSIBLE_DATE)}")
        cases.append(f"WHEN {clean} IS NULL THEN {_flag(QualityFlag.MALFORMED)}")
    elif element.data_type in NUMBERS:
        cases.append(f"WHEN {clean} IS NULL THEN {_flag(QualityFlag.MALFORMED)}")
    elif element.pattern is not None:
        cases.append(f"WHEN NOT {matches_sql(clean, element.pattern)} THEN {_flag(QualityFlag.MALFORMED)}")
    cases.append(f"WHEN length({clean}) > {element.max_length} THEN {_flag(QualityFlag.TOO_LONG)}")
    return f"(CASE {' '.join(cases)} ELSE NULL END)"


def clean_known_sql(element: DataElement, known: str) -> str:
    """The canonical form of a value from the name of its known form (`known_sql`)."""
    if element.codes:
        return _code_sql(element, known)
    if element.identifier is not None:
        return _identifier_sql(element.identifier, known)
    if element.data_type is DataType.DATE:
        return f"CAST({_date_sql(known)} AS VARCHAR)"
    if element.data_type is DataType.DATETIME:
        return f"strftime({_time_sql(known)}, '%Y-%m-%d %H:%M:%S')"
    if element.data_type in NUMBERS:
        return _number_sql(element, known)
    if element.mask is Mask.NAME:
        return _name_sql(known)
    if element.mask is Mask.ADDRESS:
        tidy = f"regexp_replace(regexp_replace({known}, '\\s+', '', 'g'), '[—–−]+', '-', 'g')"
        return f"(CASE WHEN regexp_matches({known}, '[\\s—–−]') THEN {tidy} ELSE {known} END)"
    if element.mask is Mask.ID:
        return f"upper(regexp_replace({known}, '\\s+', '', 'g'))"
    return f"regexp_replace({known}, '\\s+', ' ', 'g')"


def _flag(flag: QualityFlag) -> str:
    return text_literal(flag.value)


def _identifier_cases(kind: IdentifierKind, clean: str, name: str) -> list[str]:
    """The cases of `flag_case_sql` for an identifier whose canonical form has the name `clean`."""
    if kind is IdentifierKind.MOBILE:
        # A landline is a telephone number too: only what is neither is malformed.
        valid = f"({identifier_valid_sql(kind, clean)} OR {matches_sql(clean, PATTERNS[IdentifierKind.TELEPHONE])})"
        return [f"WHEN NOT (CASE WHEN {name}_plain THEN true ELSE {valid} END) THEN {_flag(QualityFlag.MALFORMED)}"]
    cases = [f"WHEN NOT {name}_shaped THEN {_flag(QualityFlag.MALFORMED)}"]
    if kind is IdentifierKind.CITIZEN_ID:
        exists = f"(CASE WHEN {name}_plain THEN true ELSE {citizen_date_sql(clean)} IS NOT NULL END)"
        cases.append(f"WHEN NOT {exists} THEN {_flag(QualityFlag.IMPOSSIBLE_DATE)}")
    check = check_sql(kind, clean, name)
    if check is not None:
        cases.append(f"WHEN NOT ({check}) THEN {_flag(QualityFlag.CHECKSUM)}")
    return cases


def _identifier_sql(kind: IdentifierKind, known: str) -> str:
    if kind in PHONES:
        digits = f"regexp_replace({known}, '[^0-9]', '', 'g')"
        bare = f"nullif(regexp_replace({digits}, '^(00)?86(1[3-9][0-9]{{9}})$', '\\2'), '')"
        return _unless_plain(known, PATTERNS[IdentifierKind.MOBILE], bare)
    if kind is IdentifierKind.PLATE:
        return f"upper(regexp_replace({known}, '[\\s·.•-]+', '', 'g'))"
    if kind is IdentifierKind.CERTIFICATE_ID:
        return f"upper(regexp_replace({known}, '\\s+', '', 'g'))"
    compact = f"upper(regexp_replace({known}, '[\\s-]+', '', 'g'))"
    if kind is IdentifierKind.CITIZEN_ID:
        return _unless_plain(known, "[0-9]{17}[0-9X]", let_sql(compact, "compact", citizen_to_18_sql("compact")))
    return _unless_plain(known, "[0-9A-Z]+", compact)


def _unless_plain(known: str, plain: str, otherwise: str) -> str:
    """`known` itself where it is written as the canonical form is, which most values are; else the costly way."""
    return f"(CASE WHEN regexp_full_match({known}, {text_literal(plain)}) THEN {known} ELSE {otherwise} END)"


def _code_sql(element: DataElement, known: str) -> str:
    spellings: dict[str, str] = {}
    for code in element.codes:
        for spelling in (code.code, code.name.zh, code.name.en, *code.aliases):
            spellings.setdefault(spelling.translate(_FOLDING).strip().upper(), code.code)
    cases = " ".join(f"WHEN {text_literal(spelling)} THEN {text_literal(code)}" for spelling, code in spellings.items())
    return f"(CASE upper({known}) {cases} ELSE NULL END)"


def _date_sql(known: str) -> str:
    """A DATE from 2016-09-01, 2016/9/1, 2016.9.1, 2016年9月1日, 20160901, each with or without a time behind it."""
    shape = "'^([0-9]{4})(?:[-/.年]\\s*([0-9]{1,2})[-/.月]\\s*([0-9]{1,2})日?|([0-9]{2})([0-9]{2}))(?:[T\\s].*)?$'"
    # The two ways to write month and day exclude each other: of each pair of groups one is empty.
    ordered = f"regexp_replace({known}, {shape}, '\\1-\\2\\4-\\3\\5')"
    return (
        f"(CASE WHEN regexp_full_match({known}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN try_cast({known} AS DATE)"
        f" WHEN regexp_matches({known}, {shape}) THEN try_cast({ordered} AS DATE) END)"
    )


def _time_sql(known: str) -> str:
    """A TIMESTAMP from a date in any of those forms with an optional time; an offset or fraction is cut off."""
    shape = "'([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:[.,][0-9]+)?\\s*(?:Z|[+-][0-9]{2}:?[0-9]{2}|[+-][0-9]{2})?$'"
    parts = [f"lpad(regexp_extract(substr({known}, 8), {shape}, {group}), 2, '0')" for group in range(1, 4)]
    time = f"{parts[0]} || ':' || {parts[1]} || ':' || {parts[2]}"
    has_time = f"regexp_matches({known}, '[T\\s].*[0-9]')"
    return (
        f"(CASE WHEN {has_time} THEN try_cast(CAST({_date_sql(known)} AS VARCHAR) || ' ' || {time} AS TIMESTAMP)"
        f" ELSE CAST({_date_sql(known)} AS TIMESTAMP) END)"
    )


def _number_sql(element: DataElement, known: str) -> str:
    """A decimal from a number with thousands separators, currency marks, units, or 万."""
    text = f"regexp_replace({known}, '[,，\\s¥￥]|元$|元整$|平方米$|㎡$|m2$|个月$|月$', '', 'g')"
    # Numbers that fit 64 bits take a way that is a hundred times as fast as that of the long ones.
    short = f"CAST(CAST(CAST({{}} AS DECIMAL(18, 8)) AS DECIMAL(18, {element.decimals})) AS VARCHAR)"
    factor = "regexp_extract(digits, '^(-?[0-9.]+)万', 1)"
    ten_thousands = f"CAST({factor} AS DECIMAL(12, 6)) * 10000::DECIMAL(5, 0)"
    scaled = f"CAST(CAST({ten_thousands} AS DECIMAL(18, {element.decimals})) AS VARCHAR)"
    plain_long, scaled_long = "try_cast(digits AS DECIMAL(24, 8))", f"try_cast({factor} AS DECIMAL(20, 8)) * 10000"
    number = f"(CASE WHEN regexp_matches(digits, '^-?[0-9.]+$') THEN {plain_long} ELSE {scaled_long} END)"
    spread = let_sql(
        text,
        "digits",
        f"CASE WHEN regexp_full_match(digits, '{_SHORT_NUMBER}') THEN {short.format('digits')}"
        f" WHEN regexp_full_match(digits, '{_SHORT_SCALED}') THEN {scaled}"
        f" ELSE CAST(try_cast({number} AS DECIMAL(24, {element.decimals})) AS VARCHAR) END",
    )
    return f"(CASE WHEN regexp_full_match({known}, '{_SHORT_NUMBER}') THEN {short.format(known)} ELSE {spread} END)"


def _name_sql(known: str) -> str:
    spaces = f"regexp_replace({known}, '\\s+', ' ', 'g')"
    chinese = f"regexp_replace(regexp_replace({known}, '\\s+', '', 'g'), '{MIDDLE_DOTS}+', '·', 'g')"
    return (
        f"(CASE WHEN regexp_full_match({known}, '\\p{{Han}}+') THEN {known}"
        f" WHEN regexp_matches({known}, '\\p{{Han}}') THEN {chinese} ELSE upper({spaces}) END)"
    )
