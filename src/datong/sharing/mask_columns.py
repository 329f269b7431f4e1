"""Masks as SQL that DuckDB reads, for data that leaves in bulk: the same texts as `masks.apply_mask`, by the column.

`mask_columns` is the one function for whoever writes a file or answers a share. Keys never stand in SQL text, which
ends up in plans and error messages: pseudonyms read theirs from a variable of the connection, enciphering is done by a
function that holds it.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from uuid import uuid4

from duckdb import DuckDBPyConnection
from duckdb.func import ARROW
from duckdb.sqltypes import VARCHAR

from datong.norms import text_literal
from datong.sharing.encipher_columns import encipher_chunks
from datong.sharing.enciphering import HIDDEN
from datong.sharing.masks import (
    AMOUNT_BANDS,
    AMOUNT_DIGITS_MAX,
    AMOUNT_PATTERN,
    COMPOUND_SURNAMES,
    DATE_PATTERN,
    PLACE_PATTERN,
    PSEUDONYM_CHARS,
    SPACES,
    ColumnMask,
    MaskKind,
)

HASH_BLOCK_BYTES = 64
_INNER, _OUTER = 0x36, 0x5C
"""The pads of HMAC (RFC 2104)."""
_SMALL = "abcdefghijklmnopqrstuvwxyz"


def mask_columns(connection: DuckDBPyConnection, masks: Mapping[str, ColumnMask]) -> Mapping[str, str]:
    """Return for each column an SQL expression over that column which shows it masked, as VARCHAR.

    What keyed masks need is put into `connection`; the expressions work there (not on its cursors) while it is open. A
    column that is no VARCHAR is cast to it first. A keyed mask without its key hides, as in `apply_mask`.
    """
    return {column: mask_expression(connection, mask, quoted(column)) for column, mask in masks.items()}


def mask_expression(connection: DuckDBPyConnection, mask: ColumnMask, value: str) -> str:
    """Return the SQL expression that shows the SQL expression `value` masked; see `mask_columns`."""
    text = f"CAST({value} AS VARCHAR)"
    if mask.kind is MaskKind.NONE:
        return text
    trimmed = trimmed_sql(text)
    if not mask.kind.keyed:
        shown = _PLAIN[mask.kind](trimmed)
    elif mask.key is None:
        shown = text_literal(HIDDEN)
    elif mask.kind is MaskKind.PSEUDONYM:
        shown = _pseudonym(connection, mask.key, trimmed)
    else:
        shown = f"{_cipher_function(connection, mask.kind, mask.key)}({trimmed})"
    return f"CASE WHEN {value} IS NULL THEN NULL WHEN {trimmed} = '' THEN '' ELSE {shown} END"


def trimmed_sql(text: str) -> str:
    """Return the SQL expression `text` without what is trimmed at both ends.

    Trimming any characters but blanks takes DuckDB ten times as long as looking whether there are some.
    """
    spaces = text_literal(SPACES)
    ends = text_literal(f"^[{SPACES}]|[{SPACES}]$")
    return f"CASE WHEN regexp_matches({text}, {ends}) THEN trim({text}, {spaces}) ELSE {text} END"


def quoted(column: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + column.replace('"', '""') + '"'


def _name(text: str) -> str:
    surnames = ", ".join(text_literal(surname) for surname in sorted(COMPOUND_SURNAMES))
    return (
        f"CASE WHEN length({text}) = 1 THEN {text_literal(HIDDEN)} "
        f"WHEN contains({text}, '·') OR regexp_full_match({text}, '[\\x00-\\x7F]*') "
        f"THEN left({text}, 1) || {text_literal(HIDDEN)} "
        f"WHEN length({text}) > 2 AND left({text}, 2) IN ({surnames}) "
        f"THEN left({text}, 2) || repeat('*', length({text}) - 2) "
        f"ELSE left({text}, 1) || repeat('*', length({text}) - 1) END"
    )


def _id(text: str) -> str:
    return (
        f"CASE WHEN length({text}) < 6 THEN {text_literal(HIDDEN)} "
        f"WHEN length({text}) < 12 THEN left({text}, 2) || repeat('*', length({text}) - 2) "
        f"ELSE left({text}, 4) || repeat('*', length({text}) - 8) || right({text}, 4) END"
    )


def _phone(text: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({text}, '[0-9]{{11}}') THEN left({text}, 3) || '****' || right({text}, 4) "
        f"WHEN length({text}) < 7 THEN {text_literal(HIDDEN)} "
        f"ELSE repeat('*', length({text}) - 2) || right({text}, 2) END"
    )


def _address(text: str) -> str:
    return f"regexp_extract({text}, {text_literal(PLACE_PATTERN)}) || {text_literal(HIDDEN)}"


def _amount(text: str) -> str:
    plain = f"replace({text}, ',', '')"
    part = f"regexp_extract({plain}, {text_literal(f'^{AMOUNT_PATTERN}$')}, {{}})".format
    whole = part(2)
    bands = " ".join(
        f"WHEN CAST('0' || {whole} AS BIGINT) < {upper} THEN '{lower}-{upper}'"
        for lower, upper in pairwise((0, *AMOUNT_BANDS))
    )
    last = text_literal(f"≥{AMOUNT_BANDS[-1]}")
    return (
        f"CASE WHEN {plain} = '' THEN '' "
        f"WHEN NOT regexp_full_match({plain}, {text_literal(AMOUNT_PATTERN)}) OR NOT regexp_matches({plain}, '[0-9]') "
        f"THEN {text_literal(HIDDEN)} "
        f"WHEN {part(1)} = '-' AND ({whole} <> '' OR regexp_matches({part(3)}, '[1-9]')) THEN '<0' "
        f"WHEN length({whole}) > {AMOUNT_DIGITS_MAX} THEN {last} {bands} ELSE {last} END"
    )


def _date(text: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({text}, {text_literal(DATE_PATTERN)}) THEN left({text}, 4) || '-**-**' "
        f"ELSE {text_literal(HIDDEN)} END"
    )


_PLAIN: Mapping[MaskKind, Callable[[str], str]] = {
    MaskKind.NAME: _name,
    MaskKind.ID: _id,
    MaskKind.PHONE: _phone,
    MaskKind.ADDRESS: _address,
    MaskKind.AMOUNT: _amount,
    MaskKind.DATE: _date,
    MaskKind.HIDDEN: lambda _: text_literal(HIDDEN),
}


def _pseudonym(connection: DuckDBPyConnection, key: bytes, text: str) -> str:
    """Return HMAC-SHA256 spelled out in SQL; its two padded keys become variables of the connection."""
    name = f"datong_key_{uuid4().hex}"
    padded = key.ljust(HASH_BLOCK_BYTES, b"\0")
    for pad in (_INNER, _OUTER):
        connection.execute(f"SET VARIABLE {name}_{pad} = $1", [bytes(byte ^ pad for byte in padded)])
    capitals = f"encode(translate({text}, '{_SMALL}', '{_SMALL.upper()}'))"
    inner = f"unhex(sha256(getvariable('{name}_{_INNER}') || {capitals}))"
    return f"left(sha256(getvariable('{name}_{_OUTER}') || {inner}), {PSEUDONYM_CHARS})"


def _cipher_function(connection: DuckDBPyConnection, kind: MaskKind, key: bytes) -> str:
    name = f"datong_cipher_{uuid4().hex}"
    # A lambda, because DuckDB evaluates annotations, and those of Arrow's generic types are for type checkers only.
    connection.create_function(name, lambda texts: encipher_chunks(kind, key, texts), [VARCHAR], VARCHAR, type=ARROW)
    return name
