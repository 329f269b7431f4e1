"""Clerical review over a real library: what people decide is kept to by the next build, and can be withdrawn."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, Conflict, Database, Invalid, NotFound
from datong.ledger import Ed25519Signer, EntryKind, Ledger, MemoryTileStore
from datong.library import (
    FixedLanding,
    LearnedWeights,
    Library,
    PairRecord,
    PairVerdict,
    ReviewPair,
    Reviews,
    StoredDecisions,
    Verdict,
    WeightsAct,
    WeightsOrder,
    WeightsState,
)
from datong.norms import load_pack
from datong.norms.identifiers import citizen_check_character
from tests.integration.library.test_corrections import Killed, MortalClock
from tests.library_sources import Row, landed

RESIDENTS = {
    "id": "record_id",
    "xm": "person_name",
    "sfzh": "citizen_id",
    "xb": "sex",
    "csrq": "birth_date",
    "hh": "household_id",
    "gx": "relation_to_head",
    "dz": "address",
    "dh": "phone",
    "gxsj": "updated_at",
}
INSURED = {name: RESIDENTS[name] for name in ("id", "xm", "sfzh", "xb", "csrq", "dz", "dh", "gxsj")} | {
    "cb": "insurance_status"
}
HOME = "广东省示例市顺德区均安镇朝阳二路31号"
PHONE = "13800001111"
DAY = "2026-01-01 08:00:00"
TWINS = (
    ("R1", "王丽", "110101199003070011", "2", "1990-03-07", "4406060000001", "01", HOME, PHONE, DAY),
    ("R2", "王丽", "110101199003070038", "2", "1990-03-07", "4406060000002", "01", HOME, PHONE, DAY),
    ("R3", "李强", "110101200002290042", "2", "2000-02-29", "4406060000003", "01", "示例市禅城区同华路8号", None, DAY),
)
"""Two people of one name, birth and address, with valid identifiers of their own."""
UNSURE = (("I1", "王丽", None, "2", "1990-03-07", HOME, PHONE, DAY, "1"),)
"""A record without an identifier that fits both of them."""
STEWARD = Actor(kind=ActorKind.PERSON, id="steward", name="steward")
SAME = PairVerdict(verdict=Verdict.SAME, statement="电话核实为同一人")
DIFFERENT = PairVerdict(verdict=Verdict.DIFFERENT, statement="两人同时在场")


class Hub:
    """A population of four records, one of them doubtful, and the reviews of it; or of others."""

    def __init__(
        self, database: Database, folder: Path, residents: Sequence[Row] = TWINS, insured: Sequence[Row] = UNSURE
    ) -> None:
        clock = self.clock = MortalClock(datetime(2026, 3, 2, 1, 0, tzinfo=UTC))
        self.ledger = Ledger(
            database=database,
            clock=clock,
            signer=Ed25519Signer.generate(),
            origin="test.local/log",
            tiles=MemoryTileStore(),
        )
        self.library = Library(
            database=database,
            clock=clock,
            ledger=self.ledger,
            pack=load_pack(None),
            lake=folder / "lake",
            landing=FixedLanding(
                (
                    landed(folder, "residents", RESIDENTS, residents),
                    landed(folder, "insured", INSURED, insured, number=1),
                )
            ),
            decisions=StoredDecisions(database),
        )
        self.reviews = Reviews(database=database, clock=clock, ledger=self.ledger, library=self.library)
        self.build()

    def build(self) -> None:
        self.library.run_build(self.library.request_build("population", actor=PLATFORM_ACTOR).id)

    def entity(self, record: PairRecord) -> str:
        """Return the entity for which a record stands now."""
        (row,) = self.library.lookup(f"resource:{record.resource_id}", "row_key", record.row_key)
        return str(row.entity_id)

    def together(self, pair: ReviewPair) -> bool:
        return self.entity(pair.left) == self.entity(pair.right)


def _twins(count: int) -> tuple[list[Row], list[Row]]:
    """Return `count` pairs of twins as above, each with a record that fits both."""
    residents: list[Row] = []
    insured: list[Row] = []
    for number in range(count):
        name = "赵钱孙李周吴郑王冯陈褚卫"[number % 12] + "丽"
        day = f"1990-03-{number + 1:02d}"
        home, phone = f"广东省示例市顺德区均安镇朝阳二路{number + 1}号", f"138000011{number:02d}"
        for place in (1, 2):
            first = f"1101011990{day[5:7]}{day[8:]}{place:02d}{2 * number % 10}"
            identifier = first + citizen_check_character(first)
            house = f"44060600{number:02d}{place:03d}"
            residents.append((f"R{number}-{place}", name, identifier, "2", day, house, "01", home, phone, DAY))
        insured.append((f"I{number}", name, None, "2", day, home, phone, DAY, "1"))
    return residents, insured


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    return Hub(database, tmp_path)


def test_decisions_bind_the_next_build_until_they_are_withdrawn(hub: Hub) -> None:
    reviews = hub.reviews
    queue = reviews.queue("population")
    assert {pair.reason for pair in queue.rows} <= {"ambiguous", "near"}
    assert queue.total == 2, "the record without an identifier, beside each of the two"
    joined, parted = queue.rows
    view = reviews.view("population", 1, joined.number)
    assert view.pair == joined
    assert view.differing <= set(view.elements)
    assert view.left.cells != view.right.cells
    assert joined.weight == pytest.approx(sum(level.bits for level in joined.levels) - 13.29, abs=0.1)

    with pytest.raises(Invalid, match=r"library\.review_statement"):
        reviews.decide("population", 1, joined.number, PairVerdict(verdict=Verdict.SAME), actor=STEWARD)
    later = reviews.decide("population", 1, joined.number, PairVerdict(verdict=Verdict.LATER), actor=STEWARD)
    assert [pair.number for pair in reviews.queue("population", postponed=True).rows] == [joined.number]
    decision = reviews.decide("population", 1, joined.number, SAME, actor=STEWARD)
    assert reviews.decision(later.id).withdrawn_at is not None, "a decision takes the place of a postponement"
    with pytest.raises(Conflict, match=r"library\.review_decided"):
        reviews.decide("population", 1, joined.number, DIFFERENT, actor=STEWARD)
    other = reviews.decide("population", 1, parted.number, DIFFERENT, actor=STEWARD)
    assert reviews.queue("population").total == 0
    assert not hub.together(joined)
    former = {hub.entity(joined.left), hub.entity(joined.right)}

    hub.build()
    assert hub.together(joined)
    assert not hub.together(parted)
    present = hub.entity(joined.left)
    assert {hub.library.entity("population", joined.left.entity_id).entity_id} == {present} <= former
    assert reviews.decision(decision.id).applied
    with pytest.raises(NotFound, match=r"library\.review_pair_unknown"):
        reviews.decide("population", 1, joined.number, SAME, actor=STEWARD)

    reviews.withdraw(decision.id, actor=STEWARD)
    with pytest.raises(Conflict, match=r"library\.decision_withdrawn"):
        reviews.withdraw(decision.id, actor=STEWARD)
    reviews.withdraw(other.id, actor=STEWARD)
    hub.build()
    assert not hub.together(joined)
    assert {one.verdict for one in reviews.decisions("population").rows} == set(Verdict)

    entries = hub.ledger.entries(kind=EntryKind.LINK_DECISION, limit=20).rows
    assert sorted(str(entry.facts["action"]) for entry in entries) == [
        "different",
        "later",
        "same",
        "withdraw",
        "withdraw",
    ]
    leaves = str([entry.facts for entry in entries])
    assert not any(text in leaves for text in (joined.left.row_key, joined.right.row_key, SAME.statement))
    points = hub.library.operating_points("population")
    assert sum(1 for point in points if point.pairs) >= 1


def _until_done(hub: Hub, act: Callable[[], LearnedWeights], unchanged: Callable[[], object]) -> LearnedWeights:
    """Do `act`, killed at every turn of the clock first; a killed act leaves everything as it was."""
    before = unchanged()
    for kills in range(20):
        hub.clock.left = kills
        try:
            return act()
        except Killed:
            hub.clock.left = None
            assert unchanged() == before
        finally:
            hub.clock.left = None
    raise AssertionError("the act never ends")


def test_decisions_teach_weights_that_a_person_puts_in_force(database: Database, tmp_path: Path) -> None:
    hub = Hub(database, tmp_path, *_twins(11))
    weights, reviews = hub.library.weights, hub.reviews
    with pytest.raises(Conflict, match=r"library\.nothing_to_train"):
        weights.train("geography", actor=STEWARD)
    queue = reviews.queue("population", limit=100).rows
    assert len(queue) == 22
    for pair in queue:
        verdict = SAME if {pair.left.row_key[-2:], pair.right.row_key[-2:]} & {"-1"} else DIFFERENT
        if pair is queue[-3]:
            with pytest.raises(Conflict, match=r"library\.decisions_too_few"):
                weights.train("population", actor=STEWARD)
        reviews.decide("population", 1, pair.number, verdict, actor=STEWARD)
    assert weights.usable_decisions("population") == (22, 0)
    definition = hub.library.definition("population")

    def entries() -> object:
        rows = hub.ledger.entries(kind=EntryKind.WEIGHTS, limit=50).rows
        return (
            hub.library.definition("population").digest,
            [one.facts["action"] for one in rows],
            weights.all("population"),
        )

    proposed = _until_done(hub, lambda: weights.train("population", actor=STEWARD), entries)
    assert (proposed.state, proposed.fits, proposed.report.decisions) == (WeightsState.PROPOSED, True, 22)
    assert proposed.report.before.right + proposed.report.before.wrong == 22, "each weighs enough, and has a rival"
    assert proposed.report.after.precision >= proposed.report.before.precision
    assert proposed.report.shifts
    assert hub.library.definition("population").digest == definition.digest, "a proposal changes nothing"

    start = WeightsOrder(act=WeightsAct.ACTIVATE, statement="复核了 22 对")
    active = _until_done(hub, lambda: weights.decide("population", 1, start, actor=STEWARD), entries)
    assert active.state is WeightsState.ACTIVE
    with pytest.raises(Conflict, match=r"library\.weights_state"):
        weights.decide("population", 1, start, actor=STEWARD)
    learned = hub.library.definition("population")
    assert learned.digest == active.digest != definition.digest
    hub.build()
    entry = hub.ledger.entries(kind=EntryKind.DATASET, limit=1).rows[0]
    assert entry.facts["definition"]["digest"] == active.digest, "the evidence says by which weights it was built"
    assert weights.usable_decisions("population") == (22, 0), "as the present weights weigh them"
    again = weights.train("population", actor=STEWARD)
    weights.decide("population", 2, WeightsOrder(act=WeightsAct.DECLINE, statement="无改进"), actor=STEWARD)
    assert again.base_digest == definition.digest, "learned for the definition as it is written"
    weights.decide("population", 1, WeightsOrder(act=WeightsAct.END, statement="回退"), actor=STEWARD)
    assert hub.library.definition("population").digest == definition.digest
    told = hub.ledger.entries(kind=EntryKind.WEIGHTS, limit=50).rows
    assert [one.facts["action"] for one in reversed(told)] == ["propose", "activate", "propose", "decline", "end"]
    with pytest.raises(NotFound, match=r"library\.weights_unknown"):
        weights.get("population", 9)
