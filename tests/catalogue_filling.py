"""Fills a catalogue with many realistic published resources, for tests and benchmarks.

`fill` writes the rows that a resource has once it is published: the resource, its version, its code and the code's
counter, the list, the search tables and what is open of it, the last three by the same functions as publishing does. It
leaves out the steps and their evidence in the ledger: nobody acted. `tests/unit/catalogue/test_filling.py` compares
a filled resource with a published one, row by row.

Titles, summaries, publishers and keywords are real (tests/data/catalogues); publishers become departments; items,
grades, terms of sharing, contacts, licences and dates are made up, repeatably: the same `seed` gives the same bytes.
"""

import gzip
import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    Binding,
    Contact,
    Department,
    Distribution,
    Item,
    Resource,
    ResourceContent,
    ResourceState,
    SignOff,
)
from datong.catalogue.records import binding_key, show
from datong.catalogue.tables import code_counter, department, resource, version
from datong.kernel import Database, DepartmentCode, NodeId, ResourceId, Text
from datong.norms import (
    DataType,
    Grade,
    NormPack,
    ResourceFormat,
    ShareMode,
    ShareType,
    UpdateCycle,
)
from datong.norms.identifiers import organisation_check_character, uscc_check_character

TITLES = Path(__file__).parent / "data" / "catalogues" / "open-data-catalogues.jsonl.gz"
ROWS_AT_ONCE = 1000
OPEN_PERCENT = 40
FIRST_DAY = datetime(2024, 1, 2, 1, 0, tzinfo=UTC)
DAYS = 900
ASSESSMENT = Assessment(
    secrecy="不涉及国家秘密",
    personal_information="风险可控",
    conclusion=AssessmentConclusion.PASSED,
    assessed_by="保密审查工作组",
    assessed_on=date(2023, 12, 20),
)
ITEMS = (
    ("单位名称", "Organisation", "dwmc", None, DataType.CHARACTER, 200, Grade.L1),
    ("统一社会信用代码", "Unified social credit code", "tyshxydm", "uscc", DataType.CHARACTER, 18, Grade.L1),
    ("行政区划代码", "Division code", "xzqhdm", "division_code", DataType.CHARACTER, 6, Grade.L1),
    ("地址", "Address", "dz", None, DataType.CHARACTER, 300, Grade.L2),
    ("年份", "Year", "nf", None, DataType.INTEGER, 4, Grade.L1),
    ("数量", "Number", "sl", None, DataType.NUMERIC, 12, Grade.L1),
    ("金额（万元）", "Amount (10,000 yuan)", "je", None, DataType.CURRENCY, 14, Grade.L2),
    ("发布日期", "Published on", "fbrq", None, DataType.DATE, 10, Grade.L1),
    ("更新时间", "Updated at", "gxsj", None, DataType.DATETIME, 19, Grade.L1),
    ("类别", "Kind", "lb", None, DataType.CHARACTER, 30, Grade.L1),
    ("经度", "Longitude", "jd", None, DataType.DOUBLE, 12, Grade.L1),
    ("纬度", "Latitude", "wd", None, DataType.DOUBLE, 12, Grade.L1),
    ("备注", "Remarks", "bz", None, DataType.MEMO, 0, Grade.L2),
)
INSIDE_ITEMS = (
    ("经办人姓名", "Handled by", "jbrxm", "person_name", DataType.CHARACTER, 50, Grade.L3),
    ("联系人手机", "Mobile of the contact", "lxrsj", "phone", DataType.CHARACTER, 11, Grade.L3),
    (
        "法定代表人证件号码",
        "ID of the legal representative",
        "fddbrzjhm",
        "citizen_id",
        DataType.CHARACTER,
        18,
        Grade.L4,
    ),
    ("内部流水号", "Internal serial number", "nblsh", None, DataType.CHARACTER, 32, Grade.L2),
)
FILES = (
    ("csv", Text(zh="CSV 文件", en="CSV file"), "text/csv"),
    ("json", Text(zh="JSON 文件", en="JSON file"), "application/json"),
    (
        "xlsx",
        Text(zh="电子表格", en="Spreadsheet"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
)
DIVISIONS = ("440604", "440605", "510100", "520100", "340100", "450100")


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What `fill` put into the catalogue."""

    departments: tuple[Department, ...]
    open_ids: tuple[ResourceId, ...]
    inside_ids: tuple[ResourceId, ...]

    @property
    def ids(self) -> tuple[ResourceId, ...]:
        """Every resource."""
        return tuple(sorted(self.open_ids + self.inside_ids))


@cache
def real_titles() -> tuple[dict[str, str], ...]:
    """Return title, description, publisher and keywords of real open-data resources."""
    with gzip.open(TITLES, "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


def fill(
    database: Database,
    pack: NormPack,
    count: int,
    *,
    seed: int = 1,
    open_percent: int = OPEN_PERCENT,
    departments_max: int = 60,
) -> Filled:
    """Publish `count` resources of up to `departments_max` departments, `open_percent` of them open.

    May be called again with another `seed` for more; departments are the same then, codes go on.
    """
    codes = publishers(departments_max)
    register(database, codes)
    opened: list[ResourceId] = []
    inside: list[ResourceId] = []
    for chunk in _chunks(count):
        made = [made_up(pack, number, seed, codes, open_percent=open_percent) for number in chunk]
        publish_all(database, pack, made)
        for found in made:
            (opened if found.content.open else inside).append(found.id)
    return Filled(departments=tuple(codes), open_ids=tuple(opened), inside_ids=tuple(inside))


def made_up(
    pack: NormPack, number: int, seed: int, departments: Sequence[Department], *, open_percent: int = OPEN_PERCENT
) -> Resource:
    """Return the `number`-th resource of a seed as published, its code still to be given."""
    titles = real_titles()
    real = titles[(number * 31 + seed * 7919) % len(titles)]
    dice = random.Random(f"{seed}/{number}")
    round_ = number // len(titles)
    title = real["title"] + (f"（第{round_ + 1}批）" if round_ else "")
    publisher = next((entry for entry in departments if entry.name.zh == real["publisher"]), None)
    publisher = publisher or dice.choice(departments)
    at = FIRST_DAY + timedelta(minutes=dice.randrange(DAYS * 24 * 60))
    content = _content(pack, dice, title, real, publisher, f"t_{seed}_{number}", dice.randrange(100) < open_percent)
    return Resource(
        id=ResourceId(_id(at, dice)),
        code=None,
        department=publisher.code,
        state=ResourceState.PUBLISHED,
        version=1,
        published_version=1,
        content=content,
        created_at=at - timedelta(days=2),
        updated_at=at,
        published_at=at,
    )


def _content(
    pack: NormPack,
    dice: random.Random,
    title: str,
    real: dict[str, str],
    publisher: Department,
    table: str,
    is_open: bool,
) -> ResourceContent:
    theme = next((theme.key for theme in pack.themes if any(word in title for word in theme.words)), "general")
    share_type = ShareType.UNCONDITIONAL if is_open else dice.choice(tuple(ShareType))
    keywords = tuple(dict.fromkeys(word for word in re.split(r"[\s,，、;；]+", real["keywords"]) if word))
    start = date(2015 + dice.randrange(8), 1, 1)
    return ResourceContent(
        title=Text(zh=title[:200], en=""),
        summary=Text(zh=(real["description"] or title)[:1000], en=""),
        classification=dice.choice(("201001", "203001", "301001", "102001", "103001")),
        format=dice.choice((ResourceFormat.DATABASE, ResourceFormat.SPREADSHEET, ResourceFormat.ELECTRONIC_FILE)),
        items=_items(dice, is_open, share_type),
        share_type=share_type,
        share_condition="履行职责需要" if share_type is ShareType.CONDITIONAL else "",
        share_modes=() if share_type is ShareType.NONE else (ShareMode.BULK, ShareMode.INTERFACE),
        legal_basis="《中华人民共和国统计法》第九条" if share_type is ShareType.NONE else "",
        open=is_open,
        open_condition="注明来源" if is_open and dice.random() < 0.3 else "",
        update_cycle=dice.choice(tuple(UpdateCycle)),
        binding=Binding(node_id=NodeId("filling"), source="filling", table=table, key_columns=("id",)),
        theme=theme,
        keywords=keywords[:10],
        use_condition="依法使用，注明数据来源",
        data_category="public",
        source_system="业务办理系统",
        contact=Contact(
            unit=publisher.name.zh,
            person="数据管理员",
            phone="0757-12345",
            email=f"data@{publisher.code.lower()}.example.cn",
        ),
        spatial=dice.choice(DIVISIONS),
        temporal_start=start if dice.random() < 0.6 else None,
        temporal_end=date(start.year + 1, 12, 31) if dice.random() < 0.4 else None,
        distributions=_distributions(dice, is_open, table),
        licence=_licence(pack, dice, is_open),
        assessment=ASSESSMENT,
        sign_off=SignOff(by="负责人", position="副局长", at=FIRST_DAY),
    )


def _items(dice: random.Random, is_open: bool, share_type: ShareType) -> tuple[Item, ...]:
    public = dice.sample(range(len(ITEMS)), dice.randrange(4, 10))
    inside = dice.sample(range(len(INSIDE_ITEMS)), dice.randrange(0 if is_open else 1, 4))
    return tuple(_item(ITEMS[index], is_open, share_type) for index in public) + tuple(
        _item(INSIDE_ITEMS[index], False, share_type) for index in inside
    )


@cache
def _item(
    entry: tuple[str, str, str, str | None, DataType, int, Grade], item_open: bool, share_type: ShareType
) -> Item:
    zh, en, column, element, data_type, length, grade = entry
    return Item(
        name=Text(zh=zh, en=en),
        column=column,
        element=element,
        data_type=data_type,
        length=length,
        grade=grade,
        share_type=share_type if item_open or share_type is ShareType.NONE else ShareType.CONDITIONAL,
        share_condition="履行职责需要" if not item_open and share_type is not ShareType.NONE else "",
        legal_basis="《中华人民共和国统计法》第九条" if share_type is ShareType.NONE else "",
        open=item_open,
        mapping_confidence=80 if element else 0,
    )


def _distributions(dice: random.Random, is_open: bool, table: str) -> tuple[Distribution, ...]:
    return tuple(
        Distribution(
            id=key,
            title=title,
            media_type=media_type,
            access_url=f"https://data.example.cn/{table}",
            download_url=f"https://data.example.cn/{table}/{key}",
            bytes=dice.randrange(1_000, 50_000_000),
            open=is_open and key != "xlsx",
        )
        for key, title, media_type in dice.sample(FILES, dice.randrange(0, 4))
    )


def _licence(pack: NormPack, dice: random.Random, is_open: bool) -> str:
    """Return a licence for half of what is open; the rest stands under the pack's first. Drawn after all else."""
    return dice.choice(pack.licences).key if is_open and pack.licences and dice.random() < 0.5 else ""


def publish_all(database: Database, pack: NormPack, made: Sequence[Resource]) -> None:
    """Write the rows of published resources in one transaction; codes are given here."""
    with database.transaction() as connection:
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        wanted = Counter(found.content.classification for found in made)
        last = {}
        for classification, many in sorted(wanted.items()):
            statement = insert(code_counter).values(classification=classification, last=many)
            statement = statement.on_conflict_do_update(
                index_elements=["classification"], set_={"last": code_counter.c.last + many}
            )
            last[classification] = connection.execute(statement.returning(code_counter.c.last)).scalar_one() - many
        coded = []
        for found in made:
            classification = found.content.classification
            last[classification] += 1
            code = f"{classification}/{last[classification]:0{pack.code_serial_digits}d}"
            coded.append(found.model_copy(update={"code": code}))
        connection.execute(resource.insert(), [_resource_row(found) for found in coded])
        connection.execute(version.insert(), [_version_row(found) for found in coded])
        show(connection, coded)


def _resource_row(found: Resource) -> dict[str, object]:
    return {
        "id": found.id,
        "code": found.code,
        "department": found.department,
        "binding_key": binding_key(found.content.binding, found.id),
        "state": found.state.value,
        "version": found.version,
        "published_version": found.published_version,
        "visible": True,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "due_at": None,
    }


def _version_row(found: Resource) -> dict[str, object]:
    return {
        "resource_id": found.id,
        "version": found.version,
        "state": found.state.value,
        "content": found.content.model_dump(mode="json"),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "published_at": found.published_at,
    }


def publishers(most: int) -> list[Department]:
    """Return departments named after the publishers with most resources."""
    names = Counter(real["publisher"] for real in real_titles() if real["publisher"].strip())
    return [
        Department(
            code=department_code(index),
            name=Text(zh=name, en=f"Department {index + 1}"),
            short_name=Text(zh=name, en=f"D{index + 1}"),
        )
        for index, (name, _) in enumerate(names.most_common(most))
    ]


def department_code(index: int) -> DepartmentCode:
    """Return a valid unified social credit code of a made-up department."""
    organisation = f"{70_000_000 + index:08d}"
    first_17 = f"11440600{organisation}{organisation_check_character(organisation)}"
    return DepartmentCode(first_17 + uscc_check_character(first_17))


def register(database: Database, made: Sequence[Department]) -> None:
    """Register departments that are not there yet."""
    with database.transaction() as connection:
        known = set(connection.execute(select(department.c.code)).scalars())
        rows = [
            {
                "code": entry.code,
                "name_zh": entry.name.zh,
                "name_en": entry.name.en,
                "short_name_zh": entry.short_name.zh,
                "short_name_en": entry.short_name.en,
                "is_authority": False,
                "registered_at": FIRST_DAY,
            }
            for entry in made
            if entry.code not in known
        ]
        if rows:
            connection.execute(department.insert(), rows)


def _id(at: datetime, dice: random.Random) -> str:
    """Return a UUID of version 7 for a time, repeatably."""
    value = (
        int(at.timestamp() * 1000) << 80 | 0x7 << 76 | dice.getrandbits(12) << 64 | 0b10 << 62 | dice.getrandbits(62)
    )
    return str(uuid.UUID(int=value))


def _chunks(count: int) -> Iterator[range]:
    for start in range(0, count, ROWS_AT_ONCE):
        yield range(start, min(count, start + ROWS_AT_ONCE))
