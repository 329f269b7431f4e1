"""Reads norm packs from YAML, merges a local extension over the national pack, and says precisely what is wrong.

A pack's sections are mappings by key, so that a locality adds an entry or overrides single fields of one without
copying the file. Every problem names its place as a YAML path (`elements.person_name.grade`), in both languages, and
all problems are reported at once.
"""

import re
from importlib import resources
from pathlib import Path
from typing import TypeGuard

from pydantic import ValidationError

from datong.kernel import DatongError, Invalid, Text, Value
from datong.norms.pack import NormPack
from datong.norms.yaml_reader import read_mapping

SECTIONS = ("elements", "code_lists", "time_limits", "roles", "indicators", "classifications", "themes")
SCALARS = ("name", "version", "code_serial_digits", "null_markers", "synonyms", "calendar")
_KEY_FIELDS = {"elements": "code", "classifications": "code"}
PROBLEMS_MAX = 50
PACK_NATIONAL = "national.yaml"


class PackProblem(Value):
    """One thing wrong in a pack: where (YAML path) and what."""

    path: str
    message: Text


def load_pack(local: Path | None = None) -> NormPack:
    """Return the national pack, extended by the YAML file `local` if given.

    Raises:
        Invalid: the extension cannot be read or breaks a rule; `context["problems"]` lists every place.
    """
    if local is None:
        return parse_pack(None)
    try:
        text = local.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            "norms.pack_unreadable",
            what=Text(zh=f"无法读取规范包 {local}：{error}。", en=f"Cannot read the norm pack {local}: {error}."),
            remedy=Text(zh="请检查路径、权限与 UTF-8 编码。", en="Check the path, the permissions and UTF-8."),
        ) from error
    return parse_pack(text)


def parse_pack(extension: str | None) -> NormPack:
    """Return the national pack extended by the YAML text `extension`; raises Invalid like `load_pack`."""
    national = resources.files("datong.norms").joinpath("packs", PACK_NATIONAL).read_text(encoding="utf-8")
    document = read_mapping(national)
    if extension is not None:
        document = _merge(document, read_mapping(extension))
    return _build(document)


def check_pack(extension: str) -> tuple[PackProblem, ...]:
    """Return every problem of the extension text; empty when it can be loaded."""
    try:
        parse_pack(extension)
    except Invalid as error:
        problems = error.context.get("problems")
        if isinstance(problems, list):
            return tuple(PackProblem.model_validate(problem) for problem in problems)
        return (PackProblem(path=error.field or "", message=error.what),)
    return ()


def _merge(base: dict[str, object], extension: dict[str, object]) -> dict[str, object]:
    """Lay `extension` over `base`: entries are added, fields of known entries replaced, synonyms appended."""
    merged = dict(base)
    problems = [
        PackProblem(path=key, message=Text(zh="没有这一部分", en="there is no such section"))
        for key in extension
        if key not in SECTIONS and key not in SCALARS
    ]
    for key, value in extension.items():
        known = merged.get(key)
        if key in SECTIONS:
            if not _is_mapping(value):
                problems.append(PackProblem(path=key, message=_MAPPING))
            elif _is_mapping(known):
                merged[key] = _merge_section(known, value)
        elif key == "synonyms" and isinstance(known, list) and isinstance(value, list):
            merged[key] = [*known, *value]
        elif key == "version":
            merged[key] = f"{known}+{value}"
        else:
            merged[key] = value
    if problems:
        raise _invalid(problems)
    return merged


def _merge_section(known: dict[str, object], extension: dict[str, object]) -> dict[str, object]:
    merged = dict(known)
    for key, body in extension.items():
        present = merged.get(key)
        if _is_mapping(present) and _is_mapping(body):
            fields = {**present, **body}
            codes, more_codes = present.get("codes"), body.get("codes")
            if _is_mapping(codes) and _is_mapping(more_codes):
                fields["codes"] = {**codes, **more_codes}
            merged[key] = fields
        else:
            merged[key] = body
    return merged


def _build(document: dict[str, object]) -> NormPack:
    """Turn the merged document into a pack, or raise every problem at once."""
    problems: list[PackProblem] = []
    raw: dict[str, object] = {}
    keys: dict[str, list[str]] = {}
    for section in SECTIONS:
        entries = document.get(section, {})
        if not _is_mapping(entries):
            problems.append(PackProblem(path=section, message=_MAPPING))
            continue
        keys[section] = list(entries)
        raw[section] = [
            _entry(section, key, body, problems)
            for key, body in entries.items()
            if _usable(section, key, body, problems)
        ]
    if problems:
        raise _invalid(problems)
    raw.update({key: document[key] for key in SCALARS if key in document and key != "null_markers"})
    raw["elements"] = _resolve_elements(raw, document.get("null_markers", []))
    try:
        pack = NormPack.model_validate(raw)
    except ValidationError as error:
        raise _invalid(
            [
                PackProblem(path=_yaml_path(fault["loc"], keys), message=_fault_text(fault["type"], fault["msg"]))
                for fault in error.errors()
            ]
        ) from error
    problems = cross_check(pack)
    if problems:
        raise _invalid(problems)
    return pack


def _usable(section: str, key: str, body: object, problems: list[PackProblem]) -> bool:
    if not _is_mapping(body):
        problems.append(PackProblem(path=f"{section}.{key}", message=_MAPPING))
        return False
    return True


def _entry(section: str, key: str, body: object, problems: list[PackProblem]) -> dict[str, object]:
    """One entry in the shape of its type: its key becomes a field, `{zh, en}` entries become names."""
    fields = dict(body) if _is_mapping(body) else {}
    key_field = _KEY_FIELDS.get(section, "key")
    if key_field in fields:
        problems.append(
            PackProblem(
                path=f"{section}.{key}.{key_field}",
                message=Text(zh="由所在的键给出，不应再写", en="is given by the entry's key: do not repeat it"),
            )
        )
    if section == "classifications":
        return {"code": key, "name": fields}
    if section == "code_lists" and _is_mapping(fields.get("codes")):
        fields["codes"] = _codes(f"{section}.{key}.codes", fields["codes"], problems)
    return {**fields, key_field: key}


def _codes(path: str, codes: object, problems: list[PackProblem]) -> list[dict[str, object]]:
    members: list[dict[str, object]] = []
    for code, body in codes.items() if _is_mapping(codes) else ():
        if not _is_mapping(body):
            problems.append(PackProblem(path=f"{path}.{code}", message=_MAPPING))
            continue
        name = {field: value for field, value in body.items() if field != "aliases"}
        members.append({"code": code, "name": name, "aliases": body.get("aliases", [])})
    return members


def _resolve_elements(raw: dict[str, object], null_markers: object) -> list[object]:
    """Give every element the codes of its list and the pack's null markers."""
    lists = raw.get("code_lists")
    by_key = {
        entry["key"]: entry.get("codes", []) for entry in (lists if isinstance(lists, list) else []) if "key" in entry
    }
    elements = raw.get("elements")
    return [
        {
            **element,
            "codes": by_key.get(element.get("code_list"), []) if isinstance(element.get("code_list"), str) else [],
            "null_markers": null_markers,
        }
        for element in (elements if isinstance(elements, list) else [])
    ]


def cross_check(pack: NormPack) -> list[PackProblem]:
    """Return the problems that only show when entries are seen together."""
    problems: list[PackProblem] = []
    lists = {codes.key for codes in pack.code_lists}
    owners: dict[str, str] = {}
    for element in pack.elements:
        path = f"elements.{element.code}"
        if element.code_list is not None and element.code_list not in lists:
            problems.append(
                PackProblem(
                    path=f"{path}.code_list",
                    message=Text(zh=f"没有代码表 {element.code_list}", en=f"no code list {element.code_list}"),
                )
            )
        if element.pattern is not None and not _compiles(element.pattern):
            problems.append(
                PackProblem(
                    path=f"{path}.pattern",
                    message=Text(zh="不是可用的正则表达式（RE2）", en="is no usable regular expression (RE2)"),
                )
            )
        for alias in element.aliases:
            owner = owners.setdefault(alias.casefold(), element.code)
            if owner != element.code:
                problems.append(
                    PackProblem(
                        path=f"{path}.aliases",
                        message=Text(zh=f"别名“{alias}”已属于 {owner}", en=f'alias "{alias}" belongs to {owner}'),
                    )
                )
    for codes in pack.code_lists:
        problems.extend(_ambiguous_codes(codes.key, [(c.code, (c.name.zh, *c.aliases)) for c in codes.codes]))
    problems.extend(_missing_limits(pack))
    return problems


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
)


def _missing_limits(pack: NormPack) -> list[PackProblem]:
    present = {limit.key for limit in pack.time_limits}
    return [
        PackProblem(path=f"time_limits.{key}", message=Text(zh="缺少此时限", en="this time limit is missing"))
        for key in REQUIRED_LIMITS
        if key not in present
    ]


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


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


_MAPPING = Text(zh="应为键值映射", en="must be a mapping")
_FAULTS = {
    "missing": Text(zh="缺少此项", en="is missing"),
    "extra_forbidden": Text(zh="没有这一项", en="is not a known field"),
    "string_type": Text(
        zh="应为文字（数字形式的代码请加引号）", en="must be text (quote codes that look like numbers)"
    ),
    "int_type": Text(zh="应为整数", en="must be an integer"),
    "int_parsing": Text(zh="应为整数", en="must be an integer"),
    "bool_type": Text(zh="应为 true 或 false", en="must be true or false"),
    "bool_parsing": Text(zh="应为 true 或 false", en="must be true or false"),
    "enum": Text(zh="不在允许的取值之内", en="is not one of the allowed values"),
    "string_pattern_mismatch": Text(zh="写法不符合规定", en="does not have the required form"),
    "too_short": Text(zh="不能为空", en="must not be empty"),
    "tuple_type": Text(zh="应为列表", en="must be a list"),
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
}


def _fault_text(kind: str, message: str) -> Text:
    known = _FAULTS.get(kind)
    return Text(zh=known.zh, en=f"{known.en} ({message})") if known else Text(zh=f"不可用：{message}", en=message)


def _yaml_path(location: tuple[int | str, ...], keys: dict[str, list[str]]) -> str:
    parts = [str(part) for part in location]
    section = parts[0] if parts else ""
    if len(location) > 1 and section in keys and isinstance(location[1], int):
        parts[1] = keys[section][location[1]]
    return ".".join(parts)


def _invalid(problems: list[PackProblem]) -> DatongError:
    shown = problems[:PROBLEMS_MAX]
    return Invalid(
        "norms.pack_invalid",
        what=Text(
            zh="规范包有误：" + "；".join(f"{problem.path}：{problem.message.zh}" for problem in shown[:5]) + "。",
            en="The norm pack is wrong: " + "; ".join(f"{p.path}: {p.message.en}" for p in shown[:5]) + ".",
        ),
        remedy=Text(
            zh="请按路径逐处改正，再用 datong norms check 检查。",
            en="Correct each place, then check with `datong norms check`.",
        ),
        field=shown[0].path,
        context={"problems": [problem.model_dump() for problem in shown], "count": len(problems)},
    )
