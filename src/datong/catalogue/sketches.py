"""Column sketches: what a node lets out about the values of a column, so that overlaps can be found without them.

A sketch is an array of at most 4096 one-byte registers. Every standardised value is hashed under a secret that the
nodes share and the hub never sees (`sketch_keys`); the hash picks a register and proposes a level, and each register
keeps the highest level. So a sketch does not depend on the order or the number of times values occur, the sketch of a
union is the register-wise maximum of the sketches, and whoever lacks the secret can neither test a value nor enumerate
the numbers that exist. `sketch_estimates` tells cardinalities and overlaps from two sketches of one key and element.

How a node calls it, over *all* rows of a table (a sample would understate overlaps)::

    requests = sketch_requests(resource.content.items, pack)
    sketches = sketch_columns(connector.read(query), requests, pack=pack, key=key)

`key` is the node's `SketchKey` of the running epoch. Hashing: the first 64 and last 12 bits of SHA-256(K ‖ value), K
the 64 hex digits of HMAC-SHA256(secret, domain), one domain for each kind and element: a secret prefix with a cut
output is a pseudo-random function (AMAC: Bellare, Bernstein, Tessaro, EUROCRYPT 2016). Levels: 10 per factor of two, as
in the generalised HyperLogLog of Ertl, SetSketch, VLDB 2021.
"""

import base64
import binascii
import bisect
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import duckdb
import pyarrow as pa
from pydantic import Field, field_validator

from datong.catalogue.sketch_estimates import LEVEL_MAX, LEVELS_PER_OCTAVE, cardinality_of
from datong.catalogue.values import Item
from datong.kernel import ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.norms import IdentifierKind, NormPack, clean_sql

BINS_MAX = 4096
BINS_MIN = 256
DISTINCT_MIN = 1000
"""Fewer distinct values than this leave the node as "too few" and nothing else: a small crowd hides nobody."""
VALUES_PER_BIN_MIN = 2
"""A sketch has at most half as many registers as there are values, so that most values leave no trace in it."""
SECRET_BYTES = 32
CHUNK_ROWS = 1_000_000
SKETCHES_PER_TABLE_MAX = 200
_BIN_DIGITS, _RANK_DIGITS, _RANK_BITS = 3, 16, 64
_DOMAIN = "datong column sketch 1"
_KEY_IDENTIFIERS = (IdentifierKind.CITIZEN_ID, IdentifierKind.USCC, IdentifierKind.REAL_ESTATE_UNIT)


class SketchKind(StrEnum):
    """What a sketch is taken of."""

    VALUES = "values"
    """The values of one column."""
    KEYED = "keyed"
    """The keys of those rows whose value is known: of whom the item is held."""
    PAIRS = "pairs"
    """Key and value together: two holders agree about somebody where their pairs coincide."""

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _KINDS[self]


_KINDS = {
    SketchKind.VALUES: Text(zh="取值", en="Values"),
    SketchKind.KEYED: Text(zh="涉及对象", en="Whom it is held of"),
    SketchKind.PAIRS: Text(zh="对象与取值", en="Whom and what"),
}


class SketchKey(Value):
    """The secret that nodes share for one epoch; `epoch` is its public name. The hub never holds one."""

    epoch: str = Field(min_length=1, max_length=64)
    secret: bytes = Field(min_length=SECRET_BYTES, max_length=SECRET_BYTES, repr=False)

    def prefix(self, *domain: str) -> str:
        """Return the hex prefix under which values of `domain` are hashed."""
        message = "\x1f".join((_DOMAIN, self.epoch, *domain)).encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()


class SketchRequest(Value):
    """One sketch to be taken; `key_column` and `key_element` name whom a `KEYED` or `PAIRS` sketch is about."""

    kind: SketchKind = SketchKind.VALUES
    column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    element: str = Field(min_length=1, max_length=64)
    key_column: str = Field("", max_length=NAME_CHARS_MAX)
    key_element: str = Field("", max_length=64)

    @property
    def domain(self) -> tuple[str, ...]:
        """What two sketches must share to be comparable, besides the key."""
        return (self.kind.value, self.key_element, self.element)


class SketchWork(Value):
    """One table that the node shall sketch."""

    resource_id: ResourceId
    source: str
    table: str
    requests: tuple[SketchRequest, ...]


class ColumnSketch(SketchRequest):
    """A sketch as it leaves the node: `rows` had a value; `registers` is base64, empty where there were too few."""

    epoch: str = Field(min_length=1, max_length=64)
    rows: int = Field(ge=0)
    registers: str = Field("", max_length=4 * (BINS_MAX // 3 + 1))

    @field_validator("registers")
    @classmethod
    def _whole(cls, value: str) -> str:
        try:
            levels = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("registers are base64") from error
        if levels and (not BINS_MIN <= len(levels) <= BINS_MAX or len(levels) & (len(levels) - 1)):
            raise ValueError(f"a sketch has a power of two of registers, {BINS_MIN} to {BINS_MAX}")
        return value

    @property
    def too_few(self) -> bool:
        """Whether the column held too few distinct values to tell anything of them."""
        return not self.registers

    @property
    def levels(self) -> bytes:
        """The registers, one byte each."""
        return base64.b64decode(self.registers)


def sketch_requests(items: Sequence[Item], pack: NormPack) -> tuple[SketchRequest, ...]:
    """Return the sketches worth taking of a table with these items.

    Values are compared except where a code list makes them few. Where the table has a key (a citizen, a firm, a
    real-estate unit), every other item is compared by key, too: only that tells whether two copies agree.
    """
    mapped = [item for item in items if item.element is not None and pack.has_element(item.element)]
    key = _key_of(mapped, pack)
    requests = []
    for item in mapped:
        element = item.element or ""
        if not pack.element(element).codes:
            requests.append(SketchRequest(column=item.column, element=element))
        if key is not None and item is not key:
            about = {"key_column": key.column, "key_element": key.element or ""}
            requests += [
                SketchRequest(kind=kind, column=item.column, element=element, **about)
                for kind in (SketchKind.KEYED, SketchKind.PAIRS)
            ]
    return tuple(requests[:SKETCHES_PER_TABLE_MAX])


def _key_of(items: Sequence[Item], pack: NormPack) -> Item | None:
    """The item that says whom a row is about: an identifier under its own name, the primary key's first."""
    for kind in _KEY_IDENTIFIERS:
        found = [item for item in items if item.element == kind.value and pack.element(kind.value).identifier is kind]
        if found:
            return max(found, key=lambda item: (item.key, item.mapping_confidence))
    return None


class _Lowest:
    """The lowest rank that each bin of one sketch has seen, as hex digits: they sort like the numbers they are."""

    def __init__(self, request: SketchRequest) -> None:
        self.request = request
        self.rows = 0
        self.lowest: dict[str, str] = {}

    def take(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Take one chunk's lowest ranks."""
        for place, rank, count in rows:
            self.rows += count
            known = self.lowest.get(place)
            if known is None or rank < known:
                self.lowest[place] = rank


def sketch_columns(
    batches: Iterable[pa.RecordBatch],
    requests: Sequence[SketchRequest],
    *,
    pack: NormPack,
    key: SketchKey,
    chunk_rows: int = CHUNK_ROWS,
) -> tuple[ColumnSketch, ...]:
    """Return the sketches of a table's columns, in the order of `requests`, reading `batches` once.

    A column that no batch has gives a sketch without rows. Runs inside DuckDB, chunk by chunk, in bounded memory.
    """
    registers = [_Lowest(request) for request in requests]
    connection = duckdb.connect()
    try:
        for chunk in _chunks(batches, chunk_rows):
            _take_chunk(connection, chunk, registers, pack, key)
    finally:
        connection.close()
    return tuple(_finished(register, key) for register in registers)


def _chunks(batches: Iterable[pa.RecordBatch], chunk_rows: int) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if batch.num_rows:
            gathered.append(batch)
            rows += batch.num_rows
        if rows >= chunk_rows:
            yield pa.Table.from_batches(gathered)
            gathered, rows = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _take_chunk(
    connection: duckdb.DuckDBPyConnection,
    chunk: pa.Table,
    registers: Sequence[_Lowest],
    pack: NormPack,
    key: SketchKey,
) -> None:
    places = {name: f"c{index}" for index, name in enumerate(chunk.column_names)}
    connection.register("source", chunk.rename_columns(list(places.values())))
    # Every column is standardised once, however many sketches use it.
    wanted = {
        (column, element): f"v{index}"
        for index, (column, element) in enumerate(
            dict.fromkeys(
                pair
                for register in registers
                for pair in _columns_of(register.request)
                if pair[0] in places and pack.has_element(pair[1])
            )
        )
    }
    cleaned = ", ".join(
        f"{clean_sql(pack.element(element), places[column])} AS {name}" for (column, element), name in wanted.items()
    )
    if not cleaned:
        return
    connection.execute(f"CREATE OR REPLACE TEMP TABLE cleaned AS SELECT {cleaned} FROM source")
    connection.unregister("source")
    for register in registers:
        request = register.request
        names = [wanted.get(pair) for pair in _columns_of(request)]
        if None in names:
            continue
        known = " AND ".join(f"{name} IS NOT NULL" for name in names)
        message = _message_sql(request.kind, [name or "" for name in names])
        hashed = f"SELECT sha256(? || {message}) AS digest FROM cleaned WHERE {known}"
        rows = connection.execute(
            f"SELECT right(digest, {_BIN_DIGITS}), min(left(digest, {_RANK_DIGITS})), count(*)"
            f" FROM ({hashed}) GROUP BY 1",
            [key.prefix(*request.domain)],
        ).fetchall()
        register.take(rows)


def _columns_of(request: SketchRequest) -> tuple[tuple[str, str], ...]:
    own = (request.column, request.element)
    return (own,) if request.kind is SketchKind.VALUES else ((request.key_column, request.key_element), own)


def _message_sql(kind: SketchKind, names: Sequence[str]) -> str:
    """What is hashed; a pair is length-prefixed, so that no two pairs read the same."""
    if kind is SketchKind.PAIRS:
        return f"length({names[0]}) || ':' || {names[0]} || {names[1]}"
    return names[0]


def _iroot(value: int, degree: int) -> int:
    """The integer part of a root, exactly: levels must not depend on a machine's logarithm."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


_THRESHOLDS = tuple(
    _iroot(1 << (_RANK_BITS * LEVELS_PER_OCTAVE - step), LEVELS_PER_OCTAVE) for step in range(LEVEL_MAX - 1, 0, -1)
)
"""⌊2^(64 - i/10)⌋, rising: a rank under i of them has level i + 1."""


def level_of(rank: int) -> int:
    """Return the level (1–255) of a 64-bit rank; one in 2^(x/10) ranks has a level above x."""
    return 1 + len(_THRESHOLDS) - bisect.bisect_right(_THRESHOLDS, rank)


def _finished(register: _Lowest, key: SketchKey) -> ColumnSketch:
    levels = bytearray(BINS_MAX)
    for place, rank in register.lowest.items():
        levels[int(place, 16)] = level_of(int(rank, 16))
    return ColumnSketch(
        **register.request.model_dump(),
        epoch=key.epoch,
        rows=register.rows,
        registers=base64.b64encode(_thinned(bytes(levels))).decode(),
    )


def _thinned(levels: bytes) -> bytes:
    """As many registers as the crowd is large enough for; none when it is too small."""
    distinct = cardinality_of(levels)
    if distinct < DISTINCT_MIN:
        return b""
    bins = BINS_MAX
    while bins > BINS_MIN and bins * VALUES_PER_BIN_MIN > distinct:
        bins //= 2
    return folded(levels, bins)


def folded(levels: bytes, bins: int) -> bytes:
    """Return a sketch with fewer registers, as if it had been taken with so many: bins are nested.

    Raises:
        ValueError: `bins` does not divide the number of registers.
    """
    if bins < 1 or len(levels) % bins:
        raise ValueError(f"{len(levels)} registers cannot be folded into {bins}")
    return bytes(max(levels[place::bins]) for place in range(bins))


def merged(one: bytes, other: bytes) -> bytes:
    """Return the sketch of the union of two sets, with the registers of the smaller sketch."""
    bins = min(len(one), len(other))
    return bytes(map(max, folded(one, bins), folded(other, bins)))
