"""Delayed disclosure (《个人信息保护法》 Arts. 18, 35): a use is told to the person later, for a reason, until a date.

It is a signed term of an agreement (`told_after_days`), or an order of the authority, which names an agreement, or one
case under it, the legal ground, and until when: a day, or so many days after each use. It is itself evidence. Nothing
has to be done for the release: when its time has come, the use stands on the person's page, with its ground beside it.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator
from sqlalchemy import insert, select, update

from datong.kernel import (
    Actor,
    AgreementId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    NotFound,
    Page,
    Text,
    Value,
    new_id,
    page_of,
)
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.agreements import Agreements
from datong.sharing.credentials import invalid_field
from datong.sharing.evidence import instant, text_digest
from datong.sharing.usage import Use

HOLD_DAYS_MAX = 365
HOLDS_MAX = 10_000
"""Orders that are looked at for one person's page."""


class HoldGround(StrEnum):
    """Why the law lets a use be told later."""

    SECRECY = "secrecy"
    INVESTIGATION = "investigation"
    DUTY_HINDERED = "duty_hindered"
    AGREED = "agreed"
    """As a term of the agreement; not for orders."""

    @property
    def label(self) -> Text:
        """The ground with its article."""
        return _GROUNDS[self]


_GROUNDS = {
    HoldGround.SECRECY: Text(
        zh="法律、行政法规规定应当保密（《个人信息保护法》第十八条）",
        en="Secrecy prescribed by law or regulation (PIPL Art. 18)",
    ),
    HoldGround.INVESTIGATION: Text(
        zh="侦查、调查期间（《个人信息保护法》第十八条）", en="While an investigation lasts (PIPL Art. 18)"
    ),
    HoldGround.AGREED: Text(
        zh="协议约定依法延后告知（《个人信息保护法》第十八、三十五条）",
        en="A term of the agreement, as the law allows (PIPL Arts. 18, 35)",
    ),
    HoldGround.DUTY_HINDERED: Text(
        zh="告知将妨碍履行法定职责（《个人信息保护法》第三十五条）",
        en="Telling would hinder a statutory duty (PIPL Art. 35)",
    ),
}


class HoldOrder(Value):
    """An order to tell later of uses under an agreement (`case_number` empty: all of them): until a day, or by days."""

    agreement_id: AgreementId
    case_number: str = Field("", max_length=NAME_CHARS_MAX)
    ground: HoldGround
    reason: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    until: datetime | None = None
    delay_days: int | None = Field(None, ge=1, le=HOLD_DAYS_MAX)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.until is None) == (self.delay_days is None):
            raise ValueError("give either until or delay_days")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("until needs a time zone")
        if self.ground is HoldGround.AGREED:
            raise ValueError("an order has a ground of its own")
        return self


class DisclosureHold(HoldOrder):
    """An order as it stands; one that ended early holds nothing any more."""

    id: str
    consumer: DepartmentCode
    provider: DepartmentCode
    ordered_by: str
    ordered_at: datetime
    ended_at: datetime | None = None
    entry_id: EntryId

    def covers(self, use: Use) -> bool:
        """Whether the order is about this use."""
        return self.agreement_id in use.agreement_ids and self.case_number in ("", use.case_number)

    def told_at(self, use: Use) -> datetime:
        """When a use that the order covers is told."""
        planned = self.until or use.at + timedelta(days=self.delay_days or 0)
        return planned if self.ended_at is None else min(planned, self.ended_at)


class DisclosureHolds:
    """Orders, their evidence, and what they say about uses."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, agreements: Agreements) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._agreements = agreements

    def order(self, order: HoldOrder, actor: Actor) -> DisclosureHold:
        """Order that uses are told later.

        Raises:
            NotFound: there is no such agreement. Invalid: the day is over, or more than HOLD_DAYS_MAX days ahead.
        """
        agreement, now = self._agreements.get(order.agreement_id), self._clock.now()
        if order.until is not None and not now < order.until <= now + timedelta(days=HOLD_DAYS_MAX):
            raise invalid_field(
                "until",
                Text(
                    zh=f"日期须在将来 {HOLD_DAYS_MAX} 天之内；届满前可另行决定延长。",
                    en=f"The day lies within {HOLD_DAYS_MAX} days; another order may prolong it.",
                ),
            )
        hold_id = new_id()
        with self._database.transaction() as connection:
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.DISCLOSURE,
                subject=hold_id,
                actor=actor,
                facts={
                    "step": "order",
                    "agreement_id": agreement.id,
                    "consumer": agreement.consumer,
                    "provider": agreement.provider,
                    "one_case": bool(order.case_number),
                    "ground": order.ground.value,
                    "reason_sha256": text_digest(order.reason),
                    "until": instant(order.until) if order.until else None,
                    "delay_days": order.delay_days,
                },
            )
            hold = DisclosureHold(
                **order.model_dump(),
                id=hold_id,
                consumer=agreement.consumer,
                provider=agreement.provider,
                ordered_by=actor.id,
                ordered_at=now,
                entry_id=entry_id,
            )
            content = hold.model_dump(mode="json", exclude={"id", "agreement_id", "ended_at"})
            connection.execute(
                insert(tables.disclosure_hold).values(
                    id=hold_id, agreement_id=agreement.id, ordered_at=now, content=content
                )
            )
        return hold

    def end(self, hold_id: str, actor: Actor) -> DisclosureHold:
        """End an order early: what it held back is told from now on.

        Raises:
            NotFound: there is no such order. Conflict: it was ended before.
        """
        table, now = tables.disclosure_hold, self._clock.now()
        hold = self.get(hold_id)
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(table).where(table.c.id == hold_id, table.c.ended_at.is_(None)).values(ended_at=now)
            ).rowcount
            if changed != 1:
                raise Conflict(
                    "sharing.hold_ended",
                    what=Text(zh="该决定已经终止。", en="This order was ended before."),
                    remedy=Text(zh="请刷新后查看。", en="Reload to see the present state."),
                )
            self._ledger.append(
                connection,
                kind=EntryKind.DISCLOSURE,
                subject=hold_id,
                actor=actor,
                facts={
                    "step": "end",
                    "agreement_id": hold.agreement_id,
                    "consumer": hold.consumer,
                    "provider": hold.provider,
                },
            )
        return hold.model_copy(update={"ended_at": now})

    def get(self, hold_id: str) -> DisclosureHold:
        """Return an order.

        Raises:
            NotFound: there is none with that id.
        """
        table = tables.disclosure_hold
        with self._database.snapshot() as connection:
            row = connection.execute(select(table).where(table.c.id == hold_id)).mappings().first()
        if row is None:
            raise NotFound(
                "sharing.hold_unknown",
                what=Text(zh="没有这个决定。", en="There is no such order."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return _hold(row)

    def find(self, *, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT) -> Page[DisclosureHold]:
        """Return the orders, newest first."""
        table = tables.disclosure_hold
        query = select(table).order_by(table.c.ordered_at.desc(), table.c.id.desc())
        with self._database.snapshot() as connection:
            rows = connection.execute(query.limit(HOLDS_MAX)).mappings().all()
        shown = rows[offset : offset + min(limit, PAGE_ROWS_MAX)]
        return page_of(tuple(_hold(row) for row in shown), total=len(rows), offset=offset)

    def about(self, uses: list[Use]) -> dict[str, tuple[datetime, HoldGround]]:
        """Return, of each use that some order covers, when it is told and on what ground it waits until then."""
        agreements = {agreement for use in uses for agreement in use.agreement_ids}
        table = tables.disclosure_hold
        query = select(table).where(table.c.agreement_id.in_(agreements)).order_by(table.c.ordered_at).limit(HOLDS_MAX)
        with self._database.snapshot() as connection:
            holds = [_hold(row) for row in connection.execute(query).mappings()] if agreements else []
        agreed = {agreement: self._agreements.get(agreement).purpose.told_after_days for agreement in agreements}
        told: dict[str, tuple[datetime, HoldGround]] = {}
        for use in uses:
            days = max((agreed[agreement] for agreement in use.agreement_ids), default=0)
            if days:
                told[use.access_id] = (use.at + timedelta(days=days), HoldGround.AGREED)
            for hold in holds:
                if hold.covers(use):
                    at = hold.told_at(use)
                    if at > use.at and (use.access_id not in told or at > told[use.access_id][0]):
                        told[use.access_id] = (at, hold.ground)
        return told


def _hold(row: tables.Row) -> DisclosureHold:
    own = {"id": row["id"], "agreement_id": row["agreement_id"], "ended_at": row["ended_at"]}
    return DisclosureHold.model_validate({**row["content"], **own})
