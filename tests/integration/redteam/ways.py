"""The table of attacks: for each way out of the hub and each thing that must not come out by it, an attack or a reason.

A new route fails `test_ways_out` until an attacker has called it. See docs/development.md, "A new way out".
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from tests.integration.redteam.world import RedTeamWorld

Attack = Callable[[RedTeamWorld], None]


class Way(StrEnum):
    """A way by which records, or what is known of them, leave the hub."""

    GATEWAY = "gateway"
    LIVE = "live answers of a node"
    CONSOLE_CALL = "call from the console"
    TABLES = "delta sharing"
    FEATURES = "ogc features"
    LIBRARY = "library and blocks"
    CORRECTIONS = "corrections"
    EXCHANGE = "transfers and files"
    RELEASED = "statistics and releases"
    CATALOGUE = "catalogue, portal, search"
    EVIDENCE = "evidence and uses"


class Aim(StrEnum):
    """What an attack is after."""

    ITEM = "an item outside the agreement"
    ROW = "a row outside the row filter"
    GRADE = "a value below its grade's mask"
    ORACLE = "filters, sorting and keys that tell what they are compared with"
    ERROR = "error texts that quote"
    PAGE = "pages, tokens, counts and tags that count what is not shown"
    TERM = "an agreement that is not mine, not in force, or an address that has expired"


BY_HAND = frozenset({"gateway", "delta-sharing", "ogc", "corrections"})
"""Where routes begin, after `/api/v1`, that hand out records: each is called by an attack, not only by the sweep."""
ATTACKS: dict[tuple[Way, Aim], list[Attack]] = {}

NOT_APPLICABLE: Mapping[tuple[Way, Aim], str] = {
    (Way.LIVE, Aim.PAGE): "a live answer has no pages; how many rows there are it says of rows within the filter only",
    (Way.LIVE, Aim.TERM): "whether an agreement is in force is decided before the node is asked (TERM of GATEWAY)",
    (
        Way.FEATURES,
        Aim.ROW,
    ): "a layer cannot leave rows out: the policy refuses it under a row filter (ROW of EXCHANGE)",
    (Way.EXCHANGE, Aim.ITEM): "the node reads what the task names, and a task outside the agreement is refused (TERM)",
    (Way.EXCHANGE, Aim.GRADE): "files and batches are whole; masks are for the gateway, tables and layers",
    (Way.EXCHANGE, Aim.ORACLE): "nothing filters or sorts the content of a file",
    (Way.EXCHANGE, Aim.PAGE): "counts of rows are for the parties of a task, which have the rows",
    (Way.RELEASED, Aim.TERM): "a release is for everybody, a statistic under a budget, neither under an agreement",
    (Way.RELEASED, Aim.ROW): "a release is about a table of the authority's, not under a row filter",
    (Way.CATALOGUE, Aim.ITEM): "the catalogue holds no records; the sweep reads all of it",
    (Way.CATALOGUE, Aim.ROW): "the catalogue holds no records; the sweep reads all of it",
    (Way.CATALOGUE, Aim.GRADE): "the catalogue holds no records; the sweep reads all of it",
    (Way.CATALOGUE, Aim.PAGE): "tests/integration/open/test_invisible.py compares two hubs byte for byte",
    (Way.CATALOGUE, Aim.TERM): "the catalogue is not read under an agreement",
    (Way.EVIDENCE, Aim.ITEM): "entries hold digests and facts; the attack on rows reads every entry",
    (Way.EVIDENCE, Aim.GRADE): "entries hold digests and facts; the attack on rows reads every entry",
    (Way.CONSOLE_CALL, Aim.PAGE): "the page shows one answer of the gateway",
}
"""Why there is no attack of that kind."""


def attack(way: Way, *aims: Aim) -> Callable[[Attack], Attack]:
    """Put an attack into the table."""

    def put(made: Attack) -> Attack:
        for aim in aims:
            ATTACKS.setdefault((way, aim), []).append(made)
        return made

    return put
