"""Loads norm packs: the national one, with the packs of the province and the city laid over it, checked together.

Every problem names its place as a YAML path (`elements.person_name.grade`), in both languages, and all problems of a
layer are reported at once.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path

from datong.kernel import Invalid, Text
from datong.norms.building import build_header, build_pack
from datong.norms.documents import Document, Merged, join_fragments, lay_over, read_document
from datong.norms.layering import forbidden_changes
from datong.norms.pack import NormPack, PackLayer, PackLevel
from datong.norms.problems import PackProblem, pack_invalid

LAYERS_MAX = 8


def load_pack(*local: Path | None, on: date | None = None) -> NormPack:
    """Return the national pack, extended by the packs `local` in order: each a YAML file or a folder of such files.

    A first pack of level `national` stands in the national pack's place. With `on` the pack reads as of that day:
    layers that are not in force then are left out. None among `local` is passed over.

    Raises:
        Invalid: a pack cannot be read or breaks a rule; `context["problems"]` lists every place.
    """
    return _compose([read_document(path) for path in local if path is not None], on)


def parse_pack(*texts: str, on: date | None = None) -> NormPack:
    """Return the national pack extended by the YAML `texts` in order; raises Invalid like `load_pack`."""
    return _compose([join_fragments([("", text)]) for text in texts], on)


def check_pack(*texts: str) -> tuple[PackProblem, ...]:
    """Return every problem of the extension texts; empty when they can be loaded."""
    try:
        parse_pack(*texts)
    except Invalid as error:
        return problems_of(error)
    return ()


def check_files(*local: Path) -> tuple[PackProblem, ...]:
    """Return every problem of the packs at `local`, laid over the national one in order."""
    try:
        load_pack(*local)
    except Invalid as error:
        return problems_of(error)
    return ()


def problems_of(error: Invalid) -> tuple[PackProblem, ...]:
    """Return the problems that an error of this module lists."""
    problems = error.context.get("problems")
    if isinstance(problems, list):
        return tuple(PackProblem.model_validate(problem) for problem in problems)
    return (PackProblem(path=error.field or "", message=error.what),)


def _compose(documents: Sequence[Document], on: date | None) -> NormPack:
    if len(documents) > LAYERS_MAX:
        raise pack_invalid(
            [PackProblem(path="level", message=Text(zh=f"最多叠加 {LAYERS_MAX} 层", en=f"at most {LAYERS_MAX} layers"))]
        )
    headers = [build_header(document, PackLevel.CITY) for document in documents]
    if documents and headers[0].level is PackLevel.NATIONAL:
        pack, content = build_pack(Merged(content=documents[0].content), (headers[0],)), documents[0].content
        layers = list(zip(headers[1:], documents[1:], strict=True))
    else:
        pack, content = _national()
        layers = list(zip(headers, documents, strict=True))
    merged = Merged(content=content)
    for header, document in layers:
        _check_order(pack.layers[-1], header)
        if on is not None and not header.in_force(on):
            continue
        below = merged.content
        merged = lay_over(merged, document.content, len(pack.layers))
        extended = build_pack(merged, (*pack.layers, header), above=(pack, below))
        problems = forbidden_changes(pack, extended)
        if problems:
            raise pack_invalid(problems)
        pack = extended
    return pack if on is None else pack.as_of(on)


def _check_order(above: PackLayer, below: PackLayer) -> None:
    """A layer lies under one of its own level or a higher one; only the first may be national."""
    if below.level is PackLevel.NATIONAL or below.level.rank < above.level.rank:
        message = Text(
            zh=f"{below.level.label.zh}包不能叠加在{above.level.label.zh}包之上，请调整顺序",
            en=f"a {below.level} pack cannot extend a {above.level} one: change the order",
        )
        raise pack_invalid([PackProblem(path="level", message=message)])


@cache
def _national() -> tuple[NormPack, dict[str, object]]:
    """The national pack that ships with the platform, and its document (which nobody changes in place)."""
    folder = resources.files("datong.norms").joinpath("packs", "national")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    document = join_fragments((name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names)
    header = build_header(document, PackLevel.NATIONAL)
    return build_pack(Merged(content=document.content), (header,)), document.content
