"""What of ratings `fsck` compares with the log: each as it stands, and each act."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.governance.satisfaction.ratings import Rating
from datong.governance.satisfaction.tables import RATING, RATING_ACT
from datong.kernel import EntryId, Text
from datong.ledger import Area, EntryKind, Held, of_act, of_subject, streamed


def _ratings(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(RATING)):
        yield Held(row["id"], {"governance_rating": Rating.model_validate(dict(row)).facts()})


def _acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(RATING_ACT)):
        own = {
            "action": row["action"],
            "state": row["state_after"],
            "scores": row["scores"],
            "actor": row["actor"]["id"],
        }
        yield Held(f"{row['rating_id']}: {row['action']}", {"governance_rating_act": own}, EntryId(row["entry_id"]))


_KIND = frozenset({EntryKind.RATING})
SATISFACTION_AREAS = (
    Area("governance.rating", Text(zh="评价", en="Rating"), _KIND, of_subject, _ratings),
    Area("governance.rating_act", Text(zh="评价的办理", en="Act about a rating"), _KIND, of_act, _acts, own_entry=True),
)
