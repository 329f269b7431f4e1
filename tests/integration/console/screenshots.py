"""Takes pictures of pages: python -m tests.integration.console.screenshots [FOLDER all].

Builds the seeded city in a temporary folder, serves it, and photographs pages in both languages: those of
`pictures.py` into docs/pictures/console (`make pictures`), or with `all` every page, whole, into FOLDER, to be looked
at.
"""

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from datong.adapters.directory_store import DirectoryStore
from datong.ledger import LogKeys, PinnedKeys, Witness
from tests.integration.console.browser import Visitor, chromium
from tests.integration.console.city import PASSWORD, ConsoleCity
from tests.integration.console.conftest import ServedCity, served
from tests.integration.console.pictures import FOLDER, NOTED, PICTURES, shown, take
from tests.integration.console.test_pages import paths

SETTLED_MS = 800


def main(folder: Path | None) -> None:
    """Take the documentation's pictures, or those of every page into `folder`."""
    with tempfile.TemporaryDirectory() as home:
        city = ConsoleCity(Path(home) / "hub")
        city.build()
        with served(city) as console, chromium() as browser:
            if folder is None:
                NOTED.write_text(json.dumps(_documented(console, browser), ensure_ascii=False, indent=1) + "\n")
            else:
                _everything(console, browser, folder)
        city.database.close()


def _documented(console: ServedCity, browser: Browser) -> dict[str, list[str]]:
    """Take the pictures of the documentation; return the headings that each shows."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    # Some of the pages have what is on them because it is made when their addresses are asked for.
    paths(console)
    _alive(console.city)
    found: dict[str, list[str]] = {}
    for language in ("zh", "en"):
        for username in dict.fromkeys(one.account for one in PICTURES.values()):
            visitor = _visitor(console, browser, username, language)
            for address, name in shown(console, username).items():
                assert visitor.open(address) == 200, address
                if visitor.page.locator("#tour-offer").count():
                    visitor.page.click("#tour-offer button[value=decline]")
                    visitor.open(address)
                found[f"{name}.{language}"] = take(visitor, name, language, FOLDER)
            visitor.close()
    return dict(sorted(found.items()))


def _alive(city: ConsoleCity) -> None:
    """Let every node call the hub and witness the log, so that the city looks like one that runs."""
    city.settle()
    tiles = DirectoryStore(city.home / "log")
    for node in city.nodes.values():
        city.hub.identity.heartbeat(node.id, "ok")
        keys = PinnedKeys(LogKeys(origin=city.settings.log_origin, newest=city.signer.public_key))
        memory = city.home / f"{node.member.key}-witness.json"
        witness = Witness(name=node.id, signer=node.signer, state_path=memory, clock=city.clock, keys=keys)
        note = witness.update(lambda name: city.hub.ledger.checkpoint() if name == "checkpoint" else tiles.read(name))
        assert note is not None
        city.hub.ledger.cosign(witness_name=node.id, witness_key=node.signer.public_key, note=note)


def _everything(console: ServedCity, browser: Browser, folder: Path) -> None:
    """Photograph every page, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for language in ("zh", "en"):
        for username, addresses in paths(console).items():
            visitor = _visitor(console, browser, username, language)
            for address in addresses:
                visitor.open(address)
                visitor.page.wait_for_timeout(SETTLED_MS)
                picture = folder / f"{username}{name_of(address)}.{language}.png"
                visitor.page.screenshot(path=str(picture), full_page=True)
            visitor.close()


def _visitor(console: ServedCity, browser: Browser, username: str, language: str) -> Visitor:
    visitor = Visitor(browser, console.url, language=language)
    if username:
        visitor.sign_in(username, PASSWORD)
    return visitor


def name_of(address: str) -> str:
    """Return a file name for an address."""
    return "".join(character if character.isalnum() else "-" for character in address)[:70]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[2:] == ["all"] else None)
