"""The search over REST: hits, suggestions, vocabulary and demand, and who may change what."""

import httpx

from tests.integration.web.conftest import RunningHub


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
    with httpx.Client(base_url=hub.url) as visitor:
        assert visitor.get("/api/v1/search", params={"q": "x"}).status_code == 401
