"""Meetings, assignments and incidents over the web: the authority leads, departments act, others see nothing."""

from datetime import timedelta

import httpx
import pytest
from typer.testing import CliRunner

from datong.cli import coordinate
from datong.kernel import CHINA, DatongError
from tests.integration.redteam.world import SCHOOLS, TAX, RedTeamWorld


def test_coordination_over_the_web(world: RedTeamWorld, authority: httpx.Client) -> None:
    officer, stranger, auditor = world["officer"], world["stranger"], world["auditor"]
    at = (world.services.clock.now() + timedelta(days=1)).astimezone(CHINA)
    form = {"title": "联席会议", "held_at": at.strftime("%Y-%m-%dT%H:%M"), "place": "线上", "topics": "一\n二\n"}
    assert officer.post("/meetings", data={**form, "departments": [SCHOOLS]}).status_code == 403
    assert authority.post("/meetings", data={**form, "held_at": "x", "departments": [SCHOOLS]}).status_code == 422
    called = authority.post("/meetings", data={**form, "departments": [SCHOOLS]})
    assert called.status_code == 303, called.text
    page = called.headers["location"].partition("?")[0]
    api = f"/api/v1{page}"
    suggested = {one["id"] for one in authority.get("/api/v1/meetings/suggested-agenda").json()}
    cases = authority.get("/api/v1/cases", params={"limit": 200}).json()["rows"]
    assert suggested == {one["id"] for one in cases if one["stage"] != "closed"}
    assert "联席会议" in officer.get("/meetings").text
    assert [stranger.get(path).status_code for path in (page, api)] == [403, 403]
    assert stranger.get("/api/v1/meetings").json()["total"] == 0
    assert officer.post(f"{page}/answer", data={"coming": "true", "names": "李四"}).status_code == 303
    assert stranger.post(f"{api}/answer", json={"coming": True}).status_code == 403
    held = {"minutes": "各方发言", "present": [SCHOOLS]}
    assert authority.post(f"{page}/minutes", data=held).status_code == 303
    item = f"{page}/items/1/decision"
    given = {"department": [SCHOOLS, SCHOOLS], "what": ["补齐目录", ""], "working_days": ["5", "x"]}
    assert authority.post(item, data={"outcome": "instruct", "statement": "请办理"}).status_code == 422
    assert authority.post(item, data={"outcome": "instruct", "statement": "请办理", **given}).status_code == 303
    adjourned = {"outcome": "adjourn", "statement": "下次再议"}
    assert authority.post(f"{api}/items/2/decision", json=adjourned).status_code == 200
    assert authority.post(f"{page}/closing").status_code == 303
    assert authority.post(f"{page}/cancellation").status_code == 409
    for reader in (officer, auditor, authority):
        shown = reader.get(page, headers={"Accept-Language": "en"})
        assert shown.status_code == 200
        assert "补齐目录" in shown.text

    # What is to be done: the department acts in the console, by program and from the command line.
    (assignment,) = officer.get("/api/v1/assignments?open_only=true").json()["rows"]
    place = f"/assignments/{assignment['id']}"
    assert stranger.get(place).status_code == 403
    assert "补齐目录" in officer.get("/").text
    assert "补齐目录" not in stranger.get("/").text
    token = officer.headers["Authorization"].removeprefix("Bearer ")
    hub = ["--hub", world.hub.url, "--token", token]
    run = CliRunner().invoke
    assert (
        "acknowledged"
        in run(coordinate.app, ["act", assignment["id"], "acknowledge", *hub, "--statement", "收"]).output
    )
    report = {"action": "report", "statement": "已补齐", "evidence": assignment["id"]}
    assert officer.post(f"{place}/actions", data=report).status_code == 404
    assert officer.post(f"{place}/actions", data={**report, "evidence": ""}).status_code == 303
    assert "补齐目录" in authority.get("/").text
    assert officer.post(f"{place}/actions", data={"action": "accept", "statement": "好"}).status_code == 403
    extended = {"action": "extend", "statement": "延", "working_days": "x"}
    assert authority.post(f"{place}/actions", data=extended).status_code == 422
    accepted = authority.post(f"/api/v1{place}/actions", json={"action": "accept", "statement": "核验通过"})
    assert accepted.json()["state"] == "done"
    assert "补齐目录" in officer.get("/assignments?show=done").text
    assert officer.get(place).status_code == 200
    assert officer.get("/assignments?show=overdue").status_code == 200

    # An incident: two departments, one timeline.
    new = {"title": "疑似泄露", "severity": "major", "description": "遍历查询"}
    assert authority.post("/incidents", data=new).status_code == 422
    tasks = {"department": [SCHOOLS], "what": ["停用接口"], "working_days": ["1"]}
    opened = authority.post("/incidents", data={**new, **tasks})
    incident = opened.headers["location"].partition("?")[0]
    more = {"department": [TAX], "what": ["排查"], "working_days": ["1"]}
    assert authority.post(f"{incident}/tasks", data=more).status_code == 303
    assert stranger.post(f"{incident}/notes", data={"statement": "已排查"}).status_code == 303
    assert "已排查" in officer.get(incident).text
    assert authority.post(f"{incident}/closing", data={"statement": "完"}).status_code == 409
    for one in authority.get(f"/api/v1/assignments?origin_id={incident.rpartition('/')[2]}").json()["rows"]:
        dropped = {"action": "cancel", "statement": "并入其他任务"}
        assert authority.post(f"/api/v1/assignments/{one['id']}/actions", json=dropped).status_code == 201
    closed = authority.post(f"/api/v1{incident}/closing", json={"statement": "已处置"})
    assert closed.json()["state"] == "closed"
    for path in ("/incidents", "/meetings", "/assignments?show=all", incident, page):
        assert authority.get(path).status_code == 200
    assert run(coordinate.app, ["meetings", *hub]).output.count("联席会议") == 1
    assert "停用接口" in run(coordinate.app, ["assignments", *hub, "--all"]).output
    assert "疑似泄露" in run(coordinate.app, ["incidents", *hub]).output
    assert run(coordinate.app, ["incidents", *hub, "--json"]).output.startswith("{")
    assert authority.get(f"/evidence?subject={incident.rpartition('/')[2]}").status_code == 200
    led_from_the_command_line(authority, hub, at.strftime("%Y-%m-%dT%H:%M"), suggested)
    world.no_leak()


def led_from_the_command_line(authority: httpx.Client, officer: list[str], at: str, suggested: set[str]) -> None:
    """Call, answer, hold, decide with an assignment, close and cancel a meeting by `datong coordinate`."""
    leading = [*officer[:3], authority.headers["Authorization"].removeprefix("Bearer ")]

    def run(*arguments: str, by: list[str] = leading) -> str:
        done = CliRunner().invoke(coordinate.app, [*arguments, *by], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert {line.split()[-1] for line in run("agenda").splitlines()} == suggested
    where = ["--at", at, "--place", "二楼", "--department", SCHOOLS]
    called = run("call", "--title", "再议", *where, "--topic", "三", "--topic", "四")
    meeting = called.partition(":")[0]
    assert "2. 四" in called
    assert "called" in run("answer", meeting, "--coming", "--names", "王五", by=officer)
    assert "held" in run("minutes", meeting, "--present", SCHOOLS, "--text", "纪要")
    with pytest.raises(DatongError, match="cli.assignment_malformed"):
        run("resolve", meeting, "1", "instruct", "--statement", "办", "--assign", f"{SCHOOLS}:soon:x")
    run("resolve", meeting, "1", "instruct", "--statement", "办", "--assign", f"{SCHOOLS}:5:报送: 清单")
    run("resolve", meeting, "2", "adjourn", "--statement", "下次")
    assert "closed" in run("close", meeting)
    given = authority.get(f"/api/v1/assignments?origin_id={meeting}").json()["rows"]
    assert [(one["department"], one["what"]) for one in given] == [(SCHOOLS, "报送: 清单")]
    again = run("call", "--title", "取消的", *where, "--topic", "五").partition(":")[0]
    assert "cancelled" in run("cancel", again)
