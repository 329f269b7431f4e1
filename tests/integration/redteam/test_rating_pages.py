"""Ratings over the web and from the command line: who received rates, who delivered answers, others see nothing."""

from typer.testing import CliRunner

from datong.cli import govern
from datong.governance.satisfaction import SATISFACTION_AREAS
from datong.ledger import EntryKind
from tests.integration.redteam.world import RedTeamWorld, police_officer


def test_ratings_over_the_web(world: RedTeamWorld) -> None:
    officer, stranger, auditor = world["officer"], world["stranger"], world["auditor"]
    agreement = world.agreement.id
    form, api = f"/agreements/{agreement}/rating", f"/api/v1/agreements/{agreement}/rating"
    opinion = {"scores": {"quality": 4, "fit": 2}, "reasons": {"fit": "缺少门牌号", "quality": " "}}
    world.services.request_flows.catch_up()

    # What waits stands on the workbench; nobody but the consumer may rate.
    assert form in officer.get("/").text
    (waiting,) = [one for one in officer.get("/api/v1/ratings/waiting").json() if one["agreement_id"] == agreement]
    assert waiting["provider"] == world.agreement.provider
    assert stranger.get("/api/v1/ratings/waiting").json() == []
    assert [stranger.get(form).status_code, stranger.put(api, json=opinion).status_code] == [403, 403]
    assert officer.put(api, json={"scores": {"quality": 6}}).status_code == 422
    assert officer.put(api, json={"scores": {}}).status_code == 422
    assert officer.post(form, data={"quality": ""}).status_code == 422

    # Rated in the console, changed by program, seen by both sides and the auditor.
    rated = officer.post(form, data={"quality": "5", "support": "3", "reason_support": "电话难打通"})
    assert rated.status_code == 303, rated.text
    page = rated.headers["location"].partition("?")[0]
    assert form not in officer.get("/").text
    changed = officer.put(api, json=opinion).json()
    assert (changed["revision"], changed["scores"], changed["reasons"]) == (
        2, {"quality": 4, "fit": 2}, {"fit": "缺少门牌号"},
    )  # fmt: skip
    assert page == f"/ratings/{changed['id']}"
    assert "缺少门牌号" in officer.get(form).text
    assert [stranger.get(path).status_code for path in (page, f"/api/v1{page}")] == [403, 403]
    assert stranger.get("/api/v1/ratings").json()["total"] == 0
    for reader in (officer, auditor):
        assert "缺少门牌号" in reader.get(page).text
        assert reader.get("/ratings").status_code == 200
    assert stranger.get("/api/v1/ratings/summary", params={"provider": world.agreement.provider}).status_code == 403

    # The provider answers; a changed rating waits for an answer again; what is withdrawn counts no more.
    assert officer.post(f"{page}/answer", data={"answer": "好"}).status_code == 403
    answered = world.services.ratings.answer(changed["id"], " 下月补齐 ", police_officer())
    assert answered.answer == "下月补齐"
    assert "下月补齐" in officer.get(page).text
    hub = ["--hub", world.hub.url, "--token", officer.headers["Authorization"].removeprefix("Bearer ")]
    run = CliRunner().invoke
    again = run(govern.app, ["rate", agreement, *hub, "--score", "fit=4", "--reason", "fit=好多了"])
    assert "not answered" in again.output
    assert run(govern.app, ["rate", agreement, *hub, "--score", "fit"]).exit_code != 0
    assert "Meets the need 4" in run(govern.app, ["ratings", *hub]).output
    assert run(govern.app, ["ratings", *hub, "--json"]).output.startswith("{")
    assert run(govern.app, ["answer-rating", changed["id"], *hub, "--text", "x"]).exit_code != 0
    summary = auditor.get("/api/v1/ratings/summary", params={"provider": world.agreement.provider}).json()
    assert (summary["ratings"], summary["answered"], summary["aspects"][0]["mean_centi"]) == (1, 0, 400)
    table = world.services.indicators.compute().departments
    (line,) = [one for one in table if one.department == world.agreement.provider]
    value = next(one for one in line.values if one.key == "satisfaction_rate")
    assert (value.counted, value.base) == (1, 1)
    assert officer.post(f"{page}/withdrawal").status_code == 303
    assert officer.post(f"/api/v1{page}/withdrawal").status_code == 409
    entries = world.services.ledger.entries(kind=EntryKind.RATING, limit=10).rows
    assert [one.facts["action"] for one in entries] == ["withdraw", "change", "answer", "change", "rate"]
    faults = world.services.ledger.fsck(SATISFACTION_AREAS).faults
    assert [fault for fault in faults if fault.area in {area.name for area in SATISFACTION_AREAS}] == []
    world.no_leak()
