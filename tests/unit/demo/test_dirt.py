from datetime import date

from datong.demo.city import CityPlan, build_city
from datong.demo.dice import Dice
from datong.demo.dirt import Clerk, Dirt, written
from datong.demo.identifiers import citizen_id

CLEAN = Dirt(**dict.fromkeys(Dirt.model_fields, 0.0))
CITY = build_city(CityPlan(people=400, seed=2))


def _clerk(**shares: float) -> Clerk:
    return Clerk(dice=Dice(1), dirt=CLEAN.model_copy(update=shares))


def test_without_dirt_the_truth_is_written() -> None:
    clerk = _clerk()
    for person in CITY.people:
        assert clerk.name(person) == person.name
        assert clerk.identifier(person) == person.official_id
        assert clerk.birth(person, "%Y-%m-%d") == person.birth.isoformat()


def test_kinds_of_wrong_ids() -> None:
    person = next(person for person in CITY.people if person.birth.year < 1999)
    true = person.official_id
    assert _clerk(id_missing=1.0).identifier(person) is None
    assert _clerk(id_first_generation=1.0).identifier(person) == true[:6] + true[8:17]
    wrong = _clerk(id_one_digit=1.0).identifier(person) or ""
    assert sum(left != right for left, right in zip(wrong, true, strict=True)) == 1
    assert wrong[:17] == true[:17] or citizen_id(wrong[:6], wrong[6:14], int(wrong[14:17])) != wrong
    assert sorted(_clerk(id_swapped=1.0).identifier(person) or "") == sorted(true)
    wide = _clerk(id_full_width=1.0).identifier(person) or ""
    assert wide != true
    assert len(wide) == 18


def test_missing_phones_and_their_forms() -> None:
    person = CITY.guardian
    assert _clerk(phone_missing=1.0).phone(person) is None
    written_phone = _clerk(phone_form=1.0).phone(person) or ""
    assert written_phone != person.phone
    assert "".join(filter(str.isdigit, written_phone)).endswith(person.phone)


def test_old_addresses_come_from_the_former_home() -> None:
    person = next(person for person in CITY.people if person.household.previous is not None)
    former = person.household.previous
    assert former is not None
    assert former.road in _clerk(address_old=1.0).address(person)


def test_dates_are_written_by_form() -> None:
    assert written(date(2019, 3, 8), "%Y年%m月%d日") == "2019年03月08日"
    forms = {_clerk(date_form=1.0).birth(person, "%Y%m%d")[4] for person in CITY.people}
    assert len(forms) >= 1


def test_shares_are_about_what_the_table_says() -> None:
    clerk = Clerk(dice=Dice(9), dirt=Dirt())
    missing = sum(clerk.identifier(CITY.people[number % 400]) is None for number in range(20_000))
    assert 0.02 < missing / 20_000 < 0.04
