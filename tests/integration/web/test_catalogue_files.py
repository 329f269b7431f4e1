"""The catalogue in files over the machine interface and the command line, and versions compared."""

import io
import json
import threading
from pathlib import Path

import httpx
from openpyxl.reader.excel import load_workbook
from typer.testing import CliRunner

from datong.catalogue import ImportProgress, ImportReport, ImportStage
from datong.cli.catalogue import app
from tests.integration.web.conftest import POLICE, RunningHub
from tests.integration.web.test_catalogue_editor import signed_in
from tests.integration.web.test_story import content, posted

SHEET = "信息资源目录"
PATIENCE_SECONDS = 120


def drafted(client: httpx.Client, titles: list[str]) -> list[str]:
    """Draft resources and return their ids."""
    made = []
    for title in titles:
        given = content("node")
        given["title"] = {"zh": title, "en": title}
        given["binding"] = {"node_id": "node", "source": "main", "table": title, "key_columns": ["id"]}
        made.append(str(posted(client, "/api/v1/resources", {"content": given})["id"]))
    return made


def test_a_catalogue_goes_out_and_comes_back(hub: RunningHub) -> None:
    police, education = hub.person("police"), hub.person("education")
    ids = drafted(police, ["户籍人口", "流动人口"])
    before = {one: police.get(f"/api/v1/resources/{one}").json()["content"] for one in ids}
    for file_format in ("xlsx", "json"):
        body = police.get("/api/v1/catalogue/export", params={"format": file_format, "department": POLICE})
        assert body.status_code == 200
        again = police.post("/api/v1/catalogue/import", params={"format": file_format}, content=body.content).json()
        assert (again["taken"], again["unchanged"], again["errors"]) == (True, 2, 0)
        assert {one: police.get(f"/api/v1/resources/{one}").json()["content"] for one in ids} == before
        # Another department cannot take over what is not its own.
        theirs = education.post("/api/v1/catalogue/import", params={"format": file_format}, content=body.content)
        assert (theirs.json()["taken"], theirs.json()["errors"]) == (False, 2)
    # Nobody else's drafts leave through an export.
    others = education.get("/api/v1/catalogue/export", params={"format": "json"}).json()
    assert others["resources"] == []


def test_a_bad_file_writes_nothing_and_names_its_cells(hub: RunningHub) -> None:
    police = hub.person("police")
    (first, _) = drafted(police, ["户籍人口", "流动人口"])
    body = police.get("/api/v1/catalogue/export", params={"department": POLICE}).content
    book = load_workbook(io.BytesIO(body))
    sheet = book[SHEET]
    titles = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(row=2, column=titles["信息资源摘要"], value="改过的摘要")
    last = sheet.max_row - 1
    bad = sheet.cell(row=last, column=titles["更新周期"], value="想起来就更新")
    target = io.BytesIO()
    book.save(target)
    report = police.post("/api/v1/catalogue/import", content=target.getvalue()).json()
    assert (report["taken"], report["errors"], report["readable"]) == (False, 1, 1)
    assert report["problems"][0]["cell"] == f"{SHEET}!{bad.coordinate}"
    assert police.get(f"/api/v1/resources/{first}").json()["content"]["summary"]["zh"] != "改过的摘要"
    copy = police.post("/api/v1/catalogue/check/annotated", content=target.getvalue())
    comment = load_workbook(io.BytesIO(copy.content))[SHEET][bad.coordinate].comment
    assert comment is not None
    partly = police.post("/api/v1/catalogue/import?readable_only=true", content=target.getvalue()).json()
    assert (partly["taken"], partly["updated"], partly["left_out"]) == (True, 1, 1)


def test_a_stranger_file_is_refused_in_words(hub: RunningHub) -> None:
    police = hub.person("police")
    for file_format, code in (("xlsx", "catalogue.not_a_spreadsheet"), ("json", "catalogue.not_our_json")):
        answer = police.post("/api/v1/catalogue/check", params={"format": file_format}, content=b"[[[[")
        assert answer.status_code == 422
        assert answer.json()["code"] == code


def test_the_command_line_exports_checks_and_imports(hub: RunningHub, tmp_path: Path) -> None:
    police = hub.person("police")
    drafted(police, ["户籍人口"])
    token = police.headers["Authorization"].removeprefix("Bearer ")
    file, reach = tmp_path / "catalogue.xlsx", ["--hub", hub.url, "--token", token]
    run = CliRunner()
    done = run.invoke(app, ["export", str(file), "--department", POLICE, "--json", *reach])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["bytes"] == file.stat().st_size
    checked = run.invoke(app, ["check", str(file), "--json", *reach])
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.output)["resources"] == 1
    taken = run.invoke(app, ["import", str(file), "--json", *reach])
    assert json.loads(taken.output)["unchanged"] == 1


def test_versions_are_compared_for_whoever_may_see_them(hub: RunningHub) -> None:
    police, authority, education = hub.person("police"), hub.person("authority"), hub.person("education")
    (resource,) = drafted(police, ["户籍人口"])
    path = f"/api/v1/resources/{resource}"
    for _ in range(2):
        if police.get(path).json()["state"] == "published":
            posted(police, f"{path}/actions", {"action": "revise"}, status=200)
            draft = police.get(path).json()
            draft["content"]["items"] = draft["content"]["items"][:1]
            edit = {"content": draft["content"], "expected_version": draft["version"]}
            assert police.put(path, json=edit).status_code == 200
            assert education.get(f"{path}/versions/1/diff/2").status_code == 404
        for actor, action in ((police, "sign_off"), (police, "submit"), (authority, "approve"), (authority, "publish")):
            posted(actor, f"{path}/actions", {"action": action}, status=200)
    difference = education.get(f"{path}/versions/1/diff/2").json()
    (change,) = difference["changes"]
    assert (change["kind"], change["impact"], change["words"]["zh"]) == (
        "removed",
        "breaking",
        "删除信息项“姓名”（name）",
    )


def test_a_long_import_shows_its_progress_to_its_owner(hub: RunningHub) -> None:
    police = hub.person("police")
    hub.person("education")
    browser, other = signed_in(hub, "police"), signed_in(hub, "education")
    account = police.get("/api/v1/session").json()["actor"]["id"]
    go_on, report = (
        threading.Event(),
        ImportReport(resources=3, readable=3, errors=0, warnings=0, problems=(), taken=True, created=3),
    )

    def long(note: ImportProgress) -> ImportReport:
        note(ImportStage.WRITING, 1, 4)
        assert go_on.wait(PATIENCE_SECONDS)
        return report

    job = hub.services.import_jobs.start(account, long)
    while job.part == 0:
        assert not job.wait(0.01)
    page = browser.get(f"/catalogue/files/jobs/{job.id}").text
    assert "25%" in page
    assert "hx-get" in page
    assert other.get(f"/catalogue/files/jobs/{job.id}").status_code == 404
    go_on.set()
    assert job.wait(PATIENCE_SECONDS)
    page = browser.get(f"/catalogue/files/jobs/{job.id}").text
    assert "新建 3，更新 0" in page
    assert 'id="progress" hx-get' not in page


def test_a_short_import_answers_at_once(hub: RunningHub) -> None:
    police = hub.person("police")
    drafted(police, ["户籍人口"])
    body = police.get("/api/v1/catalogue/export", params={"department": POLICE}).content
    browser = signed_in(hub, "police")
    sent = browser.post("/catalogue/files", data={"act": "all"}, files={"file": ("catalogue.xlsx", body)})
    if sent.is_redirect:  # a slow machine
        sent = browser.get(sent.headers["location"])
    assert sent.status_code == 200
    bad = browser.post("/catalogue/files", data={"act": "check"}, files={"file": ("catalogue.xlsx", b"no file")})
    assert "这不是能读取的 xlsx 表格" in bad.text
