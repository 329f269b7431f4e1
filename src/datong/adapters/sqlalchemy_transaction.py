"""One transaction of a target behind any SQLAlchemy dialect, in statements that every engine has.

What engines do not share is left out: temporary tables, MERGE and upserts of their own, definitions within a
transaction. Loaded rows lie in a table that is made beforehand and is empty whenever nobody is at work; what has keys
is updated where they are there and inserted where they are not.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from datong.adapters.conversion import far_times, float_rows, may_hold_nul, reader_of_rows, rows_where
from datong.adapters.sql_history import HELPERS
from datong.adapters.sql_own_tables import OWN_TABLES, digests, letter_batches, outcomes
from datong.adapters.sql_shape import Layout, misfit, type_misfit
from datong.adapters.sql_transaction import INCOMING, NUMBER, HistoryWork, SqlTransaction, Statement, StoredColumn
from datong.adapters.sqlalchemy_catalog import declared_type, select_expression
from datong.adapters.sqlalchemy_history import SqlalchemyHistory
from datong.adapters.sqlalchemy_types import column_kind, stored_type, table_options
from datong.adapters.sqlalchemy_values import converter
from datong.exchange import CURRENT, DELETED, Column, Manifest, TargetPlan

LOAD_ROWS = 5_000
"""Rows that go to the driver with one call."""
_ORACLE_ROW_FAULTS = {1400, 1401, 1426, 1438, 1722, 1830, 1840, 1841, 1858, 1861, 2290, 12899}
_MYSQL_ROW_FAULTS = {3819, 4025}
"""Faults of a row's own values that the drivers do not call data or integrity errors."""
_JOINED_UPDATES = frozenset({"postgresql", "mysql", "mariadb", "mssql"})
_KEEPS_NUL = frozenset({"mysql", "mariadb", "mssql", "oracle"})
_KEEPS_NAN = frozenset({"postgresql", "oracle"})
_WIDEN = {
    "postgresql": "ALTER COLUMN {column} TYPE {kind}",
    "mysql": "MODIFY COLUMN {column} {kind} NULL",
    "mariadb": "MODIFY COLUMN {column} {kind} NULL",
    "mssql": "ALTER COLUMN {column} {kind}",
    "oracle": "MODIFY ({column} {kind})",
}


def incoming_name(table: str) -> str:
    """Return where rows for `table` are loaded; short, because names are bounded (30 bytes on old Oracles)."""
    return f"{INCOMING}_{hashlib.sha256(table.encode()).hexdigest()[:16]}"


def table_for(dialect: sa.Dialect, layout: Layout) -> sa.Table:
    """Return a table of the target as it is made when it is missing."""
    shared = len(layout.unique)
    columns = [
        sa.Column(
            column.name, column_kind(dialect.name, column.type, shared_by=shared * (column.name in layout.unique))
        )
        for column in layout.columns
    ]
    unique = [sa.UniqueConstraint(*layout.unique)] if layout.unique else []
    return sa.Table(layout.table, sa.MetaData(), *columns, *unique, **table_options(dialect))


def incoming_for(dialect: sa.Dialect, layout: Layout) -> sa.Table:
    """Return the table where rows for the layout's columns are loaded, with an index on the keys."""
    name = incoming_name(layout.table)
    helpers = (*HELPERS, Column(name=NUMBER, type="int64"))
    table = table_for(dialect, Layout(name, layout.columns + helpers, ()))
    if layout.unique:
        keyed = table_for(dialect, layout)
        for key in layout.unique:
            table.c[key].type = keyed.c[key].type
        sa.Index(f"{name}_k", *(table.c[key] for key in layout.unique))
    return table


def entering(
    dialect: str,
    own: sa.TableClause,
    source: sa.FromClause,
    names: Sequence[str],
    keys: Sequence[str],
    span: sa.ColumnElement[bool] | None,
) -> Iterator[Statement]:
    """Yield the statements that put rows of `source` into the table `own`; the update comes first: it finds old rows.

    `span` says which rows, None all of them; without keys rows are only added.
    """
    conditions = [] if span is None else [span]
    others = [name for name in names if name not in keys]
    if keys and others:
        same = _same(own, source, keys)
        if dialect in _JOINED_UPDATES:
            values: dict[str, Any] = {name: source.c[name] for name in others}
            yield sa.update(own).values(values).where(same, *conditions)
        else:
            found = [sa.select(source.c[name]).where(same, *conditions).scalar_subquery() for name in others]
            correlated: dict[str, Any] = dict(zip(others, found, strict=True))
            yield sa.update(own).values(correlated).where(sa.exists().where(same, *conditions))
    new = sa.select(*(source.c[name] for name in names)).where(*conditions)
    if keys:
        there = own.alias("t")
        new = new.where(~sa.exists().where(_same(there, source, keys)))
    yield sa.insert(own).from_select(list(names), new)


class SqlalchemyTransaction(SqlTransaction):
    """A transaction that the caller begins and ends."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self._inspector = sa.inspect(connection)
        self._incoming: sa.Table | None = None
        self._empty_is_null: bool | None = None
        self.FRACTION_DIGITS_DEFAULT = 0 if self._dialect.name in {"mysql", "mariadb"} else 6

    # The shape of tables

    def stored_columns(self, table: str) -> list[StoredColumn]:
        """Return the columns of a table."""
        if not self._inspector.has_table(table):
            return []
        return [
            StoredColumn(
                one["name"],
                stored_type(self._dialect.name, one["type"]),
                declared_type(one["type"]),
                not (one["nullable"] or one.get("default") is not None or one.get("identity") or one.get("computed")),
            )
            for one in self._inspector.get_columns(table)
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether a unique index covers exactly these columns."""
        wanted = set(columns)
        found: list[Sequence[str | None]] = [self._inspector.get_pk_constraint(table)["constrained_columns"]]
        found += [one["column_names"] for one in self._inspector.get_unique_constraints(table)]
        found += [
            one["column_names"]
            for one in self._inspector.get_indexes(table)
            if one["unique"] and not any("where" in option for option in one.get("dialect_options", {}))
        ]
        return any(set(names) == wanted for names in found)

    def declared(self, column: Column) -> str:
        """Return the type that a column gets here."""
        return str(column_kind(self._dialect.name, column.type).compile(dialect=self._dialect))

    def stored_type(self, name: str) -> str:
        """Return what the type that `name` gets here keeps."""
        return stored_type(self._dialect.name, column_kind(self._dialect.name, name))

    def widen(self, table: str, column: Column) -> None:
        """Give a column its new, wider type.

        Raises:
            Conflict: `adapters.target_misfit`: nobody here knows how this engine is told so.
        """
        words = _WIDEN.get(self._dialect.name)
        if words is None:
            stored = next(one for one in self.stored_columns(table) if one.name == column.name)
            raise misfit(table, [type_misfit(stored, self.declared(column))])
        self._define(table, words.format(column=self._quoted(column.name), kind=self.declared(column)))

    def add_column(self, table: str, column: Column) -> None:
        """Add a column to a table."""
        self._define(table, f"ADD {self._quoted(column.name)} {self.declared(column)}")

    def has_table(self, table: str) -> bool:
        """Whether there is a table, or a view, of that name."""
        return self._inspector.has_table(table)

    def drop_view(self, name: str) -> None:
        """Drop a view, if there is one of that name."""
        if name in self._inspector.get_view_names():
            self._connection.exec_driver_sql(f"DROP VIEW {self._quoted(name)}")
            self._inspector.clear_cache()

    def create_view(self, name: str, table: str, names: Sequence[str]) -> None:
        """Make the view of a history's open versions."""
        current: sa.ColumnElement[bool] = sa.column(CURRENT, sa.Boolean())
        shown: sa.Select[*tuple[Any, ...]] = (
            sa.select(*(sa.column(one) for one in names)).select_from(sa.table(table)).where(current == sa.true())
        )
        words = shown.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        self._connection.exec_driver_sql(f"CREATE VIEW {self._quoted(name)} AS {words}")
        self._inspector.clear_cache()

    def ensure_letters(self) -> None:
        """Create the tables beside the dead letters that are missing."""
        OWN_TABLES.create_all(self._connection, tables=[outcomes, letter_batches, digests])

    def create(self, layouts: Sequence[Layout]) -> None:
        """Create what is missing of the target's tables and the platform's own; the first layout is the target's."""
        OWN_TABLES.create_all(self._connection)
        for layout in layouts:
            table_for(self._dialect, layout).create(self._connection, checkfirst=True)
        own = layouts[0]._replace(columns=layouts[-1].columns, unique=layouts[-1].unique)
        incoming = incoming_for(self._dialect, own)
        self._inspector.clear_cache()
        stored = {(one.name, one.type) for one in self.stored_columns(incoming.name)}
        if stored != {(one.name, stored_type(self._dialect.name, one.type)) for one in incoming.columns}:
            incoming.drop(self._connection, checkfirst=True)
            incoming.create(self._connection)
            self._inspector.clear_cache()

    # Rows

    def run(self, statement: Statement) -> list[tuple[object, ...]]:
        """Run a statement about the platform's own tables; return its rows."""
        result = self._connection.execute(statement)
        return [tuple(row) for row in result] if result.returns_rows else []

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that this database could not even load, each with the reason."""
        result = far_times(batch)
        if self._dialect.name not in _KEEPS_NAN:
            result |= float_rows(batch, infinite=True)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not pa.types.is_string(column.type):
                continue
            if self._dialect.name not in _KEEPS_NUL and may_hold_nul(column):
                for row in rows_where(pc.match_substring(column, "\0")):
                    result[row] = f"列 {name} 含 NUL 字符 / column {name}: a NUL character"
            if self._takes_empty_for_null():
                for row in rows_where(pc.equal(column, pa.scalar(""))):
                    result[row] = f"列 {name} 为空文本，目标库视为空值 / column {name}: empty text, which is NULL here"
        return result

    def load(self, table: pa.Table, columns: tuple[Column, ...], into: str) -> None:
        """Put the rows where `insert` and `delete_marked` take them from."""
        names = [*(column.name for column in columns), NUMBER]
        self._incoming = incoming = sa.Table(
            incoming_name(into),
            sa.MetaData(),
            *(sa.Column(one.name, column_kind(self._dialect.name, one.type)) for one in columns),
            sa.Column(NUMBER, sa.BigInteger()),
        )
        for first in range(0, table.num_rows, LOAD_ROWS):
            piece = table.slice(first, LOAD_ROWS)
            values = [self._values(piece.column(name)) for name in names]
            rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
            self._connection.execute(sa.insert(incoming), rows)

    def images(self, table: str, columns: tuple[Column, ...], keys: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table or view whose keys are those of loaded rows, as they are now."""
        own = self._table(table, [column.name for column in columns])
        same = _same(own, self.loaded, [key.name for key in keys])
        declared = {stored.name: stored.declared for stored in self.stored_columns(table)}
        typed = tuple(one.model_copy(update={"source_type": declared.get(one.name, "")}) for one in columns)
        chosen: sa.Select[*tuple[Any, ...]] = sa.select(
            *(select_expression(self._dialect.name, column) for column in typed)
        )
        found = self._connection.execute(chosen.select_from(own).where(sa.exists().where(same)))
        convert = {column.name: converter(column) for column in typed}
        return iter(reader_of_rows(table, map(tuple, found), typed, LOAD_ROWS, convert))

    def unload(self) -> None:
        """Leave the table empty for whoever comes next."""
        self._connection.execute(sa.delete(self.loaded))

    @property
    def loaded(self) -> sa.Table:
        """The table of the loaded rows."""
        if self._incoming is None:
            raise RuntimeError("nothing was loaded")
        return self._incoming

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert, or update where the key is there, the loaded rows with first ≤ number < end."""
        number = self.loaded.c[NUMBER]
        span = sa.and_(number >= first, number < end)
        return self._enter(target, self.loaded, [column.name for column in columns], keys, span)

    def delete_marked(self, target: str, keys: Sequence[Column]) -> None:
        """Delete the rows that loaded ones marked as deleted name, and those marks."""
        own, loaded = self._table(target, [key.name for key in keys]), self.loaded
        marked = loaded.c[DELETED] == sa.true()
        found = sa.exists().where(marked, _same(own, loaded, [key.name for key in keys]))
        self._connection.execute(sa.delete(own).where(found))
        self._connection.execute(sa.delete(loaded).where(marked))

    def clear(self, stage: str) -> None:
        """Empty the stage."""
        self._connection.execute(sa.delete(self._table(stage, [])))

    def replace(self, target: str, stage: str, names: Sequence[str]) -> str | None:
        """Let the rows of `stage` take the place of those of `target`."""
        own, staged = self._table(target, names), self._table(stage, names)
        self._connection.execute(sa.delete(own))
        return self.attempt(sa.insert(own).from_select(list(names), sa.select(*(staged.c[name] for name in names))))

    def mirror(self, target: str, stage: str, names: Sequence[str], keys: Sequence[str]) -> str | None:
        """Delete what the stage lacks, update what is there, insert what is not."""
        own, staged = self._table(target, names), self._table(stage, names)
        self._connection.execute(sa.delete(own).where(~sa.exists().where(_same(own, staged, keys))))
        return self._enter(target, staged, names, keys, None)

    def history(self, plan: TargetPlan, manifest: Manifest, stage: str | None) -> HistoryWork:
        """Return the way of what is loaded, or of the rows of a stage, into a history table."""
        return SqlalchemyHistory(self, self._dialect.name, plan, manifest, stage)

    def attempt(self, *statements: Statement) -> str | None:
        """Run statements; return None, or the database's reason when it refused a value and did nothing."""
        savepoint = self._connection.begin_nested()
        try:
            for statement in statements:
                self._connection.execute(statement)
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated or not _row_fault(error):
                raise
            savepoint.rollback()
            return _said(error)
        savepoint.commit()
        return None

    # Inside

    def _enter(
        self,
        target: str,
        source: sa.FromClause,
        names: Sequence[str],
        keys: Sequence[str],
        span: sa.ColumnElement[bool] | None,
    ) -> str | None:
        return self.attempt(*entering(self._dialect.name, self._table(target, names), source, names, keys, span))

    def _values(self, column: "pa.ChunkedArray[Any]") -> Sequence[object]:
        """Return a column's values as the drivers take them."""
        if self._dialect.name in {"mysql", "mariadb"} and pa.types.is_timestamp(column.type):
            return column.cast(pa.timestamp("us")).to_pylist()
        if self._dialect.name == "oracle" and pa.types.is_boolean(column.type):
            return column.cast(pa.int8()).to_pylist()
        return column.to_pylist()

    def _takes_empty_for_null(self) -> bool:
        if self._empty_is_null is None:
            asked = sa.select(sa.case((sa.literal("", sa.Unicode(1)).is_(None), 1), else_=0))
            self._empty_is_null = bool(self._connection.execute(asked).scalar())
        return self._empty_is_null

    def _table(self, name: str, columns: Sequence[str]) -> sa.TableClause:
        return sa.table(name, *(sa.column(column) for column in columns))

    def _define(self, table: str, words: str) -> None:
        self._connection.exec_driver_sql(f"ALTER TABLE {self._quoted(table)} {words}")
        self._inspector.clear_cache()

    def _quoted(self, name: str) -> str:
        return str(self._dialect.identifier_preparer.quote(name))


def _same(left: sa.FromClause, right: sa.FromClause, keys: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(*(left.c[key] == right.c[key] for key in keys))


def _row_fault(error: sa.exc.DBAPIError) -> bool:
    """Whether a row's own values are at fault, and not the database's state: only such a row becomes a dead letter."""
    if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError):
        return True
    details = error.orig.args[0] if error.orig is not None and error.orig.args else None
    code = getattr(details, "code", details)
    return code in _ORACLE_ROW_FAULTS or code in _MYSQL_ROW_FAULTS


def _said(error: sa.exc.DBAPIError) -> str:
    words = error.orig.args[-1] if error.orig is not None and error.orig.args else error
    return str(words).strip().splitlines()[0]
