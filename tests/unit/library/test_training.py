"""Training without labels gives weights that tell friend from stranger."""

from math import log2
from pathlib import Path

import pytest

from datong.kernel import Conflict, Invalid
from datong.library import shipped_definitions
from datong.library.engine import Engine
from datong.library.training import train
from datong.norms import load_pack
from tests.library_sources import landed_city

ENGINE = Engine(threads=2, memory="1500MB")


def test_agreement_weighs_for_and_difference_against(tmp_path: Path) -> None:
    population = next(known for known in shipped_definitions() if known.name == "population")
    sources, _ = landed_city(tmp_path, people=2000, seed=9)
    linkage = train(
        population, sources, pack=load_pack(None), engine=ENGINE, folder=tmp_path / "w", pairs_max=200_000, seed=1
    )
    for comparison in linkage.comparisons:
        first, last = comparison.levels[0], comparison.levels[-1]
        assert log2(first.m / first.u) > 0, comparison.name
        assert log2(last.m / last.u) < 0, comparison.name
        assert last.m >= comparison.differ_min


def test_a_library_without_linkage_cannot_be_trained(tmp_path: Path) -> None:
    geography = next(known for known in shipped_definitions() if known.name == "geography")
    with pytest.raises(Conflict, match="nothing_to_train"):
        train(geography, (), pack=load_pack(None), engine=ENGINE, folder=tmp_path, pairs_max=10, seed=1)


def test_a_sample_that_shows_too_little_is_refused(tmp_path: Path) -> None:
    population = next(known for known in shipped_definitions() if known.name == "population")
    sources, _ = landed_city(tmp_path, people=400, seed=9)
    with pytest.raises(Invalid, match="training_sample_poor"):
        train(population, sources, pack=load_pack(None), engine=ENGINE, folder=tmp_path, pairs_max=200_000, seed=1)
