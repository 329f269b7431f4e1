"""`datong node source`: what is told of a source, and that no credential is."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.app.node_commands import app
from datong.kernel import DatongError, Misconfigured, NotFound

RUN = CliRunner(env={"DATONG_LANGUAGE": "en"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, fee DECIMAL(9,2))")
        connection.execute("CREATE TABLE odd (id INTEGER PRIMARY KEY)")
    run(tmp_path / "node", "add", "main", f"sqlite:///{tmp_path / 'a.sqlite'}")
    return tmp_path / "node"


def run(home: Path, *arguments: str) -> str:
    result = RUN.invoke(app, ["source", *arguments, "--home", str(home)])
    if isinstance(result.exception, DatongError):
        raise result.exception
    assert result.exit_code in {0, 1}, result.output
    return result.output


def test_a_source_is_added_listed_tested_and_removed(home: Path) -> None:
    assert run(home, "list") == "main  sqlite  read only\n"
    told = run(home, "test", "main", "--table", "person")
    assert "id *  INTEGER → int64" in told
    assert "fee  DECIMAL(9,2) → decimal(9,2)" in told
    assert "odd" not in told
    assert "Connected: 1 tables, 0 columns refused, 0 problems." in told
    assert [one["table"] for one in json.loads(run(home, "test", "main", "--json"))] == ["odd", "person"]
    run(home, "remove", "main")
    assert json.loads(run(home, "list", "--json")) == []
    with pytest.raises(NotFound, match="source_not_found"):
        run(home, "remove", "main")


def test_refusals_and_problems_are_told_with_their_reason(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "good.csv").write_text("a\n1\n")
    (folder / "bad.csv").write_text('a\n1\n"')
    run(home, "add", "folder", f"files://{folder}")
    result = RUN.invoke(app, ["source", "test", "folder", "--home", str(home)])
    assert result.exit_code == 1
    assert "! The file bad.csv, line 3:" in result.output
    assert "a *  string → string" in result.output


def test_passwords_that_others_can_read_are_refused_and_never_shown(home: Path) -> None:
    (home / "node.toml").write_text(
        '[[sources]]\nname = "x"\nurl = "postgresql://u:secret@127.0.0.1:1/d"\nwritable = false\n'
    )
    (home / "node.toml").chmod(0o644)
    with pytest.raises(Misconfigured, match="config_exposed"):
        run(home, "list")
    (home / "node.toml").chmod(0o600)
    assert "secret" not in run(home, "list")
    with pytest.raises(DatongError, match="source_unavailable") as caught:
        run(home, "test", "x")
    assert "secret" not in str(caught.value)
