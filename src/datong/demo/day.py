"""One day in 示例市 after the first transfer: families move, children are born, wages and titles change."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from datong.demo.city import AS_OF, FEMALE, MALE, City, Household, Person, Relation, new_title
from datong.demo.dice import Dice
from datong.demo.identifiers import citizen_id
from datong.demo.names import given_name, surname_of
from datong.demo.places import any_home
from datong.demo.records import Records, Registrar, Source
from datong.kernel import Value

Thing = TypeVar("Thing")
_DAYS_LATER = 4


class IncrementPlan(Value):
    """How much changes on that day."""

    moved_households: int = 40
    births: int = 12
    changed_wages: int = 60
    new_titles: int = 15
    changed_applicants: int = 10


class Day:
    """Lets one day pass; the story's own family stays as it is."""

    def __init__(self, city: City, contents: dict[Source, Records], *, dice: Dice, registrar: Registrar) -> None:
        self._city = city
        self._contents = contents
        self._dice = dice
        self._registrar = registrar
        self._by_number = {person.number: person for person in city.people}
        self._others = [home for home in city.households if home is not city.family and home.members]

    def pass_by(self, plan: IncrementPlan) -> dict[Source, Records]:
        """Return the rows that are new or changed at the day's end, by table; the city's people have changed too."""
        residents = Records(Source.RESIDENTS)
        for household in self._some(self._others, plan.moved_households):
            self._move(household, residents)
        for household in self._some([home for home in self._others if _may_have_a_child(home)], plan.births):
            self._birth(household, residents)
        return {
            Source.RESIDENTS: residents,
            Source.INSURED: self._wages(plan.changed_wages),
            Source.PROPERTY: self._titles(plan.new_titles),
            Source.APPLICANTS: self._applicants(plan.changed_applicants),
        }

    def _some(self, things: Sequence[Thing], count: int) -> list[Thing]:
        """Return at most `count` different ones of `things`, in their order."""
        if not things:
            return []
        places = {self._dice.whole(0, len(things) - 1) for _ in range(count)}
        return [things[place] for place in sorted(places)]

    def _move(self, household: Household, residents: Records) -> None:
        household.previous, household.place = household.place, any_home(self._dice)
        for member in household.members:
            member.moved_in_on = AS_OF + timedelta(days=_DAYS_LATER)
            residents.add(self._registrar.resident(member), member.number)

    def _birth(self, household: Household, residents: Records) -> None:
        dice = self._dice
        father, mother = household.members[0], household.members[1]
        sex = dice.pick((MALE, FEMALE))
        birth = AS_OF + timedelta(days=dice.whole(1, _DAYS_LATER))
        taken = {person.official_id for person in self._city.people}
        while (
            identifier := citizen_id(
                household.place.district, birth.strftime("%Y%m%d"), dice.whole(0, 499) * 2 + (sex == MALE)
            )
        ) in taken:
            continue
        child = Person(
            number=self._city.people[-1].number + 1,
            name=surname_of(father.name) + given_name(dice, sex=sex, birth_year=birth.year),
            sex=sex,
            birth=birth,
            official_id=identifier,
            household=household,
        )
        child.relation = Relation.SON if sex == MALE else Relation.DAUGHTER
        child.guardian, child.moved_in_on = mother, birth
        household.members.append(child)
        self._city.people.append(child)
        residents.add(self._registrar.resident(child), child.number)

    def _owned(self, source: Source, count: int) -> list[tuple[str, Person]]:
        """Return the keys and people of some rows of a table, none of them of the story's family."""
        records = self._contents[source]
        rows = self._some(list(zip(records.rows, records.owners, strict=True)), count)
        owned = [(str(row[0]), self._by_number[owner]) for row, owner in rows if owner is not None]
        return [(key, person) for key, person in owned if person.household is not self._city.family]

    def _wages(self, count: int) -> Records:
        changed = Records(Source.INSURED)
        for key, person in self._owned(Source.INSURED, count):
            person.income_yuan = person.income_yuan * 21 // 20
            changed.add(self._registrar.insured(person, key), person.number)
        return changed

    def _titles(self, count: int) -> Records:
        changed = Records(Source.PROPERTY)
        number = len(self._contents[Source.PROPERTY].rows)
        buyers = [person for person in self._city.people if person.employer and person.home is None and person.age > 25]
        for person in self._some(buyers, count):
            number += 1
            person.home = new_title(self._dice, person.household.place.district)
            key = f"粤(2026)示例市不动产权第{number:07d}号"
            changed.add(self._registrar.property_title(person, person, key), person.number)
        return changed

    def _applicants(self, count: int) -> Records:
        changed = Records(Source.APPLICANTS)
        for _, child in self._owned(Source.APPLICANTS, count):
            changed.add(self._registrar.applicant(child), child.number)
        return changed


def _may_have_a_child(household: Household) -> bool:
    if len(household.members) < 2:
        return False
    return household.members[1].relation == Relation.SPOUSE and household.members[1].age < 40
