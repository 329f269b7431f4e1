"""The people of 示例市 and their families: seeded, invented, and known exactly.

Nobody here exists. The generator makes whole households, so that surnames, ages, kinship, marriages, incomes and homes
fit together; departments' records are then taken (and spoilt) from these people, which is why the truth is known.
"""

from datetime import date, timedelta
from typing import NamedTuple

from datong.demo.dice import Dice, Weighted
from datong.demo.identifiers import citizen_id, credit_code
from datong.demo.names import given_name, surname, surname_of, words
from datong.demo.places import DISTRICT_CODES, Place, any_home, elsewhere_codes
from datong.kernel import Value

AS_OF = date(2025, 12, 31)
"""The day on which the city is looked at; fixed, so that a seed always gives the same data."""
MALE, FEMALE = "1", "2"
SCHOOL_ENTRY_AGES = {6: "小学一年级", 12: "初中一年级", 15: "高中一年级"}
LOW_INCOME_PER_HEAD_YUAN = 20_000

_ETHNICITIES = Weighted({"01": 94.0, "08": 2.0, "03": 0.6, "15": 0.6, "06": 0.5, "11": 0.5, "13": 0.5, "05": 0.3})
_HOUSEHOLDS = Weighted({"single": 14, "couple": 20, "one child": 26, "two children": 20, "one parent": 6, "elders": 14})
_TRADES = Weighted(
    {
        "陶瓷": 14,
        "家电": 12,
        "铝材": 8,
        "纺织": 8,
        "软件": 9,
        "物流": 8,
        "餐饮管理": 8,
        "建筑工程": 8,
        "贸易": 12,
        "医药": 5,
        "机械": 8,
    }
)


class Relation:
    """Relations to the head of household, GB/T 4761."""

    HEAD = "02"
    SPOUSE = "10"
    SON = "20"
    DAUGHTER = "30"
    FATHER = "51"
    MOTHER = "52"


class Employer(NamedTuple):
    """A firm of the city and its unified social credit code."""

    name: str
    code: str


class Home(NamedTuple):
    """A title to a home, as registered."""

    unit: str
    area_square_decimetres: int
    registered_on: date
    use: str


class Person:
    """One true person; `number` identifies them in the truth."""

    __slots__ = (
        "birth", "employer", "ethnicity", "guardian", "home", "household", "income_yuan", "insured_months",
        "married_on", "moved_in_on", "name", "number", "official_id", "phone", "relation", "sex", "spouse",
    )  # fmt: skip

    def __init__(
        self, *, number: int, name: str, sex: str, birth: date, official_id: str, household: "Household"
    ) -> None:
        self.number = number
        self.name = name
        self.sex = sex
        self.birth = birth
        self.official_id = official_id
        self.household = household
        self.ethnicity = household.ethnicity
        self.phone = ""
        self.relation = Relation.HEAD
        self.spouse: Person | None = None
        self.guardian: Person | None = None
        self.married_on: date | None = None
        self.moved_in_on = household.settled_on
        self.employer: Employer | None = None
        self.income_yuan = 0
        self.insured_months = 0
        self.home: Home | None = None

    @property
    def age(self) -> int:
        """Full years on `AS_OF`."""
        return AS_OF.year - self.birth.year


class Household:
    """People who live together: their present home, and the one before if they moved."""

    __slots__ = ("ethnicity", "members", "number", "place", "previous", "settled_on")

    def __init__(self, *, number: str, place: Place, previous: Place | None, settled_on: date, ethnicity: str) -> None:
        self.number = number
        self.place = place
        self.previous = previous
        self.settled_on = settled_on
        self.ethnicity = ethnicity
        self.members: list[Person] = []

    @property
    def income_per_head_yuan(self) -> int:
        """Yearly income of the household, per member."""
        return sum(member.income_yuan for member in self.members) // max(1, len(self.members))


class City:
    """The people and households of one seed; `family` is the household that the story follows, never spoilt."""

    def __init__(self, people: list[Person], households: list[Household], family: Household) -> None:
        self.people = people
        self.households = households
        self.family = family

    @property
    def child(self) -> Person:
        """The child of the story, who is about to enter primary school."""
        return self.family.members[2]

    @property
    def guardian(self) -> Person:
        """The child's father: the citizen of the story."""
        return self.family.members[0]


class CityPlan(Value):
    """How large a city, and which one."""

    people: int = 20_000
    seed: int = 1


def build_city(plan: CityPlan) -> City:
    """Return the city of `plan`: exactly `plan.people` people, at least the four of the story's family."""
    return _Builder(plan).build()


def new_title(dice: Dice, district: str) -> Home:
    """Return a newly drawn title to a home in the district of code `district`."""
    return Home(
        unit=(
            f"{district}{dice.whole(1, 30):03d}{dice.whole(1, 90):03d}GB{dice.whole(1, 99_999):05d}"
            f"F{dice.whole(1, 9_999):04d}{dice.whole(1, 9_999):04d}"
        ),
        area_square_decimetres=int(dice.near(95, 30) * 100),
        registered_on=AS_OF - timedelta(days=dice.whole(30, 8000)),
        use=dice.pick(("10", "10", "10", "10", "10", "20", "80")),
    )


class _Builder:
    def __init__(self, plan: CityPlan) -> None:
        self.plan = plan
        self.dice = Dice(plan.seed)
        self.people: list[Person] = []
        self.households: list[Household] = []
        self.taken_ids: set[str] = set()
        self.employers = [self._employer(number) for number in range(max(12, plan.people // 250))]

    def build(self) -> City:
        family = self._story_family()
        while len(self.people) < self.plan.people:
            self._household(_HOUSEHOLDS.draw(self.dice))
        for person in self.people[self.plan.people :]:
            person.household.members.remove(person)
            if person.spouse:
                person.spouse.spouse = person.spouse.married_on = None
        return City(self.people[: max(self.plan.people, len(family.members))], self.households, family)

    def _employer(self, number: int) -> Employer:
        dice = self.dice
        characters = words().company_words
        name = f"示例市{dice.pick(characters)}{dice.pick(characters)}{_TRADES.draw(dice)}有限公司"
        return Employer(name, credit_code("91" + dice.pick(DISTRICT_CODES), f"MA5{number:05d}"))

    def _household(self, kind: str) -> None:
        dice = self.dice
        household = self._new_household()
        if kind == "single":
            self._adult(household, sex=dice.pick((MALE, FEMALE)), age=int(dice.near(42, 16)))
            return
        if kind == "one parent":
            parent = self._adult(household, sex=dice.pick((MALE, FEMALE, FEMALE)), age=int(dice.near(38, 7)))
            self._children(household, parent, parent, 1)
            return
        age = int(dice.near(58 if kind == "couple" else 38, 15 if kind == "couple" else 7))
        husband = self._adult(household, sex=MALE, age=age)
        wife = self._adult(household, sex=FEMALE, age=age - int(dice.near(2, 2)))
        self._marry(husband, wife)
        if kind == "couple":
            return
        self._children(household, husband, wife, 2 if kind == "two children" else 1 + dice.happens(0.3))
        if kind == "elders":
            self._elders(household, husband)

    def _new_household(self) -> Household:
        dice = self.dice
        place = any_home(dice)
        household = Household(
            number=f"{place.district}{len(self.households) + 1:07d}",
            place=place,
            previous=any_home(dice) if dice.happens(0.3) else None,
            settled_on=AS_OF - timedelta(days=dice.whole(60, 9000)),
            ethnicity=_ETHNICITIES.draw(dice),
        )
        self.households.append(household)
        return household

    def _person(self, household: Household, *, name: str, sex: str, birth: date) -> Person:
        person = Person(
            number=len(self.people) + 1,
            name=name,
            sex=sex,
            birth=birth,
            official_id=self._free_id(household, sex, birth),
            household=household,
        )
        person.moved_in_on = max(household.settled_on, birth)
        household.members.append(person)
        self.people.append(person)
        return person

    def _free_id(self, household: Household, sex: str, birth: date) -> str:
        dice = self.dice
        local = birth > household.settled_on or dice.happens(0.62)
        while True:
            region = household.place.district if local else dice.pick(elsewhere_codes())
            order = dice.whole(0, 499) * 2 + (1 if sex == MALE else 0)
            identifier = citizen_id(region, birth.strftime("%Y%m%d"), order)
            if identifier not in self.taken_ids:
                self.taken_ids.add(identifier)
                return identifier

    def _birth(self, age: int) -> date:
        return date(AS_OF.year - age, 1, 1) + timedelta(days=self.dice.whole(0, 364))

    def _adult(self, household: Household, *, sex: str, age: int, family_name: str = "") -> Person:
        dice = self.dice
        birth = self._birth(min(94, max(22, age)))
        name = (family_name or surname(dice)) + given_name(dice, sex=sex, birth_year=birth.year)
        person = self._person(household, name=name, sex=sex, birth=birth)
        person.phone = dice.pick(("13", "15", "17", "18", "19")) + f"{dice.whole(0, 999_999_999):09d}"
        self._work(person)
        if person.age >= 26 and dice.happens(0.45):
            person.home = new_title(self.dice, household.place.district)
        return person

    def _work(self, person: Person) -> None:
        dice = self.dice
        retired = person.age >= (60 if person.sex == MALE else 55)
        if retired:
            person.income_yuan = dice.whole(18_000, 70_000)
        elif dice.happens(0.82):
            person.employer = dice.pick(self.employers)
            person.income_yuan = int(32_000 * 1.9 ** dice.near(0.9, 0.8)) // 12 * 12
            person.insured_months = min(12 * max(1, person.age - 21), dice.whole(3, 300))

    def _marry(self, husband: Person, wife: Person) -> None:
        day = date(max(husband.birth.year, wife.birth.year) + self.dice.whole(22, 28), 1, 1)
        day = min(day + timedelta(days=self.dice.whole(0, 364)), AS_OF - timedelta(days=20))
        husband.spouse, wife.spouse = wife, husband
        husband.married_on = wife.married_on = day
        wife.relation = Relation.SPOUSE

    def _children(self, household: Household, father: Person, mother: Person, count: int) -> None:
        dice = self.dice
        for number in range(count):
            age = mother.age - 24 - dice.whole(0, 8) - 3 * number
            if age < 0 or age > 25:
                continue
            sex = dice.pick((MALE, FEMALE))
            birth = self._birth(age)
            family_name = surname_of((father if dice.happens(0.93) else mother).name)
            child = self._person(
                household, name=family_name + given_name(dice, sex=sex, birth_year=birth.year), sex=sex, birth=birth
            )
            child.relation = Relation.SON if sex == MALE else Relation.DAUGHTER
            child.guardian = dice.pick((father, mother))

    def _elders(self, household: Household, head: Person) -> None:
        dice = self.dice
        age = head.age + dice.whole(22, 30)
        if age > 92:
            return
        father = self._adult(household, sex=MALE, age=age, family_name=surname_of(head.name))
        father.relation = Relation.FATHER
        if dice.happens(0.6):
            mother = self._adult(household, sex=FEMALE, age=age - dice.whole(0, 4))
            self._marry(father, mother)
            mother.relation = Relation.MOTHER

    def _story_family(self) -> Household:
        """Make the family that the story follows: two parents, a child of six and a grandmother."""
        household = self._new_household()
        household.previous = None
        household.settled_on = date(1960, 1, 1)
        born = (
            ("陈志强", MALE, date(1988, 5, 16)),
            ("李静雯", FEMALE, date(1990, 9, 3)),
            ("陈雨桐", FEMALE, date(2019, 3, 8)),
        )
        father, mother, child = (self._person(household, name=name, sex=sex, birth=day) for name, sex, day in born)
        grandmother = self._person(household, name="黄秀英", sex=FEMALE, birth=date(1961, 2, 11))
        self._marry(father, mother)
        child.relation, child.guardian = Relation.DAUGHTER, father
        grandmother.relation, grandmother.income_yuan = Relation.MOTHER, 31_200
        household.settled_on = date(2012, 3, 1)
        for member in household.members:
            member.moved_in_on = max(household.settled_on, member.birth)
        for adult, phone in ((father, "13800014406"), (mother, "13900014406"), (grandmother, "13700014406")):
            adult.phone = phone
        father.employer, father.income_yuan, father.insured_months = self.employers[0], 96_000, 148
        mother.employer, mother.income_yuan, mother.insured_months = self.employers[1], 84_000, 121
        father.home = new_title(self.dice, household.place.district)._replace(use="10", registered_on=date(2016, 7, 20))
        return household
