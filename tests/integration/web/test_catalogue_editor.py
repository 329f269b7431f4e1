"""The catalogue editor as a browser without JavaScript uses it."""

import re

import httpx

from tests.integration.web.conftest import PASSWORD, POLICE, RunningHub
from tests.integration.web.test_story import content, posted


def signed_in(hub: RunningHub, username: str) -> httpx.Client:
    """A browser with its cookie."""
    client = hub.client(Origin=hub.url)
    assert client.post("/api/v1/session", json={"username": username, "password": PASSWORD}).status_code == 201
    return client


def inputs(page: str) -> dict[str, str]:
    """The values of the page's one-line inputs and choices that matter here."""
    found = dict(re.findall(r'<input[^>]*? name="([^"]+)"[^>]*? value="([^"]*)"', page))
    selects = re.findall(r'<select id="([^"]+)" name="[^"]+">(.*?)</select>', page, flags=re.DOTALL)
    for name, body in selects:
        chosen = re.search(r'value="([^"]*)" selected', body)
        found[name] = chosen.group(1) if chosen else ""
    return {name: value for name, value in found.items() if value != "yes"}


def test_a_draft_is_edited_and_nobody_is_overwritten(hub: RunningHub) -> None:
    officer = hub.person("police")
    resource = str(posted(officer, "/api/v1/resources", {"content": content("node"), "department": POLICE})["id"])
    browser = signed_in(hub, "police")
    page = browser.get(f"/catalogue/{resource}/edit")
    assert page.status_code == 200
    assert "目录质量" in page.text
    assert "补充后质量 +30：" in page.text
    form = inputs(page.text) | {"title.zh": "户籍人口（新）", "act": "save"}
    saved = browser.post(f"/catalogue/{resource}/edit", data=form)
    assert saved.status_code == 200
    assert "已保存" in saved.text
    now = officer.get(f"/api/v1/resources/{resource}").json()["content"]
    assert now["title"]["zh"] == "户籍人口（新）"
    assert [item["column"] for item in now["items"]] == ["id", "name"]
    # The same page once more: it was made from content that is no longer there.
    again = browser.post(f"/catalogue/{resource}/edit", data=form | {"title.zh": "另一个名称"})
    assert "其他人已保存" in again.text
    assert "另一个名称" in again.text
    assert officer.get(f"/api/v1/resources/{resource}").json()["content"]["title"]["zh"] == "户籍人口（新）"
    silent = browser.post(f"/catalogue/{resource}/edit", data=form | {"act": "autosave"})
    assert silent.json() == {"state": "conflict"}
    wrong = inputs(again.text) | {"temporal_start": "昨天", "act": "save"}
    told = browser.post(f"/catalogue/{resource}/edit", data=wrong)
    assert "昨天" in told.text
    assert "格式不符" in told.text
