"""History tables (SCD2) on SQL databases: a change of a key closes its open version and opens a new one.

Versions of a key are numbered from 1 and hold from `_datong_valid_from` (included) to `_datong_valid_to` (excluded),
the instants at which their batches were produced. A key that changes several times within one batch gets a version for
each change; all but the last are empty intervals, so that a question about one instant still has one answer. A row that
says what the version before it says is no change: a repeated run adds nothing. Instants of a key never run backwards,
even when the producer's clock does.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.sql_transaction import INCOMING, NUMBER, SqlTransaction, refused_rows
from datong.exchange import (
    CURRENT,
    DELETED,
    VALID_FROM,
    VALID_TO,
    VERSION,
    Column,
    Manifest,
    TargetPlan,
    target_columns,
)

PLACE = "_datong_place"
FINAL = "_datong_final"
BASE = "_datong_base"
BASE_VERSION = "_datong_base_version"
BASE_AT = "_datong_base_at"
_HELPERS = (
    Column(name=DELETED, type="boolean"),
    Column(name=PLACE, type="int64"),
    Column(name=FINAL, type="boolean"),
)


def enter_changes(
    transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, numbered: pa.Table
) -> dict[int, str]:
    """Enter a batch of changes, in their order; return the rows that the table refused by number, with the reasons.

    A refused row never happened as far as the history goes, so the versions are worked out anew without it.
    """
    history = _History(transaction, plan, manifest, INCOMING)
    if history.enter(numbered) is None:
        return {}
    letters = history.refused(numbered)
    left = numbered.filter(pa.array([number not in letters for number in numbered.column(NUMBER).to_pylist()]))
    reason = history.enter(left) if left.num_rows else None
    if reason is not None:
        # No row is at fault alone, so the rows of a key stand in each other's way: none of this batch's can enter.
        letters |= {int(str(number)): reason for number in left.column(NUMBER).to_pylist()}
    return letters


def enter_snapshot(transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, stage: str) -> str | None:
    """Make a whole snapshot the newest state of the history: what it lacks is closed, what differs gets a version."""
    history = _History(transaction, plan, manifest, stage)
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


class _History:
    """The statements that bring the rows of `source` (`_datong_in`, or a snapshot's stage) into a history table."""

    def __init__(self, transaction: SqlTransaction, plan: TargetPlan, manifest: Manifest, source: str) -> None:
        self._transaction = transaction
        self._plan = plan
        self._source = transaction.quote(source)
        self._staged = source != INCOMING
        self._table = transaction.quote(plan.table)
        self._now = transaction.moment(manifest.produced_at)
        self._columns = target_columns(plan, manifest.columns)
        added = {column.name for column in plan.added}
        by_name = {column.name: column for column in self._columns}
        self._keys = [by_name[key] for key in plan.key_columns]
        self._compared = [
            column for column in self._columns if column.name not in added and column.name not in plan.key_columns
        ]

    def enter(self, numbered: pa.Table) -> str | None:
        """Enter changes; return None, or the reason for which the table took none of them."""
        if DELETED not in numbered.column_names:
            numbered = numbered.append_column(DELETED, pa.repeat(pa.scalar(value=False), numbered.num_rows))
        rows = changes_of(numbered, self._plan.key_columns, [column.name for column in self._compared])
        columns = (*self._columns, *_HELPERS)
        self._transaction.load(rows.select([*(column.name for column in columns), NUMBER]), columns)
        quote = self._transaction.quote
        for condition in (
            f"NOT {quote(DELETED)} AND {self._open_version(same=True)}",
            f"{quote(DELETED)} AND NOT {self._open_version(same=False)}",
        ):
            self._transaction.execute(f"DELETE FROM {self._source} WHERE {quote(PLACE)} = 1 AND {condition}")
        reason = self._enter_versions(f"i.{quote(PLACE)}", f"i.{quote(FINAL)}", f"NOT i.{quote(DELETED)}")
        self._transaction.execute(f"DROP TABLE {self._source}")
        return reason

    def enter_staged(self) -> str | None:
        """Enter the rows of the stage that differ from the open versions; return None, or the reason of a refusal."""
        self._transaction.execute(f"DELETE FROM {self._source} WHERE {self._open_version(same=True)}")
        return self._enter_versions("1", "TRUE", "TRUE")

    def close_missing(self) -> None:
        """Close the open versions of keys that the stage lacks."""
        quote = self._transaction.quote
        match = " AND ".join(f"s.{quote(key.name)} = {self._table}.{quote(key.name)}" for key in self._keys)
        self._transaction.execute(
            f"UPDATE {self._table} SET {self._closing('')} WHERE {quote(CURRENT)} "
            f"AND NOT EXISTS (SELECT 1 FROM {self._source} AS s WHERE {match})"
        )

    def refused(self, numbered: pa.Table) -> dict[int, str]:
        """Find the rows whose own values the table refuses, by trying them as versions that are removed again."""
        transaction, quote = self._transaction, self._transaction.quote
        if DELETED in numbered.column_names:
            numbered = numbered.filter(pc.invert(numbered.column(DELETED)))
        if not numbered.num_rows:
            return {}
        transaction.load(numbered.select([*(column.name for column in self._columns), NUMBER]), self._columns)
        names = [*(column.name for column in self._columns), VALID_FROM, CURRENT, VERSION]
        values = ", ".join(transaction.value(column, "i") for column in self._columns)

        def insert(first: int, end: int) -> str | None:
            return transaction.attempt(
                f"INSERT INTO {self._table} ({transaction.names(names)}) "
                f"SELECT {values}, {self._now}, FALSE, -1 - i.{quote(NUMBER)} FROM {self._source} AS i "
                f"WHERE i.{quote(NUMBER)} >= {first} AND i.{quote(NUMBER)} < {end}"
            )

        letters = refused_rows(insert, int(str(pc.max(numbered.column(NUMBER)))) + 1)
        transaction.execute(f"DELETE FROM {self._table} WHERE {quote(VERSION)} < 0")
        transaction.execute(f"DROP TABLE {self._source}")
        return letters

    def _enter_versions(self, place: str, final: str, condition: str) -> str | None:
        """Insert the new versions, then close the ones that they follow; on a refusal nothing has changed."""
        transaction, quote = self._transaction, self._transaction.quote
        distinct = ", ".join(f"{self._value(key, 's')} AS {quote(key.name)}" for key in self._keys)
        match = " AND ".join(f"i.{quote(key.name)} = t.{quote(key.name)}" for key in self._keys)
        chosen = ", ".join(f"i.{quote(key.name)}" for key in self._keys)
        transaction.execute(
            f"CREATE TEMPORARY TABLE {BASE} AS SELECT {chosen}, max(t.{quote(VERSION)}) AS {BASE_VERSION}, "
            f"max(coalesce(t.{quote(VALID_TO)}, t.{quote(VALID_FROM)})) AS {BASE_AT} "
            f"FROM (SELECT DISTINCT {distinct} FROM {self._source} AS s) AS i JOIN {self._table} AS t ON {match} "
            f"GROUP BY {chosen}"
        )
        start = f"CASE WHEN b.{BASE_AT} > {self._now} THEN b.{BASE_AT} ELSE {self._now} END"
        values = ", ".join(self._value(column, "i") for column in self._columns)
        names = transaction.names([*(column.name for column in self._columns), VALID_FROM, VALID_TO, CURRENT, VERSION])
        joined = " AND ".join(f"b.{quote(key.name)} = {self._value(key, 'i')}" for key in self._keys)
        reason = transaction.attempt(
            f"INSERT INTO {self._table} ({names}) SELECT {values}, {start}, "
            f"CASE WHEN {final} THEN NULL ELSE {start} END, {final}, coalesce(b.{BASE_VERSION}, 0) + {place} "
            f"FROM {self._source} AS i LEFT JOIN {BASE} AS b ON {joined} WHERE {condition}"
        )
        if reason is None:
            transaction.update_matched(
                self._plan.table,
                BASE,
                [key.name for key in self._keys],
                self._closing("t."),
                f"t.{quote(CURRENT)} AND t.{quote(VERSION)} <= i.{BASE_VERSION}",
            )
        transaction.execute(f"DROP TABLE {BASE}")
        return reason

    def _open_version(self, *, same: bool) -> str:
        """Return the condition that a row of the source has an open version, `same` one that says what it says."""
        quote = self._transaction.quote
        conditions = [f"t.{quote(CURRENT)}"]
        conditions += [f"t.{quote(key.name)} = {self._value(key, self._source)}" for key in self._keys]
        if same:
            conditions += [
                "NOT " + self._transaction.differ(f"t.{quote(column.name)}", self._value(column, self._source), column)
                for column in self._compared
            ]
        return f"EXISTS (SELECT 1 FROM {self._table} AS t WHERE {' AND '.join(conditions)})"

    def _closing(self, alias: str) -> str:
        """Return the assignments that end a version now, or where it began when that is later."""
        quote = self._transaction.quote
        begun = f"{alias}{quote(VALID_FROM)}"
        return (
            f"{quote(VALID_TO)} = CASE WHEN {begun} > {self._now} THEN {begun} ELSE {self._now} END, "
            f"{quote(CURRENT)} = FALSE"
        )

    def _value(self, column: Column, alias: str) -> str:
        if self._staged:
            return f"{alias}.{self._transaction.quote(column.name)}"
        return self._transaction.value(column, alias)
