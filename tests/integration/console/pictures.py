"""The pictures of the documentation: which page each shows, as whom, and what must still stand on that page.

`python -m tests.integration.console.screenshots` (`make pictures`) takes them from the seeded city into
docs/pictures/console, and notes the headings of parts that each shows: those without a number, since the
others count data, as the page's own heading often is data. `test_pages.py`, which opens each of these pages in both
languages, fails where a heading of a picture is no longer on its page: the picture is stale then.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from datong.demo.records import Source
from datong.governance import DutyKind
from datong.kernel import FindingId
from datong.kernel.limits import PAGE_ROWS_MAX
from tests.integration.console.browser import HEIGHT, Visitor
from tests.integration.console.conftest import ServedCity

FOLDER = Path(__file__).parents[3] / "docs" / "pictures" / "console"
NOTED = Path(__file__).with_name("pictures.json")
WIDTH, WINDOW = 1180, 1280
"""A page without its rail is then as wide as the column of the documentation, near enough to be read there."""
HEIGHT_MAX = 700
QUALITY, QUALITY_WHOLE = 74, 64
BYTES_MAX = 60_000
TOTAL_BYTES_MAX = 2_500_000
HEADINGS = """(bottom) => [...document.querySelectorAll('main h2')]
  .filter((one) => !one.closest('dialog, .tour') && one.checkVisibility())
  .filter((one) => one.getBoundingClientRect().bottom <= bottom)
  .map((one) => one.textContent)"""
BOX = """(top) => { const box = document.querySelector('main').getBoundingClientRect();
  return [box.left, Math.max(box.top, top), box.width, box.bottom]; }"""
SPACES = re.compile(r"\s+")


class Picture(NamedTuple):
    """A page as an account sees it; `whole`: with the console's frame around it, as the README shows it."""

    account: str
    address: Callable[[ServedCity], str]
    whole: bool = False


def _fixed(address: str) -> Callable[[ServedCity], str]:
    return lambda _: address


def _task(console: ServedCity) -> str:
    return f"/transfers/{console.city.tasks[0].id}"


def _agreement(console: ServedCity) -> str:
    return f"/agreements/{console.city.tasks[0].agreement_id}"


def _entity(console: ServedCity) -> str:
    found = console.city.hub.library.find_entities("population", "陈", limit=1)
    return f"/library/population/entities/{found[0].entity_id}"


def first_finding(console: ServedCity) -> FindingId:
    """Return the oldest finding about a request, which later ones do not replace."""
    return console.city.hub.monitor.findings(kind=DutyKind.REPLY, limit=PAGE_ROWS_MAX).rows[-1].finding.id


def _finding(console: ServedCity) -> str:
    return f"/governance/findings/{first_finding(console)}"


def _of(source: Source, before: str, after: str = "") -> Callable[[ServedCity], str]:
    return lambda console: f"{before}{console.city.resources[source].id}{after}"


PICTURES: Mapping[str, Picture] = {
    "dashboard": Picture("authority", _fixed("/"), whole=True),
    "performance": Picture("authority", _fixed("/governance")),
    "workbench": Picture("estate.officer", _fixed("/")),
    "search": Picture("authority", _fixed("/catalogue?q=%E6%88%B7%E7%B1%8D")),
    "review": Picture("authority", _of(Source.APPLICANTS, "/catalogue/", "/review")),
    "request": Picture("education.clerk", _of(Source.PROPERTY, "/requests/new?resource=")),
    "agreement": Picture("authority", _agreement),
    "transfers": Picture("authority", _fixed("/transfers")),
    "transfer": Picture("authority", _task),
    "golden-record": Picture("authority", _entity),
    "map": Picture("authority", _fixed("/library/geography/map")),
    "source": Picture("authority", _fixed("/sources/address")),
    "finding": Picture("authority", _finding),
    "operation": Picture("operator", _fixed("/")),
    "audit": Picture("auditor", _fixed("/")),
    "element": Picture("authority", _fixed("/norms/elements/citizen_id")),
    "open-resource": Picture("", _of(Source.DIVISIONS, "/open/")),
    "demand": Picture("", _fixed("/open/demand")),
    "my-data": Picture("citizen", _fixed("/me")),
}


def shown(console: ServedCity, username: str) -> Mapping[str, str]:
    """Return by address which picture shows the page to an account."""
    return {one.address(console): name for name, one in PICTURES.items() if one.account == username}


@cache
def noted() -> Mapping[str, list[str]]:
    """Return the headings that each picture shows, by its name and language (`workbench.zh`)."""
    known: dict[str, list[str]] = json.loads(NOTED.read_text(encoding="utf-8"))
    return known


def gone(visitor: Visitor, name: str, language: str) -> list[str]:
    """Return the headings that a picture shows and its page, which is open, has no more; then `make pictures`."""
    present = {_plain(text) for text in visitor.page.evaluate(HEADINGS, 10**6)}
    return [heading for heading in noted()[f"{name}.{language}"] if heading not in present]


def take(visitor: Visitor, name: str, language: str, folder: Path) -> list[str]:
    """Photograph the open page into `folder`; return the headings that the picture shows."""
    whole = PICTURES[name].whole
    visitor.resize(WINDOW if whole else WIDTH)
    visitor.page.wait_for_timeout(400)
    left, top, width, bottom = visitor.page.evaluate(BOX, 0)
    height = HEIGHT - 100 if whole else min(HEIGHT_MAX, bottom - top)
    clip = {"x": 0, "y": 0, "width": WINDOW} if whole else {"x": left, "y": top, "width": width}
    asked = {
        "format": "webp",
        "quality": QUALITY_WHOLE if whole else QUALITY,
        "clip": {**clip, "height": height, "scale": 1},
    }
    session = visitor.context.new_cdp_session(visitor.page)
    taken = session.send("Page.captureScreenshot", {**asked, "captureBeyondViewport": True})
    session.detach()
    (folder / f"{name}.{language}.webp").write_bytes(base64.b64decode(taken["data"]))
    found: list[str] = visitor.page.evaluate(HEADINGS, top + height)
    return [_plain(text) for text in found if not any(sign.isdigit() for sign in text)]


def _plain(text: str) -> str:
    """Return a heading as one line."""
    return SPACES.sub(" ", text).strip()
