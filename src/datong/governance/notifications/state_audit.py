"""What of notifications `fsck` compares with the log: what was sent to whom, when it was settled."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.governance.notifications.tables import MESSAGE
from datong.kernel import EntryId, JsonValue, Text, sha256_hex
from datong.ledger import Area, EntryKind, Held, of_subject, streamed


def _messages(connection: Connection) -> Iterator[Held]:
    """Yield the messages that were settled; those on their way have no evidence yet."""
    for row in streamed(connection, select(MESSAGE).where(MESSAGE.c.entry_id.is_not(None))):
        names = ("person", "department", "channel", "notices", "content_sha256", "state", "attempts")
        says: dict[str, dict[str, JsonValue]] = {"governance_notice_message": {name: row[name] for name in names}}
        if row["content"]:
            says["governance_notice_message.content"] = {"content_sha256": sha256_hex(row["content"].encode())}
        yield Held(row["id"], says, EntryId(row["entry_id"]))


NOTIFICATION_AREAS = (
    Area(
        "governance.notification",
        Text(zh="发出的提醒", en="Message to somebody"),
        frozenset({EntryKind.NOTIFICATION}),
        of_subject,
        _messages,
        own_entry=True,
    ),
)
