"""People's days at the console: find, ask, reply, confirm, act in a case, look who used one's data."""

import contextlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload

from datong.app.fsck import AREAS, lines
from datong.catalogue import ResourceState
from datong.demo.cast import EDUCATION, ESTATE, POLICE
from datong.demo.records import Source
from datong.exchange import ApplyMode, Days, Failure, RunState, Schedule, TransferEnd, Window
from datong.governance import CaseAction
from datong.kernel import Actor, ActorKind, AgreementId, Language, Text
from datong.ledger import verify_bundle
from datong.library import CorrectionState
from datong.sharing import RequestState
from tests.integration.console.browser import Visitor
from tests.integration.console.city import PASSWORD
from tests.integration.console.conftest import ServedCity
from tests.integration.console.subscribed import subscribed
from tests.integration.console.test_tampering import UNSEEN

pytestmark = pytest.mark.parametrize("console", ["postgresql"], indirect=True, scope="session")


def test_a_wrong_password_is_told_and_the_name_kept(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url, language="en")
    visitor.open("/sign-in")
    visitor.page.fill("#username", "authority")
    visitor.page.fill("#password", "not the password")
    visitor.page.click("form[action='/sign-in'] button")
    assert "wrong" in visitor.page.locator("[role=alert]").inner_text()
    assert visitor.page.input_value("#username") == "authority"
    visitor.close()


def test_the_language_is_switched_in_place_and_kept(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("authority", PASSWORD)
    visitor.open("/catalogue?q=%E6%88%B7%E7%B1%8D")
    visitor.page.click("form[action='/language'] button")
    visitor.page.wait_for_selector("html[lang=en]")
    assert "q=" in visitor.page.url
    assert visitor.page.locator("h1").inner_text() == "Shared catalogue"
    visitor.open("/")
    assert visitor.page.locator("html").get_attribute("lang") == "en"
    visitor.close()


def test_the_search_finds_while_typing(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("education.clerk", PASSWORD)
    visitor.open("/catalogue")
    visitor.page.keyboard.press("/")
    visitor.page.keyboard.insert_text("不动产")
    visitor.page.wait_for_selector("#results mark")
    assert "不动产登记信息" in visitor.page.locator("#results h3").first.inner_text()
    visitor.page.wait_for_url("**/catalogue?q=**")
    assert visitor.complaints == []
    visitor.close()


def test_a_clerk_asks_and_is_told_everything_that_is_missing_at_once(console: ServedCity, browser: Browser) -> None:
    resource = console.city.resources[Source.LOW_INCOME]
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("education.clerk", PASSWORD)
    visitor.open(f"/catalogue/{resource.id}")
    visitor.page.click("main a.button.primary")
    visitor.page.check("input[name=items] >> nth=1")
    visitor.page.fill("#scene", "学生资助资格审核")
    visitor.page.click("form[method=post] button[type=submit].primary")
    visitor.page.locator("[role=alert] li").nth(2).wait_for()
    assert visitor.page.input_value("#scene") == "学生资助资格审核"
    assert visitor.page.is_checked("input[name=items] >> nth=1")
    visitor.page.fill("#legal_basis", "《学生资助管理办法》第六条")
    visitor.page.fill("#scope", "资助中心")
    visitor.page.fill("#service_item", "学生资助")
    visitor.page.click("form[method=post] button[type=submit].primary")
    visitor.page.wait_for_url("**/requests/*done=requested")
    assert visitor.page.locator(".notice.good").count() == 1
    sent = console.city.hub.requests.find(consumer=EDUCATION.code, resource_id=resource.id)
    assert sent.total >= 1
    assert sent.rows[0].state is RequestState.SUBMITTED
    # From now on the workbench says how it stands.
    visitor.open("/")
    assert "Awaiting reply" in visitor.page.locator(f"#sent li:has(a[href='/requests/{sent.rows[0].id}'])").inner_text()
    visitor.close()


def test_an_officer_replies_and_the_agreement_is_confirmed(console: ServedCity, browser: Browser) -> None:
    officer = Visitor(browser, console.url)
    officer.sign_in("estate.officer", PASSWORD)
    officer.page.click("#duties a >> nth=0")
    officer.page.click("form[action$='/actions'] button.primary")
    officer.page.wait_for_url("**done=decided")
    officer.page.click("main a[href^='/agreements/']")
    officer.page.click("form[action$='/actions'] button.primary")
    officer.page.wait_for_url("**done=confirmed")
    assert officer.page.locator(".badge.good").count() >= 1
    address = officer.page.url.split("?")[0]
    officer.page.click("details.more summary")
    with officer.page.expect_download() as contract:
        officer.page.click("a[href$='contract.yaml']")
    assert "apiVersion" in Path(contract.value.path()).read_text()
    officer.open(address.removeprefix(console.url))
    assert officer.complaints == []
    officer.close()


def test_a_party_states_its_view_in_a_case(console: ServedCity, browser: Browser) -> None:
    case = console.city.hub.cases.find(department=ESTATE.code, limit=1).rows[0]
    visitor = Visitor(browser, console.url)
    visitor.sign_in("estate.officer", PASSWORD)
    visitor.open(f"/cases/{case.id}")
    visitor.page.fill("#statement", "系统升级耽误了答复，现已办理。")
    visitor.page.click("button[value=state]")
    visitor.page.wait_for_url("**done=case")
    acts = console.city.hub.cases.get(case.id).acts
    assert acts[-1].action is CaseAction.STATE
    assert "系统升级" in visitor.page.locator(".timeline").inner_text()
    visitor.close()


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": content}


def test_a_citizen_takes_home_a_proof_that_verifies(console: ServedCity, browser: Browser) -> None:
    console.city.settle()
    visitor = Visitor(browser, console.url)
    visitor.sign_in("citizen", PASSWORD)
    assert visitor.page.url == console.url + "/me"
    with visitor.page.expect_download() as download:
        visitor.page.click("a[href$='/proof'] >> nth=0")
    proof = Path(download.value.path())
    bundle = json.loads(proof.read_text())
    assert verify_bundle(bundle, log_key=None).index >= 0
    # The browser verifies it by itself, and takes no changed one.
    visitor.open("/open/verify")
    visitor.page.set_input_files("#files", proof)
    verdict = visitor.page.locator("#verified [data-verdict]")
    verdict.wait_for()
    assert verdict.get_attribute("data-verdict") == "good", verdict.inner_text()
    assert "sharing.access" in verdict.inner_text()
    name, opening = next(iter(bundle["disclosures"].items()))
    first = bundle["proof"][0]
    for wrong in (
        bundle | {"disclosures": {name: opening | {"value": opening["value"] + "0"}}},
        bundle | {"proof": [bundle["proof"][-1], *bundle["proof"][1:-1], first]},
        bundle | {"index": bundle["index"] + 1},
        bundle | {"checkpoint": bundle["checkpoint"].replace("\n\n", "0\n\n", 1)},
        bundle | {"leaf": bundle["leaf"][:-4]},
    ):
        visitor.page.set_input_files("#files", _file("wrong.json", json.dumps(wrong).encode()))
        visitor.page.locator("#verified [data-verdict=bad]").wait_for()
        visitor.page.set_input_files("#files", [])
    # A file beside a proof that is not about it is told apart; nothing went out.
    visitor.page.set_input_files("#files", [_file("proof.json", proof.read_bytes()), _file("data.csv", b"a,b")])
    visitor.page.locator("#verified [data-verdict=bad]", has_text="data.csv").wait_for()
    assert (visitor.complaints, visitor.strays) == ([], [])
    visitor.close()


def test_whatever_one_looks_for_is_found_from_every_page_by_the_keyboard(console: ServedCity, browser: Browser) -> None:
    resource = console.city.resources[Source.PROPERTY]
    visitor = Visitor(browser, console.url)
    visitor.sign_in("education.clerk", PASSWORD)
    visitor.open("/agreements")
    visitor.page.keyboard.press("/")
    # At once: on a slow machine an answer to half of it would come between the keys that follow.
    visitor.page.keyboard.insert_text("不动产登记")
    visitor.page.wait_for_selector("#found a")
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.wait_for_selector(f"#found a[href='/catalogue/{resource.id}']:focus")
    visitor.page.keyboard.press("Escape")
    visitor.page.wait_for_selector("#found a", state="detached")
    # Names of pages and departments, data elements, ids; the ids of what is not for the clerk stay unknown.
    agreement = console.city.hub.agreements.find(consumer=EDUCATION.code, limit=1).rows[0].id
    foreign = next(one for one in console.city.tasks if EDUCATION.code not in (one.provider, one.consumer))
    for words, found in (
        ("交换", "/transfers"),
        ("公安", f"/catalogue?departments={POLICE.code}"),
        ("身份号码", "/norms/elements/citizen_id"),
        (agreement, f"/agreements/{agreement}"),
        (resource.id, f"/catalogue/{resource.id}"),
    ):
        visitor.open(f"/find?words={words}")
        assert visitor.page.locator(f".found-list a[href='{found}']").count() == 1, words
    visitor.open(f"/find?words={foreign.id}")
    assert visitor.page.locator(".found-list a").count() == 0
    assert visitor.complaints == []
    visitor.close()


def test_an_officer_enrols_a_node(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("authority", PASSWORD)
    visitor.open("/departments")
    visitor.page.click("form[action$='/enrolments'] button >> nth=1")
    assert "datong node enrol" in visitor.page.locator(".notice").inner_text()
    visitor.close()


def test_an_auditor_draws_a_sample_and_signing_out_ends_the_session(console: ServedCity, browser: Browser) -> None:
    visitor = Visitor(browser, console.url)
    visitor.sign_in("auditor", PASSWORD)
    # A sample with a seed of one's own, whose proofs verify.
    console.city.settle()
    visitor.page.fill("#seed", "3 5 2 6")
    visitor.page.fill("#count", "4")
    visitor.page.click("form[action^='/audit'] button")
    visitor.page.wait_for_url("**/audit?seed=3+5+2+6**")
    with visitor.page.expect_download() as download:
        visitor.page.click("a[href^='/audit/proofs.zip']")
    with zipfile.ZipFile(download.value.path()) as archive:
        proved = [verify_bundle(json.loads(archive.read(name)), log_key=None).index for name in archive.namelist()]
    sample = console.city.hub.ledger.sample(seed="3 5 2 6", count=4)
    assert proved == [entry.index for entry in sample.entries]
    # A chart as a picture, for the report.
    visitor.open("/overview")
    for kind, beginning in (("png", b"\x89PNG"), ("svg", b"<svg")):
        with visitor.page.expect_download() as download:
            visitor.page.click(f"[data-picture={kind}] >> nth=0")
        assert download.value.suggested_filename == f"activity.{kind}"
        assert Path(download.value.path()).read_bytes().startswith(beginning)
    assert visitor.complaints == []
    # Somebody else's browser with the same name is signed out from here.
    other = Visitor(browser, console.url)
    other.sign_in("auditor", PASSWORD)
    visitor.page.click("a[href='/account']")
    assert "Chrome · Linux" in visitor.page.locator("li:has(.badge.good)").inner_text()
    visitor.page.locator("form[action$='/end'] button[aria-label]").first.click()
    visitor.page.wait_for_url("**/account?done=session_ended")
    other.open("/evidence")
    assert "/sign-in" in other.page.url
    other.close()
    visitor.page.click("form[action='/sign-out'] button")
    visitor.page.wait_for_url("**/sign-in")
    visitor.open("/evidence")
    assert "/sign-in" in visitor.page.url
    visitor.close()


def test_a_visitor_sees_rows_before_fetching_them_and_the_example_reads_them(
    console: ServedCity, browser: Browser
) -> None:
    hub, opened = console.city.hub, console.city.resources[Source.DIVISIONS].id
    visitor = Visitor(browser, console.url, language="en")
    visitor.open(f"/open/{opened}")
    assert visitor.page.locator("#preview tbody tr").count() == 8
    assert "of 405 points" in visitor.page.locator("#quality").inner_text()
    program = visitor.page.locator("[data-example=python]").inner_text()
    told = io.StringIO()
    # Links of this hub name the address that it has in the settings, so only the first page is read.
    with contextlib.redirect_stdout(told):
        exec(program.replace(hub.settings.base_url, console.url).replace("while address:", "if address:"), {})
    assert told.getvalue().splitlines()[1] == f"1000 of {hub.library.spatial.collection('geography').features}"
    assert visitor.complaints == []
    visitor.close()


def test_an_officer_sends_dead_messages_again(console: ServedCity, browser: Browser) -> None:
    hub, page = console.city.hub, subscribed(console)[-1]
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("education.officer", PASSWORD)
    visitor.open("/webhooks")
    visitor.page.click(".notice a")
    visitor.page.click(f"a[href='{page}']")
    visitor.page.click("button:text-is('Send all again')")
    visitor.page.wait_for_url("**done=webhook_again")
    assert hub.webhook_desk.due() == 1
    visitor.page.click("button:text-is('Pause')")
    visitor.page.wait_for_url("**done=webhook_paused")
    visitor.page.click("button:text-is('Go on')")
    visitor.page.wait_for_url("**done=webhook_resumed")
    hub.subscriptions.deliver()
    assert (hub.webhook_desk.due(), hub.webhook_desk.dead(EDUCATION.code)) == (0, 1)
    assert visitor.complaints == []
    visitor.close()


def test_an_officer_makes_a_task_with_every_choice_and_is_told_what_is_wrong(
    console: ServedCity, browser: Browser
) -> None:
    task = next(one for one in console.city.tasks if one.consumer == EDUCATION.code)
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("education.officer", PASSWORD)
    visitor.open(f"/agreements/{task.agreement_id}")
    visitor.page.click(f"main a[href='/transfers/new?agreement={task.agreement_id}']")
    visitor.page.fill("#name", "every night")
    visitor.page.fill("[id='schedule.cron']", "0 25 * * *")
    visitor.page.locator("form[action='/transfers/new']").evaluate("form => form.noValidate = true")
    visitor.page.fill("#priority", "12")
    visitor.page.fill("[id='retry.attempts_max']", "0")
    visitor.page.click("form[action='/transfers/new'] button.primary")
    told = visitor.page.locator("[role=alert] li").all_inner_texts()
    assert told == ["Priority (0–9): must be 9 or less", "Attempts at most: must be 1 or more"]
    assert visitor.page.input_value("#name") == "every night"
    visitor.page.fill("#priority", "9")
    visitor.page.fill("[id='retry.attempts_max']", "7")
    visitor.page.click("form[action='/transfers/new'] button.primary")
    assert "25" in visitor.page.locator("[role=alert]").inner_text()
    visitor.page.fill("[id='schedule.cron']", "30 1 * * *")
    visitor.page.fill("[id='window.start']", "01:00")
    visitor.page.fill("[id='window.end']", "05:00")
    visitor.page.select_option("[id='window.days']", "working")
    visitor.page.select_option("#apply", "history")
    visitor.page.fill("#rate_limit_rows_per_second", "5000")
    visitor.page.fill("[id='to.table']", "kept")
    visitor.page.click("form[action='/transfers/new'] button.primary")
    visitor.page.wait_for_url("**/transfers/*done=task")
    made = console.city.hub.exchange.tasks(department=EDUCATION.code, limit=1).rows[0]
    assert (made.name, made.apply, made.target_table) == ("every night", ApplyMode.HISTORY, "kept")
    assert made.schedule == Schedule(cron="30 1 * * *")
    assert made.window == Window(start="01:00", end="05:00", days=Days.WORKING)
    assert (made.priority, made.retry.attempts_max, made.rate_limit_rows_per_second) == (9, 7, 5000)
    console.city.hub.exchange.end(made.id, actor=console.city.people["education.officer"].actor)
    assert all("422" in line for line in visitor.complaints)
    visitor.close()


def test_a_transfer_that_failed_for_good_is_told_to_both_departments(console: ServedCity, browser: Browser) -> None:
    exchange, city = console.city.hub.exchange, console.city
    task = next(one for one in city.tasks if one.consumer == EDUCATION.code and one.provider == POLICE.code)
    producer = Actor(kind=ActorKind.NODE, id=task.producer_node, department=task.provider)
    words = Text(zh="数据库拒绝了读取。", en="The database refused to be read.")
    run = exchange.request_run(task.id, actor=producer).run_requested
    failure = Failure(end=TransferEnd.PRODUCER, code="adapters.refused", what=words, remedy=words, transient=False)
    while exchange.runs.fail(task.id, run, failure, actor=producer).state is not RunState.FAILED:
        pass
    for username, language in (("police.officer", "zh"), ("education.officer", "en")):
        visitor = Visitor(browser, console.url, language=language)
        visitor.sign_in(username, PASSWORD)
        visitor.open("/")
        duty = visitor.page.locator(f"#duties .duty:has(a[href='/transfers/{task.id}/runs'])")
        assert words.render(Language(language)) in duty.inner_text()
        duty.locator("a").click()
        visitor.page.wait_for_url(f"**/transfers/{task.id}/runs")
        visitor.close()
    # The operator's workbench has it, too, with the click that helps.
    visitor = Visitor(browser, console.url, language="en")
    visitor.sign_in("operator", PASSWORD)
    trouble = visitor.page.locator(f"#troubles li:has(a[href='/transfers/{task.id}/runs'])")
    assert words.en in trouble.inner_text()
    assert trouble.locator("form button").inner_text() == "Run again"
    assert visitor.complaints == []
    visitor.close()
    # Its second click runs it again.
    visitor = Visitor(browser, console.url)
    visitor.sign_in("education.officer", PASSWORD)
    visitor.page.click(f"#duties a[href='/transfers/{task.id}/runs']")
    visitor.page.click("button[value=run]")
    visitor.page.wait_for_url(f"**/transfers/{task.id}?done=task_run")
    assert visitor.complaints == []
    visitor.close()
    again = exchange.progress(task.id).run_requested
    assert again == run + 1
    exchange.runs.cancel(task.id, again, actor=producer)


def test_a_resource_is_published_in_seven_clicks_of_three_people(console: ServedCity, browser: Browser) -> None:
    """docs/console.md, first task: from an inventory's draft, each begins at the own workbench."""
    catalogue = console.city.hub.catalogue
    content = console.city.resources[Source.PROPERTY].content
    assert content.binding is not None
    bound = content.model_copy(
        update={
            "binding": content.binding.model_copy(update={"table": "draft_for_days"}),
            "title": Text(zh="在校生住房信息", en="Homes of pupils"),
            "sign_off": None,
        }
    )
    draft = catalogue.draft(EDUCATION.code, bound, console.city.people["education.officer"].actor)
    ways = (
        ("education.head", "", ("button:text-is('负责人签批')",)),
        ("education.officer", "", ("button:text-is('提交审核')",)),
        ("authority", "/review", ("button[value=approve]", "button:text-is('发布')")),
    )
    clicks = 0
    for username, page, buttons in ways:
        visitor = Visitor(browser, console.url)
        visitor.sign_in(username, PASSWORD)
        visitor.page.click(f"#duties a[href='/catalogue/{draft.id}{page}']")
        for button in buttons:
            if visitor.page.locator("#position").count():
                visitor.page.fill("#position", "局长")
            visitor.page.click(button)
            visitor.page.wait_for_url(f"**/catalogue/{draft.id}?done=resource")
        clicks += 1 + len(buttons)
        assert visitor.complaints == []
        visitor.close()
    assert catalogue.get(draft.id).state is ResourceState.PUBLISHED
    assert clicks == 7


def test_a_reported_error_is_answered_in_two_clicks(console: ServedCity, browser: Browser) -> None:
    report = console.city.corrections[1]
    visitor = Visitor(browser, console.url)
    visitor.sign_in("police.officer", PASSWORD)
    visitor.page.click(f"#duties a[href='/corrections/{report.id}']")
    visitor.page.click("button[value=accept]")
    visitor.page.wait_for_url("**done=*")
    assert console.city.hub.corrections.get(report.id).state is CorrectionState.ACCEPTED
    assert visitor.complaints == []
    visitor.close()


def test_only_who_can_act_is_given_duties(console: ServedCity, browser: Browser) -> None:
    for username, has_duties, may_request in (("authority", True, True), ("auditor", False, False)):
        visitor = Visitor(browser, console.url)
        visitor.sign_in(username, PASSWORD)
        visitor.open("/")
        assert (visitor.page.locator("#duties .duty").count() > 0) is has_duties
        assert (visitor.page.locator(".starts a[href='/requests/new']").count() > 0) is may_request
        visitor.close()


def test_an_officer_offers_a_resource_live_and_ends_it(console: ServedCity, browser: Browser) -> None:
    officer = Visitor(browser, console.url)
    officer.sign_in("police.officer", PASSWORD)
    officer.open("/live")
    assert officer.unlabelled() == []
    officer.page.fill("#timeout_milliseconds", "1500")
    officer.page.click("form[action='/live'] button[type=submit]")
    officer.page.wait_for_url("**/live?done=live")
    row = officer.page.locator("#live tbody tr")
    assert row.count() == 1
    assert "1,500" in row.inner_text()
    for width in (1280, 360):
        officer.page.set_viewport_size({"width": width, "height": 900})
        assert officer.overflowing() == []
    officer.page.click("form[action='/live/end'] button")
    officer.page.wait_for_url("**/live?done=live_ended")
    assert officer.page.locator("#live tbody tr").count() == 0
    assert officer.complaints == []
    officer.close()


def test_from_i_need_this_to_the_first_answer(console: ServedCity, browser: Browser) -> None:
    """docs/sharing/first-answer.md, step by step: a new user, an unconditional resource, one sitting."""
    city = console.city
    resource = city.resources[Source.RESIDENTS]
    citizen = city.people["citizen"].subject_id
    assert citizen is not None
    visitor = Visitor(browser, console.url)
    page = visitor.page
    visitor.sign_in("social.officer", PASSWORD)
    # 1. Find it.
    visitor.open("/catalogue")
    page.fill("input[type=search][name=q]", "常住人口")
    page.keyboard.press("Enter")
    page.click(f"#results a[href='/catalogue/{resource.id}']")
    # 2. Ask.
    page.click("main a.button.primary:has-text('申请使用')")
    for item in resource.content.items[:3]:
        page.check(f"input[name=items][value$='::{item.column}']")
    page.fill("#legal_basis", "《社会保险法》第五十七条")
    page.fill("#scene", "参保登记")
    page.fill("#scope", "参保登记窗口")
    page.fill("#service_item", "社会保险登记")
    page.click("button:has-text('提交申请')")
    page.wait_for_url("**/requests/*done=requested")
    # 3. See it granted.
    page.click("a:has-text('查看协议')")
    agreement_id = AgreementId(page.url.rsplit("/", 1)[1])
    # 4. Confirm; the nodes sign by themselves.
    page.click("button:has-text('确认条款')")
    page.wait_for_url("**done=confirmed")
    page.click("a.button:has-text('试用接口')")
    assert page.locator("#waiting").count() == 1
    for node in (city.nodes["police"], city.nodes["social"]):
        (waiting,) = [one for one in city.hub.agreements.to_sign(node.member.code) if one.id == agreement_id]
        signature = node.signer.sign(waiting.signing_bytes())
        city.hub.agreements.sign(agreement_id, key_id=node.signer.key_id, signature=signature, actor=node.actor)
    page.wait_for_selector("#waiting", state="detached")
    # 5. Try it.
    column = next(item.column for item in resource.content.items if item.element == "citizen_id")
    page.select_option("#key", column)
    page.fill("#value", citizen)
    page.fill("#case_number", "2026-0001")
    for item in resource.content.items[:3]:
        page.check(f"input[name=columns][value='{item.column}']")
    page.click("button:has-text('查询')")
    answer = page.locator("#answer tbody")
    answer.locator("tr").nth(2).wait_for()
    page.wait_for_load_state()
    assert answer.locator("tr").count() == 3
    assert citizen not in answer.inner_text(), "masked as agreed"
    # 6. The same call for programs.
    assert f"/gateway/v1/{resource.id}/query" in page.locator("pre.code").inner_text()
    uses = [one.use for one in city.hub.own_uses.of(citizen)]
    assert (uses[0].service_item, uses[0].case_number) == ("社会保险登记", "2026-0001")
    assert visitor.complaints == []
    visitor.close()


def test_after_these_days_the_database_says_what_the_log_says(console: ServedCity) -> None:
    while console.city.hub.ledger.integrate():
        pass
    report = console.city.hub.ledger.fsck(AREAS)
    assert report.faults == ()
    assert {name for name, count in report.compared.items() if not count} <= UNSEEN
    assert "✓" in lines(report)[-1]
