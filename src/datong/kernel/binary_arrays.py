"""Columns of rows as PostgreSQL's arrays in binary form, written here instead of by the driver.

The driver looks at each element, finds its type and how that is written, in Python; here the type of a column is known.
The form is that of `array_send` (PostgreSQL, src/backend/utils/adt/arrayfuncs.c): the number of dimensions, whether
there are nulls, the type of the elements, how many they are, the lower bound, then each element behind its length.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple, cast

_NULL = b"\xff\xff\xff\xff"
_HEAD = struct.Struct("!iiIii").pack
_EMPTY = struct.Struct("!iiI").pack
_LENGTH = struct.Struct("!i").pack
_LENGTHS = tuple(map(_LENGTH, range(1024)))
_INT4, _INT8 = struct.Struct("!ii").pack, struct.Struct("!iq").pack
_BOOL = {False: b"\0\0\0\1\0", True: b"\0\0\0\1\1"}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BinaryArray:
    """An array that is written already; `register` tells a connection of it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


Column = Sequence[object]
"""The values of one column; None stands for NULL."""


class Elements(NamedTuple):
    """PostgreSQL's number of a type, and how values of it are written, each behind its length; none of them is None."""

    oid: int
    written: Callable[[Column], bytes]


def binary_array(elements: Elements, values: Column) -> BinaryArray:
    """Return an array of one dimension.

    Raises:
        TypeError, struct.error: a value is not of the type.
    """
    if not values:
        return BinaryArray(_EMPTY(0, 0, elements.oid))
    count, nulls = len(values), None in values
    # Calls that were decided alike agree in most columns.
    if values.count(values[0]) == count:
        body = (_NULL if nulls else elements.written(values[:1])) * count
    elif nulls:
        body = b"".join([_NULL if one is None else elements.written((one,)) for one in values])
    else:
        body = elements.written(values)
    return BinaryArray(_HEAD(1, nulls, elements.oid, count, 1) + body)


def _bytes(values: Sequence[bytes]) -> bytes:
    lengths = list(map(len, values))
    known = max(lengths) < len(_LENGTHS)
    sizes = map(_LENGTHS.__getitem__ if known else _LENGTH, lengths)
    return b"".join(chain.from_iterable(zip(sizes, values, strict=True)))


def _texts(values: Column) -> bytes:
    return _bytes([str.encode(cast(str, one)) for one in values])


def _blobs(values: Column) -> bytes:
    return _bytes(cast(Sequence[bytes], values))


def _times(values: Column) -> bytes:
    return b"".join([_INT8(8, (cast(datetime, one) - _EPOCH) // _MICROSECOND) for one in values])


def _int4s(values: Column) -> bytes:
    return b"".join([_INT4(4, one) for one in values])


def _int8s(values: Column) -> bytes:
    return b"".join([_INT8(8, one) for one in values])


def _bools(values: Column) -> bytes:
    return b"".join([_BOOL[bool(one)] for one in values])


TEXTS = Elements(25, _texts)
BLOBS = Elements(17, _blobs)
TIMES = Elements(1184, _times)
INTEGERS = Elements(23, _int4s)
LONG_INTEGERS = Elements(20, _int8s)
BOOLEANS = Elements(16, _bools)
