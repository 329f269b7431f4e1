"""What each department knows of the people of 示例市: its own tables, its own column names, its own standards.

Every row keeps, outside the row, the number of the true person it is about.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from datong.demo.boundaries import boundaries
from datong.demo.city import LOW_INCOME_PER_HEAD_YUAN, SCHOOL_ENTRY_AGES, City, Household, Person, Relation
from datong.demo.dice import Dice
from datong.demo.dirt import Clerk, Dirt, written
from datong.demo.places import divisions, official_address
from datong.kernel import CHINA

Cell = str | int | float | None
Row = tuple[Cell, ...]

LAST_SNAPSHOT_CHANGE = datetime(2025, 12, 31, 17, 0, tzinfo=CHINA)
FIRST_INCREMENT_CHANGE = datetime(2026, 1, 5, 9, 0, tzinfo=CHINA)
_MINIMUM_PER_HEAD_YUAN = 12_000
_SCHOOLS = ("示例市第一小学", "示例市实验小学", "示例市城南小学", "示例市江湾小学", "示例市明德小学")
_MIDDLE_SCHOOLS = ("示例市第一中学", "示例市第三中学", "示例市实验中学", "示例市岭南中学")


class Source(StrEnum):
    """The tables of the five departments that enter the platform."""

    RESIDENTS = "residents"
    MARRIAGES = "marriages"
    LOW_INCOME = "low_income"
    DIVISIONS = "divisions"
    INSURED = "insured"
    PROPERTY = "property"
    APPLICANTS = "applicants"


class Column(NamedTuple):
    """A column: its name, its SQLite type, and the comment in the table's definition."""

    name: str
    kind: str
    comment: str


class Records:
    """The rows of one table, each with its owner: the number of the true person, or None (divisions)."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows: list[Row] = []
        self.owners: list[int | None] = []
        self._place_of: dict[str, int] = {}

    def add(self, row: Row, owner: int | None) -> None:
        """Append one row; its first value is its key, which must be new."""
        self._place_of[str(row[0])] = len(self.rows)
        self.rows.append(row)
        self.owners.append(owner)

    def replace(self, row: Row, owner: int | None) -> None:
        """Put `row` in the place of the one with its key; append it if there is none."""
        place = self._place_of.get(str(row[0]))
        if place is None:
            self.add(row, owner)
        else:
            self.rows[place], self.owners[place] = row, owner


COLUMNS: dict[Source, tuple[Column, ...]] = {
    Source.RESIDENTS: (
        Column("rybh", "TEXT", "人员编号"),
        Column("xm", "TEXT", "姓名"),
        Column("gmsfhm", "TEXT", "公民身份号码"),
        Column("xb", "TEXT", "性别"),
        Column("mz", "TEXT", "民族"),
        Column("csrq", "TEXT", "出生日期"),
        Column("hh", "TEXT", "户号"),
        Column("yhzgx", "TEXT", "与户主关系"),
        Column("hyzk", "TEXT", "婚姻状况"),
        Column("hjdz", "TEXT", "户籍地址"),
        Column("xzqh", "TEXT", "行政区划代码"),
        Column("qrrq", "TEXT", "迁入日期"),
        Column("lxdh", "TEXT", "联系电话"),
        Column("gxsj", "TEXT", "更新时间"),
    ),
    Source.MARRIAGES: (
        Column("record_no", "TEXT", "登记记录编号"),
        Column("full_name", "TEXT", "当事人姓名"),
        Column("id_card", "TEXT", "身份证号"),
        Column("gender", "TEXT", "性别"),
        Column("birthday", "TEXT", "出生日期"),
        Column("spouse_id_card", "TEXT", "配偶身份证号"),
        Column("marry_status", "TEXT", "婚姻状况"),
        Column("marry_date", "TEXT", "结婚登记日期"),
        Column("mobile", "TEXT", "手机号码"),
        Column("addr", "TEXT", "住址"),
        Column("update_time", "TEXT", "更新时间"),
    ),
    Source.LOW_INCOME: (
        Column("benefit_no", "TEXT", "救助证编号"),
        Column("applicant_name", "TEXT", "姓名"),
        Column("cert_no", "TEXT", "身份证件号码"),
        Column("birth_day", "TEXT", "出生日期"),
        Column("family_size", "INTEGER", "家庭人口数"),
        Column("low_income_status", "TEXT", "低收入家庭认定状态"),
        Column("benefit_amount", "REAL", "月救助金额"),
        Column("phone_no", "TEXT", "联系电话"),
        Column("home_address", "TEXT", "家庭住址"),
        Column("update_time", "TEXT", "更新时间"),
    ),
    Source.DIVISIONS: (
        Column("code", "TEXT", "行政区划代码"),
        Column("name", "TEXT", "行政区划名称"),
        Column("level", "INTEGER", "行政区划级别"),
        Column("parent_code", "TEXT", "上级行政区划代码"),
        Column("boundary", "TEXT", "示意边界（演示生成，非真实边界）"),
        Column("updated_at", "TEXT", "更新时间"),
    ),
    Source.INSURED: (
        Column("AAC001", "TEXT", "个人编号"),
        Column("AAC003", "TEXT", "姓名"),
        Column("AAC002", "TEXT", "社会保障号码"),
        Column("AAC004", "TEXT", "性别"),
        Column("AAC006", "TEXT", "出生日期"),
        Column("AAB004", "TEXT", "单位名称"),
        Column("AAB998", "TEXT", "单位统一社会信用代码"),
        Column("AAC008", "TEXT", "参保状态"),
        Column("AAE201", "INTEGER", "累计缴费月数"),
        Column("AAC150", "REAL", "年缴费工资"),
        Column("AAE005", "TEXT", "联系电话"),
        Column("AAE006", "TEXT", "通讯地址"),
        Column("AAE036", "TEXT", "更新时间"),
    ),
    Source.PROPERTY: (
        Column("登记编号", "TEXT", "登记编号"),
        Column("不动产单元号", "TEXT", "不动产单元号"),
        Column("权利人姓名", "TEXT", "权利人姓名"),
        Column("权利人证件号", "TEXT", "权利人证件号"),
        Column("坐落", "TEXT", "坐落"),
        Column("建筑面积", "TEXT", "建筑面积"),
        Column("规划用途", "TEXT", "规划用途"),
        Column("登记日期", "TEXT", "登记日期"),
        Column("联系电话", "TEXT", "联系电话"),
        Column("更新时间", "TEXT", "更新时间"),
    ),
    Source.APPLICANTS: (
        Column("apply_no", "TEXT", "报名编号"),
        Column("stu_name", "TEXT", "学生姓名"),
        Column("stu_id_no", "TEXT", "学生身份证号"),
        Column("stu_sex", "TEXT", "学生性别"),
        Column("stu_birth", "TEXT", "学生出生日期"),
        Column("guardian_id_no", "TEXT", "监护人身份证号"),
        Column("guardian_phone", "TEXT", "联系电话"),
        Column("home_addr", "TEXT", "家庭住址"),
        Column("apply_school", "TEXT", "报名学校名称"),
        Column("apply_grade", "TEXT", "报名年级"),
        Column("last_modified", "TEXT", "更新时间"),
    ),
}
"""The columns of each table; the first is its key, the last its time of change."""


class Registrar:
    """Turns people into the rows that departments keep, with dirt; the story's family is always written cleanly."""

    def __init__(self, city: City, *, seed: int, dirt: Dirt, changed_from: datetime, changed_over: timedelta) -> None:
        self.city = city
        self.dice = Dice(seed)
        clean = Dirt(**dict.fromkeys(Dirt.model_fields, 0.0) | {"police_share": 1.0})
        self._police = Clerk(dice=self.dice, dirt=dirt, share=max(dirt.police_share, 1e-9))
        self._office = Clerk(dice=self.dice, dirt=dirt)
        self._careful = Clerk(dice=self.dice, dirt=clean)
        self._changed_from = changed_from
        self._changed_seconds = int(changed_over.total_seconds())
        self._registered_twice = dirt.registered_twice

    def changed_at(self) -> str:
        """Return a moment of change in the form the departments' databases keep, without a zone."""
        moment = self._changed_from + timedelta(seconds=self.dice.whole(0, self._changed_seconds))
        return f"{moment:%Y-%m-%d %H:%M:%S}"

    def _clerk(self, person: Person, *, police: bool = False) -> Clerk:
        if person.household is self.city.family:
            return self._careful
        return self._police if police else self._office

    def resident(self, person: Person) -> Row:
        """Return the police's row about `person`."""
        clerk = self._clerk(person, police=True)
        household = person.household
        return (
            f"RY{person.number:09d}",
            clerk.name(person),
            clerk.identifier(person),
            clerk.sex(person, ("1", "2", "9")),
            person.ethnicity,
            clerk.birth(person, "%Y%m%d"),
            household.number,
            person.relation,
            _marital_status(person),
            official_address(household.place),
            household.place.district,
            written(person.moved_in_on, "%Y%m%d"),
            clerk.phone(person),
            self.changed_at(),
        )

    def marriage(self, person: Person, spouse: Person, key: str) -> Row:
        """Return civil affairs' row about one party of a marriage."""
        clerk = self._clerk(person)
        return (
            key,
            clerk.name(person),
            clerk.identifier(person),
            clerk.sex(person, ("男", "女", "不详")),
            clerk.birth(person, "%Y-%m-%d"),
            clerk.identifier(spouse),
            "已婚",
            written(person.married_on or person.birth, "%Y-%m-%d"),
            clerk.phone(person),
            clerk.address(person),
            self.changed_at(),
        )

    def low_income(self, household: Household) -> Row:
        """Return civil affairs' row about a household on low income, in the name of its head."""
        head = household.members[0]
        clerk = self._clerk(head)
        return (
            f"DB{household.number}",
            clerk.name(head),
            clerk.identifier(head),
            clerk.birth(head, "%Y/%m/%d"),
            len(household.members),
            "低保" if household.income_per_head_yuan < _MINIMUM_PER_HEAD_YUAN else "低保边缘户",
            float((LOW_INCOME_PER_HEAD_YUAN - household.income_per_head_yuan) // 24 + 200),
            clerk.phone(head),
            clerk.address(head),
            self.changed_at(),
        )

    def insured(self, person: Person, key: str) -> Row:
        """Return social security's row about `person`."""
        clerk = self._clerk(person)
        employer = person.employer
        return (
            key,
            clerk.name(person),
            clerk.identifier(person),
            clerk.sex(person, ("男性", "女性", "未说明")),
            clerk.birth(person, "%Y%m%d"),
            employer.name if employer else None,
            employer.code if employer else None,
            "参保缴费" if employer else "离退休",
            person.insured_months,
            float(person.income_yuan),
            clerk.phone(person),
            clerk.address(person),
            self.changed_at(),
        )

    def property_title(self, person: Person, owner: Person, key: str) -> Row:
        """Return the real-estate registry's row about the title that `person` holds or shares with `owner`."""
        home = owner.home
        if home is None:
            raise ValueError("the owner holds no title")
        clerk = self._clerk(person)
        return (
            key,
            home.unit,
            clerk.name(person),
            clerk.identifier(person),
            clerk.address(person),
            f"{home.area_square_decimetres / 100:.2f}",
            home.use,
            written(home.registered_on, "%Y年%m月%d日"),
            clerk.phone(person),
            self.changed_at(),
        )

    def applicant(self, child: Person) -> Row:
        """Return education's row about a child who applies for a school place."""
        clerk = self._clerk(child)
        guardian = child.guardian or child
        grade = SCHOOL_ENTRY_AGES.get(child.age, "转学插班")
        return (
            f"BM{child.number:08d}",
            clerk.name(child),
            clerk.identifier(child),
            clerk.sex(child, ("M", "F", "U")),
            clerk.birth(child, "%Y/%m/%d"),
            clerk.identifier(guardian),
            clerk.phone(guardian),
            clerk.address(child),
            self.dice.pick(_SCHOOLS if grade.startswith("小学") else _MIDDLE_SCHOOLS),
            grade,
            self.changed_at(),
        )

    def all(self) -> dict[Source, Records]:
        """Return the full contents of every table."""
        return {
            source: self._filled(source, fill)
            for source, fill in (
                (Source.RESIDENTS, self._fill_residents),
                (Source.MARRIAGES, self._fill_marriages),
                (Source.LOW_INCOME, self._fill_low_income),
                (Source.INSURED, self._fill_insured),
                (Source.PROPERTY, self._fill_property),
                (Source.APPLICANTS, self._fill_applicants),
                (Source.DIVISIONS, self._fill_divisions),
            )
        }

    def _filled(self, source: Source, fill: Callable[[Records], None]) -> Records:
        records = Records(source)
        fill(records)
        return records

    def _fill_residents(self, records: Records) -> None:
        for person in self.city.people:
            records.add(self.resident(person), person.number)

    def _fill_marriages(self, records: Records) -> None:
        number = 0
        for person in self.city.people:
            spouse = person.spouse
            if spouse is None or person.number > spouse.number or self._unfiled(person):
                continue
            number += 1
            records.add(self.marriage(person, spouse, f"J{number:07d}-1"), person.number)
            records.add(self.marriage(spouse, person, f"J{number:07d}-2"), spouse.number)

    def _unfiled(self, person: Person) -> bool:
        """Return whether the marriage is not on file: one in eight, as those made elsewhere are not."""
        return person.household is not self.city.family and self.dice.happens(0.125)

    def _fill_low_income(self, records: Records) -> None:
        for household in self.city.households:
            if household.members and household.income_per_head_yuan < LOW_INCOME_PER_HEAD_YUAN:
                records.add(self.low_income(household), household.members[0].number)

    def _fill_insured(self, records: Records) -> None:
        for person in self.city.people:
            if person.income_yuan == 0:
                continue
            key = f"44060{len(records.rows) + 1:09d}"
            records.add(self.insured(person, key), person.number)
            if person.household is not self.city.family and self.dice.happens(self._registered_twice):
                key = f"44060{len(records.rows) + 1:09d}"
                records.add(self.insured(person, key), person.number)

    def _fill_property(self, records: Records) -> None:
        for person in self.city.people:
            if person.home is None:
                continue
            key = f"粤(2025)示例市不动产权第{len(records.rows) + 1:07d}号"
            records.add(self.property_title(person, person, key), person.number)
            if person.spouse is not None and person.spouse.home is None and self.dice.happens(0.6):
                key = f"粤(2025)示例市不动产权第{len(records.rows) + 1:07d}号"
                records.add(self.property_title(person.spouse, person, key), person.spouse.number)

    def _fill_applicants(self, records: Records) -> None:
        for person in self.city.people:
            if person.age in SCHOOL_ENTRY_AGES and person.guardian is not None:
                records.add(self.applicant(person), person.number)

    def _fill_divisions(self, records: Records) -> None:
        changed_at = f"{self._changed_from:%Y-%m-%d %H:%M:%S}"
        drawn = boundaries()
        for division in divisions():
            parent, boundary = division.parent or None, drawn.get(division.code)
            records.add((division.code, division.name, division.level, parent, boundary, changed_at), None)


def _marital_status(person: Person) -> str:
    """Return the marital status in GB/T 2261.2."""
    if person.spouse is not None:
        return "20"
    if person.relation in (Relation.SON, Relation.DAUGHTER) or person.age < 26:
        return "10"
    return "30" if person.age > 70 else "40" if person.age > 45 else "10"
