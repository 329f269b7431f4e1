"""Claims that turned out wrong, counted per subject and in all, so that nobody learns a record by trying.

The counts of many calls are brought up to date in one statement. Each call is judged by what was counted before it,
the calls before it in the same batch included, whatever process they were made in.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import AccessId, Refused, Text, rows_of
from datong.sharing import tables

WRONG_PER_SUBJECT_DAY_MAX = 10
WRONG_PER_CONSUMER_DAY_MAX = 2000
"""Claims that may turn out wrong in a day, about one subject and in all, before verifying stops."""
EVERYBODY = "*"


class Counter(NamedTuple):
    """What is counted together: a consumer's wrong claims about one subject (or everybody) of a resource on a day."""

    consumer: str
    resource_id: str
    subject_index: str
    day: str


class Claims(NamedTuple):
    """How many claims of one call are wrong, and the two counters it counts in."""

    subject: Counter
    everybody: Counter
    wrong: int

    @classmethod
    def of(cls, consumer: str, resource_id: str, subject_index: str, day: str, wrong: int) -> "Claims":
        """Return the claims of a call."""
        return cls(
            Counter(consumer, resource_id, subject_index, day), Counter(consumer, resource_id, EVERYBODY, day), wrong
        )


_TABLE = tables.guess
_KEY = (_TABLE.c.consumer, _TABLE.c.resource_id, _TABLE.c.subject_index, _TABLE.c.day)


def count_wrong(connection: Connection, claims: Sequence[Claims]) -> list[bool]:
    """Add wrong claims to the counts of their day; return of each call whether a limit was reached before it.

    A counter that grows stays locked until the transaction ends. Counters are taken in one order, so that two
    transactions never wait for each other.
    """
    added: dict[Counter, int] = defaultdict(int)
    for one in claims:
        for counter in (one.subject, one.everybody):
            added[counter] += one.wrong
    standing = dict.fromkeys(added, 0)
    grown = {counter: added[counter] for counter in sorted(added) if added[counter]}
    for counter, after in _add(connection, grown).items():
        standing[counter] = after - grown[counter]
    others = [counter for counter in added if counter not in grown]
    for key, wrong in rows_of(connection, _TABLE, Counter._fields, others, "wrong").items():
        standing[Counter(*key)] = wrong
    reached = []
    for one in claims:
        most = ((one.subject, WRONG_PER_SUBJECT_DAY_MAX), (one.everybody, WRONG_PER_CONSUMER_DAY_MAX))
        reached.append(any(standing[counter] >= limit for counter, limit in most))
        for counter, _ in most:
            standing[counter] += one.wrong
    return reached


def _add(connection: Connection, grown: Mapping[Counter, int]) -> dict[Counter, int]:
    """Add to counters, and return what they hold then."""
    after: dict[Counter, int] = {}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for counter, wrong in grown.items():
        insert = dialect.insert(_TABLE).values({**counter._asdict(), "wrong": wrong})
        upsert = insert.on_conflict_do_update(
            index_elements=[column.name for column in _KEY], set_={"wrong": _TABLE.c.wrong + insert.excluded.wrong}
        )
        after[counter] = int(connection.execute(upsert.returning(_TABLE.c.wrong)).scalar_one())
    return after


def guess_limit(access_id: AccessId) -> Refused:
    """Return the refusal of a call that comes after too many wrong claims; it is on record."""
    return Refused(
        "sharing.guess_limit",
        what=Text(
            zh="今天对该对象的核验错误次数过多，已停止核验。",
            en="Too many claims about this subject were wrong today: verification is closed.",
        ),
        remedy=Text(zh="请核对材料后明日再试。", en="Check the documents and try again tomorrow."),
        context={"access_id": access_id},
    )
