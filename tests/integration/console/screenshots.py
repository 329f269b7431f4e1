"""Takes the pictures of the documentation: python -m tests.integration.console.screenshots [folder] [all].

Builds the seeded city in a temporary folder, serves it, and photographs pages at 1280 px in both languages: those that
the README shows, or with `all` every page, to be looked at.
"""

import sys
import tempfile
from pathlib import Path

from tests.integration.console.browser import Visitor, chromium
from tests.integration.console.city import PASSWORD, ConsoleCity
from tests.integration.console.conftest import served
from tests.integration.console.test_pages import paths

FOLDER = Path(__file__).parents[3] / "docs" / "screenshots"
SHOWN = {"dashboard": "/", "performance": "/governance"}


def main(folder: Path, *, everything: bool) -> None:
    """Write the pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        city = ConsoleCity(Path(home) / "hub")
        city.build()
        with served(city) as console, chromium() as browser:
            wanted = paths(console) if everything else {"authority": list(SHOWN.values())}
            for language in ("zh", "en"):
                for username, addresses in wanted.items():
                    visitor = Visitor(browser, console.url, language=language)
                    if username:
                        visitor.sign_in(username, PASSWORD)
                    for address in addresses:
                        visitor.open(address)
                        visitor.page.wait_for_timeout(800)
                        name = name_of(address) if everything else name_of_shown(address)
                        picture = (
                            folder / f"{username}{name}.{language}.png"
                            if everything
                            else folder / f"{name}.{language}.png"
                        )
                        visitor.page.screenshot(path=str(picture), full_page=everything)
                    visitor.close()
        city.database.close()


def name_of(address: str) -> str:
    """Return a file name for an address."""
    return "".join(character if character.isalnum() else "-" for character in address)[:70]


def name_of_shown(address: str) -> str:
    """Return the name under which the README shows a page."""
    return next(name for name, path in SHOWN.items() if path == address)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0]) if arguments else FOLDER, everything="all" in arguments[1:])
