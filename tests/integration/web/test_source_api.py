"""One source per datum over REST: who may do what, and a service item that stops asking because it shares."""

import yaml

from datong.app.bridges import SharedInstead
from datong.kernel import DepartmentCode
from tests.integration.web.conftest import EDUCATION, POLICE, RunningHub
from tests.integration.web.publishing import publish

FILE = {
    "items": [
        {
            "code": "RX-1",
            "name": {"zh": "义务教育入学", "en": "School admission"},
            "annual_cases": 1000,
            "fields": [{"name": "家庭住址", "sheets": 1}, {"name": "特长"}],
        }
    ]
}


def test_designation_and_objection(hub: RunningHub) -> None:
    resource_id = publish(hub)
    authority, police, education = hub.person("authority"), hub.person("police"), hub.person("education")
    body = {"department": POLICE, "legal_basis": "户口登记条例", "reason": "覆盖最全", "resource_id": resource_id}
    assert police.post("/api/v1/sources/address/designations", json=body).status_code == 403
    made = authority.post("/api/v1/sources/address/designations", json=body)
    assert made.status_code == 201, made.text
    source = made.json()
    overview = {one["element"]: one for one in education.get("/api/v1/sources").json()}
    assert [one["id"] for one in overview["address"]["sources"]] == [source["id"]]
    found = education.get("/api/v1/sources/address").json()
    assert [one["department"] for one in found["candidates"]] == [POLICE]
    assert found["steps"][0]["action"] == "designate"
    assert education.get("/api/v1/sources/nothing").status_code == 404
    assert police.get(f"/api/v1/resources/{resource_id}/source-hints").json() == []

    place = f"/api/v1/source-designations/{source['id']}"
    objection = education.post(f"{place}/objections", json={"reason": "地址陈旧"})
    assert objection.status_code == 201, objection.text
    answer = f"/api/v1/source-objections/{objection.json()['id']}/answer"
    assert education.post(answer, json={"uphold": True, "answer": "是"}).status_code == 403
    assert authority.post(answer, json={"uphold": False, "answer": "已更新"}).json()["state"] == "dismissed"
    assert authority.post(answer, json={"uphold": True, "answer": "再答"}).status_code == 409
    assert authority.post(f"{place}/withdrawal", json={"reason": "调整"}).status_code == 201
    visitor = hub.client()
    for path in (
        "/api/v1/sources",
        "/api/v1/sources/address",
        "/api/v1/service-items",
        "/api/v1/service-items/repeats",
    ):
        assert visitor.get(path).status_code == 401


def test_an_item_stops_asking_once_the_data_is_shared(hub: RunningHub) -> None:
    resource_id = publish(hub)
    education, police, authority = hub.person("education"), hub.person("police"), hub.person("authority")
    document = yaml.safe_dump(FILE, allow_unicode=True).encode()
    imported = education.post("/api/v1/service-items/import", content=document)
    assert imported.status_code == 201, imported.text
    (item,) = imported.json()
    assert item["department"] == EDUCATION
    refused = police.post("/api/v1/service-items/import", content=document.replace(b"RX-1", b"RX-2"))
    assert refused.status_code == 201  # without a department in the file, the items are the importer's own
    faulty = education.post("/api/v1/service-items/import", content=document.replace(b"1000", b"many"))
    assert faulty.status_code == 422
    assert faulty.json()["context"]["problems"][0]["place"] == "/items/0/annual_cases"
    other = {**item, "department": POLICE}
    new = {key: other[key] for key in ("code", "name", "department", "legal_basis", "annual_cases")}
    fields = [{"name": {"zh": "住址", "en": "Address"}}]
    assert education.post("/api/v1/service-items", json={**new, "fields": fields}).status_code == 403

    report = education.get("/api/v1/service-items/repeats", params={"department": EDUCATION}).json()
    (repeat,) = report["repeats"]
    assert (repeat["element"], repeat["source"], repeat["resource_id"]) == ("address", POLICE, resource_id)
    assert report["total"]["answers"] == 1000

    follower = SharedInstead(
        service_items=hub.services.service_items,
        requests=hub.services.requests,
        agreements=hub.services.agreements,
    )
    follower.follow()
    assert _states(hub, item["id"]) == ["asked", "asked"]
    request = education.post(
        "/api/v1/requests",
        json={
            "lines": [{"resource_id": resource_id, "items": ["dz"]}],
            "purpose": {
                "legal_basis": "义务教育法第九条",
                "scene": "入学审核",
                "scope": "入学儿童",
                "modes": ["interface"],
                "valid_from": "2026-01-01T00:00:00+08:00",
                "valid_until": "2030-01-01T00:00:00+08:00",
                "service_item": "RX-1",
            },
        },
    )
    assert request.status_code == 201, request.text
    follower.follow()
    assert _states(hub, item["id"]) == ["requested", "asked"]
    marked = education.post(
        f"/api/v1/service-items/{item['id']}/actions",
        json={"action": "keep", "positions": [1], "reason": "须由本人提供"},
    )
    assert marked.status_code == 200, marked.text
    assert _states(hub, item["id"]) == ["requested", "kept"]
    steps = education.get(f"/api/v1/service-items/{item['id']}/steps").json()
    assert [step["action"] for step in steps] == ["keep", "request", "register"]
    assert authority.get("/api/v1/service-items/progress").json()[-1]["requested"] == 1
    listed = education.get("/api/v1/service-items", params={"department": EDUCATION}).json()
    assert [one["code"] for one in listed["rows"]] == ["RX-1"]
    retire = {"action": "retire", "reason": "取消"}
    assert police.post(f"/api/v1/service-items/{item['id']}/actions", json=retire).status_code == 403
    assert education.post(f"/api/v1/service-items/{item['id']}/actions", json=retire).json()["retired"] is True


def _states(hub: RunningHub, item_id: str) -> list[str]:
    return [field.state.value for field in hub.services.service_items.get(item_id).fields]


def test_the_department_of_a_file(hub: RunningHub) -> None:
    department: DepartmentCode = EDUCATION
    document = {"items": [{**FILE["items"][0], "department": "教育局"}]}
    education, police = hub.person("education"), hub.person("police")
    body = yaml.safe_dump(document, allow_unicode=True).encode()
    assert police.post("/api/v1/service-items/import", content=body).status_code == 403
    (item,) = education.post("/api/v1/service-items/import", content=body).json()
    assert item["department"] == department
