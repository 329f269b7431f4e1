"""The ways of requests, drawn from the ledger: variants, waiting times, who turns back, what stands behind a step."""

from datetime import timedelta

from datong.governance import FlowStep, Party, RequestFlows
from datong.kernel import Database, DepartmentCode, JsonValue
from datong.ledger import EntryKind
from tests.integration.governance.test_monitor import CONSUMER, PROVIDER, World

DAY = timedelta(days=1)


class Requests:
    """Requests that go their ways through a ledger."""

    def __init__(self, database: Database) -> None:
        self.world = World(database)
        self.flows = RequestFlows(
            database=database, clock=self.world.clock, calendar=self.world.calendar, ledger=self.world.ledger
        )

    def step(self, number: int, step: str, state: str = "submitted", by: DepartmentCode = PROVIDER) -> None:
        facts: dict[str, JsonValue] = {
            "request_id": f"r-{number}", "step": step, "state": state, "consumer": CONSUMER, "provider": PROVIDER,
            "resource_id": "resource-1", "agreement_id": f"a-{number}" if state == "granted" else None,
        }  # fmt: skip
        kind = EntryKind.DECISION if step in {"approve", "refuse"} else EntryKind.REQUEST
        self.world.record(kind, f"r-{number}", facts, by)
        self.world.clock.advance(timedelta(seconds=1))

    def agree(self, number: int, step: str, state: str, by: DepartmentCode = PROVIDER) -> None:
        facts: dict[str, JsonValue] = {
            "agreement_id": f"a-{number}", "request_id": f"r-{number}", "step": step, "state": state,
            "consumer": CONSUMER, "provider": PROVIDER, "resource_id": "resource-1",
        }  # fmt: skip
        self.world.record(EntryKind.AGREEMENT, f"a-{number}", facts, by)
        self.world.clock.advance(timedelta(seconds=1))

    def deliver(self, number: int) -> None:
        facts: dict[str, JsonValue] = {
            "agreement": f"a-{number}", "batch": "b", "last": True, "consumer": CONSUMER, "provider": PROVIDER,
        }  # fmt: skip
        self.world.record(EntryKind.BATCH, "t-1", facts, PROVIDER)
        self.world.clock.advance(timedelta(seconds=1))


def test_ways_are_followed_counted_and_led_back_to_their_acts(control_database: Database) -> None:
    city = Requests(control_database)
    assert city.flows.catch_up() == 0
    for number in range(5):
        city.step(number, "submit", by=CONSUMER)
    assert city.flows.catch_up() == 5
    # Monday nine o'clock: two are answered a day later, two more after a weekend, one is refused after an extension.
    city.world.clock.advance(DAY)
    for number in (0, 1):
        city.step(number, "approve", "granted")
    city.world.clock.advance(7 * DAY)
    for number in (2, 3):
        city.step(number, "approve", "granted")
    city.step(4, "extend")
    city.step(4, "consent_extension")
    city.step(4, "refuse", "refused")
    for number in (0, 1):
        city.agree(number, "draw_up", "draft")
        city.agree(number, "confirm", "draft")
        city.agree(number, "confirm", "confirmed", CONSUMER)
        city.agree(number, "sign", "confirmed")
        city.agree(number, "sign", "active", CONSUMER)
    city.deliver(0)
    city.deliver(0)
    city.agree(0, "terminate", "terminated")
    city.agree(2, "terminate", "terminated", CONSUMER)
    assert city.flows.catch_up() == 17
    assert city.flows.catch_up() == 0

    found = city.flows.map(period="2026-11", department=PROVIDER)
    assert (found.requests, found.delivered, found.turned_back, found.variants_total) == (5, 1, 2, 5)
    edges = {(edge.before, edge.step): edge for edge in found.edges}
    replied = edges[FlowStep.SUBMIT, FlowStep.APPROVE]
    # One working day, and six: Saturday and Sunday do not count.
    days = [round(seconds / 86_400, 2) for seconds in (replied.median_seconds, replied.ninetieth_seconds)]
    assert (replied.requests, days) == (4, [1.0, 6.0])
    assert edges[FlowStep.IN_FORCE, FlowStep.DELIVER].requests == 1
    whole = next(variant for variant in found.variants if variant.steps[-1] is FlowStep.DELIVER)
    assert [step.value for step in whole.steps] == [
        "submit", "approve", "confirm", "confirmed", "sign", "in_force", "deliver",
    ]  # fmt: skip
    turns = {(turn.step, turn.party): turn.times for turn in found.turns}
    assert turns == {
        (FlowStep.EXTEND, Party.PROVIDER): 1,
        (FlowStep.REFUSE, Party.PROVIDER): 1,
        (FlowStep.GIVEN_UP, Party.CONSUMER): 1,
    }
    behind = city.flows.requests(FlowStep.SUBMIT, FlowStep.APPROVE, department=CONSUMER)
    assert behind.total == 4
    assert {row.request_id for row in behind.rows[:2]} == {"r-2", "r-3"}
    assert city.world.ledger.entry(behind.rows[0].entry_id).facts["step"] == "approve"
    assert city.flows.map(period="2026-10").requests == 0
    assert city.flows.map(department=DepartmentCode("110000000000000000")).edges == ()
