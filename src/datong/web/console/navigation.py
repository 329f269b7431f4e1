"""The rail: which sections the console has, and who sees which."""

from collections.abc import Mapping

from datong.kernel import Text, Value
from datong.sharing import Principal, Role

STAFF = frozenset(Role) - {Role.CITIZEN}
DAILY = "work"
FOLDS_COOKIE = "datong_folds"
"""What a browser keeps of the rail: `data+` is unfolded, `work-` is folded, separated by dots."""


class Link(Value):
    """One line of the rail; `prefixes` are the paths on which it is the present one."""

    path: str
    name: Text
    prefixes: tuple[str, ...]
    roles: frozenset[Role] = STAFF
    alone: bool = False
    """Whether pages below its path have lines of their own."""

    def is_at(self, path: str) -> bool:
        """Whether a page at `path` belongs to this line."""
        if self.alone:
            return path in self.prefixes
        return any(path == prefix or path.startswith(prefix + "/") for prefix in self.prefixes)


class Section(Value):
    """A group of lines under one heading, which folds; `key` names it where a browser keeps what is folded."""

    key: str
    name: Text
    links: tuple[Link, ...]

    def is_open(self, path: str, chosen: Mapping[str, bool]) -> bool:
        """Whether its lines are shown on the page at `path`.

        Those of the present page and of daily work are, others once they were unfolded; `chosen` is what was, by key.
        """
        return any(link.is_at(path) for link in self.links) or chosen.get(self.key, self.key == DAILY)


def _link(path: str, zh: str, en: str, *more: str, roles: frozenset[Role] = STAFF, alone: bool = False) -> Link:
    return Link(path=path, name=Text(zh=zh, en=en), prefixes=(path, *more), roles=roles, alone=alone)


SECTIONS = (
    Section(
        key=DAILY,
        name=Text(zh="工作", en="Work"),
        links=(
            _link("/", "工作台", "Workbench"),
            _link("/overview", "全市总览", "City overview", roles=frozenset({Role.OPERATOR, Role.AUDITOR})),
            _link("/notices", "提醒", "Notices"),
            _link("/catalogue", "共享目录", "Catalogue"),
            _link("/sources", "一数一源", "One source", "/service-items"),
            _link("/requests", "需求与授权", "Requests"),
            _link("/agreements", "共享协议", "Agreements"),
            _link("/applications", "应用", "Applications", "/webhooks"),
            _link(
                "/wishes",
                "公众需求",
                "Public wishes",
                roles=frozenset({Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER, Role.BUSINESS, Role.DEPARTMENT_HEAD}),
            ),
        ),
    ),
    Section(
        key="data",
        name=Text(zh="数据", en="Data"),
        links=(
            _link("/inventories", "摸清家底", "Inventory"),
            _link("/transfers", "交换任务", "Transfers"),
            _link("/files", "文件交换", "Files"),
            _link("/live", "实时接口", "Live interfaces"),
            _link("/library", "统一资源库", "Library"),
            _link("/releases", "开放与统计", "Release & statistics", "/statistics"),
            _link(
                "/matchings",
                "隐私求交",
                "Private matching",
                roles=frozenset({Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER}),
            ),
            _link("/corrections", "校核", "Corrections"),
            _link("/harvests", "目录采集", "Harvesting"),
            _link("/cascade", "上下级平台", "Other hubs"),
            _link("/departments", "部门与节点", "Departments & nodes"),
            _link("/norms", "规范体系", "Norms"),
        ),
    ),
    Section(
        key="oversight",
        name=Text(zh="监督", en="Oversight"),
        links=(
            _link("/governance", "共享绩效", "Performance"),
            _link("/staff", "人员与培训", "Staff & training"),
            _link(
                "/ratings",
                "评价",
                "Ratings",
                roles=frozenset({Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER, Role.BUSINESS, Role.DEPARTMENT_HEAD}),
            ),
            _link("/quality", "目录质量", "Catalogue quality"),
            _link("/cases", "协调事项", "Cases"),
            _link("/meetings", "联席会议", "Joint meetings", "/assignments", "/incidents"),
            _link(
                "/simulator",
                "谁能看到",
                "Who could see",
                roles=frozenset({Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER}),
            ),
            _link(
                "/objections",
                "群众权益",
                "People's rights",
                "/consents",
                "/disclosure-holds",
                roles=frozenset({Role.AUTHORITY, Role.AUDITOR, Role.DATA_OFFICER, Role.BUSINESS, Role.DEPARTMENT_HEAD}),
            ),
            _link("/evidence", "存证日志", "Evidence"),
            _link("/operations", "平台运行", "Operations", roles=frozenset({Role.OPERATOR, Role.AUTHORITY})),
            _link("/audit", "审计", "Audit", roles=frozenset({Role.AUDITOR, Role.AUTHORITY})),
        ),
    ),
    Section(
        key="public",
        name=Text(zh="公众", en="Public"),
        links=(
            _link("/me", "谁用了我的数据", "Who used my data", roles=frozenset({Role.CITIZEN}), alone=True),
            _link("/me/consents", "我的同意", "My consents", roles=frozenset({Role.CITIZEN})),
            _link("/me/record", "我的记录", "My record", roles=frozenset({Role.CITIZEN})),
            _link("/corrections", "我提出的校核", "My reports", roles=frozenset({Role.CITIZEN})),
            _link("/me/wishes", "我的数据需求", "My wishes", roles=frozenset({Role.CITIZEN})),
            _link("/open", "开放目录", "Open catalogue", roles=STAFF | {Role.CITIZEN}),
        ),
    ),
)


def sections_for(principal: Principal | None) -> tuple[Section, ...]:
    """Return the sections that `principal` sees, without empty ones; a visitor sees none."""
    if principal is None:
        return ()
    visible = (
        section.model_copy(
            update={"links": tuple(link for link in section.links if not link.roles.isdisjoint(principal.roles))}
        )
        for section in SECTIONS
    )
    return tuple(section for section in visible if section.links)


def folds_in(cookie: str) -> dict[str, bool]:
    """Return which sections a browser unfolded (True) or folded (False), by key; what it does not name is not there."""
    return {one[:-1]: one.endswith("+") for one in cookie.split(".") if one[1:] and one[-1] in "+-"}
