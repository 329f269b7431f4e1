"""Guided tours: where each act leads, and that an account finds its place again."""

import pytest

from datong.sharing.tours import TourAct, Tours, TourState
from datong.sharing.tours.tours import moved
from tests.unit.sharing.world import World


@pytest.mark.parametrize(
    ("step", "act", "after"),
    [
        (2, TourAct.BEGIN, (0, TourState.WALKING)),
        (2, TourAct.NEXT, (3, TourState.WALKING)),
        (3, TourAct.NEXT, (3, TourState.DONE)),
        (0, TourAct.BACK, (0, TourState.WALKING)),
        (9, TourAct.RESUME, (3, TourState.WALKING)),
        (2, TourAct.LEAVE, (2, TourState.LEFT)),
        (-1, TourAct.DECLINE, (0, TourState.DECLINED)),
    ],
)
def test_an_act_leads_to_a_step_that_the_tour_has(step: int, act: TourAct, after: tuple[int, TourState]) -> None:
    assert moved(step, act, 4) == after


def test_each_account_has_its_own_place(world: World) -> None:
    tours = Tours(database=world.database, clock=world.clock)
    assert tours.progress("a", "clerk") is None
    tours.act("a", "clerk", TourAct.BEGIN, steps=3)
    tours.act("a", "clerk", TourAct.NEXT, steps=3)
    left = tours.act("a", "clerk", TourAct.LEAVE, steps=3)
    assert tours.progress("a", "clerk") == left
    assert (left.step, left.state) == (1, "left")
    assert tours.progress("b", "clerk") is None
    assert tours.progress("a", "officer") is None
