"""What became visible at the end of the log since the last look, commits out of order included."""

from pathlib import Path

from sqlalchemy import delete, insert, select, update

from datong.kernel import PLATFORM_ACTOR
from datong.ledger import EntryKind, NewestEntries
from datong.ledger.tables import ENTRIES
from tests.new_control import new_control
from tests.unit.sharing.world import World


def test_each_look_tells_the_kinds_that_are_new_and_one_that_was_committed_late(tmp_path: Path) -> None:
    database = new_control(tmp_path)
    world = World(database)

    def add(kind: EntryKind, subject: str) -> None:
        with database.transaction() as connection:
            world.ledger.append(connection, kind=kind, subject=subject, actor=PLATFORM_ACTOR, facts={})

    newest = NewestEntries(database)
    assert newest.look() == frozenset()
    add(EntryKind.TASK, "t")
    assert newest.look() == {EntryKind.TASK}
    assert newest.look() == frozenset()

    # A serial that was given first and committed last: another process, another connection.
    add(EntryKind.ALARM, "late")
    add(EntryKind.BATCH, "b")
    with database.transaction() as connection:
        late = dict(connection.execute(select(ENTRIES).where(ENTRIES.c.subject == "late")).mappings().one())
        connection.execute(delete(ENTRIES).where(ENTRIES.c.subject == "late"))
    assert newest.look() == {EntryKind.BATCH}
    with database.transaction() as connection:
        connection.execute(insert(ENTRIES).values(**late))
    assert newest.look() == {EntryKind.ALARM}
    assert newest.look() == frozenset()

    # While a hub is upgraded another process may put on record what this version has no name for.
    add(EntryKind.TASK, "next")
    with database.transaction() as connection:
        connection.execute(update(ENTRIES).where(ENTRIES.c.subject == "next").values(kind="next.kind"))
    assert newest.look() == frozenset()
    database.close()
