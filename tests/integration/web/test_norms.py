"""The norms over REST: elements and their layers, lists, classes, limits, checks and differences of packs, scores."""

import pytest

from datong.catalogue import Item, ResourceContent
from datong.kernel import Text
from datong.norms import DataType, Grade
from tests.integration.web.conftest import POLICE, RunningHub


def test_elements_are_found_by_any_name_and_explain_themselves(hub: RunningHub) -> None:
    with hub.person("police") as person:
        found = person.get("/api/v1/norms/elements", params={"q": "sfzh", "limit": 2}).json()
        assert found["rows"][0]["code"] == "citizen_id"
        narrowed = person.get("/api/v1/norms/elements", params={"domain": "transport", "limit": 100}).json()
        assert {row["domain"] for row in narrowed["rows"]} == {"transport"}
        view = person.get("/api/v1/norms/elements/citizen_id").json()
        assert view["origin"]["level"] == "national"
        assert view["overrides"] == {}
        assert person.get("/api/v1/norms/elements/nothing").status_code == 404
        assert person.get("/api/v1/norms/elements/citizen_id/resources").json()["rows"] == []


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("code-lists", "key"),
        ("identifiers", "key"),
        ("classifications", "code"),
        ("time-limits", "key"),
        ("grades", "key"),
        ("data-categories", "key"),
        ("licences", "key"),
        ("divisions/110103", "code"),
    ],
)
def test_every_section_is_served(hub: RunningHub, path: str, key: str) -> None:
    with hub.person("auditor") as person:
        rows = person.get(f"/api/v1/norms/{path}").json()
        assert rows
        assert all(row[key] for row in rows)
        assert person.get("/api/v1/norms/code-lists/sex").json()["codes"][1]["code"] == "1"
        assert person.get("/api/v1/norms").json()["layers"][0]["level"] == "national"
        assert person.get("/api/v1/norms/local-changes").json()["changes"] == []


def test_packs_are_checked_and_compared(hub: RunningHub) -> None:
    with hub.person("authority") as person:
        good, bad = "time_limits: {provide: {amount: 9}}", "time_limits: {provide: {amount: 99}}"
        assert person.post("/api/v1/norms/check", json={"texts": [good]}).json() == []
        problems = person.post("/api/v1/norms/check", json={"texts": [bad]}).json()
        assert [problem["path"] for problem in problems] == ["time_limits.provide.amount"]
        found = person.post("/api/v1/norms/diff", json={"before": "{}", "after": good}).json()
        assert [change["severity"] for change in found["changes"]] == ["breaking"]
        refused = person.post("/api/v1/norms/diff", json={"before": "{}", "after": bad})
        assert refused.status_code == 422
        assert refused.json()["code"] == "norms.pack_invalid"
        assert person.post("/api/v1/norms/check", json={"texts": []}).status_code == 422


def test_a_department_and_a_resource_are_scored(hub: RunningHub) -> None:
    content = ResourceContent(
        title=Text(zh="示例", en="Example"),
        summary=Text(zh="示例", en="Example"),
        items=(
            Item(
                name=Text(zh="身份证号", en="ID"),
                column="sfzh",
                element="citizen_id",
                data_type=DataType.CHARACTER,
                length=18,
                grade=Grade.L4,
            ),
            Item(name=Text(zh="其他", en="Other"), column="qt"),
        ),
    )
    with hub.person("police") as officer:
        made = officer.post("/api/v1/resources", json={"content": content.model_dump(mode="json")})
        assert made.status_code == 201, made.text
        draft = made.json()["id"]
    with hub.person("education") as person:
        scores = person.get("/api/v1/norms/scores").json()
        assert {score["department"] for score in scores} >= {POLICE}
        assert {key for score in scores for key in score["values"]} >= {"mapped_item_rate", "standard_item_rate"}
        # A draft is not published: nobody's score shows it.
        assert person.get(f"/api/v1/norms/scores/resources/{draft}").status_code == 404
