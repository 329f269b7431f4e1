"""The types that values have on their way: a small closed set, each with one Arrow type and one canonical text.

Every connector maps its database's types into this set without loss, or refuses with a reason. Nothing else travels.
"""

import pyarrow as pa

from datong.exchange.decimals import DECIMAL_PRECISION_MAX, decimal_parameters
from datong.exchange.table_values import Column
from datong.kernel import Invalid, Text, canonical_json, sha256_hex

SIMPLE_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamp_utc": pa.timestamp("us", tz="UTC"),
}
"""Type names without parameters. `timestamp` has no zone and gets none; `timestamp_utc` is an instant."""


def arrow_type(name: str) -> pa.DataType:
    """Return the Arrow type called `name`.

    Raises:
        Invalid: `exchange.type_unknown`.
    """
    simple = SIMPLE_TYPES.get(name)
    if simple is not None:
        return simple
    parameters = decimal_parameters(name)
    if parameters is not None and 1 <= parameters[0] <= DECIMAL_PRECISION_MAX and parameters[1] <= parameters[0]:
        return pa.decimal128(*parameters)
    raise Invalid(
        "exchange.type_unknown",
        what=Text(zh=f"交换不支持类型 {name}。", en=f"The exchange knows no type {name}."),
        remedy=Text(zh="请使用文档所列类型。", en="Use one of the documented types."),
        context={"type": name},
    )


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of a batch with these columns.

    Raises:
        Invalid: `exchange.type_unknown`.
    """
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in columns])


def schema_fingerprint(columns: tuple[Column, ...]) -> str:
    """Return the digest of names and types in order; comments and the source's own type names do not count."""
    return sha256_hex(canonical_json([[column.name, column.type] for column in columns]))
