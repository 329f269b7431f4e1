"""Packs before validation: YAML documents, read from a file or a folder, and laid over each other.

A pack's sections are mappings by key, so that a locality adds an entry or overrides single fields of one without
copying the file. Lists of names (`aliases`, `words`, `synonyms`) grow, everything else is replaced. What a lower layer
says is remembered by its path, so that every value can name the pack it comes from.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeGuard

from datong.kernel import Invalid, Text
from datong.norms.problems import PackProblem, pack_invalid
from datong.norms.yaml_reader import read_mapping

SECTIONS = (
    "elements",
    "code_lists",
    "identifiers",
    "time_limits",
    "roles",
    "indicators",
    "classifications",
    "themes",
    "grades",
    "data_categories",
    "licences",
    "divisions",
)
HEADER = ("name", "version", "level", "valid_from", "valid_until")
SCALARS = ("code_serial_digits", "code_detail_max", "null_markers", "synonyms", "calendar", "scoring")
KEY_FIELDS = {"elements": "code", "classifications": "code", "divisions": "code"}
GROWING = ("aliases", "words")
TEXTS = ("name", "definition", "duty", "formula", "structure", "check", "handling")
"""Bilingual texts: one value, so a layer replaces both languages or none."""
FRAGMENTS_MAX = 200
MAPPING = Text(zh="应为键值映射", en="must be a mapping")


@dataclass(frozen=True, kw_only=True)
class Document:
    """One pack as read: its content, and the SHA-256 of its text."""

    content: dict[str, object]
    digest: str


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Packs laid over each other; `origins` names the layer (its index) of each path that a lower layer wrote."""

    content: dict[str, object]
    origins: dict[str, int] = field(default_factory=dict)


def is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    """Whether `value` is a mapping; the YAML reader admits text keys only."""
    return isinstance(value, dict)


def read_document(path: Path) -> Document:
    """Read the pack at `path`: a YAML file, or a folder whose `*.yaml` files make up one pack.

    Raises:
        Invalid: it cannot be read, is no YAML, or two files of the folder say the same.
    """
    try:
        files = sorted(path.glob("*.yaml"))[:FRAGMENTS_MAX] if path.is_dir() else [path]
        texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            "norms.pack_unreadable",
            what=Text(zh=f"无法读取规范包 {path}：{error}。", en=f"Cannot read the norm pack {path}: {error}."),
            remedy=Text(zh="请检查路径、权限与 UTF-8 编码。", en="Check the path, the permissions and UTF-8."),
        ) from error
    if not texts:
        raise Invalid(
            "norms.pack_empty",
            what=Text(zh=f"文件夹 {path} 中没有 *.yaml 文件。", en=f"The folder {path} holds no *.yaml file."),
            remedy=Text(zh="请指定规范包文件或其文件夹。", en="Name the pack's file, or the folder of its files."),
        )
    return join_fragments(texts)


def join_fragments(texts: Iterable[tuple[str, str]]) -> Document:
    """Return the document that the YAML `texts`, each with its file name, make up together.

    Raises:
        Invalid: one is no YAML mapping, or an entry or value occurs in two of them.
    """
    joined: dict[str, object] = {}
    problems: list[PackProblem] = []
    digest = sha256()
    for name, text in texts:
        digest.update(text.encode())
        for key, value in read_mapping(text, name).items():
            known = joined.get(key)
            if key not in joined:
                joined[key] = dict(value) if is_mapping(value) else value
            elif key in SECTIONS and is_mapping(known) and is_mapping(value):
                for entry, body in value.items():
                    if entry in known:
                        problems.append(_twice(f"{key}.{entry}", name))
                    known[entry] = body
            else:
                problems.append(_twice(key, name))
    if problems:
        raise pack_invalid(problems)
    return Document(content=joined, digest=digest.hexdigest())


def lay_over(base: Merged, extension: dict[str, object], layer: int) -> Merged:
    """Lay `extension` over `base`: entries are added, fields of known entries replaced, lists of names grow.

    Raises:
        Invalid: the extension has a section that no pack has, or a section that is no mapping.
    """
    merged, origins = dict(base.content), dict(base.origins)
    problems = [
        PackProblem(path=key, message=Text(zh="没有这一部分", en="there is no such section"))
        for key in extension
        if key not in SECTIONS and key not in SCALARS and key not in HEADER
    ]
    for key, value in extension.items():
        known = merged.get(key)
        if key in HEADER:
            continue
        if key in SECTIONS or key in ("calendar", "scoring"):
            if not is_mapping(value):
                problems.append(PackProblem(path=key, message=MAPPING))
            else:
                merged[key] = _lay_mapping(known if is_mapping(known) else {}, value, key, layer, origins)
            continue
        if key in ("synonyms", "null_markers") and isinstance(known, list) and isinstance(value, list):
            merged[key] = _grown(known, value)
        else:
            merged[key] = value
        origins[key] = layer
    if problems:
        raise pack_invalid(problems)
    return Merged(content=merged, origins=origins)


def _lay_mapping(
    known: dict[str, object], extension: dict[str, object], path: str, layer: int, origins: dict[str, int]
) -> dict[str, object]:
    """Lay one mapping over another; entries and their codes are mappings of fields themselves."""
    merged = dict(known)
    for key, value in extension.items():
        place = f"{path}.{key}"
        present = merged.get(key)
        if is_mapping(present) and is_mapping(value) and key not in TEXTS:
            merged[key] = _lay_mapping(present, value, place, layer, origins)
            continue
        if key in GROWING and isinstance(present, list) and isinstance(value, list):
            merged[key] = _grown(present, value)
        else:
            merged[key] = value
        origins[place] = layer
    return merged


def _grown(known: list[object], more: list[object]) -> list[object]:
    return [*known, *(member for member in more if member not in known)]


def _twice(path: str, name: str) -> PackProblem:
    return PackProblem(
        path=path, message=Text(zh=f"在 {name} 中再次出现", en=f"occurs again in {name}: one pack says a thing once")
    )
