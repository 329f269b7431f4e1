"""The inboxes: what the log and the deadlines mean for people becomes notices, each once, repeated ones folded.

The log is read by position. What a stretch of it means, and how far it was read, is written in one transaction: a
process that is killed tells nobody twice and leaves nobody out, and several processes may do it at once.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.governance.duties import Duty
from datong.governance.notifications.matters import Audience, Matter, Names, Topic
from datong.governance.notifications.preferences import Preferences
from datong.governance.notifications.relied import of_relied, owns_up
from datong.governance.notifications.tables import MESSAGE, NOTICE, POSITION, RELIED_POSITION, SETTING
from datong.governance.notifications.telling import TOLD_KINDS, matters_of, reminder_of
from datong.kernel import (
    Clock,
    CorrectionId,
    Database,
    DepartmentCode,
    NotFound,
    Page,
    PersonId,
    Text,
    Value,
    WorkingCalendar,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, RecordedEntry
from datong.sharing import Account, PolicyEngine, Role

NOTICES = uuid.UUID("0f6f0d52-5a0d-5b0e-9a55-0d0f3f3c9d11")
"""The namespace of the identities of notices (RFC 9562, version 5)."""
ENTRIES_AT_ONCE = 500
TOLD_WITHIN = timedelta(days=7)
"""Older entries are nobody's news: a hub that is upgraded does not tell its history."""
TOLD_AGAIN_AFTER = timedelta(days=1)
"""What repeats unread leaves the console once more after so long."""
READ_KEPT, UNREAD_KEPT = timedelta(days=180), timedelta(days=400)
_POSITION_ID = 1


class PeopleBook(Protocol):
    """Who works where, with which roles."""

    def accounts(
        self, *, department: DepartmentCode | None = None, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT
    ) -> Page[Account]:
        """Return accounts by username."""
        ...

    def account(self, person: PersonId) -> Account:
        """Return one account.

        Raises:
            NotFound: there is none.
        """
        ...


class Notice(Value):
    """A notice in somebody's inbox; `times`: how often it happened while it was unread."""

    id: str
    topic: Topic
    urgent: bool
    title: Text
    what: Text
    address: str
    times: int
    first_at: datetime
    told_at: datetime
    read_at: datetime | None


class Inbox:
    """The notices of all people.

    `authorities` returns the codes of the data authorities, `duties` those due soon after a moment and not done,
    `reminders` what else is to be told then. `substitutes` returns, for a department, who stands in for whom
    now.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        people: PeopleBook,
        policy: PolicyEngine,
        names: Names,
        authorities: Callable[[], frozenset[DepartmentCode]],
        duties: Callable[[datetime], Sequence[Duty]],
        reminders: Callable[[datetime], Sequence[Matter]] = lambda _now: (),
        substitutes: Callable[[DepartmentCode], Mapping[PersonId, PersonId]] = lambda _department: {},
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._people = people
        self._policy = policy
        self._names = names
        self._authorities = authorities
        self._duties = duties
        self._reminders = reminders
        self._substitutes = substitutes

    def follow(self) -> bool:
        """Tell people of what was published in the log since; return whether more waits."""
        return self._follow(POSITION, TOLD_KINDS, lambda entry: matters_of(entry, self._names))

    def follow_relied(self, relied: Callable[[CorrectionId], Collection[DepartmentCode]]) -> bool:
        """Tell departments of values that they relied on and that were found wrong since; return whether more waits.

        `relied` returns the departments that a report's value reached. It reads tables of the library, so this has a
        position of its own: where they cannot be read, nobody waits for other news.

        Raises:
            Unavailable: they cannot be read; what was to be told is told by a later call.
        """

        def matters(entry: RecordedEntry) -> Sequence[Matter]:
            departments = relied(CorrectionId(entry.subject)) if owns_up(entry) else ()
            return of_relied(entry, departments, self._names)

        return self._follow(RELIED_POSITION, {EntryKind.CORRECTION}, matters)

    def _follow(
        self, reader: Table, kinds: Collection[EntryKind], matters: Callable[[RecordedEntry], Sequence[Matter]]
    ) -> bool:
        position, now = self._position(reader), self._clock.now()
        entries, after = self._ledger.published_from(
            position, kinds=kinds, since=now - TOLD_WITHIN, limit=ENTRIES_AT_ONCE
        )
        if after == position:
            return False
        told = [(matter, entry) for entry in entries for matter in matters(entry)]
        rooms = _Rooms(self._people, self._authorities, self._substitutes)
        with self._database.transaction() as connection:
            if self._locked_position(connection, reader) != position:
                return True  # Another process told of these.
            for matter, entry in told:
                self._tell(connection, matter, rooms, entry=entry)
            connection.execute(update(reader).values(position=after))
        return True

    def position(self) -> int:
        """Return how far the log was read to tell people of it; it moves when somebody may have been told."""
        return self._position(POSITION)

    def _position(self, reader: Table) -> int:
        with self._database.snapshot() as connection:
            return connection.scalar(select(reader.c.position)) or 0

    def remind(self) -> bool:
        """Remind people of deadlines that are near, each once; return False, since all that is due is done."""
        now = self._clock.now()
        found = (reminder_of(duty, now=now, calendar=self._calendar) for duty in self._duties(now))
        rooms = _Rooms(self._people, self._authorities, self._substitutes)
        matters = [*(matter for matter in found if matter is not None), *self._reminders(now)]
        if matters:
            with self._database.transaction() as connection:
                self._locked_position(connection, POSITION)
                for matter in matters:
                    self._tell(connection, matter, rooms)
        return False

    def sweep(self) -> bool:
        """Delete notices that were read long ago, or that nobody ever read; return False."""
        now = self._clock.now()
        old = (NOTICE.c.read_at < now - READ_KEPT) | (NOTICE.c.told_at < now - UNREAD_KEPT)
        with self._database.transaction() as connection:
            connection.execute(delete(NOTICE).where(old))
        return False

    def unread(self, person: str) -> int:
        """Return how many notices a person has not read."""
        query = select(func.count()).select_from(NOTICE).where(NOTICE.c.person == person, NOTICE.c.read_at.is_(None))
        with self._database.snapshot() as connection:
            return connection.scalar(query) or 0

    def find(
        self,
        person: str,
        *,
        unread: bool = False,
        topic: Topic | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Notice]:
        """Return a person's notices, newest first."""
        wanted = [NOTICE.c.person == person]
        if unread:
            wanted.append(NOTICE.c.read_at.is_(None))
        if topic is not None:
            wanted.append(NOTICE.c.topic == topic)
        newest = select(NOTICE).where(*wanted).order_by(NOTICE.c.told_at.desc(), NOTICE.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(NOTICE).where(*wanted)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(_notice(row) for row in rows), total=total, offset=offset)

    def read(self, person: str, notice_id: str) -> Notice:
        """Mark one of a person's notices as read and return it; reading it again changes nothing.

        Raises:
            NotFound: the person has no such notice.
        """
        own = (NOTICE.c.id == notice_id, NOTICE.c.person == person)
        with self._database.transaction() as connection:
            values = {"read_at": self._clock.now(), "waiting_since": None}
            connection.execute(update(NOTICE).where(*own, NOTICE.c.read_at.is_(None)).values(values))
            row = connection.execute(select(NOTICE).where(*own)).mappings().first()
        if row is None:
            raise NotFound(
                "governance.notice_not_found",
                what=Text(zh="您没有这条提醒。", en="You have no such notice."),
                remedy=Text(zh="请从提醒列表中选择。", en="Choose one from your notices."),
            )
        return _notice(row)

    def read_all(self, person: str) -> int:
        """Mark all of a person's notices as read; return how many were not."""
        unread = (NOTICE.c.person == person, NOTICE.c.read_at.is_(None))
        with self._database.transaction() as connection:
            values = {"read_at": self._clock.now(), "waiting_since": None}
            return connection.execute(update(NOTICE).where(*unread).values(values)).rowcount

    def mark(self, person: str, notice_ids: Collection[str], *, read: bool) -> int:
        """Mark some of a person's notices as read, or as unread again; return how many were not so before."""
        now = self._clock.now()
        of_person = (NOTICE.c.person == person, NOTICE.c.id.in_(notice_ids))
        fresh = NOTICE.c.read_at.is_(None) if read else NOTICE.c.read_at.is_not(None)
        values: dict[str, object] = {"read_at": now, "waiting_since": None} if read else {"read_at": None}
        with self._database.transaction() as connection:
            return connection.execute(update(NOTICE).where(*of_person, fresh).values(values)).rowcount

    def _tell(
        self, connection: Connection, matter: Matter, rooms: "_Rooms", *, entry: RecordedEntry | None = None
    ) -> None:
        """Put a matter into the inboxes of those whom it concerns, and of who stands in for them.

        Whoever did the act knows of it; the one for whom it was done does not, and is told.
        """
        doer = None if entry is None else entry.actor.id
        reached: dict[str, Matter] = {}
        lent: dict[str, Matter] = {}
        for audience in matter.audiences:
            for account in rooms.people(audience):
                if account.id in reached:
                    continue
                if self._policy.authorise(account.principal, matter.action, matter.target).allowed:
                    reached[account.id] = matter
                    substitute = rooms.substitute_of(account)
                    if substitute is not None:
                        lent.setdefault(substitute, _for_another(matter, account.name))
        for person, told in sorted({**lent, **reached}.items()):
            if person != doer:
                self._put(connection, person, told, "" if entry is None else entry.entry_id)

    def _put(self, connection: Connection, person: str, matter: Matter, entry_id: str) -> None:
        """Make a notice, or fold the matter into the unread one."""
        now = self._clock.now()
        query = (
            select(NOTICE, MESSAGE.c.made_at)
            .join(MESSAGE, MESSAGE.c.id == NOTICE.c.message, isouter=True)
            .where(NOTICE.c.person == person, NOTICE.c.matter == matter.key)
        )
        if matter.once:
            if connection.execute(query.limit(1)).first() is not None:
                return
            known = None
        else:
            known = connection.execute(query.where(NOTICE.c.read_at.is_(None)).limit(1)).mappings().first()
        leaves = self._leaves(connection, person, matter.topic)
        content = matter.model_dump(mode="json", include={"title", "what", "address"})
        if known is None:
            connection.execute(
                insert(NOTICE).values(
                    id=str(uuid.uuid5(NOTICES, f"{person} {matter.key} {entry_id}")),
                    person=person,
                    matter=matter.key,
                    topic=matter.topic,
                    urgent=matter.urgent,
                    times=1,
                    first_at=now,
                    told_at=now,
                    waiting_since=now if leaves else None,
                    content=content,
                )
            )
            return
        values: dict[str, object] = {
            "times": known["times"] + 1,
            "told_at": now,
            "urgent": known["urgent"] or matter.urgent,
            "content": content,
        }
        rises = matter.urgent and not known["urgent"]
        long_ago = known["made_at"] is not None and known["made_at"] <= now - TOLD_AGAIN_AFTER
        if leaves and known["waiting_since"] is None and (rises or long_ago):
            values["waiting_since"] = now
        connection.execute(update(NOTICE).where(NOTICE.c.id == known["id"]).values(values))

    @staticmethod
    def _leaves(connection: Connection, person: str, topic: Topic) -> bool:
        """Whether a person wants to hear of a topic outside the console."""
        preferences = preferences_of(connection, person)
        return bool(preferences.channels) and topic not in preferences.muted

    def _locked_position(self, connection: Connection, reader: Table) -> int:
        """Return how far the log was read, and keep others from moving it."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        made = dialect.insert(reader).values(id=_POSITION_ID, position=0)
        connection.execute(made.on_conflict_do_nothing(index_elements=[reader.c.id]))
        position: int = connection.execute(select(reader.c.position).with_for_update()).scalar_one()
        return position


class _Rooms:
    """The people of departments, looked up once for each stretch of the log."""

    def __init__(
        self,
        people: PeopleBook,
        authorities: Callable[[], frozenset[DepartmentCode]],
        substitutes: Callable[[DepartmentCode], Mapping[PersonId, PersonId]],
    ) -> None:
        self._book = people
        self._authorities = authorities
        self._substitutes = substitutes
        self._of: dict[DepartmentCode, list[Account]] = {}
        self._standing_in: dict[DepartmentCode, Mapping[PersonId, PersonId]] = {}

    def people(self, audience: Audience) -> list[Account]:
        """Return the people of an audience who may sign in."""
        codes = sorted(self._authorities()) if audience.department is None else [audience.department]
        return [
            account for code in codes for account in self._staff(code) if not audience.roles.isdisjoint(account.roles)
        ]

    def substitute_of(self, account: Account) -> PersonId | None:
        """Return who stands in for somebody now."""
        code = account.department
        if code is None:
            return None
        if code not in self._standing_in:
            self._standing_in[code] = self._substitutes(code)
        return self._standing_in[code].get(account.id)

    def _staff(self, code: DepartmentCode) -> list[Account]:
        if code not in self._of:
            found: list[Account] = []
            offset: int | None = 0
            while offset is not None:
                page = self._book.accounts(department=code, offset=offset, limit=PAGE_ROWS_MAX)
                found += [account for account in page.rows if not account.disabled and account.roles != {Role.CITIZEN}]
                offset = page.next_offset
            self._of[code] = found
        return self._of[code]


def preferences_of(connection: Connection, person: str, *, lock: bool = False) -> Preferences:
    """Return what a person has set; locked, nobody else changes it before the transaction ends."""
    query = select(SETTING.c.content).where(SETTING.c.person == person)
    content = connection.scalar(query.with_for_update() if lock else query)
    return Preferences() if content is None else Preferences.model_validate(content)


def _for_another(matter: Matter, name: str) -> Matter:
    """Return a matter as a substitute is told of it: for whom stands before it."""
    title = Text(zh=f"（代{name}）{matter.title.zh}", en=f"(for {name}) {matter.title.en}")
    return matter.model_copy(update={"title": title})


def _notice(row: RowMapping) -> Notice:
    fields = {name: row[name] for name in ("id", "topic", "urgent", "times", "first_at", "told_at", "read_at")}
    return Notice.model_validate({**fields, **row["content"]})
