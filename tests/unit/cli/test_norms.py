"""The commands of `datong norms`, run as a person runs them: in-process, over real files."""

import json
from pathlib import Path

import duckdb
import pytest
from openpyxl.workbook.workbook import Workbook
from typer.testing import CliRunner

from datong.cli.norms import app
from datong.kernel import Invalid, NotFound

RUNNER = CliRunner()
ENGLISH = {"DATONG_LANGUAGE": "en"}


def run(*arguments: object, code: int = 0) -> str:
    done = RUNNER.invoke(app, [str(argument) for argument in arguments], env=ENGLISH)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def packs(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("version: a\ntime_limits: {provide: {amount: 15}}", encoding="utf-8")
    new.write_text("version: b\ntime_limits: {provide: {amount: 10}}", encoding="utf-8")
    return old, new


def test_check_tells_layers_or_places(packs: tuple[Path, Path], tmp_path: Path) -> None:
    assert "2026.2 → Local extension a" in run("check", packs[0])
    assert json.loads(run("check", packs[0], packs[1], "--json")) == []
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("time_limits: {provide: {amount: 30}}", encoding="utf-8")
    assert "time_limits.provide.amount" in run("check", wrong, code=1)
    assert json.loads(run("check", wrong, "--json", code=1))[0]["path"] == "time_limits.provide.amount"


def test_diff_says_what_breaks(packs: tuple[Path, Path]) -> None:
    old, new = packs
    assert "[Breaking] time_limits.provide.amount" in run("diff", old, new)
    run("diff", old, new, "--fail-on-breaking", code=1)
    run("diff", new, old, "--fail-on-breaking")
    found = json.loads(run("diff", old, new, "--json"))
    assert [change["severity"] for change in found["changes"]] == ["breaking"]


def test_show_names_the_layer_of_a_value(tmp_path: Path) -> None:
    local = tmp_path / "local.yaml"
    local.write_text("version: here\nelements: {phone: {grade: L4}}", encoding="utf-8")
    told = run("show", "手机号", "--pack", local)
    assert "L4 highly sensitive  [here]" in told
    assert "[2026.2]" in told
    assert json.loads(run("show", "phone", "-p", local, "--json"))["overrides"] == {"grade": "here"}
    assert "1  Male" in run("show", "sex")
    with pytest.raises(NotFound, match="element_unknown"):
        run("show", "nothing")


CSV = "身份证号,性别,登记时间,其他\n110101199003070011,男,2020/1/2,甲\n110101199003070012,1,2020-01-02,乙\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_scored_and_standardised(tmp_path: Path, encoding: str) -> None:
    file, out = tmp_path / "people.csv", tmp_path / "clean.parquet"
    file.write_text(CSV, encoding=encoding)
    found = json.loads(run("score", file, "--json", "--write", out))
    assert {column["column"]: column["element"] for column in found["columns"]} == {
        "身份证号": "citizen_id",
        "性别": "sex",
        "登记时间": "registered_on",
    }
    assert found["unmapped"] == ["其他"]
    rows = duckdb.sql(f"SELECT * FROM '{out}' ORDER BY 其他 DESC").fetchall()
    assert ("110101199003070011", None, [], []) in [row[1:5] for row in rows]
    assert ("110101199003070012", "checksum", [], []) in [row[1:5] for row in rows]
    assert ("1", None, ["code_name"], []) in [row[5:9] for row in rows]
    told = run("score", file)
    assert "Conformance" in told
    assert "Columns without a data element: 其他" in told


def test_a_workbook_is_scored_and_a_mapping_wins(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["号码", "手机"], ["110101199003070011", "13800138000"]):
        sheet.append(row)
    file = tmp_path / "people.xlsx"
    book.save(file)
    found = json.loads(run("score", file, "--map", "号码=citizen_id", "--json"))
    assert [column["conform"] for column in found["columns"]] == [1, 1]
    with pytest.raises(Invalid, match="column_unknown"):
        run("score", file, "--map", "无=citizen_id")
    with pytest.raises(Invalid, match="mapping_invalid"):
        run("score", file, "--map", "citizen_id")
    with pytest.raises(NotFound, match="element_unknown"):
        run("score", file, "--map", "号码=nothing")
    other = tmp_path / "people.bin"
    other.write_bytes(b"x")
    with pytest.raises(Invalid):
        run("score", other)
