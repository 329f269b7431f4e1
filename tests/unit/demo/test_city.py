from collections import Counter

import pytest

from datong.demo.city import City, CityPlan, Relation, build_city
from datong.demo.names import surname_of


@pytest.fixture(scope="module")
def city() -> City:
    return build_city(CityPlan(people=3_000, seed=5))


def test_has_exactly_the_people_asked_for(city: City) -> None:
    assert len(city.people) == 3_000
    assert [person.number for person in city.people] == list(range(1, 3_001))
    assert sum(len(household.members) for household in city.households) == 3_000


def test_ids_are_unique_and_fit_birth_and_sex(city: City) -> None:
    assert len({person.official_id for person in city.people}) == len(city.people)
    for person in city.people:
        assert person.official_id[6:14] == person.birth.strftime("%Y%m%d")
        assert int(person.official_id[16]) % 2 == (person.sex == "1")


def test_marriages_are_mutual_between_living_members(city: City) -> None:
    alive = set(map(id, city.people))
    married = [person for person in city.people if person.spouse is not None]
    assert len(married) > 800
    for person in married:
        assert person.spouse is not None
        assert person.spouse.spouse is person
        assert id(person.spouse) in alive
        assert person.spouse.sex != person.sex
        assert person.married_on is not None
        assert person.married_on.year - person.birth.year >= 19


def test_children_are_younger_than_their_guardians(city: City) -> None:
    children = [person for person in city.people if person.guardian is not None]
    assert len(children) > 500
    for child in children:
        assert child.guardian is not None
        assert child.age <= child.guardian.age - 16
        assert child.relation in (Relation.SON, Relation.DAUGHTER)
    same = sum(
        surname_of(child.name) in {surname_of(member.name) for member in child.household.members[:2]}
        for child in children
    )
    assert same == len(children)


def test_same_names_occur(city: City) -> None:
    assert Counter(person.name for person in city.people).most_common(1)[0][1] >= 2


def test_the_family_of_the_story(city: City) -> None:
    assert [person.name for person in city.family.members] == ["陈志强", "李静雯", "陈雨桐", "黄秀英"]
    assert city.child.guardian is city.guardian
    assert city.child.age == 6


def test_seeds_differ_and_repeat() -> None:
    first, again, other = (build_city(CityPlan(people=300, seed=seed)) for seed in (1, 1, 2))
    ids = [[person.official_id for person in city.people] for city in (first, again, other)]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_a_tiny_city_is_the_family() -> None:
    assert len(build_city(CityPlan(people=4)).people) == 4
