import os
import subprocess
import sys
from pathlib import Path

import pytest

from datong import __version__
from datong.app.main import GROUPS
from datong.kernel.settings import without_settings

DATONG = [sys.executable, "-m", "datong.app.main"]


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own, which is how its imports are seen."""
    inherited = without_settings(os.environ)
    return subprocess.run(
        [*DATONG, *arguments], env=inherited | environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_help_lists_every_group() -> None:
    answer = call("--help")
    assert answer.returncode == 0
    for name in GROUPS:
        assert f" {name} " in answer.stdout


@pytest.mark.parametrize("group", ["node", "norms", "ledger"])
def test_a_short_command_imports_neither_the_web_nor_the_hub(group: str) -> None:
    script = (
        "import sys; from datong.app.main import command_line; command_line(sys.argv[1]);"
        "print([name for name in ('fastapi', 'uvicorn', 'splink', 'dbos', 'cedarpy') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, group], capture_output=True, text=True, check=True, timeout=120
    )
    assert answer.stdout.strip() == "[]"


def test_an_error_is_told_in_the_persons_language_with_its_remedy(tmp_path: Path) -> None:
    told = {
        language: call("node", "inventory", "--home", str(tmp_path), DATONG_LANGUAGE=language)
        for language in ("zh", "en")
    }
    assert told["zh"].returncode == told["en"].returncode == 1
    assert told["zh"].stderr != told["en"].stderr
    assert "Traceback" not in told["zh"].stderr + told["en"].stderr


@pytest.mark.parametrize(
    ("module", "url"),
    [("pymysql", "mysql://u:p@host/d"), ("adbc_driver_postgresql", "postgresql://u:p@host/d")],
)
def test_what_an_installation_left_out_is_told_with_the_extra_that_brings_it(module: str, url: str) -> None:
    script = (
        "import sys; sys.modules[sys.argv[1]] = None; from datong.adapters import open_connector;"
        "from datong.cli.shell import run; run(lambda: open_connector(sys.argv[2]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, module, url], capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 1
    assert "datong[node]" in answer.stderr
    assert "adapters.driver_missing" in answer.stderr


def test_the_version_is_told() -> None:
    assert call("--version").stdout == f"datong {__version__}\n"


def test_a_wrong_setting_stops_the_hub_and_is_named(tmp_path: Path) -> None:
    answer = call("hub", "init", DATONG_HOME=str(tmp_path), DATONG_PROT="1")
    assert answer.returncode == 1
    assert "DATONG_PROT" in answer.stderr


def test_a_norm_pack_is_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("version: city-1\n")
    bad.write_text("elements:\n  person_name:\n    grade: L9\n")
    assert call("norms", "check", str(good)).returncode == 0
    answer = call("norms", "check", str(bad), "--json")
    assert answer.returncode == 1
    assert "elements.person_name.grade" in answer.stdout
