"""The ratings of all deliveries: given, changed, withdrawn, answered; what a department could rate now."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.request_flow import FlowStep
from datong.governance.satisfaction.ratings import (
    Opinion,
    Rating,
    RatingAct,
    RatingAction,
    RatingState,
    RatingSummary,
    next_state,
    quarter_of,
    rating_id,
    side_of,
    summary_of,
)
from datong.governance.satisfaction.tables import RATING, RATING_ACT
from datong.governance.tables import FLOW
from datong.kernel import (
    Actor,
    AgreementId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    NotFound,
    Page,
    Refused,
    Text,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger
from datong.norms import ShareMode
from datong.sharing import Agreement, AgreementState

SUMMED_MAX = 10_000
"""Ratings that one summary adds up."""
_HOLDS = frozenset({AgreementState.ACTIVE, AgreementState.SUSPENDED})
_GIVEN_STEPS = (FlowStep.IN_FORCE.value, FlowStep.DELIVER.value)


class AgreementBook(Protocol):
    """The agreements of all departments."""

    def get(self, agreement_id: AgreementId) -> Agreement:
        """Return one agreement.

        Raises:
            NotFound: there is none.
        """
        ...


class Ratings:
    """Ratings over the control database; what was delivered is what `RequestFlows` followed to its end."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, agreements: AgreementBook) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._agreements = agreements

    def rate(self, agreement_id: AgreementId, opinion: Opinion, actor: Actor) -> Rating:
        """Rate what an agreement delivers in the present quarter, or change what was said of it.

        Raises:
            NotFound: there is no such agreement. Conflict: nothing was delivered under it yet, or it is over.
            Refused: the actor's department is not the one that received, or also the one that delivered.
        """
        agreement, now = self._agreements.get(agreement_id), self._clock.now()
        period = quarter_of(now).name
        one = rating_id(agreement.id, period)
        with self._database.transaction() as connection:
            row = row_of(connection, RATING, one, lock=True)
            before = None if row is None else _rating(row)
            draft = before or Rating(
                id=one,
                agreement_id=agreement.id,
                period=period,
                provider=agreement.provider,
                consumer=agreement.consumer,
                resource_id=agreement.resource_id,
                state=RatingState.GIVEN,
                scores=opinion.scores,
                reasons=opinion.reasons,
                revision=0,
                rated_at=now,
            )
            action = RatingAction.RATE if before is None else RatingAction.CHANGE
            state = next_state(before, action, side_of(draft, actor), now)
            if agreement.provider == agreement.consumer:
                raise _own_delivery()
            if not self._ratable(connection, agreement):
                raise _not_delivered()
            changes = {
                "state": state,
                "scores": opinion.scores,
                "reasons": opinion.reasons,
                "answer": "",
                "answered_at": None,
                "revision": draft.revision + 1,
                "rated_at": now,
            }
            after = draft.model_copy(update=changes)
            self._write(connection, after, known=before is not None)
            self._record(connection, after, action, actor, "")
        return self.get(one)

    def withdraw(self, rating: str, actor: Actor) -> Rating:
        """Take a rating back; it counts no more.

        Raises:
            NotFound: there is none. Conflict, Refused: see `next_state`.
        """
        return self._act(rating, RatingAction.WITHDRAW, actor, "")

    def answer(self, rating: str, text: str, actor: Actor) -> Rating:
        """Answer a rating in the provider's name.

        Raises:
            NotFound: there is none. Invalid: nothing is said. Conflict, Refused: see `next_state`.
        """
        text = text.strip()
        if not text or len(text) > TEXT_CHARS_MAX:
            raise Invalid(
                "governance.rating_answer_missing",
                what=Text(
                    zh=f"需要回应内容，且不超过 {TEXT_CHARS_MAX} 字。",
                    en=f"An answer of at most {TEXT_CHARS_MAX} characters is needed.",
                ),
                remedy=Text(zh="请写明情况或改进办法。", en="Say how it came about, or what will be better."),
                field="/answer",
            )
        return self._act(rating, RatingAction.ANSWER, actor, text)

    def get(self, rating: str) -> Rating:
        """Return one rating with its acts.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            acts = acts_of(connection, RATING_ACT.c.rating_id, rating, RatingAct)
            return self._one(connection, rating).model_copy(update={"acts": acts})

    def of_delivery(self, agreement_id: AgreementId) -> Rating | None:
        """Return how an agreement is rated in the present quarter, if it is."""
        with self._database.snapshot() as connection:
            one = rating_id(agreement_id, quarter_of(self._clock.now()).name)
            row = row_of(connection, RATING, one, lock=False)
        return None if row is None else _rating(row)

    def find(
        self,
        *,
        party: DepartmentCode | None = None,
        provider: DepartmentCode | None = None,
        consumer: DepartmentCode | None = None,
        agreement_id: AgreementId | None = None,
        period: str | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Rating]:
        """Return ratings, newest first; `party` gave or got them."""
        wanted: list[ColumnElement[bool]] = []
        if party is not None:
            wanted.append((RATING.c.provider == party) | (RATING.c.consumer == party))
        columns = (
            (RATING.c.provider, provider),
            (RATING.c.consumer, consumer),
            (RATING.c.agreement_id, agreement_id),
            (RATING.c.period, period),
        )
        wanted += [column == value for column, value in columns if value is not None]
        newest = select(RATING).where(*wanted).order_by(RATING.c.rated_at.desc(), RATING.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(RATING).where(*wanted)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(_rating(row) for row in rows), total=total, offset=offset)

    def summary(self, provider: DepartmentCode, period: str | None = None) -> RatingSummary:
        """Return what was said of a department's deliveries in a quarter; without one, in the present."""
        name = quarter_of(self._clock.now()).name if period is None else period
        mine = select(RATING).where(RATING.c.provider == provider, RATING.c.period == name)
        with self._database.snapshot() as connection:
            rows = connection.execute(mine.order_by(RATING.c.rated_at.desc()).limit(SUMMED_MAX)).mappings()
            return summary_of(provider, name, [_rating(row) for row in rows])

    def to_rate(self, consumer: DepartmentCode, *, limit: int = PAGE_ROWS_DEFAULT) -> tuple[Agreement, ...]:
        """Return the agreements under which a department receives and which it has not rated in this quarter.

        Of the newest `limit` deliveries those whose agreement still holds, or ended in this quarter.
        """
        period = quarter_of(self._clock.now()).name
        rated = (RATING.c.agreement_id == FLOW.c.agreement_id) & (RATING.c.period == period)
        query = (
            select(FLOW.c.agreement_id)
            .join(RATING, rated, isouter=True)
            .where(FLOW.c.consumer == consumer, FLOW.c.provider != consumer, RATING.c.id.is_(None))
            .where(FLOW.c.agreement_id.is_not(None), FLOW.c.last_step.in_(_GIVEN_STEPS))
            .order_by(FLOW.c.last_at.desc(), FLOW.c.request_id)
        )
        with self._database.snapshot() as connection:
            ids = list(connection.scalars(query.limit(min(limit, PAGE_ROWS_MAX))))
            found = [self._agreements.get(AgreementId(one)) for one in ids]
            return tuple(agreement for agreement in found if self._ratable(connection, agreement))

    def may_be_rated(self, agreement: Agreement) -> bool:
        """Whether something was delivered between two departments, under an agreement that holds or ended lately."""
        with self._database.snapshot() as connection:
            return agreement.provider != agreement.consumer and self._ratable(connection, agreement)

    def _ratable(self, connection: Connection, agreement: Agreement) -> bool:
        """Whether data was there (by the interface, or since the first complete run) under an agreement that holds,
        or that ended in the present quarter: its last quarter is rated like the others."""
        step = connection.scalar(select(FLOW.c.last_step).where(FLOW.c.agreement_id == agreement.id))
        by_call = ShareMode.INTERFACE in agreement.purpose.modes
        given = step == FlowStep.DELIVER or (step == FlowStep.IN_FORCE and by_call)
        if not given or agreement.state in _HOLDS:
            return given
        ended = self._ended_at(agreement)
        return ended is not None and quarter_of(ended) == quarter_of(self._clock.now())

    def _ended_at(self, agreement: Agreement) -> datetime | None:
        """Return when an agreement was over: the end of its term, or the first entry that says that it was ended."""
        if agreement.state is AgreementState.EXPIRED:
            return agreement.valid_until
        acts = self._ledger.entries(kind=EntryKind.AGREEMENT, subject=agreement.id).rows
        over = AgreementState.TERMINATED.value
        return min((act.at for act in acts if act.facts["state"] == over), default=None)

    def _act(self, rating: str, action: RatingAction, actor: Actor, statement: str) -> Rating:
        now = self._clock.now()
        with self._database.transaction() as connection:
            before = self._one(connection, rating, lock=True)
            changes: dict[str, object] = {"state": next_state(before, action, side_of(before, actor), now)}
            if action is RatingAction.ANSWER:
                changes |= {"answer": statement, "answered_at": now}
            after = before.model_copy(update=changes)
            self._write(connection, after, known=True)
            self._record(connection, after, action, actor, statement)
        return self.get(rating)

    @staticmethod
    def _write(connection: Connection, rating: Rating, *, known: bool) -> None:
        document = rating.model_dump(mode="json", include={"scores", "reasons"})
        values = {**rating.model_dump(exclude={"acts", "scores", "reasons"}), **document}
        if known:
            connection.execute(update(RATING).where(RATING.c.id == rating.id).values(values))
        else:
            connection.execute(insert(RATING).values(values))

    def _record(
        self, connection: Connection, after: Rating, action: RatingAction, actor: Actor, statement: str
    ) -> None:
        scores = {aspect.value: points for aspect, points in after.scores.items()}
        put_act(
            connection,
            self._ledger,
            RATING_ACT.c.rating_id,
            after.id,
            kind=EntryKind.RATING,
            facts={**after.facts(), "action": action.value},
            actor=actor,
            at=self._clock.now(),
            action=action,
            state_after=after.state,
            scores=scores,
            statement=statement,
        )

    @staticmethod
    def _one(connection: Connection, rating: str, *, lock: bool = False) -> Rating:
        row = row_of(connection, RATING, rating, lock=lock)
        if row is None:
            raise NotFound(
                "governance.rating_not_found",
                what=Text(zh="没有这条评价。", en="There is no such rating."),
                remedy=Text(zh="请从评价列表中选择。", en="Choose one from the list."),
            )
        return _rating(row)


def _rating(row: RowMapping) -> Rating:
    return Rating.model_validate(dict(row))


def _own_delivery() -> Refused:
    return Refused(
        "governance.rating_own",
        what=Text(zh="部门不能评价自己提供给自己的数据。", en="Nobody rates what it delivers to itself."),
        remedy=Text(zh="请评价其他部门的服务。", en="Rate what other departments deliver."),
    )


def _not_delivered() -> Conflict:
    return Conflict(
        "governance.rating_too_early",
        what=Text(
            zh="该协议下还没有送达数据，或协议在本季度之前已经结束。",
            en="Nothing was delivered under this agreement yet, or it ended before this quarter.",
        ),
        remedy=Text(zh="收到数据后再评价。", en="Rate it when data has arrived."),
    )
