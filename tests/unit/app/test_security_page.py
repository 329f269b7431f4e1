"""docs/security.md keeps what it says: every test that it names is there, no reader of foreign input is left out."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PARSERS = PAGE.split("## Parsers of foreign input")[1].split("## GB/T")[0]
PLACES = {"U": "tests/unit", "I": "tests/integration", "F": "tests/fault", "D": "tests/drills"}
NAMED = sorted(set(re.findall(r"`([UIFD]/[\w/]+\.py(?:::\w+)?)`", PAGE)))
READERS = re.compile(
    r"\bjson\.loads?\(|\byaml\.(?:safe_load|compose)|\.from_filelike\(|CalamineWorkbook\.|zipfile\.ZipFile\(|expat\."
    r"|\.ParquetFile\(|ipc\.open_stream|MessageReader|b64decode\(|struct\.Struct|csv\.reader\(|pyarrow\.csv"
    r"|\bre\.compile\([^)]*TOKEN|rdflib|shapely\.from_|from_wkt|from_wkb|urlsafe_b64decode|tomllib|email\.utils"
)
OWN = {
    "adapters/file_arrivals.py": "the node's own register",
    "adapters/file_keys.py": "the hub's own key",
    "adapters/mariadb_stream.py": "lines that a statement of ours makes; I/exchange/test_fidelity.py",
    "adapters/smtp_post.py": "writes dates, reads none",
    "adapters/hub_link.py": "claims of the higher hub's token; errors are caught where they are read",
    "adapters/judged_web.py": "a date in a header; errors are caught where it is read",
    "adapters/sql_letters.py": "what the node itself wrote",
    "adapters/zygote.py": "the launcher's own messages",
    "adapters/spark_tables.py": "files that the build wrote",
    "adapters/web_api_client.py": "I/exchange/test_web_api.py reads through it",
    "adapters/postgresql_copy.py": "U/adapters/test_postgresql_binary.py",
    "adapters/folder_tables.py": "I/exchange/test_files.py reads through it",
    "catalogue/interchange.py": "U/catalogue/test_interchange.py",
    "catalogue/quality.py": "a file of the platform's own",
    "catalogue/quality_scores.py": "what the hub itself wrote",
    "catalogue/search_index.py": "files of the hub's own",
    "catalogue/search_readings.py": "a file that comes with pypinyin",
    "catalogue/search_segment.py": "files of the hub's own",
    "catalogue/source_rules.py": "a file of the platform's own",
    "catalogue/spreadsheet_columns.py": "U/catalogue/test_spreadsheet.py reads through it",
    "catalogue/sketches.py": "U/catalogue/test_sketches.py",
    "exchange/payload.py": "U/exchange/test_payload_guard.py reads through it",
    "exchange/signatures.py": "U/exchange/test_chain.py",
    "exchange/signed.py": "U/exchange/test_chain.py",
    "federation/web.py": "rdflib only stands in a comment or a type",
    "governance/notifications/sending.py": "what the hub itself wrote",
    "kernel/base64_bytes.py": "U/web/test_authentication.py, bytes in JSON",
    "kernel/binary_arrays.py": "writes, reads none",
    "ledger/export.py": "U/ledger/test_standalone_verifier.py",
    "ledger/shards.py": "U/ledger/test_shards.py",
    "ledger/splits.py": "U/ledger/test_gossip.py",
    "ledger/standalone_rederiver.py": "a program of its own; I/governance/test_standalone_rederiver.py",
    "ledger/standalone_verifier.py": "a program of its own; U/ledger/test_standalone_verifier.py",
    "ledger/witness.py": "U/ledger/test_witness.py",
    "sharing/policy.py": "policies of the platform's own",
    "sharing/once.py": "sealed by the hub itself",
    "sharing/file_manifests.py": "U/sharing/test_shared_files.py",
    "sharing/shared_files.py": "files that the hub writes",
    "sharing/agreements.py": "signatures; the form is a pydantic type (kernel/base64_bytes.py)",
    "sharing/live.py": "signatures; errors are caught where they are read",
    "sharing/matchings.py": "signatures; errors are caught where they are read",
    "sharing/subject_lists.py": "lists of the hub's own making",
    "sharing/webhooks.py": "secrets of the hub's own making",
    "web/api/oauth.py": "the hub's own answer",
    "web/console/auditing.py": "writes archives, reads none",
    "web/console/evidence.py": "the hub's own keys",
    "web/console/maps.py": "shapes of the library",
    "web/console/portal.py": "the hub's own answers",
    "web/delta_sharing/documents.py": "U/web/test_delta_asking.py",
    "web/features/shapes.py": "shapes of the library",
    "web/open/answers.py": "U/web/open/test_answers.py",
}  # fmt: skip
"""Modules that read nothing foreign, or through which a test above reads."""


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_is_there(name: str) -> None:
    file, _, function = name.partition("::")
    path = ROOT / PLACES[file[0]] / file[2:]
    assert path.is_file(), name
    assert not function or function in functions_of(path), name


def test_every_threat_names_a_test_and_every_boundary_all_that_apply() -> None:
    rows = re.findall(r"^\| ([STRIDE]) \| ([^|]+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 35
    assert {letter for letter, _, _ in rows} == set("STRIDE")
    assert [threat for _, threat, tests in rows if not re.search(r"`[UIFD]/", tests)] == []


def test_every_reader_of_foreign_input_is_fuzzed_or_says_why_not() -> None:
    listed = {name for name in re.findall(r"`((?:\w+/)+\w+\.py)`", PARSERS) if name[:2] not in {"U/", "I/", "F/"}}
    source = ROOT / "src" / "datong"
    assert [name for name in listed if not (source / name).is_file()] == []
    readers = {
        path.relative_to(source).as_posix()
        for folder in ("adapters", "catalogue", "exchange", "federation", "kernel", "ledger", "norms", "sharing", "web")
        for path in (source / folder).rglob("*.py")
        if READERS.search(path.read_text(encoding="utf-8"))
    }
    assert sorted(readers - listed - OWN.keys()) == []
    assert sorted(OWN.keys() & listed) == []
    for row in re.findall(
        r"^\|[^|]+\| (`[^|]+`) \| (.+) \|$", PAGE.split("## Parsers of foreign input")[1], re.MULTILINE
    ):
        for name in re.findall(r"`([UIFD]/[\w/]+\.py)", row[1]):
            text = (ROOT / PLACES[name[0]] / name[2:]).read_text(encoding="utf-8")
            assert "hypothesis" in text or "schemathesis" in text or "Explorer" in text, f"{name} fuzzes nothing"
