"""Lists of records by filter, page by page: agreed items only, masked and filtered in SQL, each page on record.

The rows are those of the newest published version; a list that was begun goes on in its version. Their order is that
of its files if the keys are shown as they are; else it is that of a keyed digest, since the order of masked keys would
tell of them. A filter may name agreed items that are shown as they are: a masked value is nothing to filter by, or the
filter would tell what the mask hides.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
from pydantic import Field

from datong.catalogue import Item
from datong.kernel import (
    AccessId,
    AgreementId,
    Clock,
    EntryId,
    Invalid,
    JsonValue,
    NotFound,
    ResourceId,
    Text,
    Unavailable,
    Value,
)
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX, PAGE_ROWS_MAX
from datong.norms import text_literal
from datong.sharing.delta_values import TableSource, TableVersion
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_told import Permit
from datong.sharing.mask_columns import mask_expression, quoted
from datong.sharing.masks import UNSHOWN, MaskKind
from datong.sharing.page_tokens import TOKEN_CHARS_MAX, PageTokens, Place
from datong.sharing.principals import Principal
from datong.sharing.row_filter_sql import filter_sql
from datong.sharing.row_filters import CONDITIONS_MAX, RowCondition, faults

ROW = "file_row_number"
ROW_KEY = "_row_key"
_ORDER_LABEL = b"datong gateway page order v1\n"


class PageAsk(Value):
    """Which records, which items of them, and what for; `page_token` continues a list."""

    items: tuple[str, ...] = Field(min_length=1, max_length=GATEWAY_ITEMS_MAX)
    filter: tuple[RowCondition, ...] = Field((), max_length=CONDITIONS_MAX)
    purpose: str = Field("", max_length=NAME_CHARS_MAX)
    case_number: str = Field("", max_length=NAME_CHARS_MAX)
    limit: int = Field(100, ge=1, le=PAGE_ROWS_MAX)
    page_token: str | None = Field(None, max_length=TOKEN_CHARS_MAX)


class RecordPage(Value):
    """A page of records by the names the caller used; `next_page_token` is null at the end of the list."""

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    version: int
    rows: tuple[dict[str, str | None], ...]
    masks: dict[str, MaskKind]
    next_page_token: str | None
    answer_salt: str


class _Plan(NamedTuple):
    """What is read of a version: by name the published columns (None: the version lacks it), and who is concerned."""

    shown: Mapping[str, str | None]
    people: tuple[str, ...]
    conditions: tuple[RowCondition, ...]
    position: str
    """What rows are ordered by."""


class RecordPages:
    """Lists records; `key` seals the tokens."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        tables: TableSource,
        clock: Clock,
        key: bytes,
        threads: int = 2,
        memory: str = "500MB",
    ) -> None:
        self._gateway = gateway
        self._tables = tables
        self._clock = clock
        self._tokens = PageTokens(key)
        self._order_key = hashlib.sha256(_ORDER_LABEL + key).digest()
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def page(self, caller: Principal, resource_id: ResourceId, ask: PageAsk) -> RecordPage:
        """Return a page once it is on record.

        Raises:
            NotFound: no such published resource, or no version of it is there to be read.
            Invalid: unknown names, a filter that cannot be meant or names a masked item, or a token that does not fit.
            Refused: as in `Gateway.query`; the refusal is on record. Overloaded: `sharing.quota_reached`.
            Unavailable: the table cannot be read now.
        """
        names = tuple(dict.fromkeys((*ask.items, *(one.column for one in ask.filter))))
        permit = self._gateway.permit_items(
            caller, resource_id, names, purpose=ask.purpose, case_number=ask.case_number
        )
        _require_filter(ask, permit)
        question = _question(caller, ask, permit)
        now = self._clock.now()
        place = None if ask.page_token is None else self._tokens.open(ask.page_token, question, now)
        version = self._version(resource_id, place)
        plan = _plan(ask, permit, version)
        begin = place or Place(version.version, 0, "")
        try:
            files = self._tables.files(resource_id, version.version)
            rows, people, end = self._read(files, plan, permit, begin, ask.limit)
        except (OSError, duckdb.Error) as error:
            raise _unreadable() from error
        noted = self._gateway.noted(permit, rows=rows, people=people)
        return RecordPage(
            access_id=noted.access_id,
            entry_id=noted.entry_id,
            at=permit.call.at,
            agreement_ids=permit.grant.alike.agreement_ids,
            version=version.version,
            rows=tuple(rows),
            masks={name: permit.grant.masks[name].kind for name in ask.items},
            next_page_token=None if end is None else self._tokens.seal(end, question, now),
            answer_salt=noted.answer_salt,
        )

    def _version(self, resource_id: ResourceId, place: Place | None) -> TableVersion:
        versions = self._tables.versions(resource_id)
        found = next((one for one in reversed(versions) if place is None or one.version == place.version), None)
        if found is None:
            raise _no_version()
        return found

    def _read(
        self, files: Sequence[Path], plan: _Plan, permit: Permit, begin: Place, limit: int
    ) -> tuple[list[dict[str, str | None]], list[str], Place | None]:
        """Return the rows after a place, whom they concern, and where they end; None: nothing comes after them."""
        rows: list[dict[str, str | None]] = []
        people: list[str] = []
        last = begin
        with duckdb.connect(":memory:", config=self._config) as connection:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute("SET VARIABLE page_order = $1", [self._order_key])
            for number in range(begin.file, len(files)):
                after = begin.after if number == begin.file else ""
                query = _query(connection, files[number], plan, permit, after, limit + 1 - len(rows))
                for position, *cells in connection.execute(query).fetchall():
                    if len(rows) == limit:
                        return rows, people, last
                    values = [None if cell is None else str(cell) for cell in cells]
                    rows.append(dict(zip(plan.shown, values, strict=False)))
                    people += [value or "" for value in values[len(plan.shown) :]]
                    last = Place(begin.version, number, str(position))
        return rows, people, None


_SHUFFLED = f"sha256(getvariable('page_order') || encode(CAST({ROW_KEY} AS VARCHAR)))"


def _query(
    connection: duckdb.DuckDBPyConnection, file: Path, plan: _Plan, permit: Permit, after: str, limit: int
) -> str:
    relation = f"read_parquet({text_literal(str(file))}, file_row_number = true)"
    types = {str(row[0]): str(row[1]) for row in connection.execute(f"DESCRIBE FROM {relation}").fetchall()}
    cells = []
    for name, column in plan.shown.items():
        if column is None or column not in types:
            cells.append("NULL")
        else:
            mask = permit.grant.masks.get(name, UNSHOWN)
            cells.append(f"CAST({mask_expression(connection, mask, quoted(column))} AS VARCHAR)")
    cells += [f"CAST({quoted(column)} AS VARCHAR)" for column in plan.people if column in types]
    begun = f"{plan.position} > {text_literal(after)} AND " if after else ""
    return (
        f"SELECT {', '.join([plan.position, *cells])} FROM {relation} WHERE {begun}"
        f"{filter_sql(plan.conditions, types)} ORDER BY {plan.position} LIMIT {limit}"
    )


def _plan(ask: PageAsk, permit: Permit, version: TableVersion) -> _Plan:
    """Return what is read: of every agreement the row filter holds, and the caller's own beside it."""
    items = permit.call.shape.items
    asked = [one.model_copy(update={"column": items[one.column].column}) for one in ask.filter]
    conditions = [*permit.grant.conditions, *asked]
    told = {items[name].column for name in ask.items if permit.grant.masks[name].kind is MaskKind.NONE}
    keys = {item.column for item in permit.call.shape.resource.content.items if item.key}
    in_order = bool(keys) and keys <= told
    return _Plan(
        shown={name: version.columns.get(items[name].column) for name in ask.items},
        people=tuple(version.columns[item.column] for item in permit.grant.people if item.column in version.columns),
        # A condition on a column that the version lacks is met by no row.
        conditions=tuple(
            one.model_copy(update={"column": version.columns.get(one.column, f"{one.column}?")}) for one in conditions
        ),
        position=f"printf('%012d', {ROW})" if in_order else _SHUFFLED,
    )


def _require_filter(ask: PageAsk, permit: Permit) -> None:
    for place, what in faults(ask.filter, [one.column for one in ask.filter]):
        raise _filter_invalid(place, what)
    for place, one in enumerate(ask.filter):
        if permit.grant.masks[one.column].kind is not MaskKind.NONE:
            raise _filter_invalid(
                place,
                Text(zh=f"{one.column} 已脱敏，不能作为筛选条件", en=f"{one.column} is masked: nothing to filter by"),
            )


def _question(caller: Principal, ask: PageAsk, permit: Permit) -> JsonValue:
    """Return all that decided about a page but its place: what a token is bound to."""
    items: Mapping[str, Item] = permit.call.shape.items
    return {
        "caller": [caller.actor.kind.value, caller.actor.id, caller.department],
        "resource": permit.resource_id,
        "items": list(ask.items),
        "filter": [one.model_dump(mode="json") for one in ask.filter],
        "purpose": ask.purpose,
        "case": ask.case_number,
        "agreements": [[one.id, one.terms_digest] for one in permit.grant.used],
        "columns": {name: [item.column, permit.grant.masks[name].kind.value] for name, item in items.items()},
    }


def _filter_invalid(place: int, what: Text) -> Invalid:
    return Invalid(
        "sharing.filter_invalid",
        what=Text(zh=f"筛选条件不可用：{what.zh}。", en=f"The filter cannot be used: {what.en}."),
        remedy=Text(zh="请按协议中不脱敏的信息项筛选。", en="Filter by agreed items that are shown as they are."),
        field=f"/filter/{place}",
    )


def _no_version() -> NotFound:
    return NotFound(
        "sharing.table_unpublished",
        what=Text(
            zh="该资源没有可供翻页的已发布版本，或原版本已清理。",
            en="No version of the resource is there to be listed, or the list's version has been cleared away.",
        ),
        remedy=Text(zh="请不带令牌重新查询。", en="Begin again without a token."),
    )


def _unreadable() -> Unavailable:
    return Unavailable(
        "sharing.table_unreadable",
        what=Text(zh="数据表暂时无法读取。", en="The table cannot be read at the moment."),
        remedy=Text(
            zh="请稍后重试；持续出现时请告知运维人员。", en="Try again later; if it lasts, tell the operators."
        ),
    )
