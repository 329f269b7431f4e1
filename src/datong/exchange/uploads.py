"""Payload files at the hub: a part file grows chunk by chunk, then becomes the batch's file by one rename.

The length of the part file is the only record of how much arrived, so a crash can never leave a claim without bytes.
"""

import os
from pathlib import Path

from datong.exchange.payload import fsync_folder
from datong.exchange.values import Manifest
from datong.kernel import BatchId, Conflict, Corrupt, Text, TooLarge, sha256_hex
from datong.kernel.limits import UPLOAD_CHUNK_BYTES_MAX


class UploadFiles:
    """The folder `lake/batches` of landed payloads, and the parts that are on their way."""

    def __init__(self, lake: Path) -> None:
        self._batches = lake / "batches"
        self._parts = lake / "uploads"

    def final(self, manifest: Manifest) -> Path:
        """Return where the committed payload of a batch lies."""
        return self._batches / manifest.task_id / f"{manifest.sequence:09d}-{manifest.batch_id}.arrow"

    def part(self, batch_id: BatchId) -> Path:
        """Return where the bytes gather until the batch is committed."""
        return self._parts / f"{batch_id}.part"

    def received(self, manifest: Manifest) -> int:
        """Return how many bytes of a batch on its way have arrived."""
        for path in (self.final(manifest), self.part(manifest.batch_id)):
            if path.exists():
                return path.stat().st_size
        return 0

    def arrived(self, manifest: Manifest) -> Path:
        """Return the file that holds the bytes: the final one if a crash came after the move, else the part."""
        final = self.final(manifest)
        return final if final.exists() else self.part(manifest.batch_id)

    def write(self, manifest: Manifest, offset: int, data: bytes, digest: str) -> int:
        """Write one chunk at `offset` and return how many bytes have arrived; a chunk that is there already is skipped.

        Raises:
            TooLarge: `exchange.chunk_too_large`, `exchange.payload_too_large`.
            Corrupt: `exchange.chunk_digest`.
            Conflict: `exchange.chunk_offset`; its context says where to go on.
        """
        if len(data) > UPLOAD_CHUNK_BYTES_MAX:
            raise TooLarge(
                "exchange.chunk_too_large",
                what=Text(
                    zh=f"数据块超过 {UPLOAD_CHUNK_BYTES_MAX} 字节。",
                    en=f"The chunk has over {UPLOAD_CHUNK_BYTES_MAX} bytes.",
                ),
                remedy=Text(zh="请上传更小的数据块。", en="Upload smaller chunks."),
            )
        if offset + len(data) > manifest.payload_bytes:
            raise TooLarge(
                "exchange.payload_too_large",
                what=Text(
                    zh="数据超过清单声明的字节数。", en="The payload exceeds the bytes that the manifest states."
                ),
                remedy=Text(zh="请重新生成该批次。", en="Cut the batch again."),
            )
        if sha256_hex(data) != digest:
            raise Corrupt(
                "exchange.chunk_digest",
                what=Text(zh="数据块与其摘要不符。", en="The chunk does not have its digest."),
                remedy=Text(zh="请重新上传该数据块。", en="Upload the chunk again."),
                context={"offset": offset},
            )
        self._parts.mkdir(parents=True, exist_ok=True)
        received = self.received(manifest)
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
        with self.part(manifest.batch_id).open("r+b" if received else "wb") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return self.received(manifest)

    def complete(self, manifest: Manifest) -> Path:
        """Move the part file to its final place (again, if a crash came between) and return that."""
        final = self.final(manifest)
        final.parent.mkdir(parents=True, exist_ok=True)
        part = self.part(manifest.batch_id)
        if part.exists():
            part.replace(final)
            fsync_folder(final.parent)
        return final

    def discard(self, manifest: Manifest) -> None:
        """Forget the bytes of a batch that did not verify and was never committed."""
        self.arrived(manifest).unlink(missing_ok=True)
