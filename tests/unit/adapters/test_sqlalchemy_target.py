"""A target behind any dialect: types on engines that have no server here, and statements that their grammars know."""

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from datong.adapters.connections import open_target
from datong.adapters.sql_shape import Layout, layouts
from datong.adapters.sqlalchemy_transaction import entering, incoming_for, table_for
from datong.adapters.sqlalchemy_types import column_kind, stored_type
from datong.exchange import ApplyMode, Column, TargetPlan, widens
from datong.kernel import Conflict, Invalid

DIALECTS: dict[str, tuple[sa.Dialect, str]] = {
    "oracle": (oracle.dialect(), "oracle"),
    "mssql": (mssql.dialect(), "tsql"),
    "mysql": (mysql.dialect(), "mysql"),
    "postgresql": (postgresql.dialect(), "postgres"),
}
TYPES = (
    "boolean", "int64", "uint64", "decimal(38,10)", "float32", "float64", "string", "binary", "date", "timestamp",
    "timestamp_utc",
)  # fmt: skip
COLUMNS = (Column(name="id", type="int64"), *(Column(name=f"c{n}", type=kind) for n, kind in enumerate(TYPES)))
PLAN = TargetPlan(table="t", mode=ApplyMode.HISTORY, key_columns=("id", "c6"))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_type_has_a_column_type_that_keeps_it(name: str) -> None:
    for kind in TYPES:
        kept = stored_type(name, column_kind(name, kind))
        exact = {"boolean": {"int64", "decimal(1,0)"}, "float32": {"float64"}, "timestamp_utc": {"timestamp"}}
        assert kept == kind or widens(kind, kept) or kept in exact.get(kind, set()) or kept == "DATE", (kind, kept)


def test_what_an_engine_cannot_keep_is_refused_with_the_reason() -> None:
    with pytest.raises(Conflict, match="target_type") as caught:
        column_kind("oracle", "time")
    assert "oracle" in caught.value.what.en
    # Moments that are rounded are no moments of the exchange, so that no column of such a type is taken.
    assert stored_type("mssql", mssql.DATETIME()) == "DATETIME"
    assert stored_type("oracle", oracle.DATE()) == "DATE"
    assert stored_type("postgresql", postgresql.JSONB()) == "JSONB"
    with pytest.raises(Invalid, match="target_dialect") as refused:
        open_target("sqlite+pysqlite:////tmp/none.sqlite")
    assert "sqlite:///path" in refused.value.remedy.en


@pytest.mark.parametrize("name", DIALECTS)
def test_definitions_and_statements_are_in_the_engine_s_grammar(name: str) -> None:
    dialect, grammar = DIALECTS[name]
    target, stage = layouts(PLAN, COLUMNS)
    loaded = incoming_for(dialect, Layout(target.table, stage.columns, stage.unique))
    own = sa.table("t", *(sa.column(column.name) for column in COLUMNS))
    names = [column.name for column in COLUMNS]
    statements = [CreateTable(table_for(dialect, layout)) for layout in (target, stage)]
    written = [str(one.compile(dialect=dialect)) for one in (*statements, CreateTable(loaded))]
    written += [str(CreateIndex(index).compile(dialect=dialect)) for index in loaded.indexes]
    moves = list(entering(name, own, loaded, names, ("id", "c6"), loaded.c["_datong_n"] < 5))
    written += [str(one.compile(dialect=dialect, compile_kwargs={"literal_binds": True})) for one in moves]
    assert [type(one) for one in moves] == [sa.Update, sa.Insert]
    for text in written:
        (parsed,) = sqlglot.parse(text, dialect=grammar, error_level=sqlglot.ErrorLevel.RAISE)
        assert not isinstance(parsed, sqlglot.exp.Command), text
