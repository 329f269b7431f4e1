"""Wishes in the control database: filed within bounds, supported once by an account, every act with its evidence.

The log holds who must answer by when and digests of the words; who asked and who supports is in no entry.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from datong.kernel import (
    Actor,
    ActorKind,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    ResourceId,
    Text,
    WorkingCalendar,
    canonical_json,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing.evidence import instant, text_digest
from datong.sharing.tables import Row
from datong.sharing.wishes import tables
from datong.sharing.wishes.rules import (
    ON_THE_WALL,
    SUPPORTED,
    Wish,
    WishAct,
    WishAction,
    WishDraft,
    WishState,
    WishStep,
    follow,
    require_no_person,
)

WISHES_A_DAY_MAX = 5
"""Wishes that one account may file within a day."""
WISHES_OPEN_MAX = 20
"""Wishes of one account that nobody answered yet."""
SUPPORTS_A_DAY_MAX = 200
STEPS_MAX = 100
"""Acts in the history of a wish; who needs more has other troubles."""
Key = TypeVar("Key", DepartmentCode, ResourceId)
ASKER_ACTOR = Actor(kind=ActorKind.CITIZEN, id="asker")
"""Whoever asks stands so in the log: the wish is public, and who had it is nobody's business."""


class WishOrder(StrEnum):
    """How a list of wishes is ordered."""

    NEWEST = "newest"
    SUPPORT = "support"
    DUE = "due"


class Wishes:
    """The demand wall.

    `open_resource` and `department` find what an act names, or raise NotFound; `assign_working_days` and
    `answer_working_days` are the time for giving a wish on and for answering it.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        open_resource: Callable[[ResourceId], object],
        department: Callable[[DepartmentCode], object],
        assign_working_days: int,
        answer_working_days: int,
    ) -> None:
        self._database, self._clock, self._calendar, self._ledger = database, clock, calendar, ledger
        self._open_resource, self._department = open_resource, department
        self._assign, self._answer = assign_working_days, answer_working_days

    def make(self, draft: WishDraft, account: str) -> Wish:
        """File a wish; the authority reads it before anybody else.

        Raises:
            Invalid: there is a personal number in it. Conflict: the account filed as many as it may, or the same.
        """
        require_no_person(draft)
        now = self._clock.now()
        wish = Wish(
            id=new_id(),
            draft=draft,
            state=WishState.RECEIVED,
            made_at=now,
            changed_at=now,
            due_at=self._calendar.deadline(now, self._assign),
            steps=(WishStep(action="make", state=WishState.RECEIVED, at=now),),
        )
        table = tables.wish
        with self._database.transaction() as connection:
            own = [table.c.account == account]
            today = self._count(connection, [*own, table.c.made_at > now - timedelta(days=1)])
            waiting = (WishState.RECEIVED.value, WishState.ADMITTED.value, WishState.ASSIGNED.value)
            standing = self._count(connection, [*own, table.c.state.in_(waiting)])
            if today >= WISHES_A_DAY_MAX or standing >= WISHES_OPEN_MAX:
                raise _too_many()
            if self._count(connection, [*own, table.c.title == draft.title, table.c.state.in_(waiting)]):
                raise Conflict(
                    "sharing.wish_made",
                    what=Text(zh="您已提出过同名的需求。", en="You have filed a wish of this title already."),
                    remedy=Text(zh="请在“我的需求”中查看。", en="See it among your wishes."),
                )
            wish = self._recorded(connection, wish, "make", ASKER_ACTOR)
            connection.execute(insert(table).values(**_row(wish), account=account))
        return wish

    def act(self, wish_id: str, act: WishAct, actor: Actor) -> Wish:
        """Do something with a wish in the name of the authority or of the department that must answer.

        Raises:
            NotFound: there is none. Conflict: the act does not fit its state.
            Invalid: a part of the act is missing or names what does not exist.
        """
        if act.action is WishAction.WITHDRAW:
            raise Conflict(
                "sharing.wish_own",
                what=Text(zh="需求只能由提出人撤回。", en="Only who filed a wish withdraws it."),
                remedy=Text(zh="请选择其他办理方式。", en="Choose another act."),
            )
        if act.department is not None and not _found(self._department, act.department):
            raise _wrong("department", Text(zh="没有这个部门。", en="There is no such department."))
        if act.resource_id is not None and not _found(self._open_resource, act.resource_id):
            raise _wrong("resource_id", Text(zh="该资源没有向社会开放。", en="This resource is not open to everybody."))
        return self._act([tables.wish.c.id == wish_id], act, actor)

    def withdraw(self, wish_id: str, account: str) -> Wish:
        """Take back one's own wish.

        Raises:
            NotFound: it is not the account's. Conflict: it was answered already.
        """
        mine = [tables.wish.c.id == wish_id, tables.wish.c.account == account]
        return self._act(mine, WishAct(action=WishAction.WITHDRAW), ASKER_ACTOR)

    def support(self, wish_id: str, account: str, *, wanted: bool) -> Wish:
        """Join a wish, or leave it; doing either twice changes nothing.

        Raises:
            NotFound: there is none on the wall. Conflict: the data is there, it is the account's own, or too many.
        """
        table, now = tables.wish_support, self._clock.now()
        with self._database.transaction() as connection:
            wish = self._one(connection, [tables.wish.c.id == wish_id], locked=True)
            if not wish.is_public:
                raise _unknown()
            this = (table.c.wish_id == wish_id, table.c.account == account)
            joined = connection.execute(select(func.count()).select_from(table).where(*this)).scalar_one() > 0
            if joined == wanted:
                return wish
            if not wanted:
                connection.execute(delete(table).where(*this))
            else:
                self._require_may_join(connection, wish, account)
                connection.execute(insert(table).values(wish_id=wish_id, account=account, at=now))
            supporters = wish.supporters + (1 if wanted else -1)
            connection.execute(update(tables.wish).where(tables.wish.c.id == wish_id).values(supporters=supporters))
        return wish.model_copy(update={"supporters": supporters})

    def _require_may_join(self, connection: Connection, wish: Wish, account: str) -> None:
        table, since = tables.wish_support, self._clock.now() - timedelta(days=1)
        if wish.state not in SUPPORTED:
            raise Conflict(
                "sharing.wish_met",
                what=Text(zh="这项需求已经满足。", en="This wish is met."),
                remedy=Text(zh="请直接使用已开放的数据。", en="Use the data that is open."),
            )
        own = [tables.wish.c.id == wish.id, tables.wish.c.account == account]
        if self._count(connection, own):
            raise Conflict(
                "sharing.wish_support_own",
                what=Text(zh="这是您自己提出的需求。", en="This wish is your own."),
                remedy=Text(zh="请支持他人的需求。", en="Join wishes of others."),
            )
        lately = select(func.count()).select_from(table).where(table.c.account == account, table.c.at > since)
        if connection.execute(lately).scalar_one() >= SUPPORTS_A_DAY_MAX:
            raise _too_many()

    def get(self, wish_id: str) -> Wish:
        """Return a wish, whoever may see it, or raise NotFound."""
        with self._database.snapshot() as connection:
            return self._one(connection, [tables.wish.c.id == wish_id])

    def on_the_wall(self, wish_id: str) -> Wish:
        """Return a wish that everybody may see, or raise NotFound."""
        wish = self.get(wish_id)
        if not wish.is_public:
            raise _unknown()
        return wish

    def is_own(self, wish_id: str, account: str) -> bool:
        """Whether the account filed that wish."""
        with self._database.snapshot() as connection:
            return self._count(connection, [tables.wish.c.id == wish_id, tables.wish.c.account == account]) > 0

    def of_account(self, account: str) -> tuple[Wish, ...]:
        """Return an account's wishes, newest first, at most PAGE_ROWS_MAX."""
        with self._database.snapshot() as connection:
            return self._select(connection, [tables.wish.c.account == account], limit=PAGE_ROWS_MAX)

    def joined_by(self, account: str, wish_ids: Collection[str]) -> frozenset[str]:
        """Return which of some wishes the account supports."""
        table = tables.wish_support
        query = select(table.c.wish_id).where(table.c.account == account, table.c.wish_id.in_(wish_ids))
        with self._database.snapshot() as connection:
            return frozenset(connection.execute(query).scalars())

    def find(
        self,
        *,
        states: Collection[WishState] = ON_THE_WALL,
        department: DepartmentCode | None = None,
        words: str = "",
        order: WishOrder = WishOrder.NEWEST,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Wish]:
        """Return wishes in some states, of one department, with some words in their title."""
        table = tables.wish
        where: list[ColumnElement[bool]] = [table.c.state.in_([state.value for state in states])]
        if department is not None:
            where.append(table.c.department == department)
        if words.strip():
            where.append(table.c.title.icontains(words.strip(), autoescape=True))
        with self._database.snapshot() as connection:
            total = self._count(connection, where)
            rows = self._select(connection, where, order=order, offset=offset, limit=min(limit, PAGE_ROWS_MAX))
        return page_of(rows, total=total, offset=offset)

    def counts(self) -> dict[WishState, int]:
        """Return how many wishes stand in each state."""
        query = select(tables.wish.c.state, func.count()).group_by(tables.wish.c.state)
        with self._database.snapshot() as connection:
            return {WishState(state): count for state, count in connection.execute(query)}

    def _act(self, where: list[ColumnElement[bool]], act: WishAct, actor: Actor) -> Wish:
        with self._database.transaction() as connection:
            before = self._one(connection, where, locked=True)
            if len(before.steps) >= STEPS_MAX:
                raise _too_many()
            now = self._clock.now()
            days = {"assign": self._assign, "answer": self._answer}
            after = follow(before, act, now=now, calendar=self._calendar, **days)
            after = self._recorded(connection, after, act.action.value, actor)
            connection.execute(update(tables.wish).where(tables.wish.c.id == after.id).values(**_row(after)))
        return after

    def _recorded(self, connection: Connection, wish: Wish, step: str, actor: Actor) -> Wish:
        """Return the wish with the entry that records its newest step."""
        facts: dict[str, JsonValue] = {"step": step, **wish_facts(wish)}
        entry_id = self._ledger.append(connection, kind=EntryKind.WISH, subject=wish.id, actor=actor, facts=facts)
        newest = wish.steps[-1].model_copy(update={"entry_id": entry_id})
        return wish.model_copy(update={"steps": (*wish.steps[:-1], newest)})

    def _one(self, connection: Connection, where: list[ColumnElement[bool]], *, locked: bool = False) -> Wish:
        query = select(tables.wish).where(*where)
        row = connection.execute(query.with_for_update() if locked else query).mappings().one_or_none()
        if row is None:
            raise _unknown()
        return wish_of(row)

    def _count(self, connection: Connection, where: list[ColumnElement[bool]]) -> int:
        return int(connection.execute(select(func.count()).select_from(tables.wish).where(*where)).scalar_one())

    def _select(
        self,
        connection: Connection,
        where: Sequence[ColumnElement[bool]],
        *,
        order: WishOrder = WishOrder.NEWEST,
        limit: int,
        offset: int = 0,
    ) -> tuple[Wish, ...]:
        table = tables.wish
        newest = table.c.id.desc()
        first = {
            WishOrder.NEWEST: (newest,),
            WishOrder.SUPPORT: (table.c.supporters.desc(), newest),
            WishOrder.DUE: (table.c.due_at.is_(None), table.c.due_at, newest),
        }[order]
        query = select(table).where(*where).order_by(*first).offset(offset).limit(limit)
        return tuple(wish_of(row) for row in connection.execute(query).mappings())


def _found(look: Callable[[Key], object], key: Key) -> bool:
    try:
        look(key)
    except NotFound:
        return False
    return True


def wish_of(row: Row) -> Wish:
    """Return the wish that a row holds."""
    return Wish.model_validate({**row["content"], "state": row["state"], "supporters": row["supporters"]})


def wish_facts(wish: Wish) -> dict[str, JsonValue]:
    """Return how a wish stands, for the ledger."""
    return {
        "state": wish.state.value,
        "department": wish.department,
        "due_at": None if wish.due_at is None else instant(wish.due_at),
        "resource_id": wish.resource_id,
        "planned_for": None if wish.planned_for is None else wish.planned_for.isoformat(),
        "content_sha256": text_digest(canonical_json(wish.draft.model_dump(mode="json")).decode()),
        "answer_sha256": text_digest(wish.answer),
    }


def _row(wish: Wish) -> dict[str, object]:
    return {
        "id": wish.id,
        "title": wish.draft.title,
        "department": wish.department,
        "state": wish.state.value,
        "made_at": wish.made_at,
        "due_at": wish.due_at,
        "supporters": wish.supporters,
        "content": wish.model_dump(mode="json", exclude={"state", "supporters"}),
    }


def _unknown() -> NotFound:
    return NotFound(
        "sharing.wish_unknown",
        what=Text(zh="没有这项需求。", en="There is no such wish."),
        remedy=Text(zh="请在需求墙上选择。", en="Choose one on the demand wall."),
    )


def _too_many() -> Conflict:
    return Conflict(
        "sharing.wish_limit",
        what=Text(zh="已达到账号的数量上限。", en="As many as one account may have are reached."),
        remedy=Text(zh="请等待答复，或明天再试。", en="Wait for answers, or try again tomorrow."),
    )


def _wrong(field: str, what: Text) -> Invalid:
    return Invalid(
        f"sharing.wish_{field}",
        what=what,
        remedy=Text(zh="请核对后重新提交。", en="Check it and submit again."),
        field=f"/{field}",
    )
