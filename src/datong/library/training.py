"""Trains the weights of a linkage model without labels, and writes them into its definition.

This is a tool for engineers, not a part of a build: `u` comes from random pairs, `m` by expectation maximisation inside
blocks that agree on something else. A build uses the committed weights only, so the same landing gives the same links.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import duckdb
from splink import DuckDBAPI, Linker, block_on

from datong.kernel import Conflict, Invalid, Misconfigured, Text
from datong.library.conform import conform_source, take_part
from datong.library.definition import Definition, Level, Linkage
from datong.library.engine import EmbeddedWorkspace, Engine
from datong.library.link import create_linkable
from datong.library.model import splink_settings
from datong.library.values import LandedSource
from datong.norms import NormPack

M_MIN = 0.002
"""No disagreement counts as impossible, however clean the training data: others make other mistakes."""
U_MIN, SHARE_MAX = 1e-6, 0.999
M_SUM_TOLERANCE = 0.01
DECIMALS = 7
_WEIGHTS = re.compile(r"m: [0-9.e-]+, u: [0-9.e-]+")


def train(
    definition: Definition,
    sources: tuple[LandedSource, ...],
    *,
    pack: NormPack,
    engine: Engine,
    folder: Path,
    pairs_max: int,
    seed: int,
) -> Linkage:
    """Return the definition's linkage model with weights estimated from `sources`, which need no labels.

    Raises:
        Conflict: the library does not link by a model. Invalid: the sample shows no disagreement among true matches.

    `pairs_max` random pairs are drawn for `u`; a million is enough to try, ten million to commit. `folder` is scratch.
    """
    linkage = definition.linkage
    if linkage is None:
        raise Conflict(
            "library.nothing_to_train",
            what=Text(zh="该资源库不使用链接模型。", en="This library has no linkage model."),
            remedy=Text(zh="请选择人口等需要链接的资源库。", en="Choose a library that links records."),
        )
    folder.mkdir(parents=True, exist_ok=True)
    with engine.connect(folder / "spill") as connection:
        taking = take_part(definition, sources, pack)
        work = EmbeddedWorkspace(connection)
        for source in taking:
            conform_source(work, source, pack, folder)
        create_linkable(work, definition, linkage, taking, folder, ())
        try:
            return _estimate(connection, linkage, pairs_max=pairs_max, seed=seed)
        except ValueError as error:
            raise Invalid(
                "library.training_sample_poor",
                what=Text(
                    zh="样本太小或太单一，无法估计链接权重。",
                    en="The sample is too small or too uniform to estimate weights from.",
                ),
                remedy=Text(zh="请使用更多来源或更多记录。", en="Use more sources or more records."),
            ) from error


def _estimate(connection: duckdb.DuckDBPyConnection, linkage: Linkage, *, pairs_max: int, seed: int) -> Linkage:
    api = DuckDBAPI(connection=connection)
    linker = Linker(
        api.register("linkable"), splink_settings(linkage, open_only=False), log_level=None, validate_settings=False
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=pairs_max, seed=seed)
    for columns in linkage.training:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))
    trained = linker.misc.save_model_to_json()["comparisons"]
    comparisons = []
    for comparison, estimated in zip(linkage.comparisons, trained, strict=True):
        found = estimated["comparison_levels"][1:]
        levels = [
            (level, values.get("m_probability", level.m), values.get("u_probability", level.u))
            for level, values in zip(comparison.levels, found, strict=True)
        ]
        if abs(sum(m for _, m, _ in levels) - 1) > M_SUM_TOLERANCE:
            # Nothing in the blocks showed this comparison for true matches: its committed `m` stay.
            levels = [(level, level.m, u) for level, _, u in levels]
        comparisons.append(comparison.model_copy(update={"levels": tuple(_bounded(levels, comparison.differ_min))}))
    return linkage.model_copy(update={"comparisons": tuple(comparisons)})


def _bounded(levels: list[tuple[Level, float, float]], differ_min: float) -> Iterator[Level]:
    """Yield the levels with weights that no single chance observation can make certain."""
    for level, m, u in levels:
        m_min = differ_min if level.kind == "else" else M_MIN
        bounded = (min(SHARE_MAX, max(least, share)) for least, share in ((m_min, m), (U_MIN, u)))
        yield level.model_copy(update=dict(zip("mu", (round(share, DECIMALS) for share in bounded), strict=True)))


def rewrite_weights(text: str, linkage: Linkage) -> str:
    """Return a definition's YAML `text` with the weights of `linkage`, comments and order untouched.

    Raises:
        Misconfigured: the text has not one `m: …, u: …` per level, in order.
    """
    levels = list(chain.from_iterable(comparison.levels for comparison in linkage.comparisons))
    if len(_WEIGHTS.findall(text)) != len(levels):
        raise Misconfigured(
            "library.weights_misplaced",
            what=Text(zh="定义文件中的权重与模型的级别数不符。", en="The file has not one pair of weights per level."),
            remedy=Text(zh="每个级别写成一行 m: …, u: …。", en="Write every level on one line with m: …, u: …."),
        )
    following = iter(levels)

    def weights(_: re.Match[str]) -> str:
        level = next(following)
        return f"m: {_plain(level.m)}, u: {_plain(level.u)}"

    return _WEIGHTS.sub(weights, text)


def _plain(share: float) -> str:
    return f"{share:.{DECIMALS}f}".rstrip("0")
