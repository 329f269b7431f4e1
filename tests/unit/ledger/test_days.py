"""Entries counted by kind and by day in China: what is over is counted once, what is not is counted again."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete

from datong.kernel import CHINA
from datong.ledger import EntryKind
from datong.ledger.tables import ENTRIES
from tests.unit.ledger.logs import SmallLog


def test_entries_are_counted_by_the_day_in_china_and_days_that_are_over_once(tmp_path: Path) -> None:
    log = SmallLog(tmp_path / "log")
    # 23:59 in China, still the day before in UTC; then the day after.
    now = log.clock.now().astimezone(CHINA)
    log.clock.advance(now.replace(hour=23, minute=59) - now)
    first = log.clock.now().astimezone(CHINA).date()
    log.append(3)
    log.clock.advance(timedelta(minutes=2))
    second = log.clock.now().astimezone(CHINA).date()
    log.append(2)
    days, kinds = [first, second], (EntryKind.BATCH, EntryKind.ACCESS)
    wanted = {(EntryKind.BATCH, first): 3, (EntryKind.BATCH, second): 2}
    empty = {(EntryKind.ACCESS, day): 0 for day in days}
    assert log.ledger.days.of(kinds, days) == wanted | empty
    # A minute into the new day an entry of the old one may still be committed.
    log.append(1)
    assert log.ledger.days.of(kinds, days)[EntryKind.BATCH, second] == 3

    log.clock.advance(timedelta(minutes=20))
    assert log.ledger.days.of(kinds, days)[EntryKind.BATCH, first] == 3
    with log.database.transaction() as connection:
        connection.execute(delete(ENTRIES))
    kept = log.ledger.days.of(kinds, days)
    assert (kept[EntryKind.BATCH, first], kept[EntryKind.BATCH, second]) == (3, 0)
    log.database.close()
