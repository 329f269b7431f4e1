"""Adding a thematic library over REST, the command line and the console: plan first, then in force."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.cli.library import app
from tests.integration.web.conftest import RunningHub
from tests.unit.library.test_definition_reading import TEXT

BASE = "/api/v1/library-definitions"


def test_a_library_is_added_without_code(hub: RunningHub, tmp_path: Path) -> None:
    operator, officer = hub.person("operator"), hub.person("education")
    bad = TEXT.replace("value: children,", "value: kids,")
    refused = officer.post(f"{BASE}/plan", json={"text": TEXT})
    assert refused.status_code == 403
    plan = operator.post(f"{BASE}/plan", json={"text": bad}).json()
    assert plan["problems"][0]["field"] == "/derivation/rules/0/value"
    answer = operator.post(BASE, json={"text": bad})
    assert answer.status_code == 422
    assert answer.json()["code"] == "library.definition_invalid"

    file = tmp_path / "large_families.yaml"
    where = ["--hub", hub.url, "--token", operator.headers["Authorization"].removeprefix("Bearer ")]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, *where], env={"DATONG_LANGUAGE": "en"})
        return done.exit_code, done.output

    file.write_text(bad, encoding="utf-8")
    code, told = run("define", str(file), "--yes")
    assert code == 1
    assert "✗ /derivation/rules/0/value" in told
    file.write_text(TEXT, encoding="utf-8")
    code, told = run("define", str(file))
    assert (code, "--yes puts them in force" in told) == (0, True)
    assert operator.get(f"{BASE}/large_families").status_code == 404
    code, told = run("define", str(file), "--yes", "--json")
    assert code == 0
    assert json.loads(told)["version"] == 1
    code, told = run("define", str(file))
    assert "unchanged" in told
    code, told = run("list")
    assert "large_families" in told
    view = officer.get(f"{BASE}/large_families").json()
    assert view["definition"]["kind"] == "derived"
    assert [known["version"] for known in view["versions"]] == [1]
    known = {row["name"]: row["supplied"] for row in officer.get(BASE).json()}
    assert known["large_families"]
    assert not known["population"]
    assert operator.post("/api/v1/libraries/large_families/builds").json()["code"] == "library.input_missing"


@pytest.mark.parametrize("control_database", ["sqlite"], indirect=True)
def test_retention_is_declared_by_the_authority_alone(hub: RunningHub) -> None:
    authority, officer = hub.person("authority"), hub.person("education")
    order = {"days": 400, "versions_min": 3, "statement": "档案管理办法"}
    base = "/api/v1/libraries/population"
    assert officer.put(f"{base}/retention", json=order).status_code == 403
    where = ["--hub", hub.url, "--token", authority.headers["Authorization"].removeprefix("Bearer ")]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, *where], env={"DATONG_LANGUAGE": "en"})
        return done.exit_code, done.output if done.exception is None else str(done.exception)

    assert authority.put(f"{base}/retention", json=order | {"days": -1}).status_code == 422
    code, told = run("retention", "population", "--days", "400", "--versions-min", "3", "--because", "archives")
    assert (code, told) == (0, "population: superseded versions are kept for 400 days.\n")
    view = officer.get(f"{base}/versions").json()
    assert (view["retention"]["rule"], view["versions"]) == ({"days": 400, "versions_min": 3}, [])
    assert run("versions", "population") == (0, "")
    for command in (
        ("hold", "population", "1", "--because", "audit"),
        ("release", "population", "none", "--because", "audit"),
        ("past", "population", "0" * 32, "--day", "2026-01-31"),
    ):
        code, told = run(*command)
        assert code == 1
        assert "library." in told
    unclear = authority.get(f"{base}/entities/{'0' * 32}/past", params={"day": "2026-01-31", "version": 1})
    assert unclear.json()["code"] == "library.past_unclear"
