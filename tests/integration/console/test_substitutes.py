"""A colleague goes away: appointed, accepted, acted for, withdrawn, as both see it."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser

from datong.kernel import CHINA
from datong.ledger import EntryKind
from tests.integration.console.browser import Visitor
from tests.integration.console.city import PASSWORD
from tests.integration.console.conftest import ServedCity

pytestmark = pytest.mark.parametrize("console", ["postgresql"], indirect=True, scope="session")


def test_a_substitute_is_appointed_acts_under_a_banner_and_stops_when_withdrawn(
    console: ServedCity, browser: Browser
) -> None:
    city = console.city
    officer_account, clerk_account = (city.people[name] for name in ("education.officer", "education.clerk"))
    officer, clerk = Visitor(browser, console.url), Visitor(browser, console.url, language="en")
    officer.sign_in("education.officer", PASSWORD)
    clerk.sign_in("education.clerk", PASSWORD)
    officer.open("/account")
    officer.page.click("a[href='/account/substitutes']")
    officer.page.select_option("#own-substitute", clerk_account.actor.id)
    until = (city.hub.clock.now().astimezone(CHINA).date() + timedelta(days=2)).isoformat()
    officer.page.fill("#own-last", until)
    officer.page.fill("#own-reason", "年休假")
    officer.page.click("form[action='/account/substitutes'] button")
    officer.page.wait_for_url("**done=substitute_proposed")
    # Nothing is lent before the colleague agrees.
    clerk.open("/")
    assert "asks you to stand in" in clerk.page.locator(".acting").inner_text()
    clerk.page.click(".acting a")
    clerk.page.click("form[action$='/accept'] button")
    clerk.page.wait_for_url("**done=substitute_accept")
    clerk.open("/")
    duties = clerk.page.locator("#duties .duty").count()
    waiting = clerk.page.locator(".acting").inner_text()
    assert "You stand in for" in waiting
    assert f"until {until}" in waiting
    assert clerk.barriers() == []
    clerk.page.click(".acting button")
    clerk.page.wait_for_selector(".acting form[action='/account/acting']:not(:has(input))")
    assert "You act for" in clerk.page.locator(".acting").inner_text()
    officer.open("/")
    theirs = officer.page.locator("#duties .duty").count()
    assert clerk.page.locator("#duties .duty").count() == theirs > duties
    # What is done now says for whom.
    clerk.page.click("form[action='/catalogue/new'] button")
    clerk.page.wait_for_url("**/catalogue/*/edit")
    entry = city.hub.ledger.entries(kind=EntryKind.CATALOGUE_STEP, limit=1).rows[0]
    assert (entry.actor.id, entry.facts["acting_for"]) == (clerk_account.actor.id, officer_account.actor.id)
    assert clerk.page.locator(".acting").count() == 1
    assert clerk.overflowing() == []
    officer.open("/account/substitutes")
    assert officer.page.locator(".badge.good").count() == 1
    officer.page.once("dialog", lambda dialog: dialog.accept())
    officer.page.click("form[action$='/withdraw'] button")
    officer.page.wait_for_url("**done=substitute_withdraw")
    clerk.open("/")
    assert clerk.page.locator(".acting").count() == 0
    assert clerk.page.locator("#duties .duty").count() == duties
    steps = [entry.facts["step"] for entry in city.hub.ledger.entries(kind=EntryKind.DELEGATION, limit=3).rows]
    assert steps == ["withdraw", "accept", "propose"]
    assert officer.complaints == clerk.complaints == []
    officer.close()
    clerk.close()
