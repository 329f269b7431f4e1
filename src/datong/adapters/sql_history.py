"""History tables (SCD2) on SQL databases: a change of a key closes its open version and opens a new one.

Versions of a key are numbered from 1 and hold from `_datong_valid_from` (included) to `_datong_valid_to` (excluded),
the instants at which their batches were produced. A key that changes several times within one batch gets a version for
each change; all but the last are empty intervals, so that a question about one instant still has one answer. A row that
says what the version before it says is no change: a repeated run adds nothing. Instants of a key never run backwards,
even when the producer's clock does.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.sql_transaction import NUMBER, SqlTransaction, Tally, refused_rows
from datong.exchange import DELETED, Column, Manifest, TargetPlan, target_columns

PLACE = "_datong_place"
FINAL = "_datong_final"
HELPERS = (
    Column(name=DELETED, type="boolean"),
    Column(name=PLACE, type="int64"),
    Column(name=FINAL, type="boolean"),
)


def enter_changes(
    transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, numbered: pa.Table, tally: Tally
) -> dict[int, str]:
    """Enter a batch of changes, in their order; return the rows that the table refused by number, with the reasons.

    A refused row never happened as far as the history goes, so the versions are worked out anew without it.
    """
    history = transaction.history(plan, manifest, None)
    if history.enter(numbered, tally) is None:
        return {}
    letters = history.refused(numbered)
    left = numbered.filter(pa.array([number not in letters for number in numbered.column(NUMBER).to_pylist()]))
    reason = history.enter(left, tally) if left.num_rows else None
    if reason is not None:
        # No row is at fault alone, so the rows of a key stand in each other's way: none of this batch's can enter.
        letters |= {int(str(number)): reason for number in left.column(NUMBER).to_pylist()}
    return letters


def enter_snapshot(transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, stage: str) -> str | None:
    """Make a whole snapshot the newest state of the history: what it lacks is closed, what differs gets a version."""
    history = transaction.history(plan, manifest, stage)
    history.close_missing()
    return history.enter_staged()


def changes_of(table: pa.Table, keys: Sequence[str], compared: Sequence[str]) -> pa.Table:
    """Return the rows that differ from the row of the same key before them, each with its place among those of its key
    and whether it is the last; `table` has the row numbers and the marks of deleted rows.
    """
    window = f"(PARTITION BY {', '.join(_name(key) for key in keys)} ORDER BY {NUMBER})"
    differs = [f"{_name(name)} IS DISTINCT FROM lag({_name(name)}) OVER {window}" for name in compared]
    changed = f"NOT {DELETED} AND ({' OR '.join(differs)})" if differs else "FALSE"
    query = f"""
        SELECT position, row_number() OVER {window} AS place, lead({NUMBER}) OVER {window} IS NULL AS final
        FROM (SELECT *, lag({NUMBER}) OVER {window} IS NULL OR {DELETED} <> lag({DELETED}) OVER {window}
                     OR ({changed}) AS effective FROM numbered)
        WHERE effective ORDER BY position"""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("numbered", table.append_column("position", pa.array(range(table.num_rows), pa.int64())))
        found = connection.execute(query).to_arrow_table()
    return (
        table.take(found.column("position"))
        .append_column(PLACE, found.column("place").cast(pa.int64()))
        .append_column(FINAL, found.column("final"))
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class HistoryRows(ABC):
    """What every engine does alike with the rows of a batch, or of a snapshot's `stage`, for a history table."""

    def __init__(self, transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, stage: str | None) -> None:
        self._rows = transaction
        self._plan = plan
        self._staged = stage is not None
        self._columns = target_columns(plan, manifest.columns)
        added = {column.name for column in plan.added}
        by_name = {column.name: column for column in self._columns}
        self._keys = [by_name[key] for key in plan.key_columns]
        self._compared = [
            column for column in self._columns if column.name not in added and column.name not in plan.key_columns
        ]

    def enter(self, numbered: pa.Table, tally: Tally) -> str | None:
        """Enter changes; return None, or the reason for which the table took none of them."""
        if DELETED not in numbered.column_names:
            numbered = numbered.append_column(DELETED, pa.repeat(pa.scalar(value=False), numbered.num_rows))
        rows = changes_of(numbered, self._plan.key_columns, [column.name for column in self._compared])
        columns = (*self._columns, *HELPERS)
        self._rows.load(rows.select([*(column.name for column in columns), NUMBER]), columns, self._plan.table)
        # Both looks at the table are for the same keys: what is unchanged must not count in the first alone.
        self.drop_unchanged()
        tally.before()
        reason = self.enter_versions()
        if reason is None:
            tally.after()
        self._rows.unload()
        return reason

    def enter_staged(self) -> str | None:
        """Enter the rows of the stage that differ from the open versions; return None, or the reason of a refusal."""
        self.drop_unchanged()
        return self.enter_versions()

    def refused(self, numbered: pa.Table) -> dict[int, str]:
        """Find the rows whose own values the table refuses, by trying them as versions that are removed again."""
        if DELETED in numbered.column_names:
            numbered = numbered.filter(pc.invert(numbered.column(DELETED)))
        if not numbered.num_rows:
            return {}
        self._rows.load(
            numbered.select([*(column.name for column in self._columns), NUMBER]), self._columns, self._plan.table
        )
        letters = refused_rows(self.try_rows, int(str(pc.max(numbered.column(NUMBER)))) + 1)
        self.remove_tried()
        self._rows.unload()
        return letters

    @abstractmethod
    def close_missing(self) -> None:
        """Close the open versions of keys that the stage lacks."""

    @abstractmethod
    def drop_unchanged(self) -> None:
        """Drop the rows that say what their key's open version says, and deletes of keys that have none."""

    @abstractmethod
    def enter_versions(self) -> str | None:
        """Insert the new versions and close the ones that they follow; on a refusal nothing has changed."""

    @abstractmethod
    def try_rows(self, first: int, end: int) -> str | None:
        """Insert the loaded rows with first ≤ number < end as versions below zero; return the reason of a refusal."""

    @abstractmethod
    def remove_tried(self) -> None:
        """Delete the versions below zero."""
