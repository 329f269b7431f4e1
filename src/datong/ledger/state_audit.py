"""What the packages above tell `fsck`: which entries speak of which of their rows, and what the rows say themselves.

The state of the platform lies in the control database; the log holds what was decided, by whom. Whoever edits a row
cannot edit the log with it. An `Area` is one kind of thing (an agreement, a batch) with both sides: what an entry
states of one, and what the database holds of it. Where both are not the same, a row was changed without an act.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, Select

from datong.kernel import EntryId, JsonValue, Text
from datong.ledger.entries import EntryContent, EntryKind

ROWS_AT_ONCE = 1000
"""Rows that are read, and looked up, together: what is compared may be larger than memory."""


class Stated(NamedTuple):
    """What an entry states of one thing; with `adds`, only of some of its facts: the others stand as before.

    `ends` says that the thing is no more: from then on there is no row of it.
    """

    key: str
    facts: Mapping[str, JsonValue]
    adds: bool = False
    ends: bool = False


class Held(NamedTuple):
    """What the database holds of one thing: by place (a table, a column), facts under the names the log gives them."""

    key: str
    says: Mapping[str, Mapping[str, JsonValue]]
    entry_id: EntryId | None = None


class Area(NamedTuple):
    """One kind of thing. With `own_entry` each has exactly one entry, which its row names, and never changes.

    `later` names facts that entries of older releases lack: of a thing of which none was ever stated they are not
    compared. A log that has stated one cannot be made to take it back.
    """

    name: str
    label: Text
    kinds: frozenset[EntryKind]
    stated: Callable[[EntryContent], Stated | None]
    held: Callable[[Connection], Iterable[Held]]
    own_entry: bool = False
    later: frozenset[str] = frozenset()


class Difference(NamedTuple):
    """One fact of one thing that the database has otherwise than the log; None: the fact is not there."""

    place: str
    fact: str
    logged: JsonValue
    held: JsonValue


def of_subject(entry: EntryContent) -> Stated:
    """Take an entry's facts as those of its subject."""
    return Stated(entry.subject, entry.facts)


def of_act(entry: EntryContent) -> Stated:
    """Take an entry as the evidence of one act on its subject, by its actor."""
    return Stated(f"{entry.subject}: {entry.facts['action']}", {**entry.facts, "actor": entry.actor.id})


def streamed(connection: Connection, query: Select[Any]) -> Iterator[RowMapping]:
    """Yield what a query finds, without holding all of it."""
    yield from connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).mappings()


def differences(
    stated: Mapping[str, JsonValue], held: Held, *, later: frozenset[str] = frozenset()
) -> list[Difference]:
    """Return each fact that a row has otherwise than its evidence, in the order of places and names.

    Facts of `later` that the evidence does not state are left out.
    """
    return [
        Difference(place, fact, stated.get(fact), value)
        for place, facts in held.says.items()
        for fact, value in sorted(facts.items())
        if stated.get(fact) != value and (fact in stated or fact not in later)
    ]
