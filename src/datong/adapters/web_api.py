"""A web interface with pages of JSON records as a source, described by a YAML file beside the node.

Columns are declared, or found on the first page and then kept in a file beside the definition, so that a later answer
changes no type. Without an order pages stream; with one all pages are gathered first, since no interface can be relied
on to sort: what is at or before the cursor is left out, and of two records with one key the later one counts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin

import pyarrow as pa

from datong.adapters.conversion import (
    chosen_columns,
    last_of_each_key,
    no_table,
    null_in_order,
    rebatched,
    rows_after,
    texts_of_column,
)
from datong.adapters.json_records import JsonRecords
from datong.adapters.web_api_client import Answer, WebApiClient
from datong.adapters.web_api_definition import ApiDefinition, ApiTable, load_definition
from datong.exchange import Column, ContentDigest, ReadQuery, TableKind, TableSchema, arrow_schema, content_digest
from datong.kernel import Corrupt, DatongError, Misconfigured, Text, TooLarge
from datong.kernel.files import replace_file

PAGES_MAX = 100_000
ROWS_GATHERED_MAX = 5_000_000
"""An interface with more rows than this is read by increments, or without an order."""
_NUMBER = "_datong_n"


class WebApi:
    """One web interface, as Connector."""

    def __init__(self, path: Path, *, client: Callable[[ApiDefinition], WebApiClient] = WebApiClient) -> None:
        self._path = path
        self._definition = load_definition(path)
        self._client = client(self._definition)

    @property
    def name(self) -> str:
        """The interface's name."""
        return f"api:{self._definition.name}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def inspect(self) -> list[TableSchema]:
        """Return every table; one that does not answer hides no other."""
        return [self._schema(table) for table in sorted(self._definition.tables, key=lambda one: one.table)]

    def schema(self, table: str) -> TableSchema | None:
        """Return one table; of the others nothing is asked."""
        return next((self._schema(one) for one in self._definition.tables if one.table == table), None)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return the first rows, as text: an interface cannot be asked for rows from all over."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)
        names = [column.name for column in schema.columns]

        def batches() -> Iterator[pa.RecordBatch]:
            left = rows_max
            for page in self._pages(self._table(schema.table), None):
                rows = page.select(names).slice(0, left)
                left -= rows.num_rows
                arrays = [texts_of_column(rows.column(name)) for name in names]
                yield from pa.table(arrays, schema=arrow_schema(texts)).to_batches()
                if left <= 0:
                    return

        return rebatched(batches(), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return None: to know it, every page would have to be read."""
        self._table(table)
        return None

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order."""
        table = self._table(query.table)
        known = self._columns(table)
        columns = chosen_columns(query.table, known, query.columns)
        names = [column.name for column in columns]
        schema = arrow_schema(columns)
        since = None
        if table.increment is not None and query.cursor_column == table.increment.column and query.after is not None:
            since = query.after.values[0]
        if not query.order:
            pages = (batch for page in self._pages(table, since) for batch in page.select(names).to_batches())
            return rebatched(pages, schema, query.batch_rows)
        order = chosen_columns(query.table, known, query.order)
        rows = self._gathered(table, known, since)
        if any(rows.column(column.name).null_count for column in order):
            raise null_in_order(query.table, query.order)
        rows = rows.sort_by([(column.name, "ascending") for column in order])
        if query.after is not None:
            rows = rows.filter(rows_after(rows, order, query.after.values))
        return rebatched(rows.select(names).to_batches(), schema, query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of records, which takes all pages."""
        found = self._table(table)
        return self._gathered(found, self._columns(found), None).num_rows

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        found = self._table(table)
        known = self._columns(found)
        chosen_columns(table, known, [column.name for column in columns])
        rows = self._gathered(found, known, None).select([column.name for column in columns])
        return content_digest(rows.to_batches(), columns)

    # Inside

    def _schema(self, table: ApiTable) -> TableSchema:
        schema = TableSchema(table=table.table, columns=(), kind=TableKind.FILE, comment=table.comment)
        try:
            columns = self._columns(table)
        except DatongError as error:
            if error.transient:
                raise
            return schema.model_copy(update={"problems": (error.what,)})
        return schema.model_copy(update={"columns": columns, "key_columns": table.key_columns})

    def _table(self, name: str) -> ApiTable:
        found = next((table for table in self._definition.tables if table.table == name), None)
        if found is None:
            raise no_table(name)
        return found

    def _gathered(self, table: ApiTable, columns: tuple[Column, ...], since: str | None) -> pa.Table:
        """Return all rows; of those with one key the last."""
        pages: list[pa.Table] = []
        count = 0
        for page in self._pages(table, since):
            pages.append(page)
            count += page.num_rows
            if count > ROWS_GATHERED_MAX:
                raise TooLarge(
                    "adapters.api_too_large",
                    what=Text(
                        zh=f"接口表 {table.table} 超过 {ROWS_GATHERED_MAX} 行，无法排序。",
                        en=f"The interface's table {table.table} has over {ROWS_GATHERED_MAX} rows, too many to sort.",
                    ),
                    remedy=Text(zh="请使用增量任务，或不指定主键。", en="Use an increment, or a task without keys."),
                )
        rows = pa.concat_tables([arrow_schema(columns).empty_table(), *pages])
        if table.key_columns:
            numbered = rows.append_column(_NUMBER, pa.array(range(rows.num_rows), pa.int64()))
            rows = last_of_each_key(numbered, table.key_columns, _NUMBER).drop_columns([_NUMBER])
        return rows

    def _columns(self, table: ApiTable) -> tuple[Column, ...]:
        """Return the declared columns, else those kept, else those of the first page, which are kept then."""
        comments = {column.name: column.comment for column in table.columns}
        if table.columns:
            return tuple(
                Column(name=column.name, type=column.type, source_type="JSON", comment=comments[column.name])
                for column in table.columns
            )
        kept = self._kept()
        if table.table in kept:
            return kept[table.table]
        answer = self._client.get(self._address(table), self._first(table, None))
        with self._records(table) as records:
            records.load_text(answer.body, _where(table))
            columns = records.columns({}, {})
        if columns:
            self._keep({**kept, table.table: columns})
        return columns

    def _pages(self, table: ApiTable, since: str | None) -> Iterator[pa.Table]:
        """Yield the pages as tables.

        Raises:
            Corrupt: `adapters.api_endless`: a page leads to one that was already read.
        """
        columns = self._columns(table)
        address, params = self._address(table), self._first(table, since)
        seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        for _ in range(PAGES_MAX):
            asked = (address, tuple(sorted(params.items())))
            if asked in seen:
                break
            seen.add(asked)
            answer = self._client.get(address, params)
            with self._records(table) as records:
                count = records.load_text(answer.body, _where(table))
                if count:
                    yield records.table(columns, table.places)
                following = self._next(table, answer, records, params, count)
            if following is None:
                return
            address, params = following
        raise Corrupt(
            "adapters.api_endless",
            what=Text(
                zh=f"接口表 {table.table} 的分页没有尽头。",
                en=f"The pages of the interface's table {table.table} never end.",
            ),
            remedy=Text(zh="请核对定义中的 paging。", en="Check `paging` in the definition."),
        )

    def _records(self, table: ApiTable) -> JsonRecords:
        return JsonRecords(f"{self._definition.name}/{table.table}")

    def _address(self, table: ApiTable) -> str:
        return urljoin(self._definition.url.rstrip("/") + "/", table.path.lstrip("/"))

    def _first(self, table: ApiTable, since: str | None) -> dict[str, str]:
        params = {name: str(value) for name, value in table.params.items()}
        if table.increment is not None and since is not None:
            params[table.increment.parameter] = since
        paging = table.paging
        if paging.size_parameter and paging.size:
            params[paging.size_parameter] = str(paging.size)
        if paging.kind in {"page", "offset"}:
            params[paging.parameter] = str(paging.first if paging.kind == "page" else 0)
        return params

    def _next(
        self, table: ApiTable, answer: Answer, records: JsonRecords, params: dict[str, str], count: int
    ) -> tuple[str, dict[str, str]] | None:
        """Return where the next page is, or None after the last one."""
        paging = table.paging
        match paging.kind:
            case "page" | "offset":
                if count == 0 or (paging.size and count < paging.size):
                    return None
                step = 1 if paging.kind == "page" else count
                return self._address(table), params | {paging.parameter: str(int(params[paging.parameter]) + step)}
            case "cursor":
                token = records.text_at(answer.body, paging.next)
                return (self._address(table), params | {paging.parameter: token}) if token else None
            case "next_url":
                address = records.text_at(answer.body, paging.next)
                return (urljoin(answer.address, address), {}) if address else None
            case "link":
                link = self._client.next_link(answer)
                return (link, {}) if link else None
        return None

    # Columns that were found once are kept

    @property
    def _kept_path(self) -> Path:
        return self._path.with_suffix(".columns.json")

    def _kept(self) -> dict[str, tuple[Column, ...]]:
        try:
            read = json.loads(self._kept_path.read_text(encoding="utf-8"))
            return {
                table: tuple(Column.model_validate(column) for column in columns) for table, columns in read.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise self._unkept() from error

    def _keep(self, columns: Mapping[str, tuple[Column, ...]]) -> None:
        document = {table: [column.model_dump(mode="json") for column in found] for table, found in columns.items()}
        try:
            replace_file(self._kept_path, json.dumps(document, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            raise self._unkept() from error

    def _unkept(self) -> Misconfigured:
        return Misconfigured(
            "adapters.api_columns",
            what=Text(
                zh=f"列定义文件 {self._kept_path.name} 无法读写。",
                en=f"The file of columns {self._kept_path.name} cannot be read or written.",
            ),
            remedy=Text(
                zh="请检查权限，或在定义中写明 columns。",
                en="Check its permissions, or declare `columns` in the definition.",
            ),
        )


def _where(table: ApiTable) -> str:
    """Return the JSON path of the records."""
    return "$" + "".join(f'."{step}"' for step in table.records.split(".") if step)
