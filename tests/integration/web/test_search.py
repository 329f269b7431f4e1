"""The search over REST: hits, suggestions, vocabulary and demand, and who may change what."""

import httpx

from tests.integration.web.conftest import RunningHub
from tests.integration.web.publishing import publish


def test_operators_keep_the_vocabulary_and_everybody_searches(hub: RunningHub) -> None:
    operator, police = hub.person("operator"), hub.person("police")
    words = {"words": ["网格员", "社区小哥"]}
    assert police.post("/api/v1/search/vocabulary", json=words).status_code == 403
    made = operator.post("/api/v1/search/vocabulary", json=words)
    assert made.status_code == 201, made.text
    assert police.get("/api/v1/search/vocabulary").json()[0]["words"] == ["网格员", "社区小哥"]
    assert operator.post("/api/v1/search/vocabulary", json={"words": ["一"]}).status_code == 422
    assert operator.delete(f"/api/v1/search/vocabulary/{made.json()['id']}").status_code == 204
    assert operator.delete(f"/api/v1/search/vocabulary/{made.json()['id']}").status_code == 404


def test_a_search_without_a_hit_is_a_demand(hub: RunningHub) -> None:
    authority, police = hub.person("authority"), hub.person("police")
    page = police.get("/api/v1/search", params={"q": "宠物芯片", "grade": "L3", "order": "most_used"}).json()
    assert (page["total"], page["hits"]) == (0, [])
    assert police.get("/api/v1/search", params={"q": "宠物芯片"}).json()["exact_total"] == 0
    [need] = authority.get("/api/v1/search/demands").json()["rows"]
    assert (need["query"], need["state"]) == ("宠物芯片", "new")
    handling = {"key": need["key"], "state": "dismissed", "note": "不属于本级"}
    assert police.post("/api/v1/search/demands", json=handling).status_code == 403
    assert authority.post("/api/v1/search/demands", json=handling).status_code == 204
    assert authority.get("/api/v1/search/demands", params={"state": "dismissed"}).json()["total"] == 1
    assert police.get("/api/v1/search/suggestions", params={"q": "chongwu"}).json() == []
    with httpx.Client(base_url=hub.url, timeout=60) as visitor:
        assert visitor.get("/api/v1/search", params={"q": "x"}).status_code == 401


def test_what_other_departments_request_comes_first_among_the_most_used(hub: RunningHub) -> None:
    asked, _ = publish(hub, "户籍人口信息", table="a"), publish(hub, "户籍地址信息", table="b")
    education = hub.person("education")

    def most_used() -> list[str]:
        page = education.get("/api/v1/search", params={"q": "户籍", "order": "most_used"}).json()
        return [hit["resource"]["id"] for hit in page["hits"]]

    before = most_used()
    assert before[-1] == asked  # nobody uses either: the newer one comes first
    request = {
        "lines": [{"resource_id": asked, "items": ["dz"]}],
        "purpose": {
            "legal_basis": "义务教育法第九条",
            "scene": "入学审核",
            "scope": "入学儿童",
            "modes": ["interface"],
            "valid_from": "2026-01-01T00:00:00+08:00",
            "valid_until": "2030-01-01T00:00:00+08:00",
            "service_item": "RX-1",
        },
    }
    assert education.post("/api/v1/requests", json={**request, "lines": []}).status_code == 422
    assert most_used() == before
    assert education.post("/api/v1/requests", json=request).status_code == 201
    assert most_used()[0] == asked
