"""Addresses of a landed source → division, street and what comes behind (GB/T 23705), as the rows are conformed.

Many records share an address: each distinct text is read once, in batches of whole columns, and joined to the rows. The
address itself stays as the norms clean it, and its raw text as it came; what was done to read it is named beside.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datong.library.addresses import Gazetteer, divide_addresses
from datong.library.engine import Workspace, sql_name

ADDRESS_ELEMENTS = ("address", "property_address", "registered_address")
ADDRESS_PARTS = ("division", "street", "rest", "repairs")
"""What a conformed address says beside its clean value, raw text and flag: the columns *field*`|`*part*."""
BATCH_ADDRESSES = 100_000
"""Distinct addresses that are read at once."""
_REGION = slice(2, 6)
"""Where a department's code (GB 32100) names its province and city."""


def part_column(field: str, part: str) -> str:
    """Return the conformed column of a part of the address in `field`."""
    return f"{field}|{part}"


def is_part(column: str) -> bool:
    """Return whether a conformed column is a part of an address."""
    field, _, part = column.rpartition("|")
    return field in ADDRESS_ELEMENTS and part in ADDRESS_PARTS


def landed_part(place: int, part: str) -> str:
    """Return the column of `divided_rows_sql` with a part of its address number `place`."""
    return f"__address_{place}_{part}"


def create_divided(
    work: Workspace,
    landed: str,
    columns: Sequence[str],
    gazetteer: Gazetteer,
    *,
    department: str,
    folder: Path,
    known: str | None = None,
) -> str:
    """Create a table (text and `ADDRESS_PARTS`) of the distinct addresses in `columns` of `landed`; return its name.

    Of equal readings the one in the city of the `department` is preferred. `folder` takes a file for the time being.
    Texts in the query `known`, which has the same columns, are not read again.
    """
    name, path = f"divided_{landed}", folder / f".{landed}.addresses.parquet"
    texts = " UNION ALL ".join(f"SELECT {sql_name(column)} AS text FROM {landed}" for column in columns)
    unread = f"({texts})" if known is None else f"(FROM ({texts}) ANTI JOIN ({known}) USING (text))"
    work.write(f"SELECT DISTINCT text FROM {unread} WHERE text IS NOT NULL ORDER BY text", path)
    home = department[_REGION] if department[_REGION].isdecimal() else ""
    empty = pa.table({part: pa.array([], pa.string()) for part in ("text", *ADDRESS_PARTS)})
    parts = [empty]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ADDRESSES):
            read = divide_addresses(batch.column(0), gazetteer, home=home)
            parts.append(read.add_column(0, "text", batch.column(0)).select(empty.column_names).cast(empty.schema))
    path.unlink()
    work.lend(f"lent_{name}", pa.concat_tables(parts))
    work.create(name, f"SELECT * FROM lent_{name}")
    work.drop(f"lent_{name}")
    if known is not None:
        work.append(name, f"SELECT DISTINCT {', '.join(empty.column_names)} FROM ({known}) WHERE text IS NOT NULL")
    return name


def divided_before_sql(rows: str, fields: Sequence[str]) -> str:
    """Return the query for the texts of the addresses in `fields` of conformed `rows`, with what was read in them."""
    return " UNION ALL ".join(
        f"SELECT {sql_name(f'{field}|raw')} AS text, "
        + ", ".join(f"{sql_name(part_column(field, part))} AS {part}" for part in ADDRESS_PARTS)
        + f" FROM {rows}"
        for field in fields
    )


def divided_rows_sql(landed: str, columns: Sequence[str], divided: str) -> str:
    """Return the rows of `landed`, with the parts of the addresses in `columns`, as something to select from."""
    places = range(len(columns))
    parts = ", ".join(f"a{place}.{part} AS {landed_part(place, part)}" for place in places for part in ADDRESS_PARTS)
    joined = " ".join(
        f"LEFT JOIN {divided} a{place} ON a{place}.text = l.{sql_name(column)}" for place, column in enumerate(columns)
    )
    return f"(SELECT l.*, {parts} FROM {landed} l {joined})"
