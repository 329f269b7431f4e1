"""Failed calls: by cause, counted before their callers are told, on record when their hour is over."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from datong.kernel import (
    DatongError,
    DepartmentCode,
    Invalid,
    NotFound,
    Refused,
    ResourceId,
    Text,
    TimedOut,
    TooLarge,
    Unavailable,
)
from datong.ledger import EntryKind
from datong.sharing import FailureCause, Gateway, Record
from datong.sharing.call_failures import CallFailures
from datong.sharing.failure_causes import cause_of
from datong.sharing.gateway_calls import Asked
from datong.sharing.terms import Agreement
from tests.unit.ledger.documented import undocumented
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, application
from tests.unit.sharing.world import POLICY, World

CITIZEN = "110101199003070011"
NOTHING = Text(zh="无", en="none")
HOUR = timedelta(hours=1)


def error(kind: type[DatongError], code: str = "test.failed") -> DatongError:
    return kind(code, what=NOTHING, remedy=NOTHING)


@pytest.mark.parametrize(
    ("met", "cause"),
    [
        (RuntimeError("nobody foresaw it"), FailureCause.PLATFORM_ERROR),
        (error(Unavailable, "library.unreadable"), FailureCause.PLATFORM_ERROR),
        (error(Unavailable, "sharing.live_offline"), FailureCause.NODE_OFFLINE),
        (error(TimedOut, "sharing.live_timeout"), FailureCause.NODE_TIMEOUT),
        (error(Unavailable, "sharing.live_failed"), FailureCause.PROVIDER_ERROR),
        (error(Unavailable, "sharing.gateway_busy"), FailureCause.PLATFORM_BUSY),
        *((error(kind), None) for kind in (Invalid, NotFound, Refused, TooLarge)),
    ],
)
def test_what_fails_has_a_cause_and_what_is_refused_or_asked_wrongly_has_none(
    met: BaseException, cause: FailureCause | None
) -> None:
    assert cause_of(met) is cause
    assert cause is None or cause.by_provider is not cause.value.startswith("platform")


class Library:
    """Records that cannot be read."""

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        told = f"{resource_id} by {key_element}, {len(key_values)} keys"
        raise Unavailable("library.unreadable", what=Text(zh=told, en=told), remedy=NOTHING)


def asked(purpose: str = "school-admission") -> Asked:
    return Asked(application(EDUCATION), RESOURCE, {"citizen_id": CITIZEN}, ("姓名",), purpose, "RX-1")


def test_failures_are_summed_by_the_hour_and_then_on_record(world: World) -> None:
    (granted,) = world.submit(["姓名", "公民身份号码", "hh"])
    world.put_in_force(granted.agreement_id)
    gateway = Gateway(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        catalogue=world.resources,
        agreements=world.agreements,
        policy=POLICY,
        records=Library(),
        index_key=b"index",
        mask_keys=world.mask_keys,
    )
    began = world.clock.now()
    for _ in range(2):
        with pytest.raises(Unavailable):
            gateway.answer(asked())
    world.clock.advance(timedelta(minutes=1))
    assert len(gateway.answer_many([asked()] * 3)) == 3
    with pytest.raises(Refused):
        gateway.answer(asked("statistics"))
    # A process that ended now would have lost nothing: another one, which saw no call, puts them on record.
    other = CallFailures(
        database=world.database, clock=world.clock, ledger=world.ledger, agreements=world.agreements.candidates
    )
    assert not other.record()
    assert world.ledger.entries(kind=EntryKind.FAILURE).total == 0
    world.clock.advance(HOUR)
    other.record()
    assert not gateway.failures.record()
    (entry,) = world.ledger.entries(kind=EntryKind.FAILURE).rows
    assert undocumented([entry]) == {}
    facts = entry.facts
    assert (facts["cause"], facts["calls"], facts["agreement_ids"]) == ("platform_error", 5, [granted.agreement_id])
    assert (facts["provider"], facts["consumer"], entry.subject) == (POLICE, EDUCATION, RESOURCE)
    assert facts["first_at"] == began.isoformat()
    assert facts["last_at"] == (began + timedelta(minutes=1)).isoformat()


def test_what_cannot_be_written_down_waits(world: World) -> None:
    (granted,) = world.submit(["姓名", "公民身份号码", "hh"])
    world.put_in_force(granted.agreement_id)
    away = True

    def agreements(department: DepartmentCode, resource_id: ResourceId) -> Sequence[Agreement]:
        if away:
            raise OperationalError("SELECT 1", {}, Exception("the database does not answer"))
        return world.agreements.candidates(department, resource_id)

    failures = CallFailures(database=world.database, clock=world.clock, ledger=world.ledger, agreements=agreements)
    for cause in (FailureCause.PLATFORM_BUSY, FailureCause.PLATFORM_ERROR):
        failures.note([(asked(), cause), (asked(), cause), (asked("statistics"), cause)])
        failures.keep()
    world.clock.advance(HOUR)
    failures.record()
    away = False
    assert world.ledger.entries(kind=EntryKind.FAILURE).total == 0
    failures.record()
    rows = world.ledger.entries(kind=EntryKind.FAILURE).rows
    # No agreement is in force for the other purpose: such calls would have been refused.
    assert {row.facts["cause"]: row.facts["calls"] for row in rows} == {"platform_busy": 2, "platform_error": 2}
