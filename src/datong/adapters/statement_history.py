"""History tables on the engines that the platform speaks to in statements of its own."""

from typing import TYPE_CHECKING

from datong.adapters.sql_history import FINAL, PLACE, HistoryRows
from datong.adapters.sql_transaction import INCOMING, NUMBER
from datong.exchange import CURRENT, DELETED, VALID_FROM, VALID_TO, VERSION, Column, Manifest, TargetPlan

if TYPE_CHECKING:
    from datong.adapters.sql_statements import SqlStatements

BASE = "_datong_base"
BASE_VERSION = "_datong_base_version"
BASE_AT = "_datong_base_at"


class StatementHistory(HistoryRows):
    """The statements that bring loaded rows, or a snapshot's stage, into a history table."""

    def __init__(self, transaction: "SqlStatements", plan: TargetPlan, manifest: Manifest, stage: str | None) -> None:
        super().__init__(transaction, plan, manifest, stage)
        self._transaction = transaction
        self._source = transaction.quote(INCOMING if stage is None else stage)
        self._table = transaction.quote(plan.table)
        self._now = transaction.moment(manifest.produced_at)

    def drop_unchanged(self) -> None:
        """Drop the rows that say what their key's open version says, and deletes of keys that have none."""
        quote = self._transaction.quote
        if self._staged:
            self._transaction.execute(f"DELETE FROM {self._source} WHERE {self._open_version(same=True)}")
            return
        for condition in (
            f"NOT {quote(DELETED)} AND {self._open_version(same=True)}",
            f"{quote(DELETED)} AND NOT {self._open_version(same=False)}",
        ):
            self._transaction.execute(f"DELETE FROM {self._source} WHERE {quote(PLACE)} = 1 AND {condition}")

    def close_missing(self) -> None:
        """Close the open versions of keys that the stage lacks."""
        quote = self._transaction.quote
        match = " AND ".join(f"s.{quote(key.name)} = {self._table}.{quote(key.name)}" for key in self._keys)
        self._transaction.execute(
            f"UPDATE {self._table} SET {self._closing('')} WHERE {quote(CURRENT)} "
            f"AND NOT EXISTS (SELECT 1 FROM {self._source} AS s WHERE {match})"
        )

    def try_rows(self, first: int, end: int) -> str | None:
        """Insert loaded rows as versions below zero; return the reason of a refusal."""
        transaction, quote = self._transaction, self._transaction.quote
        names = [*(column.name for column in self._columns), VALID_FROM, CURRENT, VERSION]
        values = ", ".join(transaction.value(column, "i") for column in self._columns)
        return transaction.attempt(
            f"INSERT INTO {self._table} ({transaction.names(names)}) "
            f"SELECT {values}, {self._now}, FALSE, -1 - i.{quote(NUMBER)} FROM {self._source} AS i "
            f"WHERE i.{quote(NUMBER)} >= {first} AND i.{quote(NUMBER)} < {end}"
        )

    def remove_tried(self) -> None:
        """Delete the versions below zero."""
        self._transaction.execute(f"DELETE FROM {self._table} WHERE {self._transaction.quote(VERSION)} < 0")

    def enter_versions(self) -> str | None:
        """Insert the new versions, then close the ones that they follow; on a refusal nothing has changed."""
        transaction, quote = self._transaction, self._transaction.quote
        place, final, condition = "1", "TRUE", "TRUE"
        if not self._staged:
            place, final, condition = f"i.{quote(PLACE)}", f"i.{quote(FINAL)}", f"NOT i.{quote(DELETED)}"
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
        transaction.execute(f"{transaction.DROP_TEMPORARY} {BASE}")
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
