"""A catalogue over a control database, with its departments and a ledger of its own."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    Binding,
    Catalogue,
    Department,
    Departments,
    Item,
    Resource,
    ResourceAction,
    ResourceContent,
)
from datong.kernel import Actor, ActorKind, Database, DepartmentCode, FixedClock, NodeId, Text, WorkingCalendar
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.norms import DataType, Grade, NormPack, ShareMode, ShareType, load_pack

AUTHORITY = DepartmentCode("114406000000000193")
POLICE = DepartmentCode("12440600456000017N")
CIVIL = DepartmentCode("524406005000000158")
AUTHORITY_ACTOR = Actor(kind=ActorKind.PERSON, id="a", department=AUTHORITY, name="审核员")
POLICE_ACTOR = Actor(kind=ActorKind.PERSON, id="p", department=POLICE, name="管理员")
POLICE_NODE = Actor(kind=ActorKind.NODE, id="n", department=POLICE)
CIVIL_ACTOR = Actor(kind=ActorKind.PERSON, id="c", department=CIVIL)


@dataclass
class Office:
    """Everything a test of the catalogue needs."""

    database: Database
    clock: FixedClock
    departments: Departments
    ledger: Ledger
    catalogue: Catalogue

    def publish(self, content: ResourceContent, *, department: DepartmentCode = POLICE) -> Resource:
        """Draft and take a resource all the way."""
        provider = Actor(kind=ActorKind.PERSON, id="p", department=department)
        made = self.catalogue.draft(department, content, provider)
        self.catalogue.act(made.id, ResourceAction.SIGN_OFF, provider)
        self.catalogue.act(made.id, ResourceAction.SUBMIT, provider)
        self.catalogue.act(made.id, ResourceAction.APPROVE, AUTHORITY_ACTOR)
        return self.catalogue.act(made.id, ResourceAction.PUBLISH, AUTHORITY_ACTOR)


@pytest.fixture(scope="session")
def pack() -> NormPack:
    return load_pack()


def make_office(
    database: Database,
    pack: NormPack,
    *,
    register: bool = True,
    origin: str = "test.local/log",
    signer: Ed25519Signer | None = None,
) -> Office:
    """Compose an office; without `register` its departments are there already."""
    clock = FixedClock(datetime(2026, 11, 24, 2, 0, tzinfo=UTC))
    ledger = Ledger(
        database=database,
        clock=clock,
        signer=signer or Ed25519Signer.generate(),
        origin=origin,
        tiles=MemoryTileStore(),
    )
    departments = Departments(database=database, clock=clock, ledger=ledger)
    for code, name, is_authority in (
        (AUTHORITY, "政务服务和数据管理局", True),
        (POLICE, "公安局", False),
        (CIVIL, "民政局", False),
    ):
        text = Text(zh=name, en=name)
        if register:
            departments.register(
                Department(code=code, name=text, short_name=text, is_authority=is_authority), AUTHORITY_ACTOR
            )
    catalogue = Catalogue(
        database=database,
        clock=clock,
        calendar=WorkingCalendar(),
        ledger=ledger,
        departments=departments,
        pack=pack,
    )
    return Office(database=database, clock=clock, departments=departments, ledger=ledger, catalogue=catalogue)


@pytest.fixture
def office(control_database: Database, pack: NormPack) -> Office:
    return make_office(control_database, pack)


def content(title: str = "常住人口基本信息", **changes: object) -> ResourceContent:
    table = str(changes.pop("table", title))
    base = ResourceContent(
        title=Text(zh=title, en="Residents"),
        summary=Text(zh=f"{title}摘要", en="Summary"),
        classification="101001",
        items=(
            Item(
                name=Text(zh="姓名", en="Name"),
                column="xm",
                element="person_name",
                grade=Grade.L3,
                share_condition="履职所需",
            ),
            Item(
                name=Text(zh="行政区划代码", en="Division"),
                column="xzqh",
                element="division_code",
                data_type=DataType.CHARACTER,
                grade=Grade.L1,
                share_type=ShareType.UNCONDITIONAL,
                open=True,
            ),
        ),
        share_condition="履职所需",
        share_modes=(ShareMode.INTERFACE, ShareMode.BULK),
        binding=Binding(node_id=NodeId("n"), source="db", table=table, key_columns=("id",)),
        theme="population",
        use_condition="依法履职",
        data_category="personal_basic",
        assessment=Assessment(
            secrecy="不涉及国家秘密",
            personal_information="风险可控",
            conclusion=AssessmentConclusion.PASSED,
            assessed_by="保密办",
            assessed_on=date(2026, 11, 2),
        ),
    )
    return base.model_copy(update=changes)
