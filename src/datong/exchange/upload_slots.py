"""Uploads in pieces: a part file grows chunk by chunk, then becomes the upload's file by one rename.

The length of the part file is the only record of how much arrived, so a crash can never leave a claim without bytes.
Batches and files are uploaded the same way; what they are and what must hold of them is their own packages' business.
"""

import os
from contextlib import suppress
from pathlib import Path

from datong.kernel import Conflict, Corrupt, Text, TooLarge, Value, sha256_hex
from datong.kernel.files import flush
from datong.kernel.limits import UPLOAD_CHUNK_BYTES_MAX


class UploadSlot(Value):
    """One upload: where its bytes gather, where they end up, and how many they are."""

    part: Path
    final: Path
    size_bytes: int

    @property
    def arrived(self) -> Path:
        """The file that holds the bytes: the final one if a crash came after the move, else the part."""
        return self.final if self.final.exists() else self.part

    def received(self) -> int:
        """Return how many bytes have arrived."""
        # A commit may move the part to its final place between two looks.
        for path in (self.final, self.part, self.final):
            with suppress(FileNotFoundError):
                return path.stat().st_size
        return 0

    def write(self, offset: int, data: bytes, digest: str) -> int:
        """Write one chunk at `offset` and return how many bytes have arrived; a chunk that is there already is skipped.

        Raises:
            TooLarge: `exchange.chunk_too_large`, `exchange.payload_too_large`.
            Corrupt: `exchange.chunk_digest`.
            Conflict: `exchange.chunk_offset`; its context says where to go on.
        """
        self._check_chunk(offset, data, digest)
        self.part.parent.mkdir(parents=True, exist_ok=True)
        received = self.received()
        if offset + len(data) <= received:
            return received
        if offset > received or offset < 0:
            raise Conflict(
                "exchange.chunk_offset",
                what=Text(
                    zh=f"应从第 {received} 字节继续，收到的偏移为 {offset}。",
                    en=f"Bytes from {received} on were expected and offset {offset} came.",
                ),
                remedy=Text(zh="请从已接收的位置继续。", en="Go on where the received bytes end."),
                context={"received_bytes": received},
            )
        with self.part.open("r+b" if received else "wb") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return self.received()

    def complete(self) -> Path:
        """Move the part file to its final place (again, if a crash came between) and return that."""
        self.final.parent.mkdir(parents=True, exist_ok=True)
        if self.part.exists():
            self.part.replace(self.final)
            flush(self.final.parent)
        return self.final

    def discard(self) -> None:
        """Forget the bytes."""
        self.arrived.unlink(missing_ok=True)

    def _check_chunk(self, offset: int, data: bytes, digest: str) -> None:
        if len(data) > UPLOAD_CHUNK_BYTES_MAX:
            raise TooLarge(
                "exchange.chunk_too_large",
                what=Text(
                    zh=f"数据块超过 {UPLOAD_CHUNK_BYTES_MAX} 字节。",
                    en=f"The chunk has over {UPLOAD_CHUNK_BYTES_MAX} bytes.",
                ),
                remedy=Text(zh="请上传更小的数据块。", en="Upload smaller chunks."),
            )
        if offset + len(data) > self.size_bytes:
            raise TooLarge(
                "exchange.payload_too_large",
                what=Text(
                    zh="数据超过清单声明的字节数。", en="The payload exceeds the bytes that the manifest states."
                ),
                remedy=Text(zh="请重新生成清单。", en="Make the manifest again."),
            )
        if sha256_hex(data) != digest:
            raise Corrupt(
                "exchange.chunk_digest",
                what=Text(zh="数据块与其摘要不符。", en="The chunk does not have its digest."),
                remedy=Text(zh="请重新上传该数据块。", en="Upload the chunk again."),
                context={"offset": offset},
            )
