"""Sign-in by a real identity provider (the npm package oidc-provider): in, linked, with new keys, out, in Chromium."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from datong.kernel import PLATFORM_ACTOR
from datong.ledger import EntryKind
from datong.sharing import Role, SignInMethod
from datong.web.problems import LANGUAGE_COOKIE
from tests.free_ports import free_port
from tests.integration.console.browser import Visitor
from tests.integration.web.conftest import EDUCATION, PASSWORD, RunningHub, running_hub, with_axe
from tests.integration.web.identity_providers import (
    CLIENT_ID,
    CLIENT_SECRET,
    identity_provider,
    sign_in_there,
)
from tests.new_control import new_control

DECLARED = """
providers:
  - id: city
    name: {{zh: 市统一身份认证, en: City sign-in}}
    issuer: http://127.0.0.1:{port}
    client_id: {client}
    client_secret: "{secret}"
    claim: employee_number
"""


@pytest.fixture
def provided(tmp_path: Path) -> Iterator[tuple[RunningHub, int]]:
    """Yield a hub that knows a provider, and the port at which that may be started."""
    port = free_port()
    file = tmp_path / "providers.yaml"
    file.write_text(DECLARED.format(port=port, client=CLIENT_ID, secret=CLIENT_SECRET))
    file.chmod(0o600)
    database = new_control(tmp_path)
    chosen: dict[str, Any] = {"oidc_providers": file, "oidc_private": True}
    with closing(database), running_hub(database, tmp_path / "hub", with_axe, **chosen) as hub:
        for username in ("e1001", "li"):
            hub.services.identity.create_account(
                username=username,
                password=PASSWORD,
                name=username,
                roles=frozenset({Role.DATA_OFFICER}),
                department=EDUCATION,
                actor=PLATFORM_ACTOR,
            )
        yield hub, port


def through(hub: RunningHub, login: str, start: str = "/sign-in/with/city", language: str = "zh") -> httpx.Response:
    """Go to the provider and back as a browser does; return the hub's answer to what it brings."""
    with httpx.Client(follow_redirects=False, timeout=60, cookies={LANGUAGE_COOKIE: language}) as browser:
        if start.startswith("/account"):
            sent = browser.post(
                f"{hub.url}/sign-in",
                data={"username": "li", "password": PASSWORD},
                headers={"Origin": hub.url},
            )
            assert sent.status_code == 303
        there = browser.get(f"{hub.url}{start}")
        assert there.status_code == 303, there.text
        return browser.get(sign_in_there(browser, there.headers["location"], login))


def test_a_real_provider_lets_people_in(provided: tuple[RunningHub, int], browser: Browser) -> None:
    hub, port = provided
    identity, links = hub.services.identity, hub.services.identity_links
    # A provider that is away lets nobody in, and takes nothing else away.
    with hub.client() as visitor:
        away = visitor.get("/sign-in/with/city", headers={"Accept": "text/html"})
        assert (away.status_code, "City sign-in" in away.text or "市统一身份认证" in away.text) == (424, True)
    with identity_provider(port, hub.url):
        back = through(hub, "wang", "/sign-in/with/city?next=/catalogue")
        assert (back.status_code, back.headers["location"]) == (303, "/catalogue")
        [one] = identity.sessions(identity.account_of("e1001").id)
        assert (one.method, one.provider, one.address) == (SignInMethod.OIDC, "city", "127.0.0.1")
        # Nobody is let in who has no account here, and the page says what to do, in both languages.
        for language, words in (("zh", "没有您的账号"), ("en", "you have no account here")):
            refused = through(hub, "zhao", language=language)
            assert (refused.status_code, words in refused.text) == (403, True)
        # Somebody else links their account under another name than the provider knows.
        assert through(hub, "li", "/account/links/city").headers["location"] == "/account?done=identity_linked"
        assert through(hub, "li").status_code == 303
        assert [(link.username, link.subject) for link in links.of()] == [("e1001", "wang"), ("li", "li")]
    # The provider comes back with other keys.
    hub.services.openid._cache._known["city"].keys_at -= 60  # noqa: SLF001
    with identity_provider(port, hub.url):
        assert through(hub, "wang").status_code == 303
        _in_a_browser(hub, browser)
    account = identity.account_of("e1001")
    steps = [
        entry.facts["step"] for entry in hub.services.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id).rows
    ]
    assert steps == ["sign_in", "sign_in", "sign_in", "link", "open"]


def _in_a_browser(hub: RunningHub, browser: Browser) -> None:
    """The policy for pages lets people go and come back; the pages are accessible; signing out there is offered."""
    visitor = Visitor(browser, hub.url, language="en")
    page = visitor.page
    visitor.open("/sign-in")
    assert visitor.barriers() == []
    page.click("text=Sign in by City sign-in")
    page.fill("input[name=login]", "wang")
    page.fill("input[name=password]", "any")
    # Each by its own words: a second click must not meet the first page once more.
    page.click("button:text-is('Sign-in')")
    page.click("button:text-is('Continue')")
    page.wait_for_url(f"{hub.url}/")
    visitor.open("/account")
    assert "identity provider" in page.locator(".duty").first.inner_text()
    assert "Linked identities" in page.inner_text("#content")
    assert visitor.barriers() == []
    page.click("form[action='/sign-out'] button")
    page.wait_for_url("**/signed-out?provider=city")
    assert visitor.barriers() == []
    page.click("text=Sign out of City sign-in")
    page.click("button[value=yes]")
    page.wait_for_url(f"{hub.url}/sign-in")
    visitor.close()
