"""摸清家底: crawls a department's sources and drafts their catalogue entries; profiles leave the node, values never.

1. The source lists its tables (structure, keys, sizes, times of change).
2. Each table is sampled by the source and profiled, several at a time; one that fails is told and left aside.
3. What was profiled lies in a journal, so that a crawl cut short goes on where it stopped.
4. Columns are mapped and tables grouped over the whole source, because tables explain each other.
5. Main tables are drafted at the hub, and the whole is reported as one inventory.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from datong.catalogue import (
    TABLES_PER_REQUEST_MAX,
    CrawlOptions,
    CrawlProgress,
    CrawlWatch,
    Department,
    Fault,
    Inventory,
    InventoryStart,
    Profiler,
    SourceColumn,
    SourcePlan,
    SourceReference,
    SourceTable,
    TableProfile,
    by_structure,
    propose_source,
)
from datong.exchange import Connector, TableKind, TableSchema
from datong.kernel import Clock, DatongError, NodeId, Text
from datong.node.hub_client import HubClient
from datong.node.journal import InventoryJournal
from datong.norms import NormPack

TABLES_AT_ONCE = 2
NEWEST_ROWS_MAX = 5_000_000
"""In larger tables the newest time of change is not searched for: without an index that reads every row."""
JOURNAL_HOURS_MAX = 24
"""What was profiled longer ago than this is profiled again."""
UPDATE_ELEMENT = "updated_at"


def source_table(schema: TableSchema, changed_at: datetime | None) -> SourceTable:
    """Return a table as the profiler wants it; column defaults, which are values, are not part of it."""
    return SourceTable(
        name=schema.table,
        comment=schema.comment,
        columns=tuple(
            SourceColumn(name=column.name, type=column.source_type, comment=column.comment, nullable=column.nullable)
            for column in schema.columns
        ),
        key_columns=schema.key_columns,
        references=tuple(
            SourceReference(columns=key.columns, table=key.other_table, other_columns=key.other_columns)
            for key in schema.foreign_keys
        ),
        rows=schema.rows,
        is_view=schema.kind is TableKind.VIEW,
        bytes=schema.bytes,
        changed_at=changed_at,
    )


class Crawler:
    """Crawls the sources of one node."""

    def __init__(
        self,
        *,
        pack: NormPack,
        clock: Clock,
        department: Department,
        node_id: NodeId,
        options: CrawlOptions,
        progress: CrawlWatch,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pack, self._clock = pack, clock
        self._department, self._node_id = department, node_id
        self._options, self._progress, self._stop = options, progress, stop

    def plan(self, name: str, engine: str, connector: Connector, journal: InventoryJournal) -> SourcePlan:
        """Crawl one source and return what its inventory says; a source that does not answer is told as its fault."""
        try:
            schemas = connector.inspect()
        except DatongError as error:
            self._progress(CrawlProgress(source=name, done=0, total=0, table="", fault=error.what))
            return SourcePlan(source=name, engine=engine, tables=(), fault=_fault(error))
        if self._options.again:
            journal.clear()
        since = self._clock.now() - timedelta(hours=JOURNAL_HOURS_MAX)
        known = journal.read(since=since, sample_rows=self._options.sample_rows)
        profiles: list[TableProfile] = []
        faults: dict[str, Fault] = {}

        def crawl(schema: TableSchema) -> tuple[TableProfile, DatongError | None]:
            found = known.get(schema.table)
            if found is not None and _same_structure(found, schema):
                return found, None
            if self._stop():
                return _by_structure(schema), None
            try:
                profile = self._profile(connector, schema, profiler)
            except DatongError as error:
                return _by_structure(schema), error
            journal.write(profile, at=self._clock.now(), sample_rows=self._options.sample_rows)
            return profile, None

        with (
            Profiler(self._pack) as profiler,
            ThreadPoolExecutor(max_workers=TABLES_AT_ONCE, thread_name_prefix="inventory") as pool,
        ):
            for done, (schema, (profile, failure)) in enumerate(
                zip(schemas, pool.map(crawl, schemas), strict=True), start=1
            ):
                profiles.append(profile)
                if failure is not None:
                    faults[schema.table] = _fault(failure)
                what = None if failure is None else failure.what
                self._progress(
                    CrawlProgress(source=name, done=done, total=len(schemas), table=schema.table, fault=what)
                )
        tables = propose_source(
            profiles,
            self._pack,
            self._department,
            node_id=self._node_id,
            source=name,
            faults=faults,
            include=self._options.include,
            exclude=self._options.exclude,
        )
        return SourcePlan(source=name, engine=engine, tables=tables)

    def _profile(self, connector: Connector, schema: TableSchema, profiler: Profiler) -> TableProfile:
        batches = connector.sample(schema, self._options.sample_rows)
        try:
            profile = profiler.profile(source_table(schema, schema.changed_at), batches)
        finally:
            batches.close()
        changed_at = self._changed_at(connector, schema) if profile.rows else None
        return profile.model_copy(update={"changed_at": changed_at or schema.changed_at})

    def _changed_at(self, connector: Connector, schema: TableSchema) -> datetime | None:
        """The day of the newest change that a column of change times tells, for tables small enough to ask.

        Only the day leaves the node: the moment itself is a value of a row.
        """
        moments = ("timestamp", "timestamp_utc", "date")
        names = {alias.casefold() for alias in self._pack.element(UPDATE_ELEMENT).aliases} | {
            UPDATE_ELEMENT,
            "write_date",
        }
        column = next((c.name for c in schema.columns if c.name.casefold() in names and c.type in moments), None)
        if column is None or (schema.rows or 0) > NEWEST_ROWS_MAX:
            return None
        newest = connector.newest(schema.table, column)
        return None if newest is None else newest.replace(hour=0, minute=0, second=0, microsecond=0)


def send_plan(plan: SourcePlan, client: HubClient) -> Inventory:
    """Draft the main tables of a plan at the hub and report it as an inventory. Repeating it is harmless."""
    inventory = client.start_inventory(InventoryStart(source=plan.source, engine=plan.engine))
    for table in plan.tables:
        if table.draft is not None:
            client.draft_resource(table.draft.content)
    for start in range(0, len(plan.tables), TABLES_PER_REQUEST_MAX):
        found = [table.found for table in plan.tables[start : start + TABLES_PER_REQUEST_MAX]]
        client.add_to_inventory(inventory.id, found)
    return client.finish_inventory(inventory.id, plan.fault)


def _by_structure(schema: TableSchema) -> TableProfile:
    return by_structure(source_table(schema, schema.changed_at))


def _same_structure(profile: TableProfile, schema: TableSchema) -> bool:
    before = [(column.name, column.type) for column in profile.columns]
    return before == [(column.name, column.source_type) for column in schema.columns]


def _fault(error: DatongError) -> Fault:
    """Return what leaves the node of an error: its code, and the kind of failure in our own words.

    The error's own text may quote the database, and that a value of a row.
    """
    transient = error.transient
    what = (
        Text(zh="数据源没有应答。", en="The source does not answer.")
        if transient
        else Text(zh="数据源拒绝读取，或其内容无法读取。", en="The source refuses to be read, or cannot be read.")
    )
    return Fault(code=error.code, what=what)
