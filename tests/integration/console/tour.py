"""Walks through a running console: python -m tests.integration.console.tour ADDRESS PASSWORD FOLDER.

Signs in as each account of the demo (`datong demo` prints address and password), follows the links of every page, and
photographs each kind of page that it meets, whole and at 1280 px, in both languages.
"""

import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.integration.console.browser import Visitor, chromium

SETTLED_MS = 700
LINKS = "() => [...document.querySelectorAll('a[href]:not([download])')].map((link) => link.getAttribute('href'))"
BEGINNINGS = {
    "": ["/sign-in", "/open", "/open?q=%E4%B8%8D%E5%AD%98%E5%9C%A8%E7%9A%84", "/open/nothing"],
    "authority": [
        "/",
        "/catalogue?q=%E6%88%B7%E7%B1%8D",
        "/catalogue?q=%E4%B8%8D%E5%AD%98%E5%9C%A8%E7%9A%84",
        "/library/population?q=%E9%99%88",
        "/governance?kind=quarter",
        "/no-such-page",
        "/requests/nothing",
        "/me",
    ],
    "education.clerk": ["/", "/requests/new?q=%E6%88%B7%E7%B1%8D", "/requests?show=sent", "/departments"],
    "estate.officer": ["/", "/requests?show=received", "/catalogue/work"],
    "operator": ["/", "/transfers", "/departments"],
    "auditor": ["/", "/evidence"],
    "citizen": ["/me", "/"],
}
NOT_PAGES = ("/api/", "/log/", "/static/")


def kind_of(address: str) -> str:
    """Return what pages of the same kind have in common: the path with ids left out, and the parameters' names."""
    parts = urlsplit(address)
    path = re.sub(r"/(?=[^/]*\d)[^/]{6,}|(?<=/indicators)/\w+", "/*", parts.path)
    return path + "?" + ",".join(sorted(name for name, _ in parse_qsl(parts.query)))


def tour(visitor: Visitor, username: str, folder: Path, language: str, taken: set[str]) -> None:
    """Photograph what an account can reach of the kinds of pages that nobody before it has `taken`."""
    beginnings = BEGINNINGS[username]
    waiting, seen = list(beginnings), set(beginnings)
    while waiting:
        address = waiting.pop(0)
        kind = kind_of(address)
        if address not in beginnings and kind in taken:
            continue
        taken.add(kind)
        status = visitor.open(address)
        visitor.page.wait_for_timeout(SETTLED_MS)
        name = re.sub(r"[^\w=.-]+", "-", address.strip("/") or "home")[:90]
        visitor.page.screenshot(path=str(folder / f"{username or 'visitor'}~{name}.{language}.png"), full_page=True)
        print(status, username, address, *visitor.overflowing())
        for link in visitor.page.evaluate(LINKS):
            if link.startswith("/") and not link.startswith(NOT_PAGES) and link not in seen:
                seen.add(link)
                waiting.append(link)


def main(hub: str, password: str, folder: Path) -> None:
    """Walk through the console as everybody, in both languages."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for language in ("zh", "en"):
            taken: set[str] = set()
            for username in BEGINNINGS:
                visitor = Visitor(browser, hub, language=language)
                if username:
                    visitor.sign_in(username, password)
                tour(visitor, username, folder, language, taken)
                visitor.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
