"""Making values coarser, level by level, until they no longer point at few people; each level as SQL of DuckDB.

Level 0 is the value in its canonical form, the last level is one value for everybody. Every level can be computed from
level 0, and groups that are equal on a level stay equal on all higher ones.
"""

from enum import StrEnum

from datong.kernel import Text

UNKNOWN = "?"
"""What is missing, or has not the form that its kind needs: a value like any other."""
EVERYTHING = "*"
AGE_BANDS = (1, 5, 10, 20, 40)
"""Widths of the bands in years; each a multiple of the one before, so that bands nest."""
NUMBER_BANDS = (1, 10, 100, 1_000, 10_000, 100_000)
DIVISION_DIGITS = (6, 4, 2)
YEARS_MAX = 130


class Generaliser(StrEnum):
    """How a column can be made coarser."""

    AGE = "age"
    DATE = "date"
    DIVISION = "division"
    NUMBER = "number"
    CATEGORY = "category"

    @property
    def label(self) -> Text:
        """What becomes coarser."""
        return _LABELS[self]

    @property
    def levels(self) -> tuple[Text, ...]:
        """What each level shows."""
        return _LEVELS[self]

    @property
    def highest(self) -> int:
        """The level on which everybody is alike."""
        return len(self.levels) - 1


_LABELS = {
    Generaliser.AGE: Text(zh="出生日期→年龄段", en="date of birth → age band"),
    Generaliser.DATE: Text(zh="日期→月、年", en="date → month, year"),
    Generaliser.DIVISION: Text(zh="行政区划→上级", en="division → higher division"),
    Generaliser.NUMBER: Text(zh="数值→区间", en="number → band"),
    Generaliser.CATEGORY: Text(zh="类别", en="category"),
}
_ALL = Text(zh="不区分", en="not told apart")
_LEVELS = {
    Generaliser.AGE: (
        Text(zh="周岁", en="years of age"),
        *(Text(zh=f"{width} 岁一段", en=f"bands of {width} years") for width in AGE_BANDS[1:]),
        _ALL,
    ),
    Generaliser.DATE: (
        Text(zh="日", en="day"),
        Text(zh="月", en="month"),
        Text(zh="年", en="year"),
        Text(zh="十年", en="decade"),
        _ALL,
    ),
    Generaliser.DIVISION: (
        Text(zh="区县", en="county"),
        Text(zh="地市", en="city"),
        Text(zh="省", en="province"),
        _ALL,
    ),
    Generaliser.NUMBER: (
        Text(zh="整数", en="whole number"),
        *(Text(zh=f"每 {width:,} 一段", en=f"bands of {width:,}") for width in NUMBER_BANDS[1:]),
        _ALL,
    ),
    Generaliser.CATEGORY: (Text(zh="原值", en="as it is"), _ALL),
}


def canonical_sql(kind: Generaliser, value: str, on: str) -> str:
    """Return level 0 of the SQL expression `value` as text; `on` (ISO date) is the day on which ages are told."""
    text = f"trim(CAST({value} AS VARCHAR))"
    if kind is Generaliser.AGE:
        born = f"TRY_CAST({text} AS DATE)"
        age = f"date_sub('year', {born}, DATE '{on}')"
        found = f"CASE WHEN {born} <= DATE '{on}' AND {age} <= {YEARS_MAX} THEN CAST({age} AS VARCHAR) END"
    elif kind is Generaliser.DATE:
        found = f"strftime(TRY_CAST({text} AS DATE), '%Y-%m-%d')"
    elif kind is Generaliser.DIVISION:
        found = f"CASE WHEN regexp_full_match({text}, '[0-9]{{6,12}}') THEN left({text}, 6) END"
    elif kind is Generaliser.NUMBER:
        found = f"CAST(TRY_CAST(floor(TRY_CAST({text} AS DECIMAL(38, 6))) AS BIGINT) AS VARCHAR)"
    else:
        found = f"nullif({text}, '')"
    return f"coalesce({found}, '{UNKNOWN}')"


def level_sql(kind: Generaliser, level: int, canonical: str) -> str:
    """Return a level of a value from its level 0."""
    if level >= kind.highest:
        return f"'{EVERYTHING}'"
    if level <= 0:
        return canonical
    if kind is Generaliser.AGE:
        coarse = _band(canonical, AGE_BANDS[level])
    elif kind is Generaliser.NUMBER:
        coarse = _band(canonical, NUMBER_BANDS[level])
    elif kind is Generaliser.DIVISION:
        coarse = f"left({canonical}, {DIVISION_DIGITS[level]})"
    elif level == 3:
        coarse = f"left({canonical}, 3) || '0-' || left({canonical}, 3) || '9'"
    else:
        coarse = f"left({canonical}, {7 if level == 1 else 4})"
    return f"CASE WHEN {canonical} = '{UNKNOWN}' THEN '{UNKNOWN}' ELSE {coarse} END"


def _band(canonical: str, width: int) -> str:
    # The case around it lets no other text come here; the cast must not fail on the rows that the case leaves out.
    number = f"TRY_CAST({canonical} AS BIGINT)"
    lower = f"CAST(floor({number} / {width}.0) AS BIGINT) * {width}"
    return f"CAST({lower} AS VARCHAR) || '-' || CAST({lower} + {width - 1} AS VARCHAR)"
