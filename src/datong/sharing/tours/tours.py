"""Guided tours as accounts walk them: where each is, and what the acts of a walker do to that."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select

from datong.kernel import Clock, Database, Value
from datong.sharing.tours.tables import tour_progress


class TourState(StrEnum):
    """What somebody does with a tour."""

    WALKING = "walking"
    LEFT = "left"
    DONE = "done"
    DECLINED = "declined"


class TourAct(StrEnum):
    """What a walker can do; `BEGIN` starts from the first step, `RESUME` where the tour was left."""

    BEGIN = "begin"
    RESUME = "resume"
    NEXT = "next"
    BACK = "back"
    LEAVE = "leave"
    DECLINE = "decline"


class TourProgress(Value):
    """Where an account is on a tour; `step` counts from 0."""

    tour: str
    step: int
    state: TourState
    changed_at: datetime


def moved(step: int, act: TourAct, steps: int) -> tuple[int, TourState]:
    """Return the step and state after an act at `step` of a tour of `steps`; after the last one it is done."""
    here = min(max(step, 0), steps - 1)
    match act:
        case TourAct.BEGIN:
            return 0, TourState.WALKING
        case TourAct.RESUME:
            return here, TourState.WALKING
        case TourAct.BACK:
            return max(here - 1, 0), TourState.WALKING
        case TourAct.NEXT:
            return (here + 1, TourState.WALKING) if here + 1 < steps else (here, TourState.DONE)
        case TourAct.LEAVE:
            return here, TourState.LEFT
        case TourAct.DECLINE:
            return here, TourState.DECLINED


class Tours:
    """Keeps how far accounts are."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def progress(self, account: str, tour: str) -> TourProgress | None:
        """Return where the account is on a tour; None: it never answered the offer."""
        table = tour_progress.c
        query = select(table.tour, table.step, table.state, table.changed_at).where(
            table.account == account, table.tour == tour
        )
        with self._database.snapshot() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else TourProgress.model_validate(dict(row))

    def act(self, account: str, tour: str, act: TourAct, *, steps: int) -> TourProgress:
        """Put down what the account does on a tour of `steps`, and return where it is then."""
        table = tour_progress.c
        same = (table.account == account, table.tour == tour)
        with self._database.transaction() as connection:
            before = connection.execute(select(table.step).where(*same)).scalar()
            step, state = moved(before or 0, act, steps)
            now = self._clock.now()
            # Deleted and inserted: equal on both databases, and two windows of one person do no harm to each other.
            connection.execute(delete(tour_progress).where(*same))
            values = {"account": account, "tour": tour, "step": step, "state": state.value, "changed_at": now}
            connection.execute(insert(tour_progress).values(**values))
        return TourProgress(tour=tour, step=step, state=state, changed_at=now)
