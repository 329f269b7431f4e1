"""Every page, in both languages and at both widths: it answers, nothing sticks out, nothing is left untranslated."""

import hashlib
import re
import threading
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser

from datong.catalogue import (
    CellProblem,
    ImportProgress,
    ImportReport,
    ImportStage,
    Resource,
    ResourceAction,
    ResourceState,
)
from datong.demo.cast import EDUCATION
from datong.demo.records import Source
from datong.kernel import Text
from datong.norms import ResourceFormat
from datong.sharing import Role
from datong.sharing.applications import KeyKind, NewRegistration
from datong.web.console.tour_steps import TOURS
from tests.integration.console.browser import Visitor
from tests.integration.console.city import PASSWORD, SCHOOL_ITEM
from tests.integration.console.conftest import ServedCity
from tests.integration.console.coordinated import coordinated
from tests.integration.console.pictures import PICTURES, first_finding, gone, shown
from tests.integration.console.rated import rated
from tests.integration.console.subscribed import subscribed
from tests.integration.console.wished import wished

WIDTHS = (1280, 360)
PATIENCE_SECONDS = 120
LEFT_IN_CHINESE = """() => {
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const chrome = node.parentElement.closest('h2, h3, thead, dt, button, label, legend, summary');
    const data = node.parentElement.closest('[data-value]');
    if (chrome && !data && /[\\u3400-\\u9fff]/.test(node.data)) found.push(node.data.trim());
  }
  return found;
}"""


def draft_of_education(console: ServedCity) -> Resource:
    """Return a draft of the education bureau, the same at every call."""
    content = console.city.resources[Source.PROPERTY].content
    assert content.binding is not None
    bound = content.model_copy(update={"binding": content.binding.model_copy(update={"table": "draft_for_pages"})})
    return console.city.hub.catalogue.draft(EDUCATION.code, bound, console.city.people["education.officer"].actor)


def application_of(console: ServedCity) -> str:
    """Return an application of the education bureau that awaits its review, the same at every call."""
    hub, officer = console.city.hub, console.city.people["education.officer"].actor
    known = hub.registrations.find(department=EDUCATION.code).rows
    if known:
        return known[0].client_id
    new = NewRegistration(name="入学一件事", purpose="入学核验", scenes=("入学",), contacts=("张三",), showcase=True)
    made = hub.registrations.register(new, EDUCATION.code, officer)
    bound = [one.id for one in hub.agreements.of_consumer(EDUCATION.code)]
    hub.registrations.bind(made.client_id, bound[:1], officer)
    hub.registrations.issue_key(made.client_id, KeyKind.SANDBOX, officer)
    return made.client_id


def paths(console: ServedCity) -> dict[str, list[str]]:
    """Return the pages to look at, by the account that looks."""
    city, hub = console.city, console.city.hub
    resource = city.resources[Source.PROPERTY].id
    opened = city.resources[Source.DIVISIONS].id
    finding = first_finding(console)
    case = hub.cases.find(limit=1).rows[0].id
    entity = hub.library.find_entities("population", "陈", limit=1)[0].entity_id
    family = hub.library.find_entities("low_income_family", "陈", limit=1)[0].entity_id
    doubtful = hub.reviews.queue("population", limit=1).rows
    agreement = city.tasks[0].agreement_id
    entry = hub.ledger.entries(limit=1).rows[0].entry_id
    inventory = hub.inventories.find(city.resources[Source.PROPERTY].department)[0].id
    item = hub.service_items.find(limit=1).rows[0].id
    code = hub.agreements.get(agreement).code
    residents = city.resources[Source.RESIDENTS].id
    residents_column = city.resources[Source.RESIDENTS].content.items[0].column
    draft = draft_of_education(console).id
    wishes = wished(console)
    citizens = ["/me/wishes", "/open/demand/new", *(f"/open/demand/{wishes[one]}" for one in ("received", "declined"))]
    return {
        "": [
            "/sign-in",
            "/open",
            "/open/applications",
            "/open/verify",
            f"/open/{opened}",
            f"/open/agreements?code={code}",
            "/open/demand",
            "/open/demand?words=nothing&show=met",
            *(f"/open/demand/{wishes[state]}" for state in ("assigned", "planned", "there")),
        ],
        "authority": [
            "/",
            "/find?words=%E6%88%B7%E7%B1%8D",
            "/find?words=%E4%B8%8D%E5%AD%98%E5%9C%A8%E7%9A%84%E4%B8%9C%E8%A5%BF",
            "/catalogue",
            "/catalogue?q=%E6%88%B7%E7%B1%8D",
            "/catalogue?q=%E4%B8%8D%E5%AD%98%E5%9C%A8%E7%9A%84",
            "/catalogue?q=jumin&grades=L3&order=most_used&single=true",
            "/catalogue/vocabulary",
            "/catalogue/demands",
            "/catalogue/work",
            "/catalogue/work?ticked=all",
            f"/catalogue/{city.resources[Source.APPLICANTS].id}/review",
            f"/catalogue/{resource}",
            f"/catalogue/{resource}/changes?older=1&newer=1",
            "/catalogue/files",
            "/sources",
            "/sources?show=all",
            "/sources/address",
            "/sources/phone",
            "/service-items",
            f"/service-items/{item}",
            f"/service-items/{item}/wrong-values",
            "/service-items/definitions",
            "/requests",
            "/requests?show=overdue",
            f"/requests/{city.requests[0].id}",
            "/agreements",
            f"/agreements/{agreement}",
            f"/simulator?resource={residents}&column={residents_column}",
            f"/simulator?resource={residents}&column={residents_column}&department={EDUCATION.code}&purpose=x",
            "/transfers",
            f"/transfers/{city.tasks[0].id}",
            f"/transfers/{city.tasks[0].id}/runs",
            "/transfers/file",
            f"/transfers/file?agreement={agreement}",
            f"/transfers/new?agreement={agreement}",
            "/files",
            "/files?state=ready",
            *(f"/files/{one.manifest.file_id}" for one in city.files),
            f"/transfers/{city.tasks[0].id}/schema",
            "/live",
            "/library",
            "/library/population?q=%E9%99%88",
            "/library/geography",
            "/library/population/review",
            *(f"/library/population/review/{pair.version}/{pair.number}" for pair in doubtful),
            "/library/population/decisions",
            "/library/population/weights/1",
            f"/library/population/quality/{city.resources[Source.RESIDENTS].id}",
            "/library/geography/map",
            "/library/geography/map?level=4&figure=none",
            f"/library/population/entities/{entity}",
            f"/library/population/entities/{entity}/past",
            "/library/population/versions",
            "/library/definitions",
            "/library/relations",
            f"/library/population/entities/{entity}/block",
            f"/library/population/entities/{entity}/block?purpose=test",
            "/library/low_income_family?q=%E9%99%88",
            f"/library/low_income_family/entities/{family}",
            f"/library/low_income_family/entities/{family}/past?version=1",
            "/releases",
            f"/releases/{hub.open_releases.releases().rows[0].id}",
            "/releases/new?dataset=population",
            "/statistics?dataset=population",
            "/matchings",
            "/corrections",
            "/corrections?show=waiting",
            *(f"/corrections/{one.id}" for one in city.corrections),
            f"/corrections/{city.corrections[0].id}/uses",
            f"/library/population/entities/{entity}/uses?element=person_name",
            f"/corrections/new?library=population&entity={entity}&element=person_name",
            f"/corrections/new?resource={resource}",
            "/applications",
            "/objections",
            "/disclosure-holds",
            "/evidence",
            "/operations",
            "/audit",
            "/evidence?kind=exchange.batch",
            f"/evidence/{entry}",
            "/governance",
            "/governance?kind=year",
            f"/governance/indicators/catalogue_rate?department={EDUCATION.code}",
            "/governance/guards",
            "/governance/recommendations",
            "/governance/findings",
            f"/governance/findings/{finding}",
            "/cases",
            f"/cases/{case}",
            f"/cases/new?origin=finding&about={finding}",
            f"/cases/new?origin=agreement&about={agreement}",
            *coordinated(console),
            *rated(console),
            "/ratings",
            "/staff",
            "/wishes",
            f"/wishes/{wishes['received']}",
            "/views",
            "/notices",
            "/notices/settings",
            "/departments",
            "/inventories",
            f"/inventories/{inventory}",
            f"/inventories/{inventory}?check=1",
            f"/inventories/{inventory}?role=main",
            "/norms",
            "/norms?q=sfzh&domain=population",
            "/norms?q=%E4%B8%8D%E5%AD%98%E5%9C%A8",
            "/norms/elements/citizen_id",
            "/norms/elements/sex",
            "/norms/lists",
            "/norms/lists/ethnicity",
            "/norms/classes",
            "/norms/rules",
            "/norms/changes",
            "/norms/standardisation",
        ],
        "education.officer": [
            f"/agreements/{agreement}",
            f"/agreements/{agreement}/change",
            f"/agreements/{agreement}/try",
            f"/agreements/{agreement}/rating",
            "/ratings",
            *rated(console),
            "/catalogue/files",
            f"/catalogue/{draft}/edit",
            "/files",
            f"/files/{city.files[0].manifest.file_id}",
            "/service-items",
            f"/service-items/{item}",
            f"/service-items/{item}/case",
            f"/applications/{application_of(console)}",
            *subscribed(console),
            "/consents",
            "/sources/address",
            "/wishes?show=all",
            *(f"/wishes/{wishes[state]}" for state in ("assigned", "planned")),
        ],
        "civil.officer": [
            "/sources/address",
            "/library/population/block?key=phone&value=13800000000",
            f"/library/population/entities/{entity}/block?purpose=test",
            f"/catalogue/{city.resources[Source.LOW_INCOME].id}",
        ],
        "education.clerk": [
            "/",
            "/account",
            "/account/substitutes",
            f"/requests/new?resource={resource}",
            "/requests?show=sent",
            "/evidence",
        ],
        "education.head": ["/", "/catalogue/work?state=draft", "/staff", "/account/substitutes", "/meetings"],
        "estate.officer": [
            "/",
            "/catalogue/files",
            "/requests?show=received",
            "/catalogue/work",
            "/governance/findings",
            "/inventories",
        ],
        "operator": ["/", "/overview", "/departments", "/transfers"],
        "auditor": [
            "/",
            "/audit?seed=2026-11-28&kind=catalogue.key&count=5",
            "/evidence",
            "/cases",
            f"/corrections/{city.corrections[0].id}",
        ],
        "citizen": ["/me", "/me/consents", "/me/record", "/corrections", "/corrections/new?element=phone", *citizens],
    }


@pytest.mark.parametrize(
    ("console", "language"), [("sqlite", "zh"), ("postgresql", "en")], indirect=["console"], scope="session"
)
def test_every_page_stands(console: ServedCity, browser: Browser, language: str) -> None:
    # axe takes longer than the page: it sees every second page, wide and light or narrow and dark.
    # All of them in both: python -m tests.integration.console.accessibility
    turn, axe_width = (0, WIDTHS[0]) if language == "zh" else (1, WIDTHS[1])
    scheme: Literal["light", "dark"] = "light" if language == "zh" else "dark"
    pictures = 0
    for username, addresses in paths(console).items():
        visitor, shows = Visitor(browser, console.url, language=language, scheme=scheme), shown(console, username)
        if username:
            visitor.sign_in(username, PASSWORD)
        for place, address in enumerate(addresses):
            assert visitor.open(address) == 200, f"{username} {address}"
            assert visitor.page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
            assert visitor.unlabelled() == [], address
            assert visitor.page.locator("h1").count() == 1, address
            if language == "en":
                assert untranslated(visitor) == [], address
            if address in shows:
                assert gone(visitor, shows[address], language) == [], f"{address}: make pictures"
                pictures += 1
            for width in both_widths(visitor):
                assert visitor.overflowing() == [], f"{address} at {width}"
                if width == axe_width and place % 4 == turn:
                    assert visitor.barriers() == [], address
        assert visitor.complaints == []
        assert visitor.strays == []
        visitor.close()
    assert pictures == len(PICTURES)


def test_comments_stand_beside_the_officers_fields(console: ServedCity, browser: Browser) -> None:
    hub, member = console.city.hub, EDUCATION
    officer = console.city.people["education.officer"].actor
    base = hub.catalogue.find(state=ResourceState.PUBLISHED, limit=1).rows[0]
    unbound = base.content.model_copy(update={"binding": None, "format": ResourceFormat.SERVICE})
    made = hub.catalogue.draft(member.code, unbound, officer)
    reviewer = Visitor(browser, console.url)
    reviewer.sign_in("authority", PASSWORD)
    hub.catalogue.act(made.id, ResourceAction.SIGN_OFF, console.city.people["education.head"].actor, position="局长")
    hub.catalogue.act(made.id, ResourceAction.SUBMIT, officer)
    reviewer.open(f"/catalogue/{made.id}/review")
    reviewer.page.fill("[id='comment:/summary']", "Say what it covers.")
    reviewer.page.fill("[id='comment:/items/0']", "Mask this item.")
    reviewer.page.fill("#reason", "See the fields.")
    reviewer.page.click("button[value=return]")
    reviewer.page.wait_for_url(f"**/catalogue/{made.id}?done=resource")
    reviewer.close()
    for language in ("zh", "en"):
        visitor = Visitor(browser, console.url, language=language)
        visitor.sign_in("education.officer", PASSWORD)
        for width in both_widths(visitor):
            assert visitor.open(f"/catalogue/{made.id}/edit") == 200, width
            beside = visitor.page.locator(".field", has=visitor.page.locator("[id='summary.zh']"))
            assert "Say what it covers." in beside.inner_text()
            assert visitor.page.get_by_text("Mask this item.").nth(1).is_visible(), "the item stands open"
            assert visitor.overflowing() == []
            assert visitor.unlabelled() == []
        if language == "en":
            assert untranslated(visitor) == []
        assert visitor.complaints == []
        visitor.close()
    hub.catalogue.act(made.id, ResourceAction.DROP, officer)


def test_an_import_shows_how_far_it_is_and_then_its_report(console: ServedCity, browser: Browser) -> None:
    account = console.city.people["education.officer"]
    text = Text(zh="缺少资源摘要", en="the summary is missing")
    problem = CellProblem(
        cell="信息资源目录!C2", column="信息资源摘要", serial="1", error=False, problem=text, remedy=text
    )
    report = ImportReport(resources=4, readable=4, errors=0, warnings=1, problems=(problem,), taken=True, created=4)
    for language in ("zh", "en"):
        go_on = threading.Event()

        def long(note: ImportProgress, until: threading.Event = go_on) -> ImportReport:
            note(ImportStage.WRITING, 1, 4)
            assert until.wait(PATIENCE_SECONDS)
            return report

        job = console.city.hub.import_jobs.start(account.actor.id, long)
        visitor = Visitor(browser, console.url, language=language)
        visitor.sign_in("education.officer", PASSWORD)
        assert visitor.open(f"/catalogue/files/jobs/{job.id}") == 200
        assert "25%" in visitor.page.locator("#progress").inner_text()
        stands(visitor, language)
        go_on.set()
        visitor.page.wait_for_selector("#progress table")
        stands(visitor, language)
        assert visitor.complaints == []
        visitor.close()


def test_one_act_for_several_lists_what_became_of_each(console: ServedCity, browser: Browser) -> None:
    for language in ("zh", "en"):
        visitor = Visitor(browser, console.url, language=language)
        visitor.sign_in("authority", PASSWORD)
        visitor.open("/catalogue/work?state=published&ticked=all")
        assert visitor.page.locator("#action").count() == 0, "nothing published is approved, published or returned"
        visitor.open("/catalogue/work?ticked=all")
        boxes = visitor.page.locator("input[name=resources]")
        awaiting = visitor.page.locator("tr", has=visitor.page.locator("a[href$='/review']"))
        for box in awaiting.locator("input[name=resources]").all():
            box.uncheck()
        count = boxes.count() - awaiting.count()
        visitor.page.click("form[action='/catalogue/work'][method=post] button[type=submit]")
        visitor.page.wait_for_selector("main code")
        visitor.page.wait_for_load_state()
        assert visitor.page.locator("tbody tr").count() == count > 0
        assert visitor.page.locator("tbody code").all_inner_texts() == ["catalogue.action_impossible"] * count
        stands(visitor, language)
        assert visitor.complaints == []
        visitor.close()


def stands(visitor: Visitor, language: str) -> None:
    """Check the page at both widths: nothing sticks out, nothing is unlabelled or left untranslated."""
    for width in both_widths(visitor):
        assert visitor.overflowing() == [], width
    assert visitor.unlabelled() == []
    if language == "en":
        assert untranslated(visitor) == []


def both_widths(visitor: Visitor) -> Iterator[int]:
    """Yield each width once the window has it, beginning with the one it has now: a change lays everything out anew."""
    for width in WIDTHS if visitor.width == WIDTHS[0] else WIDTHS[::-1]:
        visitor.resize(width)
        yield width


def untranslated(visitor: Visitor) -> list[str]:
    """Return Chinese in headings, labels and buttons that is text of the console, and not data (a name, a query)."""
    data = ["中文", *re.findall(r"[㐀-鿿]+", visitor.page.locator("h1").inner_text())]
    data += [box.input_value() for box in visitor.page.locator("input[name=q]").all() if box.input_value()]
    found = []
    for text in visitor.page.evaluate(LEFT_IN_CHINESE):
        rest = text
        for known in data:
            rest = rest.replace(known, "")
        if re.search(r"[㐀-鿿]", rest):
            found.append(text)
    return found


def test_charts_have_tables_with_the_same_rows(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("authority", PASSWORD)
    for address, count in (("/", 2), ("/library/population", 4), ("/governance", 2)):
        visitor.open(address)
        charts = visitor.page.locator("figure")
        assert charts.count() == count, address
        for chart in charts.all():
            assert chart.locator("[role=img]").get_attribute("aria-label")
            chart.locator("summary").click()
            assert chart.locator("tbody tr").count() > 0
    # In the dark they have colours for the dark, and on paper those for paper, with nothing that one could press.
    ink = "() => document.querySelector('[data-chart] svg text').getAttribute('fill')"
    light = visitor.page.evaluate(ink)
    visitor.page.emulate_media(color_scheme="dark")
    visitor.page.wait_for_function(f"(light) => ({ink})() !== light", arg=light)
    visitor.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    visitor.page.emulate_media(media="print")
    assert visitor.page.evaluate(ink) == light
    assert not visitor.page.locator(".rail, .top, form, main button").locator("visible=true").count()
    assert visitor.page.evaluate("() => getComputedStyle(document.querySelector('.card')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    visitor.close()


def test_unknown_things_are_pages_with_a_code(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("authority", PASSWORD)
    for address in (
        "/catalogue/nothing",
        "/requests/nothing",
        "/agreements/nothing",
        "/no-such-page",
        "/cases/nothing",
    ):
        assert visitor.open(address) == 404, address
        assert re.search(r"\w+\.\w+_", visitor.page.locator("main code").first.inner_text()), address
    visitor.close()


def test_what_the_policy_refuses_is_a_page_with_the_reason(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("citizen", PASSWORD)
    for address in ("/", "/evidence", "/library"):
        assert visitor.open(address) == 403, address
        assert "sharing.not_permitted" in visitor.page.locator("main").inner_text()
    visitor.close()


def test_visitors_are_sent_to_sign_in_and_come_back(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.open("/agreements?state=active")
    assert visitor.page.url.startswith(console.url + "/sign-in?next=")
    visitor.page.fill("#username", "authority")
    visitor.page.fill("#password", PASSWORD)
    visitor.page.press("#password", "Enter")
    visitor.page.wait_for_url(console.url + "/agreements?state=active")
    visitor.close()


def test_a_changed_source_is_revised_from_the_page(console: ServedCity, browser: Browser) -> None:
    city = console.city
    resource_id = city.resources[Source.PROPERTY].id
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("estate.officer", PASSWORD)
    assert visitor.open("/inventories") == 200
    assert "xin_lie" in visitor.page.locator("#drifts").inner_text()
    visitor.page.get_by_role("button", name="Revise by the new structure").click()
    visitor.page.wait_for_url(f"**/catalogue/{resource_id}**")
    revision = city.hub.catalogue.get(resource_id)
    assert revision.version == 2
    assert revision.content.item("xin_lie") is not None
    city.hub.catalogue.act(resource_id, ResourceAction.DISCARD, city.people["estate.officer"].actor)


def test_a_source_is_designated_objected_to_and_answered(console: ServedCity, browser: Browser) -> None:
    authority = Visitor(browser, console.url)
    authority.sign_in("authority", PASSWORD)
    authority.open("/sources/marital_status")
    authority.page.select_option("#choice", index=0)
    authority.page.fill("#scope", "测试范围")
    authority.page.fill("#legal_basis", "《婚姻登记条例》")
    authority.page.fill("#reason", "登记机关")
    authority.page.click("text=认定并存证")
    assert "数源认定已变更并存证" in authority.page.inner_text("main")
    assert "测试范围" in authority.page.inner_text("main")

    officer = Visitor(browser, console.url, language="en")
    officer.sign_in("education.officer", PASSWORD)
    officer.open("/sources/marital_status")
    officer.page.fill("#object-1", "Too slow")
    officer.page.click("button:has-text('Object')")
    assert "The objection is on record" in officer.page.inner_text("main")

    authority.open("/sources/marital_status")
    authority.page.fill("#answer-1", "属实")
    authority.page.click("button[value=uphold]")
    assert "异议已答复并存证" in authority.page.inner_text("main")
    assert authority.page.locator("text=撤销理由").count() == 0
    for visitor in (authority, officer):
        assert visitor.complaints == []
        visitor.close()


def test_a_faulty_file_of_service_items_names_its_cells(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("education.officer", PASSWORD)
    visitor.open("/service-items")
    faulty = b"items:\n- {code: X1, name: x, annual_cases: many, fields: [{name: \xe4\xbd\x8f\xe5\x9d\x80}]}\n"
    visitor.page.set_input_files("#file", {"name": "items.yaml", "mimeType": "text/yaml", "buffer": faulty})
    visitor.page.click("button:has-text('导入')")
    assert "/items/0/annual_cases" in visitor.page.inner_text("main")
    right = faulty.replace(b"many", b"10").replace(b"X1", console.city.hub.database.engine.name.encode())
    visitor.page.set_input_files("#file", {"name": "items.yaml", "mimeType": "text/yaml", "buffer": right})
    visitor.page.click("button:has-text('导入')")
    assert "事项已导入并存证" in visitor.page.inner_text("main")
    visitor.close()


def test_stop_asking_leads_to_a_filled_request(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("education.officer", PASSWORD)
    item = next(one for one in console.city.hub.service_items.find().rows if one.code == "RX-2026-01")
    visitor.open(f"/service-items/{item.id}")
    visitor.page.click("text=申请共享 >> nth=0")
    assert visitor.page.input_value("#service_item") == "RX-2026-01"
    assert "学位申请" in visitor.page.input_value("#scene")
    assert visitor.page.locator("input[name=items]:checked").count() > 0
    visitor.close()


def test_a_definition_is_registered_and_a_case_is_filled_in(console: ServedCity, browser: Browser) -> None:
    hub, clerk = console.city.hub, console.city.people["education.officer"]
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("education.officer", PASSWORD)
    visitor.open("/service-items/definitions")
    visitor.page.get_by_role("button", name="Register for the department: Admission to compulsory education").click()
    visitor.page.wait_for_url("**/service-items/*?done=service_item")
    taken = hub.service_items.with_code("RX-GB-01")
    assert taken is not None
    # The city's agreements are for another name of the same service.
    new = hub.service_cases.definitions[0].new_item(EDUCATION.code, annual_cases=1, pack=hub.pack)
    item = hub.service_items.put(new.model_copy(update={"code": SCHOOL_ITEM}), clerk.actor)
    visitor.open(f"/service-items/{item.id}")
    visitor.page.click("text=Handle a case")
    visitor.page.fill("#applicant", console.city.people["citizen"].subject_id or "")
    visitor.page.fill("#case_number", "RX2026-0901")
    visitor.page.click("button:has-text('Fill in the form')")
    shown = visitor.page.inner_text("main").lower()
    assert "filled in, masked as agreed" in shown
    assert "to be brought" in shown
    stands(visitor, "en")
    assert hub.service_cases.benefit(item_id=item.id).total.cases == 1
    assert visitor.complaints == []
    visitor.close()


def test_a_table_is_released_and_asked_over_rest(console: ServedCity) -> None:
    base = f"{console.url}/api/v1"
    clients = {name: httpx.Client(base_url=base, timeout=60) for name in ("authority", "estate.officer")}
    for name, client in clients.items():
        token = client.post("/session", json={"username": name, "password": PASSWORD}).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
    authority, officer = clients.values()
    plan = {"dataset": "population", "quasi": [{"column": "birth_date", "kind": "age"}], "sensitive": ["sex"]}
    # Which groups offend is for the authority; how large they are, for who checks.
    assert all(group["values"] for group in authority.post("/releases/check", json=plan).json()["offending"])
    told = officer.post("/releases/check", json=plan).json()["offending"]
    assert {group["values"] for group in told} == {None}
    assert officer.post("/releases", json=plan).status_code == 403
    assert authority.post("/releases", json=plan).json()["code"] == "sharing.release_impossible"
    coarse = authority.post("/releases/suggest", json=plan).json()["plan"]
    made = authority.post("/releases", json=coarse).json()
    file = officer.get(f"/releases/{made['id']}/data.csv")
    assert hashlib.sha256(file.content).hexdigest() == made["csv_sha256"]
    assert len(file.text.splitlines()) == made["rows"] + 1
    names = authority.post("/releases/check", json={**plan, "sensitive": ["person_name"]})
    assert names.json()["code"] == "sharing.release_columns"

    histogram = {"dataset": "population", "kind": "histogram", "column": "sex", "categories": ["1", "2"]}
    order = {"granted_milli": 1050, "statement": "年度统计公报"}
    assert officer.put("/statistics/population/budget", json=order).status_code == 403
    left = authority.put("/statistics/population/budget", json=order).json()
    first = officer.post("/statistics", json={**histogram, "epsilon_milli": 900}).json()
    assert set(first["values"]) == {"1", "2"}
    assert authority.post("/statistics", json={**histogram, "epsilon_milli": 900}).json() == first
    spent = officer.get("/statistics/population/budget").json()["spent_milli"]
    assert spent == left["spent_milli"] + 900
    refused = officer.post("/statistics", json={**histogram, "epsilon_milli": 901})
    assert (refused.status_code, refused.json()["code"]) == (403, "sharing.budget_spent")
    assert officer.post("/statistics", json={**histogram, "categories": []}).status_code == 422

    agreement = authority.get("/agreements").json()["rows"][0]["id"]
    assert authority.post(f"/agreements/{agreement}/mask-keys").json()["generation"] == 2
    for client in clients.values():
        client.close()


def test_a_citizen_sees_objects_and_consents_over_rest(console: ServedCity) -> None:
    base, hub = f"{console.url}/api/v1", console.city.hub
    clients: dict[str, httpx.Client] = {}
    for name in ("authority", "education.officer", "estate.officer", "citizen"):
        client = clients[name] = httpx.Client(base_url=base, timeout=60)
        token = client.post("/session", json={"username": name, "password": PASSWORD}).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
    authority, officer, stranger, citizen = clients.values()
    # Nothing integrates the log here by itself, and a proof needs it.
    hub.ledger.integrate()
    page = citizen.get("/me/findUsage", params={"limit": 1}).json()
    (line,) = page["usages"]
    assert (page["total"] >= 2, line["receiver"], line["service_item"]) == (True, EDUCATION.code, SCHOOL_ITEM)
    assert citizen.get("/me/findUsage", params={"since": "yesterday"}).status_code == 422
    assert authority.get("/me/findUsage").status_code == 403

    # Held, the use is not told by any way; released, it is told again.
    order = {"agreement_id": line["agreements"][0], "ground": "investigation", "reason": "立案", "delay_days": 300}
    assert officer.post("/disclosure-holds", json=order).status_code == 403
    assert authority.post("/disclosure-holds", json={**order, "until": line["logtime"]}).status_code == 422
    hold = authority.post("/disclosure-holds", json=order).json()
    held = {one["id"] for one in citizen.get("/me/findUsage").json()["usages"]}
    assert line["id"] not in held
    assert citizen.get(f"/me/uses/{line['id']}/proof").status_code == 404
    assert authority.post(f"/disclosure-holds/{hold['id']}/end").status_code == 201
    assert citizen.get("/me/findUsage").json()["total"] == page["total"]
    assert citizen.get(f"/me/uses/{line['id']}/proof").status_code == 200

    objection = citizen.post("/me/objections", json={"access_id": line["id"], "statement": "我没有申请入学"}).json()
    answer = {"action": "dismiss", "answer": "办件经核对属实"}
    assert stranger.post(f"/objections/{objection['id']}/answer", json=answer).status_code == 403
    assert officer.get("/objections", params={"waiting": True}).json()["total"] == 1
    # Both workbenches say what is to be done.
    application = application_of(console)
    for client, duty in ((officer, "/objections?show=waiting"), (authority, f"/applications/{application}")):
        assert f'href="{duty}"' in client.get(console.url).text.partition('id="duties"')[2]
    assert officer.post(f"/objections/{objection['id']}/answer", json=answer).json()["state"] == "dismissed"
    (told,) = citizen.get("/me/objections").json()
    assert told["answer"] == answer["answer"]
    assert citizen.post(f"/me/objections/{objection['id']}/withdrawal").status_code == 409

    # An agreement that does not depend on consent asks nobody for it.
    wanted = {"agreement_id": line["agreements"][0], "citizen_id": console.city.people["citizen"].subject_id}
    assert stranger.post("/consents", json=wanted).status_code == 403
    assert officer.post("/consents", json=wanted).json()["code"] == "sharing.consent_not_needed"
    assert citizen.get("/me/consents").json() == []
    assert hub.consents.find().total == 0
    for client in clients.values():
        client.close()


def test_the_public_asks_joins_and_is_answered_over_rest(console: ServedCity) -> None:
    base, divisions = f"{console.url}/api/v1", console.city.resources[Source.DIVISIONS].id
    clients: dict[str, httpx.Client] = {}
    for name in ("authority", "education.officer", "estate.officer", "citizen"):
        client = clients[name] = httpx.Client(base_url=base, timeout=60)
        token = client.post("/session", json={"username": name, "password": PASSWORD}).json()["token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
    authority, officer, stranger, citizen = clients.values()
    everybody = httpx.Client(base_url=base, timeout=60)
    draft = {"title": "公交到站时刻", "purpose": "做一个等车的应用", "fields": ["线路", "站点"], "cycle": "real_time"}
    assert officer.post("/wishes", json=draft).status_code == 403
    assert citizen.post("/wishes", json={**draft, "purpose": "打我电话 13800138000"}).status_code == 422
    wish = citizen.post("/wishes", json=draft).json()
    address = f"/wishes/{wish['id']}"

    # Nobody but its asker and the authority knows of it before it was read.
    assert [one.get(address).status_code for one in (everybody, stranger, officer)] == [404] * 3
    assert [one.get(address).status_code for one in (citizen, authority)] == [200] * 2
    assert everybody.get("/wishes", params={"state": "received"}).status_code == 401
    assert wish["id"] not in {one["id"] for one in everybody.get("/wishes").json()["rows"]}
    assert authority.get("/wishes", params={"state": "received"}).json()["total"] >= 1
    assert officer.post(f"{address}/actions", json={"action": "admit"}).status_code == 403
    assign = {"action": "assign", "department": EDUCATION.code}
    assert authority.post(f"{address}/actions", json=assign).json()["state"] == "assigned"
    assert everybody.get(address).json()["steps"][-1]["department"] == EDUCATION.code
    assert "account" not in everybody.get(address).text

    # Its duty stands on the workbench, and only the department answers.
    assert f'href="{address}"' in officer.get(console.url).text.partition('id="duties"')[2]
    answer = {"action": "point", "resource_id": divisions}
    assert stranger.post(f"{address}/actions", json=answer).status_code == 403
    assert officer.post(f"{address}/actions", json={"action": "decline"}).json()["code"] == "sharing.wish_words"
    other = wished(console)["planned"]
    assert citizen.put(f"/wishes/{other}/support").json()["supporters"] == 1
    assert citizen.put(f"/wishes/{other}/support").json()["supporters"] == 1
    assert citizen.delete(f"/wishes/{other}/support").json()["supporters"] == 0
    assert citizen.put(f"{address}/support").json()["code"] == "sharing.wish_support_own"
    assert officer.post(f"{address}/actions", json=answer).json()["state"] == "there"
    assert citizen.post(f"{address}/withdrawal").status_code == 409
    feed = httpx.get(f"{console.url}/open/demand/feed.atom", timeout=60).text
    assert f"/open{address.replace('wishes', 'demand')}" in feed
    assert {one["id"]: one["state"] for one in citizen.get("/me/wishes").json()}[wish["id"]] == "there"
    for client in (*clients.values(), everybody):
        client.close()


def test_filters_are_kept_and_open_a_list_and_several_transfers_are_paused_and_resumed(
    console: ServedCity, browser: Browser
) -> None:
    for language in ("zh", "en"):
        visitor = Visitor(browser, console.url, language=language)
        page = visitor.page
        visitor.sign_in("authority", PASSWORD)
        visitor.open("/requests?show=overdue")
        page.click(".views summary")
        page.fill("#view-name", "late <b>ones</b>")
        page.check("input[name=opens]")
        page.click(".views button[type=submit]")
        assert page.locator(".views a[aria-current]").text_content() == "late <b>ones</b>"
        stands(visitor, language)
        visitor.open("/requests")
        assert page.url.endswith("/requests?show=overdue")
        page.click(".views a >> nth=0")
        assert page.url.endswith("/requests?view=all")
        visitor.open("/views")
        stands(visitor, language)
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("form[action$='/delete'] button")
        visitor.open("/requests")
        assert page.url.endswith("/requests")

        visitor.open("/transfers?ticked=all")
        page.select_option("#action", "pause")
        page.click("form[action='/transfers/bulk'] button[type=submit]")
        stands(visitor, language)
        tasks = console.city.hub.exchange.tasks().rows
        assert all(task.state == "active" for task in tasks)
        page.click("button[name=action]")
        assert {task.state for task in console.city.hub.exchange.tasks().rows} == {"paused"}
        stands(visitor, language)
        page.click("button[name=action]")
        assert {task.state for task in console.city.hub.exchange.tasks().rows} == {"active"}
        assert visitor.complaints == []
        visitor.close()


def test_a_page_in_sight_follows_what_happens_elsewhere(console: ServedCity, browser: Browser) -> None:
    hub, task = console.city.hub, console.city.tasks[0]
    visitor = Visitor(browser, console.url)
    page = visitor.page
    visitor.sign_in("authority", PASSWORD)
    with page.expect_response(lambda answer: "/updates?" in answer.url) as opened:
        visitor.open("/transfers")
    assert opened.value.status == 200
    assert opened.value.headers["content-type"].startswith("text/event-stream")
    # Another process acts: this page is told, and asks for its list again.
    row = page.locator("#tasks tbody tr", has=page.locator(f"a[href='/transfers/{task.id}']")).first
    hub.exchange.pause(task.id, actor=console.city.people["authority"].actor)
    row.locator(".badge.warn").first.wait_for(timeout=PATIENCE_SECONDS * 1000)
    hub.exchange.resume(task.id, actor=console.city.people["authority"].actor)
    row.locator(".badge.good").first.wait_for(timeout=PATIENCE_SECONDS * 1000)
    assert visitor.complaints == []
    visitor.close()


def test_a_tour_is_walked_by_the_keyboard_left_and_taken_up_again(console: ServedCity, browser: Browser) -> None:
    tour = next(tour for tour in TOURS if tour.role is Role.DATA_OFFICER)
    visitor = Visitor(browser, console.url, language="en")
    page = visitor.page
    visitor.sign_in("education.officer", PASSWORD)
    visitor.open("/")
    page.click("#tour-offer button[value=begin]")
    for number, step in enumerate(tour.steps):
        page.locator("#tour-title", has_text=step.title.en).wait_for()
        assert urlsplit(page.url).path == step.path
        page.locator(f"#{step.target}.tour-target").wait_for()
        page.locator("#tour button[value=next]:focus").wait_for()
        if number == 1:
            assert visitor.barriers() == []
        if number == 2:
            # Nothing is held up: any other page can be opened, and one comes back to the step, or leaves the tour.
            visitor.open("/norms")
            page.click("#tour button[value=resume]")
            page.wait_for_url(f"**{step.address}")
            page.keyboard.press("Escape")
            page.wait_for_selector("#tour", state="detached")
            visitor.open("/")
            page.click("#tour-offer button[value=resume]")
            page.locator("#tour-title", has_text=step.title.en).wait_for()
        page.keyboard.press("Enter")
    page.locator("[role=status]", has_text="That was the tour").wait_for()
    assert page.locator("#tour, #tour-offer").count() == 0
    progress = console.city.hub.tours.progress(console.city.people["education.officer"].actor.id, tour.name)
    assert progress is not None
    assert progress.state == "done"
    assert visitor.complaints == []
    visitor.close()


def test_every_step_of_every_tour_points_at_something_on_its_page(console: ServedCity) -> None:
    accounts = {
        Role.DATA_OFFICER: "education.officer",
        Role.BUSINESS: "education.clerk",
        Role.DEPARTMENT_HEAD: "education.head",
        Role.OPERATOR: "operator",
        Role.AUTHORITY: "authority",
        Role.AUDITOR: "auditor",
        Role.CITIZEN: "citizen",
    }
    assert {tour.role for tour in TOURS} == accounts.keys()
    for tour in TOURS:
        with httpx.Client(base_url=console.url, timeout=60) as client:
            signed = client.post("/api/v1/session", json={"username": accounts[tour.role], "password": PASSWORD})
            client.cookies.clear()
            client.headers["Authorization"] = f"Bearer {signed.json()['token']}"
            pages = {step.address: client.get(step.address) for step in tour.steps}
            for step in tour.steps:
                assert pages[step.address].status_code == 200, step
                assert f'id="{step.target}"' in pages[step.address].text, step
            walked = client.post("/tour", data={"act": "begin"}, follow_redirects=True)
            assert f'data-target="{tour.steps[0].target}"' in walked.text
            client.post("/tour", data={"act": "decline"})
            assert 'id="tour' not in client.get(tour.steps[0].address).text


def test_help_opens_beside_the_page_and_its_search_understands_chinese(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    page = visitor.page
    visitor.sign_in("estate.officer", PASSWORD)
    visitor.open("/transfers")
    page.click("#help-mark")
    page.locator("#help-panel-title", has_text="交换任务列表").wait_for()
    assert visitor.barriers() == []
    page.keyboard.press("Escape")
    page.locator("#help-panel").wait_for(state="hidden")
    page.locator("#help-mark:focus").wait_for()
    page.keyboard.press("Enter")
    page.click("#help-panel a:has-text('打开整篇指南')")
    page.wait_for_url("**/help/zh/guide/transfers.html#the-list-of-transfers")
    page.keyboard.press("/")
    page.keyboard.insert_text("数据源结构变化")
    page.locator("#help-found a", has_text="数据源结构变化").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/help/zh/guide/transfers.html#changed-source-tables")
    page.click("a[lang=en]")
    page.wait_for_url("**/help/en/guide/transfers.html")
    for address in ("/help", "/help/zh/guide/transfers.html", "/help/en/operation.html"):
        assert visitor.open(address) == 200
        assert visitor.barriers() == [], address
        for width in both_widths(visitor):
            assert visitor.overflowing() == [], f"{address} at {width}"
    page.emulate_media(color_scheme="dark")
    assert visitor.barriers() == []
    assert visitor.complaints == []
    assert visitor.strays == []
    visitor.close()
