"""What a province or a city may change in the norms above it: it may add and tighten, never loosen.

Pure: two packs in, every forbidden change out. The limits of the Regulation may be shortened, a grade may be raised;
what an element, a code or an indicator means stays what the higher level says.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TypeVar

from datong.kernel import Text
from datong.norms.cross_checks import entry_key
from datong.norms.entries import (
    Classification,
    CodeList,
    DataCategory,
    DataElement,
    Entry,
    IdentifierNorm,
    IndicatorDefinition,
    LimitBound,
    PartyRole,
    TimeLimit,
)
from datong.norms.pack import SECTION_FIELDS, NormPack
from datong.norms.problems import PackProblem
from datong.norms.terms import Mask

_FIXED: Mapping[type[Entry], Mapping[str, Text]] = {
    DataElement: {
        "data_type": Text(zh="数据类型", en="data type"),
        "identifier": Text(zh="标识符类型", en="identifier"),
        "unit": Text(zh="计量单位", en="unit"),
        "decimals": Text(zh="小数位数", en="number of decimals"),
    },
    IdentifierNorm: {
        "structure": Text(zh="结构", en="structure"),
        "check": Text(zh="校验算法", en="check algorithm"),
    },
    TimeLimit: {
        "unit": Text(zh="单位", en="unit"),
        "bound": Text(zh="方向", en="bound"),
        "statutory": Text(zh="法定属性", en="statutory mark"),
    },
    PartyRole: {"duty": Text(zh="职责", en="duty")},
    IndicatorDefinition: {
        "unit": Text(zh="单位", en="unit"),
        "higher_is_better": Text(zh="方向", en="direction"),
        "formula": Text(zh="公式", en="formula"),
    },
    Classification: {"name": Text(zh="名称", en="name")},
    DataCategory: {"parent": Text(zh="上级分类", en="superior category")},
}
_AnyEntry = TypeVar("_AnyEntry", bound=Entry)


def forbidden_changes(above: NormPack, extended: NormPack) -> list[PackProblem]:
    """Return what `extended` changes in `above` that a lower level has no right to change."""
    problems: list[PackProblem] = []
    for section in SECTION_FIELDS:
        after = {entry_key(entry): entry for entry in getattr(extended, section)}
        for before in getattr(above, section):
            key = entry_key(before)
            entry = after[key]
            if entry is not before and entry != before:
                problems.extend(_entry(f"{section}.{key}", before, entry))
    if extended.code_serial_digits < above.code_serial_digits:
        message = Text(zh="顺序号位数不得减少，否则已赋的代码会重复", en="may not shrink: codes would repeat")
        problems.append(PackProblem(path="code_serial_digits", message=message))
    return problems


def _entry(path: str, before: Entry, after: Entry) -> Iterable[PackProblem]:
    for field, noun in _FIXED.get(type(before), {}).items():
        if getattr(before, field) != getattr(after, field):
            yield _forbidden(f"{path}.{field}", f"{noun.zh}由上级规范规定，不得改变", f"the {noun.en} is fixed above")
    if (after.valid_from, after.valid_until) != (before.valid_from, before.valid_until):
        yield _forbidden(f"{path}.valid_until", "上级条目的有效期不得改变", "its time of validity is fixed above")
    yield from _revisions(path, before, after)
    if isinstance(before, DataElement) and isinstance(after, DataElement):
        yield from _element(path, before, after)
    elif isinstance(before, TimeLimit) and isinstance(after, TimeLimit):
        yield from _time_limit(path, before, after)
    elif isinstance(before, CodeList) and isinstance(after, CodeList):
        yield from _code_list(path, before, after)
    elif isinstance(before, DataCategory) and isinstance(after, DataCategory) and _lower(before, after):
        yield _forbidden(f"{path}.grade_min", "最低分级不得降低", "the lowest grade may not fall")


def _lower(before: DataCategory, after: DataCategory) -> bool:
    return after.grade_min.rank < before.grade_min.rank


def _revisions(path: str, before: Entry, after: Entry) -> Iterable[PackProblem]:
    """What comes into force later must be allowed too, and what the level above has announced stays announced."""
    if any(revision not in after.revisions for revision in before.revisions):
        yield _forbidden(f"{path}.revisions", "上级已公布的修订不得删改", "revisions announced above must stay")
        return
    for index, revision in enumerate(after.revisions):
        if revision not in before.revisions:
            day = revision.valid_from
            for problem in _entry(path, _plain(before, day), _plain(after, day)):
                yield PackProblem(path=f"{path}.revisions.{index}", message=problem.message)


def _plain(entry: _AnyEntry, day: date) -> _AnyEntry:
    """The entry as it reads on `day`, as if it had never been revised."""
    return entry.as_of(day).model_copy(update={"revisions": ()})


def _element(path: str, before: DataElement, after: DataElement) -> Iterable[PackProblem]:
    if after.grade.rank < before.grade.rank:
        yield _forbidden(
            f"{path}.grade",
            f"分级不得由 {before.grade} 降为 {after.grade}",
            f"the grade may not fall from {before.grade} to {after.grade}",
        )
    if before.personal and not after.personal:
        yield _forbidden(f"{path}.personal", "个人信息不得改为非个人信息", "personal information stays personal")
    if before.mask is not Mask.NONE and after.mask is Mask.NONE:
        yield _forbidden(f"{path}.mask", "不得取消掩码", "the mask may not be dropped")
    if after.max_length > before.max_length:
        yield _forbidden(
            f"{path}.max_length",
            f"长度不得由 {before.max_length} 放宽为 {after.max_length}",
            f"the length may not grow from {before.max_length} to {after.max_length}",
        )
    if before.pattern is not None and after.pattern is None:
        yield _forbidden(f"{path}.pattern", "不得取消格式要求", "the pattern may not be dropped")
    if before.code_list is not None and after.code_list != before.code_list:
        yield _forbidden(f"{path}.code_list", "代码表由上级规范规定，不得更换", "the code list is fixed above")


def _time_limit(path: str, before: TimeLimit, after: TimeLimit) -> Iterable[PackProblem]:
    if not before.statutory:
        return
    if before.bound is LimitBound.AT_MOST and after.amount > before.amount:
        yield _forbidden(
            f"{path}.amount",
            f"法定时限不得由 {before.amount} 延长为 {after.amount}（{before.article}）",
            f"a statutory limit may not be lengthened from {before.amount} to {after.amount} ({before.article})",
        )
    if before.bound is LimitBound.AT_LEAST and after.amount < before.amount:
        yield _forbidden(
            f"{path}.amount",
            f"法定最短期限不得由 {before.amount} 缩短为 {after.amount}（{before.article}）",
            f"a statutory minimum may not be cut from {before.amount} to {after.amount} ({before.article})",
        )


def _code_list(path: str, before: CodeList, after: CodeList) -> Iterable[PackProblem]:
    for code in before.codes:
        kept = after.code(code.code)
        if kept is None or kept.name.zh != code.name.zh:
            yield _forbidden(
                f"{path}.codes.{code.code}",
                f"代码 {code.code} 的含义“{code.name.zh}”由上级规范规定，不得改变",
                f"what code {code.code} means ({code.name.en}) is fixed above",
            )
        elif (kept.valid_from, kept.valid_until) != (code.valid_from, code.valid_until):
            yield _forbidden(
                f"{path}.codes.{code.code}", "上级代码的有效期不得改变", "its time of validity is fixed above"
            )


def _forbidden(path: str, zh: str, en: str) -> PackProblem:
    return PackProblem(path=path, message=Text(zh=zh, en=en))
