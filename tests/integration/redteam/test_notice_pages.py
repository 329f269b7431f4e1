"""The inbox over the web: everybody's own, in both languages, and nobody else's."""

import httpx
from typer.testing import CliRunner

from datong.cli import notices
from tests.integration.redteam.world import RedTeamWorld


def test_notices_over_the_web(world: RedTeamWorld) -> None:
    officer, auditor = world["officer"], world["auditor"]
    while world.services.ledger.integrate():
        pass
    while world.services.inbox.follow():
        pass
    page = officer.get("/notices", headers={"Accept-Language": "en"})
    assert page.status_code == 200
    rows = officer.get("/api/v1/notices?unread=true").json()["rows"]
    assert rows, "the officer of the schools is told of what was agreed"
    unread = officer.get("/api/v1/notices/unread").json()["unread"]
    assert unread == len(rows)
    assert f">{unread}</span>" in page.text
    first = rows[0]["id"]
    assert auditor.post(f"/api/v1/notices/{first}/read").status_code == 404
    assert officer.post(f"/api/v1/notices/{first}/read").json()["read_at"] is not None
    token = officer.headers["Authorization"].removeprefix("Bearer ")
    hub = ["--hub", world.hub.url, "--token", token]
    listed = CliRunner().invoke(notices.app, ["list", *hub, "--unread"])
    assert rows[-1]["address"] in listed.output
    assert CliRunner().invoke(notices.app, ["list", *hub, "--json"]).output.startswith("{")
    assert "1 read" in CliRunner().invoke(notices.app, ["read", rows[-1]["id"], *hub]).output
    opened = officer.post(f"/notices/{rows[-1]['id']}/open", headers={"Origin": world.hub.url})
    assert (opened.status_code, opened.headers["location"]) == (303, rows[-1]["address"])
    assert "read" in CliRunner().invoke(notices.app, ["read", *hub]).output
    assert officer.post("/notices/read").status_code == 303
    assert officer.get("/api/v1/notices/unread").json() == {"unread": 0}
    assert officer.post("/api/v1/notices/read").json() == {"unread": 0}

    chosen = {"pace": "hourly", "language": "en", "urgent_at_once": "true", "told": ["duty", "case"]}
    assert officer.post("/notices/settings", data=chosen).status_code == 303
    settings = officer.get("/api/v1/notices/settings").json()
    assert settings["email_possible"] is False
    assert settings["preferences"]["pace"] == "hourly"
    assert "duty" not in settings["preferences"]["muted"]
    assert "alarm" in settings["preferences"]["muted"]
    assert officer.get("/notices/settings").status_code == 200
    refused = officer.put("/api/v1/notices/settings", json={"email": "a@example.cn"})
    assert (refused.status_code, refused.json()["code"]) == (422, "governance.email_off")
    assert officer.post("/api/v1/notices/settings/confirmation", json={"code": "1"}).status_code == 422
    assert officer.post("/notices/settings/confirmation", data={"code": "1"}).status_code == 422
    assert auditor.get("/api/v1/notices/messages").status_code == 200
    assert officer.get("/api/v1/notices/messages").json()["total"] == 0
    assert httpx.get(f"{world.hub.url}/api/v1/notices", timeout=60).status_code == 401
    world.no_leak()
