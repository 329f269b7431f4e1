"""Reads everything that anybody can read: every public route, every link, every search, page after page."""

import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, urlsplit

import httpx

PUBLIC_URL = "https://hub.example.cn"
"""The address under which the hubs of this folder say they are reached."""
ANSWERS_MAX = 6000
HELP = "/help/"
"""Files of the documentation, given by a handler that has no service to ask: their first page stands for them."""
_LINKS = re.compile(r"""(?:href|src|action|hx-get)=["']([^"'#]+)""")
_ADDRESSES = re.compile(re.escape(PUBLIC_URL) + r"[^\s\"'<>\\)]*")
VOLATILE_HEADERS = frozenset({"date", "x-request-id", "server"})
VOLATILE_PATHS = ("/healthz", "/log/", "/sign-in/passkey")
"""The time, the size of the log: they tell that something happened, never what (docs/adr/0021). And a challenge."""
SEARCHES = (
    "/open?q={}",
    "/open/suggestions?q={}",
    "/api/3/action/package_search?q={}",
    "/api/3/action/package_search?fq=tags:%22{}%22",
    "/api/3/action/package_search?fq=title:{}",
    "/api/3/action/package_search?fq=organization:{}",
    "/api/3/action/package_search?fq=id:{}",
    "/api/3/action/tag_list?query={}",
    "/api/action/package_show?id={}",
    "/api/3/action/organization_show?id={}",
    "/api/3/action/resource_show?id={}",
    "/open/{}",
    "/open/{}.json",
    "/open/{}.ttl",
)
"""Where a visitor can type something."""
SEEDS = (
    "/",
    "/open",
    "/open?offset=20",
    "/robots.txt",
    "/sitemap.xml",
    "/nothing/at/all",
    "/help",
    "/help/en/index.html",
    "/catalogue/{id}",
    "/api/v1/resources/{id}",
    "/api/3/action/package_search?rows=1000",
    '/api/3/action/package_search?rows=0&facet.limit=-1&facet.field=["organization","groups","tags","res_format","license_id"]',
    "/api/3/action/package_search?fq=metadata_modified:[NOW-9YEARS TO *]&rows=1000",
    "/api/3/action/package_search?q=-tags:x&rows=1000",
    "/api/3/action/package_search?fq=NOT organization:x&rows=1000",
    "/api/3/action/package_list",
    "/api/3/action/current_package_list_with_resources",
    "/api/3/action/organization_list?all_fields=true",
    "/api/3/action/group_list?all_fields=true",
    "/api/3/action/tag_list?all_fields=true",
    "/api/3/action/license_list",
    "/api/3/action/site_read",
    "/api/3/action/status_show",
)


class Crawl:
    """One walk through one hub without credentials; `answers` are the bytes by address."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    def walk(self, addresses: Iterable[str]) -> None:
        """Read addresses, and every address that an answer links, until nothing is new."""
        waiting = list(addresses)
        while waiting:
            address = waiting.pop()
            if address in self.answers or len(self.answers) >= ANSWERS_MAX:
                continue
            self.answers[address] = self.read(address)
            waiting.extend(found for found in self._links(address) if found not in self.answers)
        assert len(self.answers) < ANSWERS_MAX, "the crawl did not come to an end"

    def read(self, address: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one answer, without what is different each time."""
        answer = self._client.get(address)
        own = str(self._client.base_url).rstrip("/")
        headers = {
            name: value.replace(own, PUBLIC_URL)
            for name, value in answer.headers.items()
            if name not in VOLATILE_HEADERS
        }
        body = answer.content.replace(answer.headers["x-request-id"].encode(), b"REQUEST")
        return answer.status_code, headers, body

    def _links(self, address: str) -> Iterator[str]:
        status, headers, body = self.answers[address]
        if "location" in headers:
            yield from self._own(headers["location"], address)
        if status != 200 or not re.search(r"text|json|xml", headers.get("content-type", "")):
            return
        text = body.decode("utf-8", "replace")
        for found in _ADDRESSES.findall(text):
            yield from self._own(found, address)
        for found in _LINKS.findall(text):
            yield from self._own(html.unescape(found), address)

    @staticmethod
    def _own(found: str, base: str) -> Iterator[str]:
        if found.startswith(PUBLIC_URL):
            found = found.removeprefix(PUBLIC_URL) or "/"
        if found.startswith("?"):
            found = urlsplit(base).path + found
        if found.startswith("/") and not found.startswith(("//", HELP)):
            yield found.partition("#")[0]


def typed(word: str) -> Iterator[str]:
    """Yield every address that a visitor who knows `word` would try."""
    for template in SEARCHES:
        yield template.format(quote(word, safe=""))


def without_echo(answer: tuple[int, dict[str, str], bytes], word: str) -> tuple[int, dict[str, str], bytes]:
    """Return an answer with what merely repeats what was typed taken out, so that two words can be compared."""
    status, headers, body = answer
    text = body.decode("utf-8", "replace")
    for spelling in sorted(
        {word, quote(word, safe=""), quote(word), quote_plus(word), html.escape(word)}, key=len, reverse=True
    ):
        text = text.replace(spelling, "TYPED")
    kept = {name: value for name, value in headers.items() if name not in ("etag", "content-length")}
    return status, kept, text.encode()
