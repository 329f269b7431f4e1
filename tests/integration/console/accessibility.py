"""Looks at every page with axe: python -m tests.integration.console.accessibility [zh|en] [light|dark] [1280|360].

Without arguments it does so in both languages, schemes and widths, which takes a while: the tests look at each page
once. Prints what is against WCAG 2.2 A and AA, and exits with 1 if anything is.
"""

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Literal

from tests.integration.console.browser import Visitor, chromium
from tests.integration.console.city import PASSWORD, ConsoleCity
from tests.integration.console.conftest import served
from tests.integration.console.test_pages import WIDTHS, paths

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main(chosen: list[str]) -> int:
    """Look at every page in each way that `chosen` leaves; return 1 if axe found anything."""
    found = 0
    with tempfile.TemporaryDirectory() as home:
        city = ConsoleCity(Path(home) / "hub")
        city.build()
        with served(city) as console, chromium() as browser:
            ways = [
                (language, scheme, width)
                for language, scheme, width in itertools.product(("zh", "en"), SCHEMES, WIDTHS)
                if all(one in (language, scheme, str(width)) for one in chosen)
            ]
            for (language, scheme, width), (username, addresses) in itertools.product(ways, paths(console).items()):
                visitor = Visitor(browser, console.url, language=language, width=width, scheme=scheme)
                if username:
                    visitor.sign_in(username, PASSWORD)
                for address in addresses:
                    visitor.open(address)
                    barriers = visitor.barriers()
                    found += len(barriers)
                    for one in barriers:
                        print(language, scheme, width, username or "visitor", address, one, flush=True)
                visitor.close()
            print(f"{found} barriers in {len(ways)} ways of looking")
        city.database.close()
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
