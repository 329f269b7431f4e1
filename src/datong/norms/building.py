"""Turns a pack's merged document into its typed value, or says everything that is wrong with it."""

from pydantic import ValidationError

from datong.kernel import Text
from datong.norms.cross_checks import cross_check, entry_key
from datong.norms.documents import HEADER, KEY_FIELDS, MAPPING, SCALARS, SECTIONS, Document, Merged, is_mapping
from datong.norms.entries import CodeList, DataElement, Entry, Revision
from datong.norms.pack import NormPack, PackLayer, PackLevel
from datong.norms.problems import PackProblem, pack_invalid

VALIDITY_FIELDS = ("valid_from", "valid_until", "revisions")
DEFAULT_NAME = Text(zh="本地扩展包", en="Local extension")
DEFAULT_VERSION = "local"


def build_header(document: Document, level: PackLevel) -> PackLayer:
    """Return what a document says about itself; one that names no level has `level`.

    Raises:
        Invalid: a field of the header is not usable.
    """
    fields = {key: document.content[key] for key in HEADER if key in document.content}
    try:
        layer = PackLayer.model_validate(
            {
                "level": level,
                "name": DEFAULT_NAME,
                "version": DEFAULT_VERSION,
                **fields,
                "digest": document.digest,
            }
        )
    except ValidationError as error:
        raise pack_invalid(_problems(error, {})) from error
    if layer.valid_from is not None and layer.valid_until is not None and layer.valid_until < layer.valid_from:
        raise pack_invalid([PackProblem(path="valid_until", message=_ENDS_EARLY)])
    return layer


def build_pack(
    merged: Merged, layers: tuple[PackLayer, ...], *, above: tuple[NormPack, dict[str, object]] | None = None
) -> NormPack:
    """Return the pack that `merged` describes, made of `layers`.

    `above` is the pack that the last layer was laid over, and its document: entries that the layer left alone are taken
    from it as they are. A city's pack changes a few of thousands.

    Raises:
        Invalid: something in it breaks a rule; every place is named.
    """
    document = merged.content
    kept = _left_alone(document, *above) if above else {}
    problems: list[PackProblem] = []
    raw: dict[str, object] = {}
    keys: dict[str, list[str]] = {}
    for section in SECTIONS:
        entries = document.get(section, {})
        if not is_mapping(entries):
            problems.append(PackProblem(path=section, message=MAPPING))
            continue
        bodies = {key: body for key, body in entries.items() if is_mapping(body)}
        problems.extend(PackProblem(path=f"{section}.{key}", message=MAPPING) for key in entries if key not in bodies)
        keys[section] = list(bodies)
        raw[section] = [
            kept.get((section, key)) or _entry(section, key, body, problems) for key, body in bodies.items()
        ]
    if problems:
        raise pack_invalid(problems)
    raw |= {key: document[key] for key in SCALARS if key in document and key != "null_markers"}
    raw["elements"] = _resolve_elements(raw, document.get("null_markers", []))
    raw |= {
        "name": layers[-1].name,
        "version": "+".join(layer.version for layer in layers),
        "layers": layers,
        "origins": merged.origins,
    }
    try:
        pack = NormPack.model_validate(raw)
    except ValidationError as error:
        raise pack_invalid(_problems(error, keys)) from error
    problems = [*_revision_problems(pack), *cross_check(pack)]
    if problems:
        raise pack_invalid(problems)
    return pack


def _left_alone(document: dict[str, object], pack: NormPack, below: dict[str, object]) -> dict[tuple[str, str], Entry]:
    """Return the entries of `pack` whose text in `document` is the very object that stands in its own, `below`."""
    kept: dict[tuple[str, str], Entry] = {}
    for section in SECTIONS:
        new, old = document.get(section), below.get(section)
        if is_mapping(new) and is_mapping(old):
            for entry in getattr(pack, section):
                key = entry_key(entry)
                if new.get(key) is old.get(key):
                    kept[section, key] = entry
    same_markers = document.get("null_markers") == below.get("null_markers")
    for element in pack.elements:
        lists_codes = element.code_list is None or ("code_lists", element.code_list) in kept
        if not (same_markers and lists_codes):
            kept.pop(("elements", element.code), None)
    return kept


def _entry(section: str, key: str, body: dict[str, object], problems: list[PackProblem]) -> dict[str, object]:
    """One entry in the shape of its type: its key becomes a field, `{zh, en}` entries become names."""
    fields = dict(body)
    key_field = KEY_FIELDS.get(section, "key")
    if key_field in fields:
        problems.append(
            PackProblem(
                path=f"{section}.{key}.{key_field}",
                message=Text(zh="由所在的键给出，不应再写", en="is given by the entry's key: do not repeat it"),
            )
        )
    if section == "classifications":
        fields = _named(fields, VALIDITY_FIELDS)
    if section == "code_lists" and is_mapping(fields.get("codes")):
        fields["codes"] = _codes(f"{section}.{key}.codes", fields["codes"], problems)
    if "revisions" in fields:
        fields["revisions"] = _revisions(f"{section}.{key}.revisions", fields["revisions"], problems)
    return {**fields, key_field: key}


def _named(body: dict[str, object], others: tuple[str, ...]) -> dict[str, object]:
    """An entry that is written as its name (`{zh, en}`), with the fields `others` beside it."""
    name = {field: value for field, value in body.items() if field not in others}
    return {"name": name, **{field: body[field] for field in others if field in body}}


def _codes(path: str, codes: object, problems: list[PackProblem]) -> list[dict[str, object]]:
    members: list[dict[str, object]] = []
    for code, body in codes.items() if is_mapping(codes) else ():
        if not is_mapping(body):
            problems.append(PackProblem(path=f"{path}.{code}", message=MAPPING))
            continue
        members.append({"code": code, **_named(body, ("aliases", "valid_from", "valid_until"))})
    return members


def _revisions(path: str, revisions: object, problems: list[PackProblem]) -> list[object]:
    """Revisions as written: a list of mappings, each with its day and the fields that change."""
    if not isinstance(revisions, list):
        problems.append(PackProblem(path=path, message=_LIST))
        return []
    shaped: list[object] = []
    for index, body in enumerate(revisions):
        if not is_mapping(body):
            problems.append(PackProblem(path=f"{path}.{index}", message=MAPPING))
            continue
        changes = {field: value for field, value in body.items() if field != "valid_from"}
        shaped.append({"valid_from": body.get("valid_from"), "changes": changes})
    return shaped


def _resolve_elements(raw: dict[str, object], null_markers: object) -> list[object]:
    """Give every element the codes of its list and the pack's null markers."""
    lists = raw.get("code_lists")
    by_key = {}
    for entry in lists if isinstance(lists, list) else []:
        if isinstance(entry, CodeList):
            by_key[entry.key] = entry.codes
        elif "key" in entry:
            by_key[entry["key"]] = entry.get("codes", [])
    elements = raw.get("elements")
    return [
        element
        if isinstance(element, DataElement)
        else {
            **element,
            "codes": by_key.get(element.get("code_list"), []) if isinstance(element.get("code_list"), str) else [],
            "null_markers": null_markers,
        }
        for element in (elements if isinstance(elements, list) else [])
    ]


def _revision_problems(pack: NormPack) -> list[PackProblem]:
    """Every revision must give a valid entry on its day."""
    problems: list[PackProblem] = []
    for section in SECTIONS:
        for entry in getattr(pack, section):
            revisions: tuple[Revision, ...] = getattr(entry, "revisions", ())
            for index, revision in enumerate(revisions):
                key = str(getattr(entry, KEY_FIELDS.get(section, "key")))
                path = f"{section}.{key}.revisions.{index}"
                if {"revisions", KEY_FIELDS.get(section, "key"), "codes"} & set(revision.changes):
                    problems.append(PackProblem(path=path, message=_UNREVISABLE))
                    continue
                try:
                    entry.as_of(revision.valid_from)
                except ValidationError as error:
                    problems.extend(
                        PackProblem(path=f"{path}.{problem.path}", message=problem.message)
                        for problem in _problems(error, {})
                    )
    return problems


_LIST = Text(zh="应为列表", en="must be a list")
_ENDS_EARLY = Text(zh="失效日期早于生效日期", en="ends before it begins")
_UNREVISABLE = Text(
    zh="修订不能改变键、代码或修订本身", en="a revision cannot change the key, the codes or the revisions"
)
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
    "tuple_type": _LIST,
    "model_type": MAPPING,
    "dict_type": MAPPING,
}


def _fault_text(kind: str, message: str) -> Text:
    known = _FAULTS.get(kind)
    if known is None and kind.startswith("date"):
        known = Text(zh="应为日期，如 2027-01-01", en="must be a date such as 2027-01-01")
    return Text(zh=known.zh, en=f"{known.en} ({message})") if known else Text(zh=f"不可用：{message}", en=message)


def _problems(error: ValidationError, keys: dict[str, list[str]]) -> list[PackProblem]:
    return [
        PackProblem(path=_yaml_path(fault["loc"], keys), message=_fault_text(fault["type"], fault["msg"]))
        for fault in error.errors()
    ]


def _yaml_path(location: tuple[int | str, ...], keys: dict[str, list[str]]) -> str:
    parts = [str(part) for part in location]
    section = parts[0] if parts else ""
    if len(location) > 1 and section in keys and isinstance(location[1], int):
        parts[1] = keys[section][location[1]]
    return ".".join(parts)
