"""The portal: facets, a page whose examples run, markup, feed, sitemap; and hiding hides everywhere at once."""

import html
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from datong.catalogue import OpenOrder, OpenSort, ResourceAction
from datong.kernel import Actor, ActorKind, Database
from tests.catalogue_filling import fill
from tests.integration.console.browser import Visitor
from tests.integration.open.conftest import FilledHub
from tests.integration.open.serving import BUREAU, served

EXAMPLE = re.compile(r'<pre data-example="(\w+)">(.*?)</pre>', re.DOTALL)
MARKUP = re.compile(r'<script type="application/ld\+json">(.*?)</script>', re.DOTALL)
FACET = re.compile(
    r'name="(\w+)" value="([^"]*)"(?: checked)?> <span data-value>[^<]*</span></span><span class="n">([\d,]+)<'
)
ATOM = {"a": "http://www.w3.org/2005/Atom"}
SITEMAP = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def test_facets_count_and_narrow(filled_hub: FilledHub) -> None:
    with filled_hub.hub.visitor() as visitor:
        page = visitor.get("/open").text
        assert f"共 {len(filled_hub.filled.open_ids)} 项" in page
        facets = [
            (field, html.unescape(value), int(count.replace(",", ""))) for field, value, count in FACET.findall(page)
        ]
        assert {field for field, _, _ in facets} == {"department", "theme", "format", "keyword"}
        for field, value, count in facets[::5]:
            assert f"共 {count} 项" in visitor.get("/open", params={field: value}).text
        title = filled_hub.hub.services.open_catalogue.get(filled_hub.filled.open_ids[0]).content.title.zh
        assert html.escape(title) in visitor.get("/open", params={"q": title}).text
        for sort in ("best", "newest", "title", "nonsense"):
            assert visitor.get("/open", params={"sort": sort}).status_code == 200
        english = visitor.get("/open", headers={"Accept-Language": "en"}).text
        assert f"{len(filled_hub.filled.open_ids)} resources" in english


def test_the_portal_suggests_and_reads_slips(filled_hub: FilledHub) -> None:
    catalogue = filled_hub.hub.services.open_catalogue
    titles = [catalogue.get(key).content.title.zh for key in filled_hub.filled.open_ids[:40]]
    with filled_hub.hub.visitor() as visitor:
        assert 'hx-get="/open/suggestions"' in visitor.get("/open").text
        suggested = catalogue.suggest(titles[0][-4:-2])
        piece = visitor.get("/open/suggestions", params={"q": titles[0][-4:-2]}).text
        assert suggested
        for each in suggested:
            assert f'href="/open?q={quote(each.text)}"' in piece
            assert catalogue.count(text=each.text) > 0
        assert "href" not in visitor.get("/open/suggestions", params={"q": ""}).text
        slips = [title[:-2] + title[-1] + title[-2] for title in titles]
        read = [(slip, catalogue.wording(slip)) for slip in slips]
        slip, wording = next((slip, wording) for slip, wording in read if wording.corrected or wording.did_you_mean)
        page = visitor.get("/open", params={"q": slip}).text
        assert html.escape(wording.corrected or wording.did_you_mean) in page


def test_the_examples_on_a_page_run(filled_hub: FilledHub) -> None:
    resource_id = filled_hub.filled.open_ids[1]
    resource = filled_hub.hub.services.open_catalogue.get(resource_id)
    with filled_hub.hub.visitor() as visitor:
        page = visitor.get(f"/open/{resource_id}").text
    examples = {kind: html.unescape(text) for kind, text in EXAMPLE.findall(page)}
    assert examples.keys() == {"shell", "python"}
    assert shutil.which("curl")
    for command in (["bash", "-ec", examples["shell"]], [sys.executable, "-c", examples["python"]]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert resource.content.title.zh in done.stdout
        assert "Error" not in done.stderr


def test_search_engines_find_a_dataset(filled_hub: FilledHub) -> None:
    for resource_id in filled_hub.filled.open_ids[:20]:
        resource = filled_hub.hub.services.open_catalogue.get(resource_id)
        with filled_hub.hub.visitor() as visitor:
            page = visitor.get(f"/open/{resource_id}").text
        (text,) = MARKUP.findall(page)
        markup = json.loads(text)
        assert (markup["@type"], markup["name"]) == ("Dataset", resource.content.title.zh)
        assert [entry["alternateName"] for entry in markup["variableMeasured"]] == [
            item.column for item in resource.content.items
        ]
        assert markup["license"].startswith("https://")
        assert len(markup.get("distribution", [])) == len(resource.content.distributions)


def test_feed_and_sitemap(filled_hub: FilledHub) -> None:
    newest = filled_hub.hub.services.open_catalogue.find(
        order=(OpenSort(by=OpenOrder.CHANGED, descending=True),), limit=50
    ).rows
    with filled_hub.hub.visitor() as visitor:
        feed = ET.fromstring(visitor.get("/open/feed.atom").content)
        links = [entry.find("a:link", ATOM) for entry in feed.findall("a:entry", ATOM)]
        assert [link.get("href") for link in links if link is not None] == [
            f"{filled_hub.hub.url}/open/{resource.id}" for resource in newest
        ]
        index = ET.fromstring(visitor.get("/sitemap.xml").content)
        files = [str(found.text) for found in index.findall(".//s:loc", SITEMAP)]
        listed = [
            str(found.text)
            for file in files
            for found in ET.fromstring(visitor.get(file).content).findall(".//s:loc", SITEMAP)
        ]
        assert set(listed) == {
            f"{filled_hub.hub.url}/open",
            *(f"{filled_hub.hub.url}/open/{resource_id}" for resource_id in filled_hub.filled.open_ids),
        }
        assert visitor.get("/sitemap/2.xml").status_code == 404
        robots = visitor.get("/robots.txt").text
        assert f"Sitemap: {filled_hub.hub.url}/sitemap.xml" in robots
        assert "Allow: /api/3/" in robots


def test_an_open_flag_shows_at_once_and_its_end_hides_at_once(control_database: Database, tmp_path: Path) -> None:
    with served(control_database, tmp_path / "hub") as hub, hub.visitor() as visitor:
        filled = fill(control_database, hub.services.pack, 12, open_percent=60)
        resource = hub.services.catalogue.get(filled.open_ids[0])
        owner = Actor(kind=ActorKind.PERSON, id="o", department=resource.department, name="负责人")
        bureau = Actor(kind=ActorKind.PERSON, id="b", department=BUREAU, name="审核员")

        def seen() -> set[bool]:
            answers = [
                visitor.get(address)
                for address in (
                    f"/open/{resource.id}",
                    f"/open/{resource.id}.ttl",
                    f"/api/3/action/package_show?id={resource.id}",
                )
            ]
            lists = [
                visitor.get(address).text
                for address in (
                    "/catalog.ttl",
                    "/catalog.rdf",
                    "/catalog.jsonld",
                    "/open/feed.atom",
                    "/sitemap/1.xml",
                    "/api/action/package_list",
                    "/api/action/package_search?rows=100",
                    "/open?sort=title",
                )
            ]
            return {answer.status_code == 200 for answer in answers} | {resource.id in text for text in lists}

        def turn(*, is_open: bool) -> None:
            draft = hub.services.catalogue.act(resource.id, ResourceAction.REVISE, owner)
            changed = draft.content.model_copy(update={"open": is_open, "distributions": ()})
            hub.services.catalogue.edit(resource.id, changed, owner, draft.version)
            for action, actor in (
                (ResourceAction.SIGN_OFF, owner),
                (ResourceAction.SUBMIT, owner),
                (ResourceAction.APPROVE, bureau),
                (ResourceAction.PUBLISH, bureau),
            ):
                hub.services.catalogue.act(resource.id, action, actor)

        assert seen() == {True}
        turn(is_open=False)
        assert seen() == {False}
        turn(is_open=True)
        assert seen() == {True}
        hub.services.catalogue.act(resource.id, ResourceAction.SUSPEND, owner, "核查")
        assert seen() == {False}
        hub.services.catalogue.act(resource.id, ResourceAction.RESUME, owner)
        assert seen() == {True}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_stand_in_both_languages_and_widths(filled_hub: FilledHub, browser: Browser, language: str) -> None:
    addresses = [
        "/open",
        "/open?q=%E4%BA%BA%E5%8F%A3",
        "/open?q=qqqq",
        f"/open/{filled_hub.filled.open_ids[3]}",
        "/open/none",
    ]
    visitor = Visitor(browser, filled_hub.hub.url, language=language)
    for address in addresses:
        assert visitor.open(address) == (404 if address.endswith("none") else 200)
        assert visitor.unlabelled() == [], address
        assert visitor.page.locator("h1").count() == 1, address
        for width in (1280, 360):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            assert visitor.overflowing() == [], f"{address} at {width}"
    visitor.page.goto(f"{filled_hub.hub.url}/open")
    box = visitor.page.locator("input[name=format][value=CSV]")
    box.check()
    visitor.page.wait_for_url("**format=CSV**")
    assert visitor.page.locator("input[name=format][value=CSV]").is_checked()
    assert visitor.strays == []
    visitor.close()
