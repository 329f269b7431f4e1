"""Grants are kept for the second for which they were decided, and let go with it."""

import gc
import weakref
from datetime import timedelta

from datong.sharing.gateway_calls import Asked
from datong.sharing.grants import Asks, Grant, Grants
from tests.unit.sharing.samples import EDUCATION, RESOURCE, application
from tests.unit.sharing.world import POLICY, World


def test_a_grant_serves_its_second_and_is_let_go_with_it(world: World) -> None:
    (granted,) = world.submit(["姓名", "hh"])
    world.put_in_force(granted.agreement_id)
    grants = Grants(POLICY, world.mask_keys)
    resource = world.resources.published(RESOURCE)
    candidates = world.agreements.candidates(EDUCATION, RESOURCE)
    asked = Asked(application(EDUCATION), RESOURCE, {"citizen_id": "1"}, ("姓名",), "school-admission", "RX-1")
    asks = Asks(case_stated=True, filters_rows=True)
    known = []
    for _ in range(3):
        now = world.clock.now()
        first, second = (grants.of(asked, resource, candidates, asks, now, anew=False) for _ in range(2))
        assert isinstance(first, Grant)
        assert isinstance(second, Grant)
        assert first.alike is second.alike, "decided once"
        known.append(weakref.ref(first.alike.facts))
        world.clock.advance(timedelta(seconds=1))
        del first, second
    gc.collect()
    assert [one() is not None for one in known] == [False, False, True]
