"""The help: the site of the documentation as the hub serves it, and which section of it each page means by its `?`."""

from functools import cache, lru_cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from datong.kernel import Language, NotFound, Text
from datong.web.console.desk import environment
from datong.web.console.texts import Speech
from datong.web.manual import DOCS, HELP_PATH, Asset, Site
from datong.web.problems import language_of
from datong.web.routing import unlisted_routes

router = unlisted_routes(HELP_PATH)

CACHED_FILES_MAX = 128
"""How many files of the site a process keeps; the largest, the words of a search, have a megabyte."""
FRESH_SECONDS = 600


@router.get("")
def first_page(request: Request) -> Response:
    """Lead to the first page in the caller's language."""
    return RedirectResponse(f"{HELP_PATH}/{language_of(request).value}/index.html", status_code=307)


@router.get("/{address:path}")
def file(address: str) -> Response:
    """Return a file of the site; the same for everybody.

    Raises:
        NotFound: it has none there.
    """
    found = _file(address)
    if found is None:
        raise NotFound(
            "web.help_unknown",
            what=Text(zh="帮助里没有这一页。", en="The help has no such page."),
            remedy=Text(zh="请从帮助的第一页找起。", en="Begin at the first page of the help."),
        )
    headers = {"Cache-Control": f"public, max-age={FRESH_SECONDS}"}
    return Response(found.body, media_type=found.media_type, headers=headers)


def site_of(folder: Path) -> Site:
    """Return the site of a folder of Markdown."""
    return Site(folder, _page)


@cache
def help_site() -> Site:
    """Return the site of the documentation of this installation."""
    return site_of(DOCS)


@lru_cache(CACHED_FILES_MAX)
def _file(address: str) -> Asset | None:
    return help_site().file(address)


def _page(*, language: Language, **parts: object) -> str:
    speech = Speech(language)
    template = environment().get_template("help/page.html")
    return template.render(t=speech.t, say=speech.say, lang=language.value, **parts)
