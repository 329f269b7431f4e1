"""What is new: an Atom feed (RFC 4287), the sitemap for search engines, and robots.txt."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated
from xml.sax.saxutils import escape, quoteattr

from fastapi import Path, Request
from fastapi.responses import Response

from datong.catalogue import OpenResource, Publisher
from datong.kernel import DepartmentCode, NotFound, Text
from datong.sharing.wishes import Wish
from datong.web.authentication import Hub
from datong.web.open.answers import public_answer, reading
from datong.web.open.dcat import ABOUT, TITLE
from datong.web.open.rdf import clean
from datong.web.routing import machine_routes

router = machine_routes(tag="open catalogue")

FEED_ENTRIES = 50
SITEMAP_ADDRESSES = 10_000
"""Addresses in one file of the sitemap; the protocol allows 50,000."""
SITEMAPS_MAX = 50_000
ATOM = "application/atom+xml; charset=utf-8"
XML = "application/xml; charset=utf-8"
SITEMAP_SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
ROBOTS = (
    "User-agent: *",
    "Allow: /open",
    "Allow: /catalog",
    "Allow: /api/3/",
    "Allow: /api/action/",
    "Allow: /static/",
    "Allow: /sitemap",
    "Disallow: /",
)


@reading(router, "/open/feed.atom", media_types=[ATOM])
def feed(request: Request, hub: Hub) -> Response:
    """Return what was opened or changed last, newest first, as an Atom feed."""
    newest = hub.open_catalogue.find(limit=FEED_ENTRIES).rows
    publishers = {entry.department.code: entry for entry in hub.open_catalogue.publishers()}
    body = "".join(_atom(newest, publishers, hub.settings.base_url)).encode()
    return public_answer(request, body, media_type=ATOM, modified=newest[0].changed_at if newest else None)


@reading(router, "/open/demand/feed.atom", media_types=[ATOM])
def wishes_feed(request: Request, hub: Hub) -> Response:
    """Return the newest wishes on the demand wall, with what came of each, as an Atom feed."""
    newest = sorted(hub.wishes.find(limit=FEED_ENTRIES).rows, key=lambda wish: wish.changed_at, reverse=True)
    body = "".join(_atom_of_wishes(newest, hub.settings.base_url)).encode()
    return public_answer(request, body, media_type=ATOM, modified=newest[0].changed_at if newest else None)


@reading(router, "/sitemap.xml", in_schema=False)
def sitemap(request: Request, hub: Hub) -> Response:
    """Return the index of the sitemap's files."""
    base = hub.settings.base_url
    files = max(1, -(-hub.open_catalogue.count() // SITEMAP_ADDRESSES))
    lines = "".join(
        f"<sitemap><loc>{escape(f'{base}/sitemap/{number}.xml')}</loc></sitemap>\n" for number in range(1, files + 1)
    )
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<sitemapindex xmlns="{SITEMAP_SPACE}">\n{lines}</sitemapindex>\n'
    return public_answer(request, body.encode(), media_type=XML)


@reading(router, "/sitemap/{number}.xml", in_schema=False)
def sitemap_file(request: Request, hub: Hub, number: Annotated[int, Path(ge=1, le=SITEMAPS_MAX)]) -> Response:
    """Return one file of the sitemap: pages of open resources and when they changed.

    Raises:
        NotFound: there are not so many.
    """
    base = hub.settings.base_url
    changes = hub.open_catalogue.changes(offset=(number - 1) * SITEMAP_ADDRESSES, limit=SITEMAP_ADDRESSES)
    if number > 1 and not changes:
        raise NotFound(
            "web.sitemap_not_found",
            what=Text(zh="站点地图没有这么多文件。", en="The sitemap has not so many files."),
            remedy=Text(zh="文件列在 /sitemap.xml。", en="The files are listed in /sitemap.xml."),
        )
    found = [f"<url><loc>{escape(base)}/open</loc></url>\n"] if number == 1 else []
    found += [
        f"<url><loc>{escape(base)}/open/{escape(key)}</loc><lastmod>{_time(at)}</lastmod></url>\n"
        for key, at in changes
    ]
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{SITEMAP_SPACE}">\n{"".join(found)}</urlset>\n'
    return public_answer(request, body.encode(), media_type=XML)


@reading(router, "/robots.txt", in_schema=False)
def robots(request: Request, hub: Hub) -> Response:
    """Tell robots that the open catalogue is for them, and where its sitemap is."""
    body = "\n".join((*ROBOTS, f"Sitemap: {hub.settings.base_url}/sitemap.xml", ""))
    return public_answer(request, body.encode(), media_type="text/plain; charset=utf-8")


def _atom(newest: Sequence[OpenResource], publishers: dict[DepartmentCode, Publisher], base: str) -> Iterator[str]:
    updated = newest[0].changed_at if newest else datetime(1970, 1, 1, tzinfo=UTC)
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="zh">\n'
        f"<id>{escape(base)}/open/feed.atom</id>\n<title>{escape(TITLE.zh)} {escape(TITLE.en)}</title>\n"
        f"<subtitle>{escape(ABOUT.zh)}</subtitle>\n<updated>{_time(updated)}</updated>\n"
        f"<link rel={quoteattr('self')} href={quoteattr(f'{base}/open/feed.atom')}/>\n"
        f"<link href={quoteattr(f'{base}/open')}/>\n"
    )
    for resource in newest:
        content = resource.content
        page = f"{base}/open/{resource.id}"
        publisher = publishers.get(resource.department)
        author = publisher.department.name.zh if publisher else resource.department
        yield (
            f"<entry>\n<id>urn:uuid:{escape(resource.id)}</id>\n<title>{escape(clean(content.title.zh))}</title>\n"
            f"<published>{_time(resource.first_opened_at)}</published>\n<updated>{_time(resource.changed_at)}</updated>\n"
            f"<author><name>{escape(clean(author))}</name></author>\n<link href={quoteattr(page)}/>\n"
            f"<summary>{escape(clean(content.summary.zh or content.title.zh))}</summary>\n"
        )
        yield "".join(f"<category term={quoteattr(clean(word))}/>\n" for word in content.keywords if word.strip())
        yield "</entry>\n"
    yield "</feed>\n"


def _atom_of_wishes(newest: Sequence[Wish], base: str) -> Iterator[str]:
    updated = newest[0].changed_at if newest else datetime(1970, 1, 1, tzinfo=UTC)
    address = f"{base}/open/demand"
    yield (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="zh">\n'
        f"<id>{escape(address)}/feed.atom</id>\n<title>需求墙 Demand wall</title>\n"
        f"<updated>{_time(updated)}</updated>\n"
        f"<author><name>{escape(TITLE.zh)}</name></author>\n"
        f"<link rel={quoteattr('self')} href={quoteattr(f'{address}/feed.atom')}/>\n<link href={quoteattr(address)}/>\n"
    )
    for wish in newest:
        said = f"{wish.state.label.zh} {wish.state.label.en}：{wish.answer or wish.draft.purpose}"
        yield (
            f"<entry>\n<id>urn:uuid:{escape(wish.id)}</id>\n<title>{escape(clean(wish.draft.title))}</title>\n"
            f"<published>{_time(wish.made_at)}</published>\n<updated>{_time(wish.changed_at)}</updated>\n"
            f"<link href={quoteattr(f'{address}/{wish.id}')}/>\n<summary>{escape(clean(said))}</summary>\n"
            f"<category term={quoteattr(wish.state.value)}/>\n</entry>\n"
        )
    yield "</feed>\n"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
