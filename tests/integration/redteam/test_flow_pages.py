"""The map of requests is for all staff; the requests behind an arrow are for those whom they concern."""

import io

from pypdf import PdfReader

from tests.integration.redteam.world import RedTeamWorld


def test_the_pages_show_the_way_of_requests(world: RedTeamWorld) -> None:
    world.services.request_flows.catch_up()
    auditor, officer = world["auditor"], world["officer"]
    found = auditor.get("/api/v1/request-flow").json()
    assert found["requests"]
    edge = found["edges"][0]
    asked = {"before": edge["before"], "step": edge["step"]}
    behind = auditor.get("/api/v1/request-flow/requests", params=asked).json()
    assert behind["total"] == edge["requests"]
    page = auditor.get("/governance/flow", params={"period": "2099"})
    assert page.status_code == 200
    page = auditor.get("/governance/flow")
    assert (page.status_code, 'id="flow-data"' in page.text) == (200, True)
    page = auditor.get("/governance/flow/requests", params=asked)
    assert f"/requests/{behind['rows'][0]['request_id']}" in page.text
    # What an officer is led to, the officer may read.
    assert officer.get("/governance/flow").status_code == 200
    own = officer.get("/api/v1/request-flow/requests", params=asked).json()
    assert own["total"] <= behind["total"]
    for row in own["rows"]:
        assert officer.get(f"/requests/{row['request_id']}").status_code == 200


def test_the_benefit_and_the_report_are_for_all_staff(world: RedTeamWorld) -> None:
    officer = world["officer"]
    year = f"{world.services.clock.now():%Y}"
    found = officer.get("/api/v1/benefit", params={"period": year}).json()
    assert found["factors"]["hours_per_trip"] == 2.0
    assert officer.get("/governance/benefit").status_code == 200
    report = officer.get(f"/api/v1/annual-reports/{year}")
    assert report.headers["content-type"] == "application/pdf"
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(report.content)).pages)
    for said in (year, "部门排名", "Ways of requests", "共享成效"):
        assert said in text
    assert officer.get(f"/governance/reports/{year}").content[:4] == b"%PDF"
    assert officer.get("/api/v1/annual-reports/soon").status_code == 422


def test_recommendations_are_for_whom_they_concern(world: RedTeamWorld) -> None:
    """An officer reads the own department's and nobody else's; the page tells the same."""
    officer, other = world["officer"], world.agreement.provider
    own = officer.get("/api/v1/recommendations").json()
    assert {one["department"] for one in own} <= {world.agreement.consumer}
    assert officer.get("/governance/recommendations").status_code == 200
    for address in ("/api/v1/recommendations", "/governance/recommendations"):
        assert officer.get(address, params={"department": other}).status_code == 403
    assert officer.get("/governance/guards").status_code == 200
    assert len(officer.get("/api/v1/indicator-guards").json()) >= 10
