"""Benefit is counted from the newest word about each case and item, and priced by stated factors."""

from datetime import date

from datong.governance import BenefitFactors, Tally
from datong.governance.benefit import saved_by_department, uses_of
from datong.kernel import ResourceId
from datong.ledger import EntryKind, RecordedEntry
from tests.unit.governance.samples import EDUCATION, MONDAY, POLICE, entry

FACTORS = BenefitFactors(hours_per_trip=2, hours_per_document=0.5, yuan_per_hour=40, yuan_per_sheet=0.5)


def case(documents: int, sheets: int, trips: int) -> RecordedEntry:
    facts: dict[str, object] = {"department": EDUCATION, "documents": documents, "sheets": sheets, "trips": trips}
    return entry(EntryKind.SERVICE_CASE, "case", MONDAY, facts)


def item(action: str, *elements: str, annual_cases: int = 1000) -> RecordedEntry:
    facts: dict[str, object] = {
        "action": action,
        "department": POLICE,
        "annual_cases": annual_cases,
        "elements": list(elements),
    }
    return entry(EntryKind.SERVICE_ITEM, "item", MONDAY, facts)


def test_what_was_spared_is_counted_and_priced() -> None:
    items = [item("register"), item("share", "name", "sex", "birth"), item("ask", "sex"), item("change")]
    found = saved_by_department([case(2, 4, 1), case(1, 0, 1)], items, FACTORS)
    school, police = found
    assert (school.department, school.cases, school.documents, school.trips) == (EDUCATION, 2, 3, 2)
    # Two trips of two hours and three documents of half an hour, at 40 yuan, and four sheets.
    assert (school.hours, school.yuan) == (6, 222)
    assert (police.fields_shared, police.collections_avoided, police.yuan) == (2, 2000, 0)
    assert saved_by_department([], [*items, item("retire")], FACTORS) == []


def test_ones_own_use_is_none() -> None:
    def tally(consumer: str, calls: int, resource: str = "r") -> Tally:
        return Tally.model_validate(
            {
                "series": f"line:{consumer}|{resource}",
                "day": date(2026, 11, 2),
                "provider": POLICE,
                "consumer": consumer,
                "resource_id": resource,
                "calls": calls,
            }
        )

    (use,) = uses_of([tally(EDUCATION, 3), tally(EDUCATION, 4), tally(POLICE, 500)])
    assert (use.resource_id, use.consumers, use.calls) == (ResourceId("r"), 1, 7)
