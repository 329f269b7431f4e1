"""Saved views: which filters of which list, under which name, for whom; and with which one a list begins.

A view is a query of one of the console's lists and nothing more: whoever opens it sees what they may see.
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from pydantic import Field, field_validator
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from datong.kernel import Clock, Conflict, Database, DepartmentCode, NotFound, Text, Value, new_id
from datong.sharing.views.tables import saved_view

VIEW_NAME_CHARS_MAX = 60
QUERY_CHARS_MAX = 1000
VIEWS_OF_ACCOUNT_MAX = 100
VIEWS_SHOWN_MAX = 50
VIEWED_PAGES: Mapping[str, Text] = {
    "/catalogue": Text(zh="共享目录", en="Catalogue"),
    "/catalogue/work": Text(zh="编目工作台", en="Cataloguing work"),
    "/requests": Text(zh="需求与授权", en="Requests"),
    "/agreements": Text(zh="共享协议", en="Agreements"),
    "/transfers": Text(zh="交换任务", en="Transfers"),
    "/corrections": Text(zh="校核", en="Corrections"),
    "/evidence": Text(zh="存证日志", en="Evidence"),
    "/governance/findings": Text(zh="责任认定", en="Findings"),
    "/governance/alarms": Text(zh="异常预警", en="Alarms"),
    "/cases": Text(zh="协调事项", en="Cases"),
    "/notices": Text(zh="提醒", en="Notices"),
    "/wishes": Text(zh="公众需求", en="Public wishes"),
}
"""Lists whose filters can be kept."""
_PASSING = frozenset({"offset", "done", "view", "ticked"})
"""Parts of an address that belong to the moment."""


def view_query(query: str) -> str:
    """Return the filters in a query string, in one form: without places and passing marks, at most QUERY_CHARS_MAX."""
    pairs = [(name, value) for name, value in parse_qsl(query) if name not in _PASSING]
    return urlencode(pairs)[:QUERY_CHARS_MAX]


class ViewDraft(Value):
    """A view to be kept; `shared` with the department; `opens`: the list begins with it."""

    page: str = Field(max_length=60)
    name: str = Field(min_length=1, max_length=VIEW_NAME_CHARS_MAX)
    query: str = Field(default="", max_length=QUERY_CHARS_MAX)
    shared: bool = False
    opens: bool = False

    @field_validator("page")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in VIEWED_PAGES:
            raise ValueError("no list whose filters can be kept")
        return value

    @field_validator("name", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        return " ".join(value.split()) if isinstance(value, str) else value

    @field_validator("query")
    @classmethod
    def _filters(cls, value: str) -> str:
        return view_query(value)


class SavedView(Value):
    """A view as its reader sees it; of a colleague's `own` is false, and it never opens by itself."""

    id: str
    page: str
    name: str
    query: str
    shared: bool
    opens: bool
    own: bool
    made_at: datetime

    @property
    def address(self) -> str:
        """The address of the list with these filters."""
        return f"{self.page}?{self.query}" if self.query else f"{self.page}?view=all"


class SavedViews:
    """Keeps the views of accounts."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def save(self, draft: ViewDraft, account: str, department: DepartmentCode | None) -> SavedView:
        """Keep a view; one of the same name on the same list is replaced.

        Raises:
            Conflict: the account keeps as many as it may.
        """
        table, now = saved_view.c, self._clock.now()
        with self._database.transaction() as connection:
            count = select(func.count()).select_from(saved_view).where(table.account == account)
            same = (table.account == account, table.page == draft.page, table.name == draft.name)
            known = connection.execute(select(table.id).where(*same)).scalar()
            if known is None and connection.execute(count).scalar_one() >= VIEWS_OF_ACCOUNT_MAX:
                raise Conflict(
                    "sharing.views_full",
                    what=Text(zh=f"每个账号最多保存 {VIEWS_OF_ACCOUNT_MAX} 个视图。",
                              en=f"An account keeps at most {VIEWS_OF_ACCOUNT_MAX} views."),
                    remedy=Text(zh="请先删除不用的视图。", en="Delete one that you do not need."),
                )  # fmt: skip
            if draft.opens:
                _open_none(connection, account, draft.page)
            values = {"department": department, **draft.model_dump()}
            if known is None:
                known = new_id()
                connection.execute(insert(saved_view).values(id=known, account=account, made_at=now, **values))
            else:
                connection.execute(update(saved_view).where(table.id == known).values(**values))
        return self.get(known, account)

    def change(self, view_id: str, account: str, *, name: str, shared: bool, opens: bool) -> SavedView:
        """Rename an own view, share it or not, begin the list with it or not.

        Raises:
            NotFound: it is not the account's. Conflict: another of the list has that name.
        """
        table = saved_view.c
        with self._database.transaction() as connection:
            row = connection.execute(select(saved_view).where(table.id == view_id, table.account == account)).mappings()
            before = row.one_or_none()
            if before is None:
                raise _unknown()
            same = (table.account == account, table.page == before["page"], table.name == name, table.id != view_id)
            if connection.execute(select(table.id).where(*same)).first() is not None:
                raise Conflict(
                    "sharing.view_named",
                    what=Text(zh="已有同名的视图。", en="Another view has this name."),
                    remedy=Text(zh="请换一个名称。", en="Choose another name."),
                )
            if opens:
                _open_none(connection, account, before["page"])
            values = {"name": name, "shared": shared, "opens": opens}
            connection.execute(update(saved_view).where(table.id == view_id).values(**values))
        return self.get(view_id, account)

    def drop(self, view_id: str, account: str) -> None:
        """Delete an own view, or raise NotFound."""
        table = saved_view.c
        with self._database.transaction() as connection:
            dropped = connection.execute(delete(saved_view).where(table.id == view_id, table.account == account))
            if dropped.rowcount != 1:
                raise _unknown()

    def get(self, view_id: str, account: str) -> SavedView:
        """Return an own view, or raise NotFound."""
        table = saved_view.c
        query = select(saved_view).where(table.id == view_id, table.account == account)
        with self._database.snapshot() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise _unknown()
        return _view(dict(row), account)

    def of(self, account: str, department: DepartmentCode | None, page: str | None = None) -> tuple[SavedView, ...]:
        """Return the account's views and those that colleagues share, of one list or of all, own ones first."""
        table = saved_view.c
        visible = table.account == account
        if department is not None:
            visible = or_(visible, (table.department == department) & table.shared)
        query = select(saved_view).where(visible)
        if page is not None:
            query = query.where(table.page == page)
        query = query.order_by(table.account != account, table.page, table.name, table.id)
        with self._database.snapshot() as connection:
            rows = connection.execute(query.limit(VIEWS_OF_ACCOUNT_MAX + VIEWS_SHOWN_MAX)).mappings().all()
        return tuple(_view(dict(row), account) for row in rows)


def _open_none(connection: Connection, account: str, page: str) -> None:
    table = saved_view.c
    connection.execute(update(saved_view).where(table.account == account, table.page == page).values(opens=False))


def _view(row: dict[str, object], account: str) -> SavedView:
    own = row.pop("account") == account
    row.pop("department")
    return SavedView.model_validate({**row, "own": own, "opens": own and row["opens"]})


def _unknown() -> NotFound:
    return NotFound(
        "sharing.view_unknown",
        what=Text(zh="没有这个视图。", en="There is no such view."),
        remedy=Text(zh="请刷新后重试。", en="Reload and try again."),
    )
