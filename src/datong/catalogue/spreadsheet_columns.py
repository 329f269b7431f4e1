"""The columns of the catalogue's spreadsheet: the ministry's layout, then what it lacks, marked as extension.

The layout is that of the appendix to 《政务信息资源目录编制指南(试行)》 (发改高技〔2017〕1272号). Each column knows how
a value reads in its cell and how a cell reads back; a code may stand in a cell as the code or as its name.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple

from datong.catalogue.values import AssessmentConclusion
from datong.kernel import Text
from datong.norms import DataType, Grade, NormPack, ResourceFormat, ShareMode, ShareType, UpdateCycle

EXTENSION = "扩展·"
_SEPARATORS = re.compile(r"[、,，;；\n]")
_YES = frozenset({"是", "yes", "y", "true", "1", "√", "开放"})
_NO = frozenset({"否", "no", "n", "false", "0", "×", "不开放", ""})


class CellProblemFound(Exception):
    """A cell does not read as what its column holds; says what is wrong and what to write instead."""

    def __init__(self, problem: Text, remedy: Text) -> None:
        super().__init__(problem.en)
        self.problem, self.remedy = problem, remedy


class Column(NamedTuple):
    """One column: its title, the path of its value in the content or item, and both directions of its cells.

    Without `read` the column is for people to look at, and ignored on import.
    """

    title: str
    path: tuple[str, ...]
    write: Callable[[Any, NormPack], str]
    read: Callable[[str, NormPack], Any] | None
    width: int = 14


def cell_text(value: object) -> str:
    """Return what a cell says, as text: whole numbers without a fraction, dates as ISO 8601."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _problem(zh: str, en: str, remedy_zh: str, remedy_en: str) -> CellProblemFound:
    return CellProblemFound(Text(zh=zh, en=en), Text(zh=remedy_zh, en=remedy_en))


def _text(value: Any, _pack: NormPack) -> str:
    return "" if value is None else str(value)


def _as_is(text: str, _pack: NormPack) -> str:
    return text


def _flag(value: Any, _pack: NormPack) -> str:
    return "是" if value else "否"


def _read_flag(text: str, _pack: NormPack) -> bool:
    folded = text.strip().casefold()
    if folded in _YES or folded in _NO:
        return folded in _YES
    raise _problem(f"“{text}”不是“是”或“否”", f'"{text}" is neither yes nor no', "请填“是”或“否”。", "Write 是 or 否.")


def _read_whole(text: str, _pack: NormPack) -> int | None:
    stripped = text.strip()
    if not stripped:
        return None
    if stripped.isascii() and stripped.isdecimal() and len(stripped) <= 18:
        return int(stripped)
    raise _problem(
        f"“{text}”不是整数",
        f'"{text}" is no whole number',
        "请填不小于 0 的整数，或留空。",
        "Write a whole number from 0, or leave it empty.",
    )


def _read_length(text: str, pack: NormPack) -> int:
    return _read_whole(text, pack) or 0


def _read_day(text: str, _pack: NormPack) -> date | None:
    stripped = text.strip().replace("/", "-").replace(".", "-")
    if not stripped:
        return None
    try:
        return date(*(int(part) for part in stripped.split("-", 2)))
    except (TypeError, ValueError):
        raise _problem(
            f"“{text}”不是日期", f'"{text}" is no date', "请按 2026-01-31 的样式填写。", "Write it like 2026-01-31."
        ) from None


@cache
def _vocabulary(field: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the members of a closed vocabulary by every way to write them, and what to choose from."""
    members: Sequence[Any] = _VOCABULARIES[field]
    known: dict[str, Any] = {}
    for member in members:
        for name in (member.value, member.label.zh, member.label.en, f"{member.value}{member.label.zh}"):
            known.setdefault(_folded(name), member)
    return known, tuple(member.label.zh for member in members)


_VOCABULARIES: dict[str, Sequence[Any]] = {
    "format": tuple(ResourceFormat),
    "share_type": tuple(ShareType),
    "share_mode": tuple(ShareMode),
    "update_cycle": tuple(UpdateCycle),
    "data_type": tuple(DataType),
    "grade": tuple(Grade),
    "conclusion": tuple(AssessmentConclusion),
}


def _folded(text: str) -> str:
    return re.sub(r"[\s.．·:：—_-]", "", text).casefold()


def _label(value: Any, _pack: NormPack) -> str:
    return "" if value is None else str(value.label.zh)


def _labels(values: Any, _pack: NormPack) -> str:
    return "、".join(value.label.zh for value in values)


def _member(field: str, text: str) -> Any:
    known, choices = _vocabulary(field)
    found = known.get(_folded(text))
    if found is None:
        listed = "、".join(choices)
        raise _problem(
            f"没有“{text}”这个取值",
            f'there is no value "{text}"',
            f"请从中选择：{listed}。",
            f"Choose one of: {listed}.",
        )
    return found


def _reads(field: str) -> Callable[[str, NormPack], Any]:
    """Return the reader of a cell with one member; an empty cell says nothing."""
    return lambda text, _pack: _member(field, text) if text.strip() else None


def _read_modes(text: str, _pack: NormPack) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(_member("share_mode", part) for part in _SEPARATORS.split(text) if part.strip()))


def _words(values: Any, _pack: NormPack) -> str:
    """Write words with 、 between them, or as JSON where a word itself would be torn apart."""
    plain = all(word and word == word.strip() and not _SEPARATORS.search(word) and word[0] != "[" for word in values)
    return "、".join(values) if plain else json.dumps(list(values), ensure_ascii=False)


def _read_words(text: str, _pack: NormPack) -> tuple[str, ...]:
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            return tuple(found)
    return tuple(part.strip() for part in _SEPARATORS.split(text) if part.strip())


def _named(section: str) -> tuple[Callable[[Any, NormPack], str], Callable[[str, NormPack], Any]]:
    """Write the name of a key of the pack where it is known and unmistakable; read a name or a key."""

    def names(pack: NormPack) -> dict[str, str]:
        return {known.key: known.name.zh for known in getattr(pack, section)}

    def write(value: Any, pack: NormPack) -> str:
        known = names(pack)
        name = known.get(value or "")
        unmistakable = name is not None and list(known.values()).count(name) == 1 and name not in known
        return name if name is not None and unmistakable else str(value or "")

    def read(text: str, pack: NormPack) -> str:
        known = names(pack)
        if text in known:
            return text
        found = [key for key, name in known.items() if name == text.strip()]
        return found[0] if found else text

    return write, read


def _write_element(value: Any, _pack: NormPack) -> str:
    return "" if value is None else str(value)


def _read_element(text: str, pack: NormPack) -> str | None:
    if not text:
        return None
    if pack.has_element(text.strip()):
        return text.strip()
    found = pack.element_called(text)
    return found.code if found is not None else text


def _part(start: int, end: int) -> Callable[[Any, NormPack], str]:
    """Return how the name of one level of the classification reads; only for people."""

    def write(value: Any, pack: NormPack) -> str:
        code = str(value)[:end]
        if len(str(value)) < end or (start == 0 and not code):
            return ""
        found = pack.classification(code)
        return found.name.zh if found is not None and found.code == code else ""

    return write


def _read_classification(text: str, _pack: NormPack) -> str:
    return text.strip()


_THEME, _CATEGORY, _LICENCE = _named("themes"), _named("data_categories"), _named("licences")
E = EXTENSION
SERIAL, CODE, PROVIDER, PROVIDER_CODE, PUBLISHED, RESOURCE_ID = (
    "序号",
    "信息资源代码",
    "信息资源提供方",
    "信息资源提供方代码",
    "发布日期",
    f"{E}资源标识",
)
"""Columns about the resource itself rather than its content."""
RESOURCE_COLUMNS: tuple[Column, ...] = (
    Column("信息资源类", ("classification",), _part(0, 1), None),
    Column("信息资源项", ("classification",), _part(1, 3), None),
    Column("信息资源目", ("classification",), _part(3, 6), None),
    Column("信息资源分类代码", ("classification",), _text, _read_classification),
    Column("信息资源名称", ("title", "zh"), _text, _as_is, 28),
    Column("信息资源摘要", ("summary", "zh"), _text, _as_is, 40),
    Column("信息资源格式", ("format",), _label, _reads("format")),
    Column("资源共享类型", ("share_type",), _label, _reads("share_type")),
    Column("资源共享条件", ("share_condition",), _text, _as_is, 24),
    Column("资源共享方式", ("share_modes",), _labels, _read_modes),
    Column("资源是否向社会开放", ("open",), _flag, _read_flag),
    Column("资源开放条件", ("open_condition",), _text, _as_is),
    Column("更新周期", ("update_cycle",), _label, _reads("update_cycle")),
    Column("关联资源代码", ("related_codes",), _words, _read_words),
    Column(f"{E}资源名称（英文）", ("title", "en"), _text, _as_is),
    Column(f"{E}资源摘要（英文）", ("summary", "en"), _text, _as_is),
    Column(f"{E}不予共享依据", ("legal_basis",), _text, _as_is),
    Column(f"{E}使用条件", ("use_condition",), _text, _as_is),
    Column(f"{E}数据分类", ("data_category",), *_CATEGORY),
    Column(f"{E}主题", ("theme",), *_THEME),
    Column(f"{E}关键词", ("keywords",), _words, _read_words),
    Column(f"{E}信息系统名称", ("source_system",), _text, _as_is),
    Column(f"{E}许可协议", ("licence",), *_LICENCE),
    Column(f"{E}空间范围", ("spatial",), _text, _as_is),
    Column(f"{E}时间范围起", ("temporal_start",), _text, _read_day),
    Column(f"{E}时间范围止", ("temporal_end",), _text, _read_day),
    Column(f"{E}联系单位", ("contact", "unit"), _text, _as_is),
    Column(f"{E}联系人", ("contact", "person"), _text, _as_is),
    Column(f"{E}联系电话", ("contact", "phone"), _text, _as_is),
    Column(f"{E}电子邮箱", ("contact", "email"), _text, _as_is),
    Column(f"{E}保密审查结论", ("assessment", "secrecy"), _text, _as_is),
    Column(f"{E}个人信息保护影响评估结论", ("assessment", "personal_information"), _text, _as_is),
    Column(f"{E}评估结论", ("assessment", "conclusion"), _label, _reads("conclusion")),
    Column(f"{E}评估人", ("assessment", "assessed_by"), _text, _as_is),
    Column(f"{E}评估日期", ("assessment", "assessed_on"), _text, _read_day),
    Column(f"{E}挂接节点", ("binding", "node_id"), _text, _as_is),
    Column(f"{E}挂接数据源", ("binding", "source"), _text, _as_is),
    Column(f"{E}挂接表", ("binding", "table"), _text, _as_is),
    Column(f"{E}游标列", ("binding", "cursor_column"), _text, lambda text, _pack: text or None),
    Column(f"{E}主键列", ("binding", "key_columns"), _words, _read_words),
)
ITEM_COLUMNS: tuple[Column, ...] = (
    Column("信息项名称", ("name", "zh"), _text, _as_is, 22),
    Column("数据类型", ("data_type",), _label, _reads("data_type")),
    Column("数据长度", ("length",), _text, _read_length, 9),
    Column("共享类型", ("share_type",), _label, _reads("share_type")),
    Column("共享条件", ("share_condition",), _text, _as_is, 22),
    Column("共享方式", ("share_modes",), _labels, _read_modes),
    Column("是否向社会开放", ("open",), _flag, _read_flag),
    Column("开放条件", ("open_condition",), _text, _as_is),
    Column(f"{E}字段名", ("column",), _text, _as_is),
    Column(f"{E}信息项名称（英文）", ("name", "en"), _text, _as_is),
    Column(f"{E}数据元", ("element",), _write_element, _read_element),
    Column(f"{E}数据分级", ("grade",), _label, _reads("grade")),
    Column(f"{E}是否主键", ("key",), _flag, _read_flag),
    Column(f"{E}信息项不予共享依据", ("legal_basis",), _text, _as_is),
    Column(f"{E}映射置信度", ("mapping_confidence",), _text, _read_length),
)
