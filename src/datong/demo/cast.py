"""Who plays in the story: the departments of 示例市, their accounts, and how they list their data in the catalogue."""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from datong.demo.databases import RECEIVED_PATH, TABLES
from datong.demo.identifiers import credit_code
from datong.demo.records import Source
from datong.kernel import DepartmentCode, Text

_GOVERNMENT_OF_THE_CITY = "11440600"


class Member(NamedTuple):
    """A department: the names and addresses of the sources its node reads, and where the node writes (`receives`)."""

    key: str
    code: DepartmentCode
    name: Text
    short_name: Text
    sources: dict[str, str]
    receives: str | None = None


def _code(organisation: str) -> DepartmentCode:
    return DepartmentCode(credit_code(_GOVERNMENT_OF_THE_CITY, organisation))


BUREAU = Member(
    "bureau",
    _code("MB2D0001"),
    Text(zh="示例市政务服务和数据管理局", en="Shili City Government Services and Data Bureau"),
    Text(zh="数据局", en="Data Bureau"),
    {},
)
POLICE = Member(
    "police",
    _code("00702001"),
    Text(zh="示例市公安局", en="Shili City Police"),
    Text(zh="公安局", en="Police"),
    {"huji": f"sqlite:///{{data}}/{TABLES[Source.RESIDENTS].path}"},
)
CIVIL = Member(
    "civil",
    _code("00702002"),
    Text(zh="示例市民政局", en="Shili City Civil Affairs"),
    Text(zh="民政局", en="Civil Affairs"),
    {
        "minzheng": f"sqlite:///{{data}}/{TABLES[Source.MARRIAGES].path}",
        "quhua": "files:///{data}/civil/divisions",
    },
)
SOCIAL = Member(
    "social",
    _code("00702003"),
    Text(zh="示例市人力资源和社会保障局", en="Shili City Social Security"),
    Text(zh="人社局", en="Social Security"),
    {"shebao": f"sqlite:///{{data}}/{TABLES[Source.INSURED].path}"},
)
ESTATE = Member(
    "estate",
    _code("MB2C0004"),
    Text(zh="示例市自然资源局", en="Shili City Natural Resources"),
    Text(zh="自然资源局", en="Natural Resources"),
    {"budongchan": "files:///{data}/estate/registry"},
)
EDUCATION = Member(
    "education",
    _code("00702005"),
    Text(zh="示例市教育局", en="Shili City Education"),
    Text(zh="教育局", en="Education"),
    {"zhaosheng": f"sqlite:///{{data}}/{TABLES[Source.APPLICANTS].path}"},
    receives=f"sqlite:///{{data}}/{RECEIVED_PATH}",
)
DEPARTMENTS = (POLICE, CIVIL, SOCIAL, ESTATE, EDUCATION)
"""The five departments with nodes."""
EVERYBODY = (BUREAU, *DEPARTMENTS)

OWNER_OF: dict[Source, Member] = {
    Source.RESIDENTS: POLICE,
    Source.MARRIAGES: CIVIL,
    Source.LOW_INCOME: CIVIL,
    Source.DIVISIONS: CIVIL,
    Source.INSURED: SOCIAL,
    Source.PROPERTY: ESTATE,
    Source.APPLICANTS: EDUCATION,
}
SERVICE_ITEM = "义务教育入学审核"
LIBRARY_ITEM = "人口和地理基础库建设"


class Account(NamedTuple):
    """An account of the demo: user name, whose it is, its roles, the person's name, and what they are there."""

    username: str
    department: Member | None
    roles: tuple[str, ...]
    name: Text
    post: Text


_OFFICERS = {
    "police": Text(zh="王建华", en="Wang Jianhua"),
    "civil": Text(zh="刘芳", en="Liu Fang"),
    "social": Text(zh="张伟东", en="Zhang Weidong"),
    "estate": Text(zh="黄海涛", en="Huang Haitao"),
    "education": Text(zh="周晓燕", en="Zhou Xiaoyan"),
}
_HEADS = {
    "police": Text(zh="郑国强", en="Zheng Guoqiang"),
    "civil": Text(zh="孙丽萍", en="Sun Liping"),
    "social": Text(zh="何秀兰", en="He Xiulan"),
    "estate": Text(zh="郭明", en="Guo Ming"),
    "education": Text(zh="赵国栋", en="Zhao Guodong"),
}

OPERATOR = Account(
    "operator", None, ("operator",), Text(zh="徐志远", en="Xu Zhiyuan"), Text(zh="平台运维员", en="platform operator")
)
AUTHORITY = Account(
    "authority",
    BUREAU,
    ("authority", "data_officer"),
    Text(zh="李敏", en="Li Min"),
    Text(zh="数据局管理员", en="officer of the Data Bureau"),
)
OFFICERS = tuple(
    Account(
        f"{member.key}.officer",
        member,
        ("data_officer",),
        _OFFICERS[member.key],
        Text(zh=f"{member.short_name.zh}数据管理员", en=f"data officer of {member.short_name.en}"),
    )
    for member in DEPARTMENTS
)
HEADS = tuple(
    Account(
        f"{member.key}.head",
        member,
        ("department_head",),
        _HEADS[member.key],
        Text(zh=f"{member.short_name.zh}分管负责人", en=f"head of {member.short_name.en}"),
    )
    for member in DEPARTMENTS
)
"""Who signs a department's catalogue (Arts. 11 and 13)."""
CLERK = Account(
    "education.clerk",
    EDUCATION,
    ("business",),
    Text(zh="林佳", en="Lin Jia"),
    Text(zh="教育局经办人", en="business clerk of Education"),
)
AUDITOR = Account("auditor", BUREAU, ("auditor",), Text(zh="吴正", en="Wu Zheng"), Text(zh="审计员", en="auditor"))
CITIZEN = Account("citizen", None, ("citizen",), Text(zh="陈志强", en="Chen Zhiqiang"), Text(zh="市民", en="citizen"))


class ListedColumn(NamedTuple):
    """How a column is listed: its names, and its data element if there is one."""

    name: Text
    element: str | None


class Listing(NamedTuple):
    """How a table is listed in the catalogue."""

    title: Text
    summary: Text
    classification: str
    theme: str
    keywords: tuple[str, ...]
    share_type: str
    share_condition: str
    open: bool
    update_cycle: str
    columns: dict[str, ListedColumn]


@cache
def listings() -> dict[Source, Listing]:
    """Return how the data officers list their tables (`data/listings.yaml`)."""
    data = yaml.safe_load(files("datong.demo").joinpath("data/listings.yaml").read_text(encoding="utf-8"))
    return {Source(key): _listing(entry) for key, entry in data.items()}


def _listing(entry: dict[str, Any]) -> Listing:
    return Listing(
        title=Text(zh=entry["title"][0], en=entry["title"][1]),
        summary=Text(zh=entry["summary"][0], en=entry["summary"][1]),
        classification=entry["classification"],
        theme=entry["theme"],
        keywords=tuple(entry["keywords"]),
        share_type=entry["share_type"],
        share_condition=entry.get("share_condition", ""),
        open=entry.get("open", False),
        update_cycle=entry["update_cycle"],
        columns={
            column: ListedColumn(Text(zh=zh, en=en), None if element == "-" else element)
            for column, (zh, en, element) in entry["columns"].items()
        },
    )
