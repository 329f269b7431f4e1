"""Whether a build may start from the one before, or has to make everything anew, and why.

A build may start from the one before if everything but the landed batches and people's decisions is the same: the
library's definition, the norms that its values are judged by, its sources and their columns, and the program. The
first step of every build writes down what it was made from; the next build reads that. Pure, but for those files.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from datong.kernel import Value, sha256_hex
from datong.library.conform import ConformedSource, current_batches
from datong.library.definition import Definition, LibraryKind
from datong.library.whole_reason import WholeReason
from datong.norms import NormPack

BASIS = "basis.json"
FORMAT = 6
"""Raised whenever a step's files or the rules behind them change: builds of another format are not started from."""
CHANGED_SHARE_MAX = 0.3
"""Changed records over all records above which everything is made anew: it costs no more, and tidies the files."""


Batch = tuple[str, int, str, int, str]


class Basis(Value):
    """What a build was made from: digests by aspect, the batches of every source in order, and the `base` build.

    Without `base`, everything was made anew, and `reason` says why. `changed` counts the records that changed.
    """

    digests: Mapping[str, str]
    batches: tuple[tuple[Batch, ...], ...]
    base: str | None = None
    reason: WholeReason | None = None
    changed: int = 0

    def known_batches(self, number: int, former: "Basis") -> int | None:
        """Return how many batches of a source the build `former` had, or None if these do not begin with them."""
        mine, known = self.batches[number], former.batches[number]
        return len(known) if mine[: len(known)] == known else None


def basis_of(
    definition: Definition, sources: tuple[ConformedSource, ...], pack: NormPack, *, engine: str, divisions: str
) -> Basis:
    """Return what a build of `sources` by `definition` is made from; `divisions` is the digest of their names."""
    fields = {field for source in sources for field in source.fields} | {rule.code for rule in definition.elements}
    elements = [pack.element(code).model_dump_json() for code in sorted(fields) if pack.has_element(code)]
    described = [
        {
            "resource": source.source.resource_id,
            "department": source.source.department,
            "title": source.source.title.zh,
            "role": source.role.key,
            "fields": list(source.fields.items()),
            "keys": list(source.source.key_columns),
        }
        for source in sources
    ]
    return Basis(
        digests={
            "platform": f"{version('datong')}/{FORMAT}/{engine}/{version('duckdb')}",
            "definition": definition.digest,
            "norms": _digest([pack.version, divisions, *(layer.digest for layer in pack.layers), *elements]),
            "sources": _digest(described),
        },
        batches=tuple(tuple(_facts(source)) for source in sources),
    )


def choose(basis: Basis, kind: LibraryKind, former: Path | None, *, grows: bool, whole: bool) -> Basis:
    """Return `basis` with the build in the folder `former` as its base, or with the reason why it has none.

    An engine that does not `grow` tables makes everything anew.
    """
    if former is None:
        return _whole(basis, WholeReason.FIRST)
    if kind not in (LibraryKind.LINKED, LibraryKind.KEYED):
        return _whole(basis, WholeReason.KIND)
    if not grows:
        return _whole(basis, WholeReason.ENGINE)
    if whole:
        return _whole(basis, WholeReason.ASKED)
    known = read_basis(former)
    if known is None:
        return _whole(basis, WholeReason.FILES)
    for aspect in (WholeReason.PLATFORM, WholeReason.DEFINITION, WholeReason.NORMS, WholeReason.SOURCES):
        if basis.digests[aspect] != known.digests.get(aspect):
            return _whole(basis, aspect)
    return basis.model_copy(update={"base": former.name})


def _whole(basis: Basis, reason: WholeReason) -> Basis:
    return basis.model_copy(update={"base": None, "reason": reason})


def weigh(basis: Basis, *, changed: int, records: int, share_max: float) -> Basis:
    """Return `basis` with the number of `changed` records; without its base if they exceed `share_max` of `records`."""
    counted = basis.model_copy(update={"changed": changed})
    if basis.base is not None and changed > share_max * max(1, records):
        return _whole(counted, WholeReason.SHARE)
    return counted


def read_basis(build: Path) -> Basis | None:
    """Return what the build in the folder `build` was made from; None if that is not known any more."""
    path = build / "conform" / BASIS
    return Basis.model_validate_json(path.read_bytes()) if path.exists() else None


def write_basis(basis: Basis, step: Path) -> None:
    """Write `basis` into the folder of the first step."""
    (step / BASIS).write_text(basis.model_dump_json(), encoding="utf-8")


def _facts(source: ConformedSource) -> list[Batch]:
    return [
        (batch.batch_id, batch.sequence, batch.mode.value, batch.snapshot, batch.payload_digest)
        for batch in current_batches(source.source)
    ]


def _digest(value: object) -> str:
    return sha256_hex(json.dumps(value, ensure_ascii=False, sort_keys=True).encode())
