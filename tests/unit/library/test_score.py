"""Our scoring against Splink's with the same committed weights: the same pairs, the same weights."""

from pathlib import Path

import duckdb
import pytest
from splink import DuckDBAPI, Linker

from datong.library import shipped_definitions
from datong.library.conform import conform_source, take_part
from datong.library.decisions import create_decided
from datong.library.definition import Linkage
from datong.library.engine import EmbeddedWorkspace
from datong.library.features import create_records
from datong.library.identify import identify
from datong.library.model import splink_settings
from datong.library.score import CLASSES_PER_BIT, score_pairs
from datong.norms import load_pack
from tests.library_sources import landed_city

POPULATION = next(known for known in shipped_definitions() if known.name == "population")


def without_frequencies(linkage: Linkage) -> Linkage:
    return linkage.model_copy(
        update={
            "comparisons": tuple(
                comparison.model_copy(
                    update={
                        "levels": tuple(level.model_copy(update={"frequency": None}) for level in comparison.levels)
                    }
                )
                for comparison in linkage.comparisons
            )
        }
    )


def splink_pairs(connection: duckdb.DuckDBPyConnection, linkage: Linkage) -> dict[tuple[int, int], float]:
    api = DuckDBAPI(connection=connection)
    settings = splink_settings(linkage, open_only=True)
    linker = Linker(api.register("linkable"), settings, log_level=None, validate_settings=False)
    found = linker.inference.predict(threshold_match_weight=linkage.accept_bits - linkage.margin_bits)
    rows = connection.execute(
        f"SELECT least(unique_id_l, unique_id_r), greatest(unique_id_l, unique_id_r), match_weight "
        f"FROM {found.physical_name}"
    ).fetchall()
    api.delete_tables_created_by_splink_from_db()
    return {(a, b): weight for a, b, weight in rows}


def test_weights_are_those_of_splink(tmp_path: Path) -> None:
    assert POPULATION.linkage is not None
    sources, _ = landed_city(tmp_path, people=400, seed=4)
    plain = without_frequencies(POPULATION.linkage)
    with duckdb.connect() as connection:
        work = EmbeddedWorkspace(connection)
        taking = take_part(POPULATION, sources, load_pack(None))
        for source in taking:
            conform_source(work, source, load_pack(None), tmp_path)
        create_records(work, POPULATION, taking, tmp_path)
        create_decided(work, "records", taking, ())
        identify(work)
        expected = splink_pairs(connection, plain)
        score_pairs(work, plain)
        own = {(a, b): weight for a, b, weight in connection.execute("FROM pairs").fetchall()}
        assert len(own) > 50
        assert own == pytest.approx(expected, abs=1e-5)
        expected = splink_pairs(connection, POPULATION.linkage)
        score_pairs(work, POPULATION.linkage)
        own = {(a, b): weight for a, b, weight in connection.execute("FROM pairs").fetchall()}
        for pair in own.keys() & expected.keys():
            assert abs(own[pair] - expected[pair]) <= 1 / CLASSES_PER_BIT + 1e-5
        assert len(own.keys() & expected.keys()) >= 0.95 * len(expected)
