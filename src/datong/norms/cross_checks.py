"""The problems of a pack that only show when its entries are seen together."""

import re
from collections.abc import Iterable
from datetime import date

from datong.kernel import Text
from datong.norms.entries import Entry, Validity
from datong.norms.identifiers import check_identifier
from datong.norms.pack import SECTION_FIELDS, NormPack
from datong.norms.problems import PackProblem

REQUIRED_LIMITS = (
    "catalogue_update",
    "catalogue_review",
    "reply_unconditional",
    "reply_conditional",
    "reply_extension",
    "provide",
    "correction",
    "usage_records",
    "dispute_negotiation",
    "dispute_authority",
    "dispute_government",
    "wish_assign",
    "wish_answer",
)
WEIGHTS_SUM = 100
OPEN_START, OPEN_END = date.min, date.max


def cross_check(pack: NormPack) -> list[PackProblem]:
    """Return every problem between the entries of `pack`."""
    return [
        *_elements(pack),
        *_aliases(pack),
        *(
            problem
            for codes in pack.code_lists
            for problem in _ambiguous_codes(codes.key, [(c.code, (c.name.zh, *c.aliases)) for c in codes.codes])
        ),
        *_limits(pack),
        *_parents(pack),
        *_identifiers(pack),
        *_validity(pack),
        *_scoring(pack),
    ]


def _elements(pack: NormPack) -> Iterable[PackProblem]:
    """Code lists, patterns, categories and domains that an element names must exist, for as long as it is in force."""
    lists = {codes.key: codes for codes in pack.code_lists}
    categories = {category.key: category for category in pack.data_categories}
    domains = {theme.key for theme in pack.themes}
    for element in pack.elements:
        path = f"elements.{element.code}"
        if element.code_list is not None:
            codes = lists.get(element.code_list)
            if codes is None:
                yield _missing(f"{path}.code_list", "代码表", "code list", element.code_list)
            elif not _covers(codes, element):
                yield PackProblem(
                    path=f"{path}.code_list",
                    message=Text(
                        zh=f"代码表 {codes.key} 的有效期短于数据元",
                        en=f"the code list {codes.key} is in force for a shorter time than the element",
                    ),
                )
            elif any(len(code.code) > element.max_length for code in codes.codes):
                message = Text(zh="短于代码表中的代码", en="is shorter than a code of its list")
                yield PackProblem(path=f"{path}.max_length", message=message)
        if element.pattern is not None and not _compiles(element.pattern):
            message = Text(zh="不是可用的正则表达式（RE2）", en="is no usable regular expression (RE2)")
            yield PackProblem(path=f"{path}.pattern", message=message)
        if element.category and element.category not in categories:
            yield _missing(f"{path}.category", "数据分类", "data category", element.category)
        elif element.category and element.grade.rank < categories[element.category].grade_min.rank:
            lowest = categories[element.category].grade_min
            message = Text(
                zh=f"低于数据分类 {element.category} 的最低分级 {lowest}",
                en=f"is below {lowest}, the lowest grade of the category {element.category}",
            )
            yield PackProblem(path=f"{path}.grade", message=message)
        if element.domain and element.domain not in domains:
            yield _missing(f"{path}.domain", "主题", "theme", element.domain)


def _aliases(pack: NormPack) -> Iterable[PackProblem]:
    """A name must mean one element."""
    owners: dict[str, str] = {element.code: element.code for element in pack.elements}
    for element in pack.elements:
        path = f"elements.{element.code}"
        for place, name in ((f"{path}.name", element.name.zh), *((f"{path}.aliases", a) for a in element.aliases)):
            owner = owners.setdefault(name.casefold(), element.code)
            if owner != element.code:
                message = Text(zh=f"别名“{name}”已属于 {owner}", en=f'alias "{name}" belongs to {owner}')
                yield PackProblem(path=place, message=message)


def _limits(pack: NormPack) -> Iterable[PackProblem]:
    present = {limit.key for limit in pack.time_limits}
    for key in REQUIRED_LIMITS:
        if key not in present:
            yield PackProblem(path=f"time_limits.{key}", message=Text(zh="缺少此时限", en="this time limit is missing"))


def _parents(pack: NormPack) -> Iterable[PackProblem]:
    """What a classification or a data category lies under must exist, and nothing lies under itself."""
    codes = {known.code for known in pack.classifications}
    for known in pack.classifications:
        if known.parent is not None and known.parent not in codes:
            yield _missing(f"classifications.{known.code}", "上级分类", "superior class", known.parent)
        if len(known.code) > 6 + pack.code_detail_max:
            message = Text(
                zh=f"细目超过 {pack.code_detail_max} 位（code_detail_max）",
                en=f"the 细目 is longer than {pack.code_detail_max} characters (code_detail_max)",
            )
            yield PackProblem(path=f"classifications.{known.code}", message=message)
    parents = {category.key: category.parent for category in pack.data_categories}
    for key, parent in parents.items():
        if parent is not None and parent not in parents:
            yield _missing(f"data_categories.{key}.parent", "数据分类", "data category", parent)
        elif _circular(key, parents):
            message = Text(zh="上级关系成环", en="lies under itself")
            yield PackProblem(path=f"data_categories.{key}.parent", message=message)


def _circular(key: str, parents: dict[str, str | None]) -> bool:
    seen = {key}
    above = parents.get(key)
    while above is not None:
        if above in seen:
            return True
        seen.add(above)
        above = parents.get(above)
    return False


def _identifiers(pack: NormPack) -> Iterable[PackProblem]:
    """The platform's own check must accept every example and refuse every counterexample."""
    for norm in pack.identifiers:
        for field, wanted, values in (
            ("examples", True, norm.examples),
            ("counterexamples", False, norm.counterexamples),
        ):
            for index, value in enumerate(values):
                if check_identifier(norm.key, value).valid is not wanted:
                    message = Text(
                        zh="未通过校验，不是例子" if wanted else "通过了校验，不是反例",
                        en="fails the check: no example" if wanted else "passes the check: no counterexample",
                    )
                    yield PackProblem(path=f"identifiers.{norm.key}.{field}.{index}", message=message)


def _validity(pack: NormPack) -> Iterable[PackProblem]:
    message = Text(zh="失效日期早于生效日期", en="ends before it begins")
    for section in SECTION_FIELDS:
        for entry in getattr(pack, section):
            if _start(entry) > _end(entry):
                yield PackProblem(path=f"{section}.{entry_key(entry)}.valid_until", message=message)
    for codes in pack.code_lists:
        for code in codes.codes:
            if _start(code) > _end(code):
                yield PackProblem(path=f"code_lists.{codes.key}.codes.{code.code}.valid_until", message=message)
    for division in pack.divisions:
        if division.since is not None and division.until is not None and division.until < division.since:
            yield PackProblem(path=f"divisions.{division.code}.until", message=message)


def _scoring(pack: NormPack) -> Iterable[PackProblem]:
    for field, known in (("table", {"mapped", "type", "values"}), ("resource", {"mapped", "type", "length", "grade"})):
        weights: dict[str, int] = getattr(pack.scoring, field)
        if set(weights) != known or min(weights.values()) < 0 or sum(weights.values()) != WEIGHTS_SUM:
            names = "、".join(sorted(known))
            message = Text(
                zh=f"须恰好给出 {names} 的权重，非负且合计 100",
                en=f"must give weights for {', '.join(sorted(known))}: not negative, 100 in all",
            )
            yield PackProblem(path=f"scoring.{field}", message=message)


def _ambiguous_codes(key: str, codes: list[tuple[str, tuple[str, ...]]]) -> list[PackProblem]:
    """An alias must mean one code, and must not be another code itself."""
    meaning = {code.casefold(): code for code, _ in codes}
    problems = []
    for code, spellings in codes:
        for spelling in spellings:
            other = meaning.setdefault(spelling.casefold(), code)
            if other != code:
                problems.append(
                    PackProblem(
                        path=f"code_lists.{key}.codes.{code}",
                        message=Text(zh=f"“{spelling}”已表示 {other}", en=f'"{spelling}" already means {other}'),
                    )
                )
    return problems


def _compiles(pattern: str) -> bool:
    """Whether `pattern` is a regular expression in the subset that DuckDB's RE2 and Python share, `\\p{Han}` apart."""
    if re.search(r"\(\?|\\[1-9]|\\[bBAZ]", pattern):
        return False
    try:
        re.compile(pattern.replace(r"\p{Han}", "一-鿿"))
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def entry_key(entry: Entry) -> str:
    """The key under which an entry stands in its section."""
    return str(getattr(entry, "key", None) or getattr(entry, "code", ""))


def _covers(outer: Validity, inner: Validity) -> bool:
    return _start(outer) <= _start(inner) and _end(inner) <= _end(outer)


def _start(entry: Validity) -> date:
    return entry.valid_from or OPEN_START


def _end(entry: Validity) -> date:
    return entry.valid_until or OPEN_END


def _missing(path: str, noun_zh: str, noun_en: str, key: str) -> PackProblem:
    return PackProblem(path=path, message=Text(zh=f"没有{noun_zh} {key}", en=f"no {noun_en} {key}"))
