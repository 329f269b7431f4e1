"""An agreement that ended is rated in the quarter in which it did, and not in the next."""

from datetime import timedelta
from pathlib import Path

import pytest

from datong.governance import RequestFlows
from datong.governance.satisfaction import Opinion, Ratings
from datong.kernel import Conflict
from tests.new_control import new_control
from tests.unit.sharing.samples import EDUCATION, POLICE, person
from tests.unit.sharing.world import World

OPINION = Opinion.model_validate({"scores": {"quality": 2}})


@pytest.mark.parametrize("how", ["terminated", "expired"])
def test_the_last_quarter_of_an_agreement_is_rated(tmp_path: Path, how: str) -> None:
    world = World(new_control(tmp_path))
    term = world.clock.now() + timedelta(days=1)
    (granted,) = world.submit(["xm", "gmsfhm"], valid_until=term)
    agreement = world.put_in_force(granted.agreement_id)
    world.clock.advance(timedelta(minutes=1))
    flows = RequestFlows(database=world.database, clock=world.clock, calendar=world.calendar, ledger=world.ledger)
    flows.catch_up()
    ratings = Ratings(database=world.database, clock=world.clock, ledger=world.ledger, agreements=world.agreements)
    if how == "terminated":
        world.agreements.terminate(agreement.id, person(POLICE), "职能调整")
    else:
        world.clock.advance(timedelta(days=2))
        world.agreements.expire_due()
    assert [one.id for one in ratings.to_rate(EDUCATION)] == [agreement.id]
    rated = ratings.rate(agreement.id, OPINION, person(EDUCATION))
    assert rated.scores == OPINION.scores
    world.clock.advance(timedelta(days=92))
    assert ratings.to_rate(EDUCATION) == ()
    assert not ratings.may_be_rated(world.agreements.get(agreement.id))
    with pytest.raises(Conflict, match="governance.rating_too_early"):
        ratings.rate(agreement.id, OPINION, person(EDUCATION))
    world.database.close()
