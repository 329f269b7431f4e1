"""How departments spoil the data they keep: every kind of dirt in the demo, with its rate, in one table.

The kinds are those that real matching work meets: names written by ear, ids missing, in their first form of 15 digits,
or with one digit wrong or two swapped, addresses before the last move or in another written form, full-width
characters, dates in several formats, and numbers typed with spaces.
"""

from datetime import date

from pydantic import Field

from datong.demo.city import Person
from datong.demo.dice import Dice
from datong.demo.identifiers import first_generation
from datong.demo.names import misheard
from datong.demo.places import address_forms, official_address
from datong.kernel import Value

_FULL_WIDTH = {ord(character): ord(character) + 0xFEE0 for character in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-#"}
_FIRST_GENERATION_ENDED = 1999


class Dirt(Value):
    """Shares of records, 0 to 1, in which each kind of dirt occurs; `police_share` scales them for the police."""

    name_misheard: float = Field(0.02, description="One character of the name replaced by one that sounds alike.")
    name_spaced: float = Field(0.01, description="A space inside the name, as old forms pad two-character names.")
    id_missing: float = Field(0.03, description="No id at all.")
    id_first_generation: float = Field(0.02, description="The 15-digit id, for people born before 1999.")
    id_one_digit: float = Field(0.015, description="One digit wrong, so that the check character fails.")
    id_swapped: float = Field(0.01, description="Two neighbouring digits swapped.")
    id_full_width: float = Field(0.01, description="The id in full-width characters, or its X in lower case.")
    address_old: float = Field(0.5, description="Of people who moved: the share whose old address is still kept.")
    address_form: float = Field(0.5, description="Another written form of the same address.")
    address_full_width: float = Field(0.03, description="Digits of the address in full-width characters.")
    date_form: float = Field(0.15, description="The birth date in another format than the table's usual one.")
    birth_wrong: float = Field(0.004, description="The birth date off by a month or a day.")
    sex_unknown: float = Field(0.01, description="Sex not stated.")
    phone_missing: float = Field(0.08, description="No telephone number.")
    phone_form: float = Field(0.05, description="The telephone number with spaces, dashes or +86.")
    registered_twice: float = Field(0.01, description="The same person under two record numbers.")
    police_share: float = Field(0.2, description="Scale of all of this in the police's own register.")


class Clerk:
    """Writes down what a department keeps about a person, with that department's share of dirt."""

    def __init__(self, *, dice: Dice, dirt: Dirt, share: float = 1.0) -> None:
        self.dice = dice
        self.dirt = dirt
        self.share = share

    def slips(self, probability: float) -> bool:
        """Return whether a kind of dirt of this probability strikes now."""
        return self.dice.random() < probability * self.share

    def name(self, person: Person) -> str:
        """Return the person's name as written down."""
        name = person.name
        if self.slips(self.dirt.name_misheard):
            name = misheard(self.dice, name)
        if self.slips(self.dirt.name_spaced):
            return name[0] + " " + name[1:]
        return name

    def identifier(self, person: Person) -> str | None:
        """Return the person's citizen id as written down; None if missing."""
        identifier, draw = person.official_id, self.dice.random() / self.share
        dirt = self.dirt
        if draw > dirt.id_missing + dirt.id_first_generation + dirt.id_one_digit + dirt.id_swapped + dirt.id_full_width:
            return identifier
        if (draw := draw - dirt.id_missing) < 0:
            return None
        if (draw := draw - dirt.id_first_generation) < 0:
            return first_generation(identifier) if person.birth.year < _FIRST_GENERATION_ENDED else identifier
        if (draw := draw - dirt.id_one_digit) < 0:
            return self._one_digit_wrong(identifier)
        if draw - dirt.id_swapped < 0:
            return self._swapped(identifier)
        return identifier.lower() if identifier.endswith("X") else identifier.translate(_FULL_WIDTH)

    def _one_digit_wrong(self, identifier: str) -> str:
        place = self.dice.whole(6, 16)
        wrong = str((int(identifier[place]) + self.dice.whole(1, 9)) % 10)
        return identifier[:place] + wrong + identifier[place + 1 :]

    def _swapped(self, identifier: str) -> str:
        place = self.dice.whole(6, 15)
        return identifier[:place] + identifier[place + 1] + identifier[place] + identifier[place + 2 :]

    def address(self, person: Person) -> str:
        """Return the person's address as written down."""
        household = person.household
        place = household.place
        if household.previous is not None and self.slips(self.dirt.address_old):
            place = household.previous
        address = official_address(place)
        if self.slips(self.dirt.address_form):
            address = self.dice.pick(address_forms(place))
        return address.translate(_FULL_WIDTH) if self.slips(self.dirt.address_full_width) else address

    def birth(self, person: Person, usual: str) -> str:
        """Return the birth date as written down, usually in the `strftime` format `usual`."""
        day = person.birth
        if self.slips(self.dirt.birth_wrong):
            day = day.replace(month=day.month % 12 + 1, day=min(day.day, 28))
        if self.slips(self.dirt.date_form):
            usual = self.dice.pick(("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d"))
        return written(day, usual)

    def sex(self, person: Person, words: tuple[str, str, str]) -> str:
        """Return the person's sex in the department's words for male, female and unknown."""
        if self.slips(self.dirt.sex_unknown):
            return words[2]
        return words[0] if person.sex == "1" else words[1]

    def phone(self, person: Person) -> str | None:
        """Return the telephone number as written down; None if missing."""
        phone = person.phone
        if not phone or self.slips(self.dirt.phone_missing):
            return None
        if self.slips(self.dirt.phone_form):
            return self.dice.pick((f"+86{phone}", f"{phone[:3]}-{phone[3:7]}-{phone[7:]}", f"{phone[:3]} {phone[3:]}"))
        return phone


def written(day: date, form: str) -> str:
    """Return `day` in a `strftime` format of numbers, the same on every platform and in every locale."""
    return form.replace("%Y", f"{day.year:04d}").replace("%m", f"{day.month:02d}").replace("%d", f"{day.day:02d}")
