"""Statements as drivers want them: `?` for a value where it is one, and not where it stands in a name or a text."""

import re
from collections.abc import Callable
from itertools import count

_STANDARD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?""")
_MYSQL = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|\?""", re.DOTALL)


def numbered(statement: str) -> str:
    """Return a statement of PostgreSQL with its places as `$1`, `$2`, …; whatever is quoted stays."""
    numbers = count(1)
    return _placed(_STANDARD, statement, lambda: f"${next(numbers)}")


def formatted(statement: str) -> str:
    """Return a statement of MariaDB or MySQL with its places as `%s`, everything else shielded from the driver.

    The driver puts values into the text itself: a place inside a name would let a value end the name.
    """
    return _placed(_MYSQL, statement.replace("%", "%%"), lambda: "%s")


def _placed(pattern: re.Pattern[str], statement: str, place: Callable[[], str]) -> str:
    return pattern.sub(lambda found: place() if found[0] == "?" else found[0], statement)


def block(body: str) -> str:
    """Return a statement of PostgreSQL that runs `body` as an anonymous block, between marks that `body` has not."""
    mark = next(mark for number in count() if (mark := f"$datong{number or ''}$") not in body)
    return f"DO {mark} BEGIN {body} END {mark}"
