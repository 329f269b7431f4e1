"""History tables behind any SQLAlchemy dialect: open versions are closed first, new ones follow, within a savepoint."""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datong.adapters.sql_history import FINAL, PLACE, HistoryRows
from datong.adapters.sql_shape import HISTORY_OF_ROWS
from datong.adapters.sql_transaction import NUMBER
from datong.adapters.sqlalchemy_types import column_kind
from datong.exchange import CURRENT, DELETED, VALID_FROM, VALID_TO, VERSION, Manifest, TargetPlan

if TYPE_CHECKING:
    from datong.adapters.sqlalchemy_transaction import SqlalchemyTransaction


class SqlalchemyHistory(HistoryRows):
    """The statements that bring loaded rows, or a snapshot's stage, into a history table."""

    def __init__(
        self,
        transaction: "SqlalchemyTransaction",
        dialect: str,
        plan: TargetPlan,
        manifest: Manifest,
        stage: str | None,
    ) -> None:
        super().__init__(transaction, plan, manifest, stage)
        self._transaction = transaction
        columns = [sa.column(one.name, column_kind(dialect, one.type)) for one in (*self._columns, *HISTORY_OF_ROWS)]
        self._table = sa.table(plan.table, *columns)
        staged = [sa.column(one.name, column_kind(dialect, one.type)) for one in self._columns]
        self._stage = None if stage is None else sa.table(stage, *staged)
        at = manifest.produced_at.replace(tzinfo=None) if dialect in {"mysql", "mariadb"} else manifest.produced_at
        self._now: sa.ColumnElement[Any] = sa.literal(at, column_kind(dialect, "timestamp_utc"))

    @property
    def _source(self) -> sa.TableClause:
        return self._transaction.loaded if self._stage is None else self._stage

    def close_missing(self) -> None:
        """Close the open versions of keys that the stage lacks."""
        own = self._table.c
        missing = ~sa.exists().where(self._same_keys(self._source))
        self._transaction.run(sa.update(self._table).where(own[CURRENT] == sa.true(), missing).values(self._closing()))

    def drop_unchanged(self) -> None:
        """Drop the rows that say what their key's open version says, and deletes of keys that have none."""
        source = self._source
        if self._staged:
            self._transaction.run(sa.delete(source).where(self._open_version(same=True)))
            return
        first, gone = source.c[PLACE] == 1, source.c[DELETED]
        self._transaction.run(sa.delete(source).where(first, gone == sa.false(), self._open_version(same=True)))
        self._transaction.run(sa.delete(source).where(first, gone == sa.true(), ~self._open_version(same=False)))

    def enter_versions(self) -> str | None:
        """Close the versions that new ones follow, and insert those; on a refusal nothing has changed."""
        own, source = self._table.c, self._source
        closed = (
            sa.update(self._table)
            .where(own[CURRENT] == sa.true(), sa.exists().where(self._same_keys(source)))
            .values(self._closing())
        )
        keys = [key.name for key in self._keys]
        before, changed = self._table.alias("old"), source.alias("changed")
        base = (
            sa.select(
                *(before.c[key] for key in keys),
                sa.func.max(before.c[VERSION]).label("version"),
                sa.func.max(sa.func.coalesce(before.c[VALID_TO], before.c[VALID_FROM])).label("at"),
            )
            .where(sa.exists().where(*(before.c[key] == changed.c[key] for key in keys)))
            .group_by(*(before.c[key] for key in keys))
            .subquery("base")
        )
        start = sa.case((base.c.at > self._now, base.c.at), else_=self._now)
        end: Any = sa.null() if self._staged else sa.case((source.c[FINAL] == sa.true(), sa.null()), else_=start)
        joined = sa.outerjoin(source, base, sa.and_(*(base.c[key] == source.c[key] for key in keys)))
        new = sa.select(
            *(source.c[column.name] for column in self._columns),
            start,
            end,
            sa.true() if self._staged else source.c[FINAL],
            sa.func.coalesce(base.c.version, 0) + (1 if self._staged else source.c[PLACE]),
        ).select_from(joined)
        if not self._staged:
            new = new.where(source.c[DELETED] == sa.false())
        names = [*(column.name for column in self._columns), VALID_FROM, VALID_TO, CURRENT, VERSION]
        return self._transaction.attempt(closed, sa.insert(self._table).from_select(names, new))

    def try_rows(self, first: int, end: int) -> str | None:
        """Insert loaded rows as versions below zero; return the reason of a refusal."""
        source = self._source
        number = source.c[NUMBER]
        tried = sa.select(
            *(source.c[column.name] for column in self._columns), self._now, sa.false(), -1 - number
        ).where(number >= first, number < end)
        names = [*(column.name for column in self._columns), VALID_FROM, CURRENT, VERSION]
        return self._transaction.attempt(sa.insert(self._table).from_select(names, tried))

    def remove_tried(self) -> None:
        """Delete the versions below zero."""
        self._transaction.run(sa.delete(self._table).where(self._table.c[VERSION] < 0))

    def _same_keys(self, source: sa.FromClause) -> sa.ColumnElement[bool]:
        return sa.and_(*(self._table.c[key.name] == source.c[key.name] for key in self._keys))

    def _open_version(self, *, same: bool) -> sa.ColumnElement[bool]:
        """Return the condition that a row of the source has an open version, `same` one that says what it says."""
        own, source = self._table.c, self._source
        conditions = [own[CURRENT] == sa.true(), self._same_keys(source)]
        if same:
            conditions += [own[column.name].is_not_distinct_from(source.c[column.name]) for column in self._compared]
        return sa.exists().where(*conditions)

    def _closing(self) -> dict[str, Any]:
        """Return the assignments that end a version now, or where it began when that is later."""
        begun = self._table.c[VALID_FROM]
        return {VALID_TO: sa.case((begun > self._now, begun), else_=self._now), CURRENT: sa.false()}
