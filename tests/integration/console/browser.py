"""Chromium for the console's tests: no network but the hub, and nothing missed that a page complains about."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

CHROMIUM = "/usr/bin/chromium"
HEIGHT = 900
PATIENCE_MILLISECONDS = 120_000
"""How long a page may take: a busy machine took longer than the thirty seconds that are Playwright's own limit."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    # Nothing is found but the hub. Playwright's own way to block would switch off the cache of scripts and styles.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    # No process of its own for drawing: it would pass on pictures that nobody looks at.
    "--in-process-gpu",
]
OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll('body *')]
    .filter((box) => box.getBoundingClientRect().right > width + 1 && !box.closest('.table, pre, .chart'))
    .slice(0, 5).map((box) => box.tagName + '.' + box.className + ' ' + box.textContent.trim().slice(0, 40));
}"""
UNLABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter((box) => !(box.labels && box.labels.length) && !box.getAttribute('aria-label'))
  .map((box) => box.outerHTML.slice(0, 90))"""

AXE = Path(str(files("axe_playwright_python") / "axe.min.js"))
AXE_ADDRESS = "/axe/axe.min.js"
"""Where a served city hands out axe: a script with an address is compiled once, one that is sent at every page."""
LOAD_AXE = """(address) => window.axe ? null : new Promise((done, failed) => {
  const script = document.createElement('script');
  Object.assign(script, { src: address, onload: () => done(null), onerror: failed });
  document.head.append(script);
})"""
BARRIERS = """async () => {
  const only = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] };
  const { violations } = await axe.run(document, { runOnly: only, resultTypes: ['violations'] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
    `${id} ${target.join(' ')} ${([...any, ...all, ...none][0] || {}).message || ''}`));
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """One person's browser window; keeps every complaint and every request that leaves the hub."""

    def __init__(
        self,
        browser: Browser,
        base_url: str,
        *,
        language: str = "zh",
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
    ) -> None:
        self.base_url, self.width = base_url, width
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme=scheme,
            # Pages are read once they stand still; moving charts took a processor that other tests wait for.
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(PATIENCE_MILLISECONDS)
        self.context.add_cookies([{"name": "datong_language", "value": language, "url": base_url}])
        self.complaints: list[str] = []
        self.strays: list[str] = []
        self.context.on("request", self._watch)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{self.page.url}: {message.text}") if message.type == "error" else None
            ),
        )

    def _watch(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.base_url).netloc:
            self.strays.append(request.url)

    def open(self, path: str) -> int:
        """Open a page of the hub and wait until its charts are drawn; return its status."""
        response = self.page.goto(self.base_url + path, wait_until="load")
        if self.page.locator("[data-chart]").count():
            self.page.wait_for_selector("[data-chart] svg")
        return response.status if response else 0

    def sign_in(self, username: str, password: str) -> None:
        """Sign in through the form."""
        self.open("/sign-in")
        self.page.fill("#username", username)
        self.page.fill("#password", password)
        self.page.click("form[action='/sign-in'] button[type=submit]")
        self.page.wait_for_url(lambda address: "/sign-in" not in address)

    def overflowing(self) -> list[str]:
        """Return what sticks out of the window."""
        found: list[str] = self.page.evaluate(OVERFLOWING)
        return found

    def unlabelled(self) -> list[str]:
        """Return form fields without a name."""
        found: list[str] = self.page.evaluate(UNLABELLED)
        return found

    def barriers(self) -> list[str]:
        """Return what axe finds against WCAG 2.2 A and AA on the page as it is now: rule, element, why."""
        self.page.evaluate(LOAD_AXE, AXE_ADDRESS)
        found: list[str] = self.page.evaluate(BARRIERS)
        return found

    def resize(self, width: int) -> None:
        """Give the window another width, unless it has it."""
        if width != self.width:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            self.width = width

    def close(self) -> None:
        """Close the window."""
        self.context.close()
