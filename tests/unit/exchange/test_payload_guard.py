"""Payloads of strangers: bombs are not unpacked, nothing points outside, and no id leads out of the lake."""

import io
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datong.exchange import Column, arrow_schema, digest_payload, read_payload
from datong.exchange.payload import count_payload
from datong.exchange.payload_guard import even_pieces, judged_messages
from datong.exchange.uploads import UploadFiles
from datong.exchange.values import NUMBER_MAX, Manifest
from datong.kernel import Corrupt
from tests.unit.exchange.test_chain import manifest_of

COLUMNS = (Column(name="id", type="int64"), Column(name="name", type="string"))
ROWS = pa.record_batch([pa.array([1, 2, 3]), pa.array(["甲", "乙", None])], schema=arrow_schema(COLUMNS))
COMPRESSIONS: tuple[Literal["zstd"] | None, ...] = ("zstd", None)
READERS: tuple[Callable[[Path], object], ...] = (
    lambda path: digest_payload(path, COLUMNS),
    lambda path: count_payload(path, COLUMNS),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def stream(*batches: pa.RecordBatch, compression: Literal["zstd"] | None = "zstd") -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, arrow_schema(COLUMNS), options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def code_of(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(Corrupt) as refused:
        read(path)
    return refused.value.code


def test_a_bomb_is_refused_before_it_is_unpacked(folder: Path) -> None:
    """The first buffer says that it is a terabyte: Arrow would ask for that much memory."""
    rows = pa.record_batch([pa.array(range(1000)), pa.array(["甲"] * 1000)], schema=arrow_schema(COLUMNS))
    sound = stream(rows)
    place = sound.index(struct.pack("<q", 8 * 1000))
    assert sound.count(struct.pack("<q", 8 * 1000), place) == 1
    path = folder / "bomb.arrow"
    path.write_bytes(sound.replace(struct.pack("<q", 8 * 1000), struct.pack("<q", 2**40)))
    for read in READERS:
        assert code_of(read, path) == "exchange.payload_bomb"


def test_many_small_bombs_are_one() -> None:
    """Zeros: two hundred pieces of 12 MB in a kilobyte each, of which each alone would pass."""
    zeros = pa.record_batch(
        [pa.nulls(1_000_000, pa.int64()), pa.nulls(1_000_000, pa.string())], schema=arrow_schema(COLUMNS)
    )
    packed = stream(zeros)
    begin, end = len(stream()) - 8, len(packed) - 8
    assert len(packed) < 10_000
    assert len(list(judged_messages(pa.BufferReader(packed)))) == 2
    with pytest.raises(Corrupt, match="payload_bomb"):
        list(judged_messages(pa.BufferReader(packed[:begin] + packed[begin:end] * 200 + packed[end:])))


def test_texts_that_point_outside_are_not_followed(folder: Path) -> None:
    """Else somebody's name would be read from wherever the hub's memory goes on."""
    sound = stream(ROWS, compression=None)
    places = struct.pack("<iiii", 0, 3, 6, 6)
    assert sound.count(places) == 1
    path = folder / "outside.arrow"
    for harm in ((0, 3, 6, 5_000_000), (0, 3, -9, 6), (-4_000_000, 3, 6, 6)):
        path.write_bytes(sound.replace(places, struct.pack("<iiii", *harm)))
        assert code_of(READERS[0], path) == "exchange.payload_unreadable"
        with read_payload(path, COLUMNS) as reader, pytest.raises(Corrupt):
            reader.read_all()


@given(st.data())
def test_a_damaged_payload_is_refused_or_read(data: st.DataObject) -> None:
    """Whatever is changed in a stream, nothing else comes of it than rows or the refusal that it is no stream."""
    sound = bytearray(stream(ROWS, ROWS, compression=data.draw(st.sampled_from(COMPRESSIONS))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sound) - 1))
        sound[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "damaged.arrow"
        path.write_bytes(bytes(sound))
        for read in READERS:
            with suppress(Corrupt):
                read(path)


@given(st.integers(0, 300), st.integers(1, 5000))
def test_producers_cut_large_batches_into_pieces(rows: int, piece_bytes: int) -> None:
    texts = pa.array(["甲乙丙"] * rows, pa.string())
    batch = pa.record_batch([pa.array(range(rows), pa.int64()), texts], schema=arrow_schema(COLUMNS))
    pieces = list(even_pieces(batch, piece_bytes))
    assert pa.Table.from_batches(pieces) == pa.Table.from_batches([batch])
    assert all(piece.nbytes <= 2 * piece_bytes + 64 for piece in pieces)


@given(
    st.text(max_size=80) | st.sampled_from(["../x", "..", "a/b", "a\x00", "batch\n", "", ".", "a" * 65, "名", "C:x"])
)
def test_no_id_of_a_batch_leads_out_of_the_lake(batch_id: str) -> None:
    """The id is the node's own: as a path it would write, replace and delete files of the hub's."""
    said = manifest_of().model_dump(mode="json") | {"batch_id": batch_id}
    try:
        manifest = Manifest.model_validate(said)
    except ValidationError:
        return
    lake = Path("/lake")
    files = UploadFiles(lake)
    for path in (files.part(manifest), files.final(manifest)):
        assert ".." not in path.parts
        assert path.parent.parent.parent == lake


@pytest.mark.parametrize("batch_id", ["../../../keys/hub", "a/../../b", "/etc/x", ".hidden", "a\x00b", "a\n", ""])
def test_ids_that_are_paths_are_refused(batch_id: str) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(manifest_of().model_dump(mode="json") | {"batch_id": batch_id})


@pytest.mark.parametrize("field", ["sequence", "rows", "payload_bytes", "run", "part"])
def test_numbers_that_no_database_holds_are_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(manifest_of().model_dump(mode="json") | {field: NUMBER_MAX + 1})
