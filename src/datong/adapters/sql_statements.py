"""A transaction of an engine to which the platform speaks in its own words: temporary tables, upserts, casts."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import ClassVar

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.sql_own_tables import DIGESTS, LETTER_BATCHES, OUTCOMES
from datong.adapters.sql_transaction import INCOMING, HistoryWork, SqlTransaction, Statement
from datong.adapters.statement_history import StatementHistory
from datong.exchange import CURRENT, DELETED, Column, Manifest, TargetPlan


class SqlStatements(SqlTransaction):
    """A transaction of an engine with temporary tables and an upsert of its own; statements are its text."""

    DIALECT: ClassVar[sa.Dialect]
    """How SQLAlchemy writes for this engine, with `?` for values."""
    LONG_TEXT = "text"
    """The type of texts of any length."""
    TABLE_OPTIONS = ""
    """What stands behind the definition of a table of the platform's own."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement (its places are `?`) and return its rows."""

    @abstractmethod
    def attempt(self, statement: str) -> str | None:
        """Run a statement; return None, or the database's reason when it refused a value and did nothing."""

    @abstractmethod
    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        """Return what makes an INSERT … SELECT … WHERE update the rows whose keys are there already."""

    @abstractmethod
    def value(self, column: Column, alias: str) -> str:
        """Return a value of `_datong_in` (called `alias`) as the target stores it."""

    @abstractmethod
    def differ(self, left: str, right: str, column: Column) -> str:
        """Return the condition that two values of `column`'s type are not the same; NULL is the same as NULL."""

    @abstractmethod
    def moment(self, at: datetime) -> str:
        """Return an instant as a literal of the type that the target gives instants."""

    @abstractmethod
    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        """Delete the rows of `target` whose keys are those of rows of `_datong_in` (called `i`) with `condition`."""

    @abstractmethod
    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        """Change the rows of `target` (called `t`) that have the keys of a row of `source` (called `i`)."""

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return `name` as an identifier."""

    def names(self, names: Sequence[str]) -> str:
        """Return names as a list of identifiers."""
        return ", ".join(self.quote(name) for name in names)

    def run(self, statement: Statement) -> list[tuple[object, ...]]:
        """Run a statement about the platform's own tables, as this engine writes it."""
        compiled = statement.compile(dialect=self.DIALECT)
        return self.execute(str(compiled), [compiled.params[name] for name in compiled.positiontup or ()])

    def images(self, table: str, columns: tuple[Column, ...], keys: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table or view whose keys are those of loaded rows, as they are now."""
        names = self.names([key.name for key in keys])
        loaded = ", ".join(self.value(key, "i") for key in keys)
        return self.rows(table, f"({names}) IN (SELECT {loaded} FROM {INCOMING} AS i)", columns)

    @abstractmethod
    def rows(self, table: str, condition: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table for which a condition holds, as the exchange's types."""

    def add_column(self, table: str, column: Column) -> None:
        """Add a column to a table."""
        self.execute(f"ALTER TABLE {self.quote(table)} ADD COLUMN {self.quote(column.name)} {self.declared(column)}")

    def drop_view(self, name: str) -> None:
        """Drop a view, if there is one of that name."""
        self.execute(f"DROP VIEW IF EXISTS {self.quote(name)}")

    def create_view(self, name: str, table: str, names: Sequence[str]) -> None:
        """Make the view of a history's open versions."""
        self.execute(
            f"CREATE VIEW {self.quote(name)} AS SELECT {self.names(names)} FROM {self.quote(table)} "
            f"WHERE {self.quote(CURRENT)} = TRUE"
        )

    def ensure_letters(self) -> None:
        """Create the tables beside the cursors and the dead letters that are missing."""
        self.execute(
            f"CREATE TABLE IF NOT EXISTS {OUTCOMES} (batch_id VARCHAR(100) NOT NULL, row_in_batch BIGINT NOT NULL, "
            "task_id VARCHAR(100) NOT NULL, outcome VARCHAR(20) NOT NULL, resolved_at VARCHAR(40) NOT NULL, "
            "resolved_by VARCHAR(200) NOT NULL, note VARCHAR(1000) NOT NULL, "
            f"changed {self.LONG_TEXT} NOT NULL, PRIMARY KEY (batch_id, row_in_batch)){self.TABLE_OPTIONS}"
        )
        self.execute(
            f"CREATE TABLE IF NOT EXISTS {LETTER_BATCHES} (batch_id VARCHAR(100) NOT NULL PRIMARY KEY, "
            f"details {self.LONG_TEXT} NOT NULL){self.TABLE_OPTIONS}"
        )
        self.execute(
            f"CREATE TABLE IF NOT EXISTS {DIGESTS} (table_name VARCHAR(200) NOT NULL PRIMARY KEY, "
            "columns_digest VARCHAR(100) NOT NULL, row_count BIGINT NOT NULL, row_sum VARCHAR(100) NOT NULL, "
            f"changed BIGINT NOT NULL, looked_at VARCHAR(100) NOT NULL){self.TABLE_OPTIONS}"
        )

    DROP_TEMPORARY = "DROP TABLE"

    def unload(self) -> None:
        """Drop the temporary table."""
        self.execute(f"{self.DROP_TEMPORARY} {self.quote(INCOMING)}")

    def delete_marked(self, target: str, keys: Sequence[Column]) -> None:
        """Delete the rows that loaded ones marked as deleted name."""
        marked = self.quote(DELETED)
        self.delete_matched(target, keys, f"i.{marked}")
        self.execute(f"DELETE FROM {INCOMING} WHERE {marked}")

    def history(self, plan: TargetPlan, manifest: Manifest, stage: str | None) -> HistoryWork:
        """Return the way of what is loaded, or of the rows of a stage, into a history table."""
        return StatementHistory(self, plan, manifest, stage)

    def clear(self, stage: str) -> None:
        """Empty the stage, which nobody else reads."""
        self.execute(f"DELETE FROM {self.quote(stage)}")

    def replace(self, target: str, stage: str, names: Sequence[str]) -> str | None:
        """Let the rows of `stage` take the place of those of `target`; return the reason when it refuses them."""
        listed = self.names(names)
        self.execute(f"DELETE FROM {self.quote(target)}")
        return self.attempt(f"INSERT INTO {self.quote(target)} ({listed}) SELECT {listed} FROM {self.quote(stage)}")

    def mirror(self, target: str, stage: str, names: Sequence[str], keys: Sequence[str]) -> str | None:
        """Delete what the stage lacks, then upsert all of it."""
        own, listed = self.quote(target), self.names(names)
        same = " AND ".join(f"s.{self.quote(key)} = {own}.{self.quote(key)}" for key in keys)
        self.execute(f"DELETE FROM {own} WHERE NOT EXISTS (SELECT 1 FROM {self.quote(stage)} AS s WHERE {same})")
        return self.attempt(
            f"INSERT INTO {own} ({listed}) SELECT {listed} FROM {self.quote(stage)} "
            f"WHERE TRUE {self.upsert_clause(names, keys)}"
        )
