"""Values that must not come out, and the search for them in whatever did: text, archives, spreadsheets, tables, PDF."""

import gzip
import html
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

DEPTH_MAX = 4
"""Archives within archives that are opened."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)


def texts_of(body: bytes, depth: int = 0) -> Iterator[str]:
    """Yield every text that somebody who has `body` can read in it, however it is packed."""
    if depth > DEPTH_MAX or not body:
        return
    for part in _unpacked(body):
        yield from texts_of(part, depth + 1)
    if body[:4] == b"PAR1":
        yield from _table_texts(pq.read_table(io.BytesIO(body)))
        return
    text = body.decode("utf-8", "replace")
    yield text
    if "\\u" in text:
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if "&" in text:
        yield html.unescape(text)
    if "%" in text:
        yield unquote(text)


def _unpacked(body: bytes) -> Iterator[bytes]:
    """Yield what is in an archive, a compressed stream, an Arrow stream or a PDF."""
    if body[:2] == b"\x1f\x8b":
        yield gzip.decompress(body)
    elif body[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif body[:5] == b"%PDF-":
        for stream in _STREAM.findall(body):
            try:
                yield zlib.decompress(stream)
            except zlib.error:
                yield stream
    elif body[:4] == b"\xff\xff\xff\xff":
        table = pa.ipc.open_stream(body).read_all()
        yield "\n".join(_table_texts(table)).encode()
    elif body[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            found = (archive.extractfile(member) for member in archive.getmembers())
            yield from (file.read() for file in found if file is not None)


def _table_texts(table: pa.Table) -> Iterator[str]:
    yield json.dumps(table.to_pylist(), ensure_ascii=False, default=str)
    yield str(table.schema.metadata)


class Canaries:
    """The values of a world that nobody but their owners may read, each with why."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.why = values
        self._pattern = re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True))))

    def found_in(self, parts: Iterable[bytes]) -> set[str]:
        """Return the canaries that can be read in any of `parts`."""
        return {found for part in parts for text in texts_of(part) for found in self._pattern.findall(text)}
