"""Psycopg sends arrays that are written already (`binary_arrays`) as they are."""

from typing import Any

from psycopg.adapt import Dumper
from psycopg.pq import Format

from datong.kernel.binary_arrays import BinaryArray


class _Written(Dumper):
    """The statement says the type of the array, so that none is sent with it."""

    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> bytes:
        return obj.data


def register(connection: Any) -> None:
    """Have a driver's connection take arrays that are written already."""
    connection.adapters.register_dumper(BinaryArray, _Written)
