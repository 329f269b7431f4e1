"""Sample values that the sharing tests share."""

from datetime import UTC, datetime, timedelta

from datong.catalogue import Department, Item, Resource, ResourceContent, ResourceState
from datong.kernel import Actor, ActorKind, AgreementId, DepartmentCode, RequestId, ResourceId, Text
from datong.norms import Grade, ShareMode, ShareType, UpdateCycle
from datong.sharing.agreement_rules import LIABILITY
from datong.sharing.masks import MaskKind
from datong.sharing.principals import Principal, Role
from datong.sharing.terms import (
    Agreement,
    AgreementItem,
    AgreementState,
    ExtensionState,
    Purpose,
    Request,
    RequestState,
    ServiceLevels,
)

POLICE = DepartmentCode("114406000000000193")
EDUCATION = DepartmentCode("12440600456000017N")
SOCIAL = DepartmentCode("524406005000000158")
BUREAU = DepartmentCode("N2440604MF0000013Y")
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
RESOURCE = ResourceId("0198c000-0000-7000-8000-000000000001")
PURPOSE = Purpose(
    legal_basis="《义务教育法》第十二条",
    scene="小学入学资格核验",
    scope="入学审核岗位",
    modes=(ShareMode.INTERFACE, ShareMode.BULK),
    valid_from=NOW,
    valid_until=NOW + timedelta(days=365),
    service_item="school-admission",
)


def text(zh: str) -> Text:
    return Text(zh=zh, en=zh)


def department(code: DepartmentCode, name: str, *, is_authority: bool = False) -> Department:
    return Department(code=code, name=text(name), short_name=text(name), is_authority=is_authority)


DEPARTMENTS = (
    department(POLICE, "公安局"),
    department(EDUCATION, "教育局"),
    department(SOCIAL, "人社局"),
    department(BUREAU, "政数局", is_authority=True),
)


def item(
    column: str,
    zh: str,
    element: str | None,
    *,
    grade: Grade = Grade.L2,
    share_type: ShareType = ShareType.UNCONDITIONAL,
    key: bool = False,
    modes: tuple[ShareMode, ...] = (),
) -> Item:
    return Item(
        name=Text(zh=zh, en=zh + " (en)"),
        column=column,
        element=element,
        grade=grade,
        share_type=share_type,
        key=key,
        share_modes=modes,
        legal_basis="《保密法》" if share_type is ShareType.NONE else "",
    )


POLICE_ITEMS = (
    item("gmsfhm", "公民身份号码", "citizen_id", grade=Grade.L3, key=True),
    item("xm", "姓名", "person_name", grade=Grade.L3),
    item("hh", "户号", "household_id"),
    item("hjdz", "户籍地址", "address", grade=Grade.L3, share_type=ShareType.CONDITIONAL),
    item("bz", "备注", None, grade=Grade.L4, share_type=ShareType.CONDITIONAL),
    item("zw", "指纹", None, grade=Grade.L4, share_type=ShareType.NONE),
    item("xb", "性别", "sex", modes=(ShareMode.INTERFACE,)),
)


def resource(
    resource_id: ResourceId = RESOURCE,
    provider: DepartmentCode = POLICE,
    items: tuple[Item, ...] = POLICE_ITEMS,
) -> Resource:
    return Resource(
        id=resource_id,
        code="306001/1",
        department=provider,
        state=ResourceState.PUBLISHED,
        version=1,
        published_version=1,
        content=ResourceContent(title=text("常住人口"), items=items, update_cycle=UpdateCycle.DAILY),
        created_at=NOW,
        updated_at=NOW,
        published_at=NOW,
    )


def officer(code: DepartmentCode, *roles: Role) -> Principal:
    return Principal(actor=person(code), roles=frozenset(roles or (Role.DATA_OFFICER,)))


def person(code: DepartmentCode | None) -> Actor:
    return Actor(kind=ActorKind.PERSON, id=f"officer-{code}", department=code, name="张三")


def application(code: DepartmentCode) -> Principal:
    return Principal(actor=Actor(kind=ActorKind.APPLICATION, id=f"application-{code}", department=code))


def node(code: DepartmentCode) -> Principal:
    return Principal(actor=Actor(kind=ActorKind.NODE, id=f"node-{code}", department=code))


def agreement_item(column: str, mask: MaskKind = MaskKind.NONE) -> AgreementItem:
    return AgreementItem(
        column=column, name=text(column), element=None, data_type="C", grade="L2", key=False, mask=mask
    )


def request(**change: object) -> Request:
    base = Request(
        id=RequestId("request-1"),
        bundle_id="bundle-1",
        consumer=EDUCATION,
        provider=POLICE,
        resource_id=RESOURCE,
        resource_version=1,
        resource_title=text("常住人口"),
        items=(agreement_item("xm"),),
        share_type=ShareType.CONDITIONAL,
        update_cycle=UpdateCycle.DAILY,
        purpose=PURPOSE,
        state=RequestState.SUBMITTED,
        submitted_by="person-1",
        submitted_at=NOW,
        due_at=NOW + timedelta(days=14),
        extension=ExtensionState.NONE,
    )
    return base.model_copy(update=change)


def agreement(**change: object) -> Agreement:
    base = Agreement(
        id=AgreementId("agreement-1"),
        request_id=RequestId("request-1"),
        provider=POLICE,
        consumer=EDUCATION,
        resource_id=RESOURCE,
        resource_version=1,
        resource_title=text("常住人口"),
        items=(agreement_item("xm"), agreement_item("hh")),
        purpose=PURPOSE,
        levels=ServiceLevels(
            provide_within_working_days=20,
            freshness_hours=24,
            latency_ms_p95=500,
            availability_permille=990,
            completeness_permille=950,
        ),
        liability=LIABILITY,
        valid_from=PURPOSE.valid_from,
        valid_until=PURPOSE.valid_until,
        provide_due_at=NOW + timedelta(days=28),
        drawn_up_at=NOW,
        state=AgreementState.DRAFT,
    )
    return base.model_copy(update=change)
