"""Which tables make up a resource, and which make none: extensions, details, shards, code tables, the rest. Pure.

A resource is what one data officer would recognise as one thing. So a main table takes in its one-to-one extensions,
its details and links, and the yearly or monthly tables that it is split into; code tables explain values and are no
resource of their own; backups, temporary tables, logs and the tables of frameworks are left out. Each placement says
why, so that a person can disagree: `include` and `exclude` (shell patterns of names) always win.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase

from datong.catalogue.profile import TableProfile
from datong.kernel import Text, Value

SAME_COLUMNS_RATIO = 0.9
CODE_COLUMNS_MAX = 8
CODE_ROWS_MAX = 5_000
LINK_COLUMNS_MAX = 6


class TableRole(StrEnum):
    """What a table is within its source."""

    MAIN = "main"
    EXTENSION = "extension"
    DETAIL = "detail"
    LINK = "link"
    SHARD = "shard"
    CODES = "codes"
    LEFT_OUT = "left_out"

    @property
    def label(self) -> Text:
        """The role's name."""
        return _ROLES[self]

    @property
    def is_member(self) -> bool:
        """Whether a table of this role belongs to another table's resource."""
        return self in {TableRole.EXTENSION, TableRole.DETAIL, TableRole.LINK, TableRole.SHARD}


class Placement(Value):
    """Where one table belongs; `of` is the main table of a member, empty for every other role."""

    table: str
    role: TableRole
    of: str = ""
    reason: Text


_ROLES = {
    TableRole.MAIN: Text(zh="主表", en="Main table"),
    TableRole.EXTENSION: Text(zh="扩展表", en="Extension"),
    TableRole.DETAIL: Text(zh="明细表", en="Details"),
    TableRole.LINK: Text(zh="关联表", en="Link table"),
    TableRole.SHARD: Text(zh="分表", en="Shard"),
    TableRole.CODES: Text(zh="代码表", en="Code table"),
    TableRole.LEFT_OUT: Text(zh="不编目", en="Left out"),
}
_LEFT_OUT: tuple[tuple[re.Pattern[str], Text], ...] = (
    (
        re.compile(r"(^|_)(bak|bk|backup|copy\d*|old|beifen)(\d*|_\d+)$|(^|_)(bak|backup)_|备份"),
        Text(zh="名称表明是备份", en="the name says that it is a backup"),
    ),
    (
        re.compile(r"^(tmp|temp|test)_|_(tmp|temp)\d*$|^(tmp|temp|test)\d*$|临时|测试"),
        Text(zh="名称表明是临时或测试表", en="the name says that it is temporary or a test"),
    ),
    (
        re.compile(r"(^|_)(logs?|rz|syslog|oper_?log|logininfor|audit_?log|access_?log|error_?log)(_|$)|日志"),
        Text(zh="名称表明是日志", en="the name says that it is a log"),
    ),
    (
        re.compile(
            r"^(act_(evt|ge|hi|id|procdef|re|ru)_|qrtz_|flyway_|flw_|databasechangelog|liquibase|alembic_version$"
            r"|schema_migrations?$|__efmigrations|django_|celery_|undo_log$|spatial_ref_sys$|geometry_columns$"
            r"|hibernate_|oauth_(access|client|refresh|approvals)|shedlock$|xxl_job_|ir_|gen_table|dual$|dtproperties$"
            r"|sys_(menu|role|dict|config|job|notice|oper|user_online|user_role|user_post|role_menu|role_dept|post"
            r"|permission|token|session|oss)|pg_stat_|mysql_)"
        ),
        Text(
            zh="框架或系统自身的表，不是业务数据", en="a table of a framework or of the system itself, no business data"
        ),
    ),
)
_DATED = re.compile(r"^(?P<base>.+?)_?(?P<date>(19|20)\d{2}((0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])?)?)$")
_NUMBERED = re.compile(r"^(?P<base>.+?)_(?P<number>\d{1,4})$")
_EXTENSION = re.compile(
    r"^_(ext|extra|extend|extension|info|profile|attr|attribute|text|content|lob|kz|kzxx|fb|fj)\w*$"
)
_DETAIL = re.compile(r"^_?(items?|lines?|details?|dtls?|mx|mxb|list|records?|rows?|entry|entries|history)$")
_CODE_NAME = re.compile(r"^(dm|dict|dic|code|codes|zd|lookup|enum)_|_(dm|dict|dic|codes?|zd|lookup|enum|types?)$")
_CODE_WORDS = ("代码表", "字典", "码表", "枚举")
_CODE_COLUMN = re.compile(r"(^|_)(code|dm|bm|value|key|no|id)$|代码|编码")
_NAME_COLUMN = re.compile(r"(^|_)(name|mc|label|title|text|desc|description)$|名称|含义")


def group_tables(
    tables: Sequence[TableProfile], *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[Placement, ...]:
    """Return the place of every table, in the order given.

    A member's `of` always names a main table, however long the chain of references between them.
    """
    by_name = {table.table: table for table in tables}
    placed: dict[str, Placement] = {}
    for table in tables:
        found = _left_out(table, include, exclude) or _backup_by_date(table, by_name)
        if found is not None and not _matches(table.table, include):
            placed[table.table] = found
    rest = {name: table for name, table in by_name.items() if name not in placed}
    for placement in _shards(rest):
        placed.setdefault(placement.table, placement)
    referenced = {reference.table for table in rest.values() for reference in table.references}
    for name, table in rest.items():
        if name in placed or _matches(name, include):
            continue
        found = _view(table, rest) or _codes(table, referenced) or _member(table, rest)
        if found is not None:
            placed[name] = found
    return tuple(_rooted(table.table, placed) for table in tables)


def _left_out(table: TableProfile, include: Sequence[str], exclude: Sequence[str]) -> Placement | None:
    name = bare(table.table)
    if _matches(table.table, exclude):
        return _out(table, Text(zh="按排除规则不编目", en="left out by a rule given"))
    if _matches(table.table, include):
        return None
    for pattern, reason in _LEFT_OUT:
        if pattern.search(name):
            return _out(table, reason)
    return None


def _backup_by_date(table: TableProfile, tables: Mapping[str, TableProfile]) -> Placement | None:
    """A copy of a table that carries the day of the copy: `person_20230401` beside `person`."""
    match = _DATED.fullmatch(table.table)
    if match is None or len(match["date"]) != 8:
        return None
    original = tables.get(match["base"])
    if original is None or not _alike(table, original):
        return None
    return _out(
        table,
        Text(zh=f"是表 {original.table} 某一天的副本", en=f"a copy of the table {original.table} of one day"),
    )


def _shards(tables: Mapping[str, TableProfile]) -> list[Placement]:
    """Tables of equal columns that differ in a year, month or number only; the newest, or the bare one, is the main."""
    families: dict[str, list[tuple[str, str]]] = {}
    for name in tables:
        match = _DATED.fullmatch(name) or _NUMBERED.fullmatch(name)
        if match is not None:
            families.setdefault(match["base"], []).append((match.groupdict().get("date") or match.group(2), name))
    placements = []
    for base, members in families.items():
        names = [name for _, name in sorted(members)]
        main = base if base in tables else names[-1]
        alike = [name for name in names if name != main and _alike(tables[name], tables[main])]
        if base in tables or alike:
            placements += [
                Placement(
                    table=name,
                    role=TableRole.SHARD,
                    of=main,
                    reason=Text(
                        zh=f"与 {main} 的列相同，只是年份、月份或编号不同",
                        en=f"has the columns of {main} and differs in year, month or number only",
                    ),
                )
                for name in alike
            ]
    return placements


def _view(table: TableProfile, tables: Mapping[str, TableProfile]) -> Placement | None:
    if not table.is_view:
        return None
    names = {column.name for column in table.columns}
    for other in tables.values():
        if not other.is_view and names <= {column.name for column in other.columns}:
            return _out(
                table, Text(zh=f"视图，列都在表 {other.table} 中", en=f"a view whose columns are all in {other.table}")
            )
    return None


def _codes(table: TableProfile, referenced: set[str]) -> Placement | None:
    """A small table of codes and their names."""
    name = bare(table.table)
    columns = [column.name.lower() for column in table.columns]
    if len(columns) > CODE_COLUMNS_MAX or (table.rows_total or 0) > CODE_ROWS_MAX or table.references:
        return None
    paired = any(_CODE_COLUMN.search(column) for column in columns) and any(
        _NAME_COLUMN.search(column) for column in columns
    )
    said = any(word in table.comment for word in _CODE_WORDS)
    called = _CODE_NAME.search(name) is not None and (table.table in referenced or len(columns) <= 4)
    if not (said or (paired and called)):
        return None
    reason = Text(
        zh="代码及名称的对照，供解释其他表的值", en="codes and their names, which explain other tables' values"
    )
    return Placement(table=table.table, role=TableRole.CODES, reason=reason)


def _member(table: TableProfile, tables: Mapping[str, TableProfile]) -> Placement | None:
    """An extension, detail or link of another table, by its keys, or by its name where no key is declared."""
    others = [r for r in table.references if r.table in tables and r.table != table.table]
    for reference in others:
        if table.key_columns and set(reference.columns) == set(table.key_columns):
            return _placed(
                table,
                TableRole.EXTENSION,
                reference.table,
                "主键就是引用它的外键，一对一",
                "its key is the reference: one to one",
            )
    columns = {column for reference in others for column in reference.columns} | set(table.key_columns)
    if len(others) >= 2 and len(table.columns) <= LINK_COLUMNS_MAX and len(table.columns) - len(columns) <= 1:
        return _placed(table, TableRole.LINK, others[0].table, "只连接其他表", "only links other tables")
    for reference in sorted(others, key=lambda one: -len(one.table)):
        suffix = _suffix(table.table, reference.table)
        if suffix is not None and (_DETAIL.fullmatch(suffix) or not _is_table(suffix)):
            return _placed(
                table, TableRole.DETAIL, reference.table, "引用它且名称从属于它", "refers to it, and is named after it"
            )
    for other in tables.values():
        suffix = _suffix(table.table, other.table) if other.table != table.table else None
        if suffix is None or table.references:
            continue
        if _EXTENSION.fullmatch(suffix) and table.key_columns and table.key_columns == other.key_columns:
            return _placed(
                table, TableRole.EXTENSION, other.table, "主键相同且名称从属于它", "has its key, and is named after it"
            )
        if _DETAIL.fullmatch(suffix) and _refers_by_name(table, other):
            return _placed(
                table,
                TableRole.DETAIL,
                other.table,
                "含有它的主键且名称从属于它",
                "holds its key, and is named after it",
            )
    return None


def _is_table(suffix: str) -> bool:
    """Whether a suffix is only a number or too short to say anything."""
    return len(suffix.strip("_")) < 2


def _suffix(name: str, other: str) -> str | None:
    """What `name` adds to the name of `other`, or None: `sale_order_line` adds `_line` to `sale_order`."""
    own, stem = bare(name), bare(other).removesuffix("s")
    if own == bare(other) or not own.startswith(stem):
        return None
    rest = own[len(stem) :]
    rest = rest.removeprefix("s") if rest.startswith("s_") else rest
    return rest if rest.startswith("_") or _DETAIL.fullmatch(rest) else None


def _refers_by_name(table: TableProfile, other: TableProfile) -> bool:
    names = {column.name.lower() for column in table.columns} - {key.lower() for key in table.key_columns}
    stem = bare(other.table).removesuffix("s")
    keys = {key.lower() for key in other.key_columns}
    return bool(keys & names - {"id"}) or f"{stem}_id" in names or f"{stem.rsplit('_', 1)[-1]}_id" in names


def _rooted(name: str, placed: Mapping[str, Placement]) -> Placement:
    """Return the place of a table, its main table being one: a detail of a detail belongs to the first one's main."""
    found = placed.get(name)
    if found is None:
        return Placement(
            table=name, role=TableRole.MAIN, reason=Text(zh="独立的业务表", en="a business table of its own")
        )
    if not found.role.is_member:
        return found
    seen = {name}
    root = found.of
    while root in placed and placed[root].role.is_member and root not in seen:
        seen.add(root)
        root = placed[root].of
    if root in seen or (root in placed and placed[root].role is not TableRole.MAIN):
        # A circle, or a member of something that is no resource: it stands for itself.
        reason = Text(zh="所属的表不单独编目", en="what it belongs to is no resource")
        return Placement(table=name, role=TableRole.MAIN, reason=reason)
    return found.model_copy(update={"of": root})


def _alike(table: TableProfile, other: TableProfile) -> bool:
    own, others = ({column.name.lower() for column in one.columns} for one in (table, other))
    return len(own & others) >= SAME_COLUMNS_RATIO * max(len(own), len(others))


def bare(table: str) -> str:
    """Return a table's name without its schema, in small letters."""
    return table.rsplit(".", 1)[-1].lower()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _out(table: TableProfile, reason: Text) -> Placement:
    return Placement(table=table.table, role=TableRole.LEFT_OUT, reason=reason)


def _placed(table: TableProfile, role: TableRole, of: str, zh: str, en: str) -> Placement:
    return Placement(table=table.table, role=role, of=of, reason=Text(zh=f"{zh}（{of}）", en=f"{en} ({of})"))
