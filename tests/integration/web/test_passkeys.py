"""Passkeys in Chromium, with its virtual authenticator: added, used alone, asked for besides a password, removed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession

from datong.kernel import PLATFORM_ACTOR
from datong.ledger import EntryKind
from datong.sharing import Role, SignInMethod
from tests.integration.console.browser import Visitor
from tests.integration.web.conftest import EDUCATION, PASSWORD, RunningHub, running_hub, with_axe
from tests.new_control import new_control

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def named(tmp_path: Path) -> Iterator[RunningHub]:
    """Yield a hub that is reached by a name, with an officer's account."""
    database = new_control(tmp_path)
    with closing(database), running_hub(database, tmp_path / "hub", with_axe, host="localhost") as hub:
        for username in ("wang", "li"):
            hub.services.identity.create_account(
                username=username,
                password=PASSWORD,
                name=username,
                roles=frozenset({Role.DATA_OFFICER}),
                department=EDUCATION,
                actor=PLATFORM_ACTOR,
            )
        yield hub


def authenticator(visitor: Visitor) -> tuple[CDPSession, str]:
    """Give a window a device of its own that sees its owner; return how to speak with it, and its id."""
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return session, str(added["authenticatorId"])


def test_a_passkey_in_the_browser_from_its_first_use_to_its_removal(named: RunningHub, browser: Browser) -> None:
    services = named.services
    visitor = Visitor(browser, named.url, language="en")
    page = visitor.page
    devices, device = authenticator(visitor)
    # Added on the account's page, under a name.
    visitor.sign_in("wang", PASSWORD)
    visitor.open("/account")
    assert visitor.barriers() == []
    page.click("a[href='/account/passkeys/new']")
    page.fill("#passkey-name", "Laptop")
    assert visitor.barriers() == []
    page.click("#passkey-form button")
    page.wait_for_url("**/account?done=passkey_added")
    assert "Laptop" in page.inner_text("#content")
    assert "not used yet" in page.inner_text("#content")
    # The same device is not added twice; the page says so and stays usable.
    visitor.open("/account/passkeys/new")
    page.fill("#passkey-name", "Again")
    page.click("#passkey-form button")
    page.wait_for_selector("#passkey-said:not([hidden])")
    assert "known already" in page.inner_text("#passkey-said")
    assert visitor.barriers() == []
    page.click("form[action='/sign-out'] button")
    page.wait_for_url("**/sign-in")
    # Alone: no username, no password.
    visitor.open("/sign-in?next=/account")
    page.click("text=Sign in by a passkey")
    page.wait_for_url("**/sign-in/passkey?next=**")
    assert visitor.barriers() == []
    page.click("#passkey-form button")
    page.wait_for_url("**/account")
    assert "last used" in page.inner_text("#content")
    wang = services.identity.account_of("wang")
    assert services.identity.sessions(wang.id)[0].method is SignInMethod.PASSKEY
    # Whom the device does not see stays outside, and may try again.
    page.click("form[action='/sign-out'] button")
    page.wait_for_url("**/sign-in")
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    visitor.open("/sign-in/passkey")
    page.click("#passkey-form button")
    page.wait_for_selector("#passkey-said:not([hidden])")
    assert visitor.barriers() == []
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    # Besides a password, where the role wants that; whoever has no key yet makes one on the way in.
    both = frozenset({SignInMethod.PASSWORD_PASSKEY})
    services.sign_in_rules.set(Role.DATA_OFFICER, both, actor=PLATFORM_ACTOR)
    visitor.open("/sign-in?next=/account")
    page.fill("#username", "wang")
    page.fill("#password", PASSWORD)
    page.click("form[action='/sign-in'] button[type=submit]")
    page.wait_for_url("**/sign-in/second")
    assert "needs your passkey as well" in page.inner_text("#content")
    assert visitor.barriers() == []
    page.click("#passkey-form button")
    page.wait_for_url("**/account")
    assert services.identity.sessions(wang.id)[0].method is SignInMethod.PASSWORD_PASSKEY
    other = Visitor(browser, named.url)
    authenticator(other)
    other.open("/sign-in")
    other.page.fill("#username", "li")
    other.page.fill("#password", PASSWORD)
    other.page.click("form[action='/sign-in'] button[type=submit]")
    other.page.wait_for_url("**/sign-in/second")
    assert "登记通行密钥" in other.page.inner_text("#content")
    assert other.barriers() == []
    other.page.click("#passkey-form button")
    other.page.wait_for_url(f"{named.url}/")
    assert services.passkeys.of(services.identity.account_of("li").id)[0].name == "我的设备"
    with named.client() as program:
        refused = program.post("/api/v1/session", json={"username": "li", "password": PASSWORD})
        assert (refused.status_code, refused.json()["code"]) == (403, "sharing.method_insufficient")
    # Removed: sessions that began by it end, this one too.
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("form[action^='/account/passkeys/'][action$='/end'] button")
    page.wait_for_url("**/sign-in?next=**")
    entries = services.ledger.entries(kind=EntryKind.ACCOUNT, subject=wang.id).rows
    assert [entry.facts["step"] for entry in entries][:2] == ["passkey_remove", "sign_in"]
    # The stream of live updates may ask once more while the session is being ended.
    complaints = [one for one in visitor.complaints + other.complaints if "401" not in one]
    assert (complaints, visitor.strays, other.strays) == ([], [], [])
    visitor.close()
    other.close()
