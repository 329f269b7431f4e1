"""Every benchmark runs and ends in one JSON line with the keys that others rely on (DESIGN §8); no time is judged."""

import json
import os

import pytest

from tests.processes import launcher

SECONDS_MAX = 600.0
KEYS = {
    "ledger": {"appends_per_second", "proof_ms", "sqlite", "postgresql"},
    "exchange": {"rows_per_second", "ratio_to_copy", "peak_rss_mb"},
    "library": {"seconds", "f1", "ratio_to_plain_splink", "peak_rss_mb"},
    "lookup": {"p95_ms", "p95_cold_ms", "write_seconds", "peak_rss_mb"},
    "firms": {"f1", "precision", "recall", "mixed_entities", "seconds"},
    "linkage": {"febrl3", "febrl4", "peak_rss_mb"},
    "norms": {"judge_seconds", "score_seconds", "values_per_second", "ratio_to_python", "peak_rss_mb"},
    "interfaces": {"page_ms", "statements", "shacl_seconds", "ckanapi_dump_get_seconds", "peak_rss_mb"},
    "sketches": {"values_per_second", "ratio_to_hashing", "exposed_to_secret_holder", "peak_rss_mb"},
    "reconciliation": {"postgresql", "mariadb"},
    "capture": {"changes_per_second", "peak_rss_mb"},
    "gateway": {"requests_per_second", "ratio_to_bare", "p99_ms", "cpu_ratio_to_bare", "policy_p99_ms", "peak_rss_mb"},
    "load": {"requests_per_second", "scaling", "memory_mb_per_hour", "errors", "processes_1", "peak_rss_mb"},
    "pages": {"pages_ms", "slowest_ms", "slow", "over_200", "file_ms", "peak_rss_mb"},
    "matching": {"elements_per_second", "ratio_to_multiplications", "peak_rss_mb"},
    "side_by_side": {"copy_seconds", "readers_1_seconds", "n_to_one"},
    "year": {"culprit_accuracy", "shares_sum_to_one", "spearman", "alarms", "cpu_seconds", "peak_rss_mb"},
    "delta_sharing": {"ratio_to_local_parquet", "prepare_seconds", "peak_rss_mb"},
}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_benchmark_ends_in_one_json_line(name: str) -> None:
    done = launcher().run(["-m", f"benchmarks.{name}", "--quick"], environment=os.environ, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stderr.decode()
    (line,) = done.stdout.splitlines()
    closing = json.loads(line)
    assert closing["benchmark"] == name
    assert KEYS[name] | {"machine", "sizes", "runs"} <= closing.keys()
    assert closing["machine"]["cores"] > 0
