"""Recommendations: what is recommended to whom, for which reason, and what is told to nobody."""

from datetime import timedelta

from datong.catalogue import DemandState, UnmetDemand
from datong.governance import DemandMining, RecommendationKind
from datong.governance.ledger_evidence import GivenEntries
from datong.governance.recommendations import WISHERS_MIN, to_open, to_publish
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, EntryId, FixedClock, JsonValue, NotFound, ResourceId, Text
from datong.ledger import EntryKind, RecordedEntry
from datong.sharing.wishes import Wish, WishDraft, WishState
from tests.unit.governance.samples import EDUCATION, MONDAY, POLICE

HEALTH, CIVIL = DepartmentCode("11440600007020047P"), DepartmentCode("11440600007020080C")


def need(key: str, *, departments: int = 3, state: DemandState = DemandState.NEW, hits: int = 0) -> UnmetDemand:
    return UnmetDemand(
        key=key,
        query=key,
        spellings=(key,),
        times=7,
        departments=departments,
        first_at=MONDAY,
        last_at=MONDAY,
        state=state,
        likely=(HEALTH, CIVIL),
        hits=hits,
    )


class Log:
    """Requests and agreements, and what follows from them."""

    def __init__(self) -> None:
        self.entries: list[RecordedEntry] = []

    def add(self, kind: EntryKind, subject: str, resource: str, consumer: DepartmentCode, state: str) -> None:
        facts: dict[str, JsonValue] = {
            "request_id": subject, "agreement_id": subject, "resource_id": resource, "consumer": consumer,
            "provider": POLICE, "state": state,
        }  # fmt: skip
        self.entries.append(
            RecordedEntry(
                entry_id=EntryId(f"entry-{len(self.entries):03}"), kind=kind, subject=subject, index=None, leaf_hash="",
                at=MONDAY + timedelta(minutes=len(self.entries)), actor=PLATFORM_ACTOR, facts=facts,
            )
        )  # fmt: skip

    def mined(self, *needs: UnmetDemand) -> DemandMining:
        def title_of(resource_id: ResourceId) -> Text:
            if resource_id == "hidden":
                raise NotFound("catalogue.resource_not_found", what=Text(zh="无", en="none"), remedy=Text(zh="", en=""))
            return Text(zh=resource_id, en=resource_id)

        clock = FixedClock(MONDAY + timedelta(days=9))
        return DemandMining(
            clock=clock, ledger=GivenEntries(self.entries), needs=lambda: needs, wishes=tuple, title_of=title_of
        )


def test_what_several_searched_for_in_vain_is_to_be_published_by_whoever_is_nearest() -> None:
    found = to_publish(
        [need("alone", departments=1), need("met", state=DemandState.MET), need("there", hits=2), need("wanted")]
    )
    assert [(one.subject, one.department, one.departments, one.times) for one in found] == [("wanted", HEALTH, 3, 7)]
    assert "3" in found[0].reason.zh
    assert "3 departments" in found[0].reason.en
    asked = need("wanted", state=DemandState.ASKED).model_copy(update={"department": CIVIL})
    assert [one.department for one in to_publish([asked])] == [CIVIL]


def test_what_several_were_refused_is_to_be_shared_until_it_is() -> None:
    log = Log()
    for number, consumer in enumerate((EDUCATION, HEALTH)):
        log.add(EntryKind.DECISION, f"q-{number}", "wages", consumer, "refused")
    log.add(EntryKind.DECISION, "q-3", "once", EDUCATION, "refused")
    (one,) = log.mined().recommend(POLICE)
    assert (one.kind, one.subject, one.departments, one.times) == (RecommendationKind.SHARE, "wages", 2, 2)
    assert log.mined().recommend(EDUCATION) == []
    log.add(EntryKind.DECISION, "q-4", "wages", EDUCATION, "granted")
    assert log.mined().recommend(None) == []


def test_what_similar_departments_use_is_to_be_requested_by_who_has_it_not() -> None:
    log = Log()
    for consumer in (EDUCATION, HEALTH, CIVIL):
        for resource in ("people", "homes", *(() if consumer == CIVIL else ("wages", "hidden"))):
            log.add(EntryKind.AGREEMENT, f"a-{consumer}-{resource}", resource, consumer, "active")
    (one,) = log.mined().recommend(None)
    assert (one.kind, one.department, one.subject, one.departments) == (RecommendationKind.REQUEST, CIVIL, "wages", 2)
    assert EDUCATION not in one.reason.zh + one.reason.en
    # Asked for, or no longer used by two: nothing is recommended.
    log.add(EntryKind.REQUEST, "q-1", "wages", CIVIL, "submitted")
    assert log.mined().recommend(None) == []
    log.entries.pop()
    log.add(EntryKind.AGREEMENT, f"a-{HEALTH}-wages", "wages", HEALTH, "terminated")
    assert log.mined().recommend(None) == []


def test_what_many_of_the_public_need_is_recommended_to_whoever_has_it_in_hand() -> None:
    def wish(state: WishState, supporters: int, department: DepartmentCode | None = EDUCATION) -> Wish:
        draft = WishDraft(title=f"{state} {supporters}", purpose="选学校")
        return Wish(
            id=f"{state}/{supporters}", draft=draft, state=state, made_at=MONDAY, changed_at=MONDAY, due_at=None,
            department=department, supporters=supporters,
        )  # fmt: skip

    many = WISHERS_MIN - 1
    found = to_open(
        [
            wish(WishState.ASSIGNED, many), wish(WishState.ASSIGNED, many - 1), wish(WishState.DECLINED, many + 4),
            wish(WishState.PUBLISHED, 90), wish(WishState.ADMITTED, 90, None),
        ]
    )  # fmt: skip
    assert [(one.subject, one.department, one.times) for one in found] == [
        (f"assigned/{many}", EDUCATION, WISHERS_MIN),
        (f"declined/{many + 4}", EDUCATION, WISHERS_MIN + 4),
    ]
    assert "再考虑" in found[1].reason.zh
