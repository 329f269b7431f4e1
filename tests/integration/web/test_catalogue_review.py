"""The authority's review page, comments beside the officer's fields, and one act for several resources."""

import html
import re
from collections.abc import Mapping

import httpx

from tests.integration.web.conftest import POLICE, RunningHub
from tests.integration.web.test_catalogue_editor import inputs, signed_in
from tests.integration.web.test_story import content, posted


def drafted(officer: httpx.Client, table: str, **changes: object) -> str:
    """A complete draft of the police, bound to `table`."""
    binding = {"node_id": "node", "source": "main", "table": table, "key_columns": ["id"]}
    body = {"content": content("node") | {"binding": binding} | changes, "department": POLICE}
    return str(posted(officer, "/api/v1/resources", body)["id"])


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the page's inputs."""
    texts = re.findall(r'<textarea[^>]*? name="([^"]+)"[^>]*>(.*?)</textarea>', page, flags=re.DOTALL)
    return inputs(page) | {name: html.unescape(text) for name, text in texts}


def browser_of(hub: RunningHub, username: str) -> httpx.Client:
    """A browser of somebody whose account is made here."""
    hub.person(username)
    return signed_in(hub, username)


def test_a_review_returns_comments_to_the_fields(hub: RunningHub) -> None:
    resource = drafted(hub.person("police"), "people")
    officer, reviewer = signed_in(hub, "police"), browser_of(hub, "authority")
    assert reviewer.get(f"/catalogue/{resource}/review").status_code == 303, "nothing to decide before submission"
    for act in ({"action": "sign_off", "position": "副局长"}, {"action": "submit"}):
        assert officer.post(f"/catalogue/{resource}/actions", data=act).status_code == 303
    assert officer.get(f"/catalogue/{resource}/review").status_code == 403
    page = reviewer.get(f"/catalogue/{resource}/review").text
    assert "副局长" in page
    assert "首次发布" in page
    form = form_of(page) | {"comment:/summary": "请写明覆盖范围", "comment:/items/1": "姓名应脱敏"}
    refused = reviewer.post(f"/catalogue/{resource}/review", data=form | {"action": "return"})
    assert "必须说明理由" in refused.text
    assert "请写明覆盖范围" in refused.text, "what was typed stays"
    unsure = reviewer.post(f"/catalogue/{resource}/review", data=form | {"reason": "见各字段意见"})
    assert "没有选择审核结论" in unsure.text
    done = reviewer.post(f"/catalogue/{resource}/review", data=form | {"action": "return", "reason": "见各字段意见"})
    assert done.status_code == 303
    step = officer.get(f"/api/v1/resources/{resource}/steps").json()[-1]
    assert step["comments"] == [
        {"field": "/summary", "text": "请写明覆盖范围", "column": ""},
        {"field": "/items/1", "text": "姓名应脱敏", "column": "name"},
    ]
    editor = officer.get(f"/catalogue/{resource}/edit").text
    assert re.search(r'id="summary.zh".*?审核意见：</b><span data-value>请写明覆盖范围', editor, flags=re.DOTALL)
    # The item is moved to the front: its comment goes with it.
    moved = form_of(editor) | {"items.1.place": "0", "act": "save"}
    after = officer.post(f"/catalogue/{resource}/edit", data=moved).text
    assert "已保存" in after
    beside = r"<span data-value>姓名应脱敏</span></span>\s*<input[^>]*name=\"items.0.was\" value=\"name\""
    assert re.search(beside, after)


def test_a_review_shows_what_changed_and_decides_only_on_what_was_seen(hub: RunningHub) -> None:
    resource = drafted(hub.person("police"), "people")
    officer, reviewer = signed_in(hub, "police"), browser_of(hub, "authority")

    def act(client: httpx.Client, action: str) -> None:
        answer = client.post(f"/catalogue/{resource}/actions", data={"action": action})
        assert answer.status_code == 303, answer.text

    for client, action in ((officer, "sign_off"), (officer, "submit"), (reviewer, "approve"), (reviewer, "publish")):
        act(client, action)
    act(officer, "revise")
    form = form_of(officer.get(f"/catalogue/{resource}/edit").text) | {"use_condition": "仅限核验", "act": "save"}
    assert "已保存" in officer.post(f"/catalogue/{resource}/edit", data=form).text
    act(officer, "sign_off")
    act(officer, "submit")
    page = reviewer.get(f"/catalogue/{resource}/review").text
    assert "与第 1 版相比" in page
    assert re.search(r"仅限核验<span class=\"sub\">原为：依法履职", page)
    old = form_of(page)
    # The officer takes it back and changes it once more while the reviewer looks at the page.
    act(officer, "withdraw")
    form = form_of(officer.get(f"/catalogue/{resource}/edit").text) | {"use_condition": "另一条件", "act": "save"}
    officer.post(f"/catalogue/{resource}/edit", data=form)
    act(officer, "sign_off")
    act(officer, "submit")
    late = reviewer.post(f"/catalogue/{resource}/review", data=old | {"action": "approve"})
    assert late.status_code == 200
    assert "另一条件" in late.text
    assert officer.get(f"/api/v1/resources/{resource}").json()["state"] == "submitted"
    assert reviewer.post(f"/catalogue/{resource}/review", data=form_of(late.text) | {"action": "approve"}).is_redirect
    assert officer.get(f"/api/v1/resources/{resource}").json()["state"] == "registered"


def test_one_act_for_several_says_what_became_of_each(hub: RunningHub) -> None:
    police, authority = hub.person("police"), hub.person("authority")
    whole = [drafted(police, f"people_{number}") for number in range(2)]
    lacking = drafted(police, "people_2", summary={"zh": "", "en": ""})
    officer = signed_in(hub, "police")
    page = officer.get("/catalogue/work?ticked=all").text
    assert page.count('name="resources"') == page.count(" checked>") == 3
    form = {"action": "sign_off", "position": "局长", "resources": [*whole, lacking]}
    looked = officer.post("/catalogue/work", data=form | {"step": "preview"})
    assert "还没有办理。可以办理 2 条，不能办理 1 条" in looked.text
    assert "缺少资源摘要" in looked.text
    assert looked.text.count('name="resources"') == 2
    assert police.get(f"/api/v1/resources/{whole[0]}").json()["content"]["sign_off"] is None
    signed = officer.post("/catalogue/work", data=form)
    assert signed.status_code == 200
    assert "成功 2 条，未办理 1 条" in signed.text
    assert "缺少资源摘要" in signed.text
    assert "局长" in officer.get(f"/catalogue/{whole[0]}").text
    assert officer.post("/catalogue/work", data={"action": "submit"}).status_code == 422
    body = {"resource_ids": [*whole, "nothing", whole[0]], "action": "submit"}
    seen = police.post("/api/v1/resources/actions/preview", json=body).json()
    assert [(one["done"], one["state"]) for one in seen] == [(True, "submitted")] * 2 + [(False, None)]
    outcomes = posted_list(police, body)
    assert [(one["done"], one["state"], one["code"]) for one in outcomes] == [
        (True, "submitted", ""),
        (True, "submitted", ""),
        (False, None, "catalogue.resource_not_found"),
    ]
    refused = posted_list(hub.person("education"), {"resource_ids": whole, "action": "withdraw"})
    assert {one["code"] for one in refused} == {"sharing.not_permitted"}
    assert [one["state"] for one in posted_list(authority, {"resource_ids": whole, "action": "approve"})] == [
        "registered",
        "registered",
    ]


def posted_list(client: httpx.Client, body: Mapping[str, object]) -> list[dict[str, object]]:
    """Post one action for several resources and return what became of each."""
    answer = client.post("/api/v1/resources/actions", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, list)
    return found
