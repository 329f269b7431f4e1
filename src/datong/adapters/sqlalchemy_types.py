"""Which column type each of the exchange's types gets in a target behind an SQLAlchemy dialect, and what it keeps.

Both directions go by `stored_type`: a column that is there already is taken only if what reflection says of it keeps
every value of the type that is needed, or refuses it; a type that loses something is told before a row moves.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.dialects import mssql, mysql, oracle

from datong.adapters.sqlalchemy_catalog import declared_type, exchange_type
from datong.exchange import decimal_parameters
from datong.kernel import Conflict, Text

KEY_CHARS_MAX = 700
"""Index entries are bounded everywhere (900 bytes on SQL Server's clustered keys, 3072 on InnoDB): shared by a key."""
ORACLE_TEXT_CHARS = 4000
"""Longer texts would need a CLOB, which Oracle compares with nothing."""
_BINARY_ORDER = "Latin1_General_100_BIN2"
"""SQL Server's usual collations take A and a for the same key."""

_Kind = types.TypeEngine[Any]
_COMMON: dict[str, _Kind] = {
    "boolean": types.Boolean(),
    "int64": types.BigInteger(),
    "uint64": types.Numeric(20, 0),
    "float32": types.REAL(),
    "float64": types.Double(),
    "string": types.UnicodeText(),
    "binary": types.LargeBinary(),
    "date": types.Date(),
    "time": types.Time(),
    "timestamp": types.DateTime(),
    "timestamp_utc": types.DateTime(timezone=True),
}
_MYSQL: dict[str, _Kind] = {
    "boolean": mysql.TINYINT(1),
    "uint64": mysql.BIGINT(unsigned=True),
    "float32": mysql.FLOAT(),
    "float64": mysql.DOUBLE(),
    "string": mysql.LONGTEXT(),
    "binary": mysql.LONGBLOB(),
    "time": mysql.TIME(fsp=6),
    "timestamp": mysql.DATETIME(fsp=6),
    "timestamp_utc": mysql.DATETIME(fsp=6),
}
_OWN: dict[str, dict[str, _Kind]] = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "mssql": {
        "boolean": mssql.BIT(),
        "float64": mssql.FLOAT(53),
        "string": mssql.NVARCHAR(None, collation=_BINARY_ORDER),
        "binary": mssql.VARBINARY("max"),
        "date": types.DATE(),
        "time": mssql.TIME(6),
        "timestamp": mssql.DATETIME2(6),
        "timestamp_utc": mssql.DATETIMEOFFSET(6),
    },
    "oracle": {
        "boolean": types.Numeric(1, 0),
        "int64": types.Numeric(19, 0),
        "float32": oracle.BINARY_FLOAT(),
        "float64": oracle.BINARY_DOUBLE(),
        "string": oracle.VARCHAR2(ORACLE_TEXT_CHARS),
        "binary": oracle.BLOB(),
        "date": oracle.DATE(),
        "timestamp": oracle.TIMESTAMP(),
        "timestamp_utc": oracle.TIMESTAMP(timezone=True),
    },
}
"""Where an engine's name for a type, or the only one without loss, is not SQLAlchemy's."""
_MISSING = {("oracle", "time")}
_ROUNDED = {("mssql", "DATETIME"), ("mssql", "SMALLDATETIME"), ("oracle", "DATE")}
"""Moments that keep fewer digits of a second than their declaration says."""
_UNBOUNDED = {"postgresql", "oracle"}
"""Where a numeric without parameters keeps 38 digits on both sides of the point together."""


def column_kind(dialect: str, name: str, *, shared_by: int = 0) -> types.TypeEngine[Any]:
    """Return the type of a column for the exchange's type `name`; `shared_by`: of so many columns that are a key.

    Raises:
        Conflict: `adapters.target_type`.
    """
    if (dialect, name) in _MISSING:
        raise Conflict(
            "adapters.target_type",
            what=Text(
                zh=f"{dialect} 没有能无损保存类型 {name} 的列类型。",
                en=f"{dialect} has no column type that keeps {name} without loss.",
            ),
            remedy=Text(
                zh="请在数据源的视图中将该列转换为文本，或不交换该列。",
                en="Cast the column to text in a view of the source, or leave it out of the task.",
            ),
            context={"type": name},
        )
    parameters = decimal_parameters(name)
    if parameters is not None:
        return types.Numeric(*parameters)
    if shared_by and name == "string":
        chars = KEY_CHARS_MAX // shared_by
        return types.Unicode(chars, collation=_BINARY_ORDER if dialect == "mssql" else None)
    if shared_by and name == "binary":
        return types.VARBINARY(KEY_CHARS_MAX // shared_by) if dialect in _OWN else _COMMON[name]
    return _OWN.get(dialect, {}).get(name) or _COMMON[name]


def stored_type(dialect: str, kind: types.TypeEngine[Any]) -> str:
    """Return what a column of this type keeps, as a type of the exchange, or its own name where it is none of them."""
    name = type(kind).__name__.upper()
    if (dialect, name) in _ROUNDED:
        return name
    if isinstance(kind, types.Time) and not getattr(kind, "timezone", False):
        return "time"
    if isinstance(kind, types.String) and not isinstance(kind, types.Enum):
        return "string"
    if isinstance(kind, types.Numeric) and kind.precision is None and not isinstance(kind, types.Float):
        return "decimal(38,19)" if dialect in _UNBOUNDED else name
    found = exchange_type(dialect, kind)
    return declared_type(kind) if isinstance(found, Text) or found == "string" else found


def table_options(dialect: sa.Dialect) -> dict[str, Any]:
    """Return what a new table needs beside its columns: on MySQL, texts of which every two are told apart."""
    if dialect.name not in {"mysql", "mariadb"}:
        return {}
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    options = {"engine": "InnoDB", "charset": "utf8mb4", "collate": collation}
    return {f"{dialect.name}_{name}": value for name, value in options.items()}
