"""Sketches by another way, and columns with a known overlap: the oracle of the sketch tests and of the benchmark."""

import hashlib
import hmac
import math
import random

import pyarrow as pa

from datong.catalogue import ColumnSketch, Item, SketchKey, SketchRequest, sketch_columns
from datong.kernel import Text
from datong.norms import NormPack, citizen_check_character

KEY = SketchKey(epoch="test", secret=b"k" * 32)
OTHER_KEY = SketchKey(epoch="test", secret=b"o" * 32)


def registers_by_definition(values: set[str], key: SketchKey, request: SketchRequest) -> bytes:
    """Return the 4096 registers as the documentation defines them, with a logarithm instead of thresholds."""
    message = "\x1f".join(("datong column sketch 1", key.epoch, *request.domain)).encode()
    prefix = hmac.new(key.secret, message, hashlib.sha256).hexdigest()
    levels = bytearray(4096)
    for value in values:
        digest = hashlib.sha256((prefix + value).encode()).hexdigest()
        place, rank = int(digest[-3:], 16), int(digest[:16], 16)
        level = min(255, 1 + math.floor(-10 * math.log2((rank + 0.5) / 2**64)))
        levels[place] = max(levels[place], level)
    return bytes(levels)


def table(**columns: list[str | None]) -> list[pa.RecordBatch]:
    """Return columns of text as one batch."""
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}).to_batches()


def sketch(values: list[str | None], pack: NormPack, key: SketchKey = KEY, element: str = "household_id") -> bytes:
    """Return the registers of one column."""
    return one_sketch(values, pack, key, element).levels


def one_sketch(
    values: list[str | None], pack: NormPack, key: SketchKey = KEY, element: str = "address"
) -> ColumnSketch:
    """Return the sketch of one column."""
    request = SketchRequest(column="v", element=element)
    return sketch_columns(table(v=values), (request,), pack=pack, key=key)[0]


def citizen_ids(dice: random.Random, number: int) -> list[str]:
    """Return different valid citizen IDs."""
    found: dict[str, None] = {}
    while len(found) < number:
        first = f"4401{dice.randint(0, 99):02}19{dice.randint(40, 99)}{dice.randint(1, 12):02}{dice.randint(1, 28):02}"
        first += f"{dice.randint(0, 999):03}"
        found[first + citizen_check_character(first)] = None
    return list(found)


def item(column: str, element: str | None, confidence: int = 90) -> Item:
    """Return an item mapped to an element."""
    return Item(
        name=Text(zh=column, en=column),
        column=column,
        element=element,
        mapping_confidence=0 if element is None else confidence,
    )
