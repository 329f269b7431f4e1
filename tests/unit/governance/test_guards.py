"""Guards against gaming: each strikes where somebody games, and not beside it."""

from datetime import datetime, timedelta

from datong.governance import GUARDS, Measure, Observation, Period
from datong.governance.guards import Effect, Story, Suspicion, suspicions
from datong.governance.indicators import FORMULAS, assess
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, EntryId, JsonValue, Text
from datong.ledger import EntryKind, RecordedEntry
from datong.norms import load_pack
from tests.unit.governance.samples import EDUCATION, MONDAY, POLICE

NOVEMBER = Period.parse("2026-11")
DAY = timedelta(days=1)


class Acts:
    """Entries of a story, each a minute after the one before."""

    def __init__(self) -> None:
        self.entries: list[RecordedEntry] = []
        self.at = MONDAY

    def add(self, kind: EntryKind, subject: str, **facts: JsonValue) -> None:
        self.at += timedelta(minutes=1)
        number = EntryId(f"entry-{len(self.entries)}")
        named: dict[str, JsonValue] = {"provider": POLICE, "consumer": EDUCATION, **facts}
        self.entries.append(
            RecordedEntry(
                entry_id=number,
                kind=kind,
                subject=subject,
                at=self.at,
                actor=PLATFORM_ACTOR,
                facts=named,
                index=None,
                leaf_hash="",
            )
        )

    def published(self, resource: str, *, items: int = 9, department: DepartmentCode = POLICE) -> None:
        self.add(EntryKind.CATALOGUE_STEP, resource, department=department, to_state="published", items=items)

    def requested(self, request: str, decision: str, *, due: datetime, **more: JsonValue) -> None:
        facts: dict[str, JsonValue] = {"request_id": request, "resource_id": "r", "due_at": due.isoformat(), **more}
        self.add(EntryKind.REQUEST, request, state="submitted", **facts)
        self.add(EntryKind.DECISION, request, state=decision, **facts)

    def found(self, period: Period = NOVEMBER) -> dict[str, list[Suspicion]]:
        calls = [entry for entry in self.entries if entry.kind is EntryKind.ACCESS]
        others = [entry for entry in self.entries if entry.kind is not EntryKind.ACCESS]
        story = Story(others, calls, lambda _: calls, since=period.since, until=period.until)
        struck: dict[str, list[Suspicion]] = {}
        for one in suspicions(story):
            struck.setdefault(one.guard, []).append(one)
        return struck


def test_every_guard_names_indicators_that_are_counted() -> None:
    declared = {one.key for one in load_pack(None).indicators}
    for guard in GUARDS.values():
        assert set(guard.indicators) <= declared & FORMULAS.keys()


def test_a_resource_that_brings_nothing_is_empty_until_somebody_gets_a_row() -> None:
    acts = Acts()
    for resource in ("void", "full", "asked"):
        acts.published(resource)
        rows = 5 if resource == "full" else 0
        acts.add(EntryKind.BATCH, "t", resource=resource, rows=rows, last=True)
    acts.add(EntryKind.ACCESS, "a", resource_id="asked", rows=1)
    assert [one.subject for one in acts.found()["empty_resource"]] == ["void"]


def test_small_resources_of_a_day_are_one_unless_they_are_used_or_few_of_many() -> None:
    acts = Acts()
    for number in range(6):
        acts.published(f"small-{number}", items=2)
    (split,) = acts.found()["split_resource"]
    assert [thing.key for thing in split.taken] == [f"small-{number}" for number in range(1, 6)]
    for number in range(2):
        acts.add(EntryKind.ACCESS, "a", resource_id=f"small-{number}", rows=1)
    assert "split_resource" not in acts.found()
    many = Acts()
    for number in range(20):
        many.published(f"r-{number}", items=2 if number < 6 else 20)
    assert many.found() == {}


def test_a_refusal_is_cosmetic_only_if_the_same_is_granted_after_the_deadline() -> None:
    due = MONDAY + DAY
    for resource, late, items, struck in (("r", 2, "a", True), ("r", 0, "a", False), ("r", 2, "b", False)):
        acts = Acts()
        acts.requested("q-1", "refused", due=due, items=["a"], resource_id=resource)
        acts.at += late * DAY
        acts.requested("q-2", "granted", due=due + 9 * DAY, items=[items], resource_id=resource)
        assert ("cosmetic_refusal" in acts.found()) is struck
    for later in (29 * DAY, -9 * DAY):
        acts = Acts()
        acts.requested("q-1", "refused", due=due if later > DAY else MONDAY - DAY)
        acts.at += abs(later)
        acts.requested("q-2", "granted", due=due + 60 * DAY)
        assert "cosmetic_refusal" not in acts.found(Period.parse("2026"))


def test_friends_are_found_and_one_use_clears_them() -> None:
    acts = Acts()
    acts.at -= 60 * DAY
    for number in range(3):
        for provider, consumer in ((POLICE, EDUCATION), (EDUCATION, POLICE)):
            name = f"{provider}-{number}"
            acts.requested(name, "granted", due=MONDAY, provider=provider, consumer=consumer, resource_id=name)
    struck = acts.found()["friendly_requests"]
    assert {one.department for one in struck} == {POLICE, EDUCATION}
    assert [len(one.taken) for one in struck] == [6, 6]
    acts.add(EntryKind.ACCESS, "a", resource_id=f"{POLICE}-1", rows=0)
    assert "friendly_requests" not in acts.found()


def test_corrections_among_oneself_and_in_circles() -> None:
    acts = Acts()
    for report, consumer, rounds in (("own", POLICE, 1), ("back", EDUCATION, 3), ("twice", EDUCATION, 2)):
        for number in range(rounds):
            facts: dict[str, JsonValue] = {"disputes": number, "resource_id": report, "consumer": consumer}
            acts.add(EntryKind.CORRECTION, report, action="dispute" if number else "report", **facts)
            acts.at += DAY
            acts.add(EntryKind.CORRECTION, report, action="reject", **facts)
    struck = acts.found()
    assert struck.keys() == {"own_corrections", "correction_rounds"}
    (rounds_found,) = struck["correction_rounds"]
    assert [thing.key for thing in rounds_found.taken] == ["correction:back/1", "correction:back/2"]
    assert "instant_corrections" not in struck


def test_what_is_taken_leaves_the_number_and_stands_beside_it() -> None:
    """One of two published resources is empty; another period's and another department's numbers stay."""
    acts = Acts()
    acts.published("void", items=0)
    acts.published("full")
    struck = [one for found in acts.found().values() for one in found]
    seen = [
        Observation(measure=measure, department=department, at=MONDAY, entry_id=EntryId("e"), key=key)
        for measure in (Measure.RESOURCE_DRAFTED, Measure.RESOURCE_PUBLISHED)
        for department in (POLICE, EDUCATION)
        for key in ("void", "full")
    ]
    definitions = tuple(one for one in load_pack(None).indicators if one.key == "catalogue_rate")
    names = {POLICE: Text(zh="公安局", en="Police"), EDUCATION: Text(zh="教育局", en="Education")}
    lines = assess(definitions, seen, names, {}, period=NOVEMBER, suspicions=struck).departments
    police = next(line for line in lines if line.department == POLICE)
    education = next(line for line in lines if line.department == EDUCATION)
    (value,) = police.values
    assert (value.counted, value.base, police.rank) == (1, 2, 2)
    assert [(cut.guard, cut.subject, cut.counted, cut.base) for cut in value.discounts] == [
        ("empty_resource", "void", 1, 0)
    ]
    assert [one.guard for one in police.suspicions] == ["empty_resource"]
    assert (education.values[0].counted, education.suspicions) == (2, ())


def test_what_lies_on_the_shelf_is_shown_and_costs_nothing() -> None:
    acts = Acts()
    for number in range(5):
        acts.published(f"r-{number}")
        acts.at += DAY
    later = Period.parse("2027-07")
    (shelf,) = acts.found(later)["shelf_ware"]
    assert (GUARDS["shelf_ware"].effect, shelf.taken, len(shelf.evidence)) == (Effect.FLAG, (), 5)
    assert acts.found() == {}
    for number in range(2):
        acts.add(EntryKind.BATCH, "t", resource=f"r-{number}", rows=5, last=True)
    assert acts.found(later) == {}


def test_calls_of_ones_own_are_no_use() -> None:
    acts = Acts()
    for resource, consumers in (("own", [POLICE]), ("both", [POLICE, EDUCATION])):
        for consumer in consumers:
            acts.add(EntryKind.ACCESS, "a", resource_id=resource, consumer=consumer, rows=1)
    assert [one.subject for one in acts.found()["own_use"]] == ["own"]


def test_praise_among_two_counts_only_if_others_praise_as_well() -> None:
    acts = Acts()

    def rate(
        consumer: DepartmentCode, provider: DepartmentCode, points: int, number: int, state: str = "given"
    ) -> None:
        facts: dict[str, JsonValue] = {"consumer": consumer, "provider": provider, "scores": {"fit": points}}
        acts.add(EntryKind.RATING, f"{consumer}-{provider}-{number}", state=state, **facts)

    for number in range(2):
        rate(EDUCATION, POLICE, 5, number)
    assert acts.found() == {}
    for number in range(2):
        rate(POLICE, EDUCATION, 5, number)
    struck = acts.found()["mutual_praise"]
    assert {one.department: [thing.key for thing in one.taken] for one in struck} == {
        EDUCATION: [f"{POLICE}-{EDUCATION}-{number}" for number in range(2)],
        POLICE: [f"{EDUCATION}-{POLICE}-{number}" for number in range(2)],
    }
    assert acts.found(Period.parse("2027-07")) == {}
    third = DepartmentCode("third")
    for provider in (EDUCATION, POLICE):
        rate(third, provider, 4, 0)
    assert acts.found() == {}
    rate(third, POLICE, 3, 0)
    assert acts.found().keys() == {"mutual_praise"}
    rate(POLICE, EDUCATION, 5, 1, state="withdrawn")
    assert acts.found() == {}
