"""Payload files at the hub: where each batch's bytes gather, and where they lie once it is committed."""

from pathlib import Path

from datong.exchange.upload_slots import UploadSlot
from datong.exchange.values import Manifest
from datong.kernel import TaskId


class UploadFiles:
    """The folder `lake/batches` of landed payloads, and the parts that are on their way."""

    def __init__(self, lake: Path) -> None:
        self._batches = lake / "batches"
        self._parts = lake / "uploads"

    def slot(self, manifest: Manifest) -> UploadSlot:
        """Return the upload of a batch."""
        return UploadSlot(part=self.part(manifest), final=self.final(manifest), size_bytes=manifest.payload_bytes)

    def final(self, manifest: Manifest) -> Path:
        """Return where the committed payload of a batch lies."""
        return self._batches / manifest.task_id / f"{manifest.sequence:09d}-{manifest.batch_id}.arrow"

    def part(self, manifest: Manifest) -> Path:
        """Return where the bytes gather until the batch is committed."""
        return self._parts / manifest.task_id / f"{manifest.batch_id}.part"

    def parts(self) -> dict[TaskId, tuple[Path, ...]]:
        """Return the parts that lie there, by task."""
        folders = [path for path in self._parts.iterdir() if path.is_dir()] if self._parts.is_dir() else []
        found = {TaskId(folder.name): tuple(sorted(folder.glob("*.part"))) for folder in folders}
        return {task_id: parts for task_id, parts in found.items() if parts}

    def received(self, manifest: Manifest) -> int:
        """Return how many bytes of a batch on its way have arrived."""
        return self.slot(manifest).received()

    def arrived(self, manifest: Manifest) -> Path:
        """Return the file that holds the bytes: the final one if a crash came after the move, else the part."""
        return self.slot(manifest).arrived

    def write(self, manifest: Manifest, offset: int, data: bytes, digest: str) -> int:
        """Write one chunk; see `UploadSlot.write`."""
        return self.slot(manifest).write(offset, data, digest)

    def complete(self, manifest: Manifest) -> Path:
        """Move the part file to its final place; see `UploadSlot.complete`."""
        return self.slot(manifest).complete()

    def delete_through(self, task_id: TaskId, sequence: int) -> None:
        """Delete the payloads of a task's batches up to and with `sequence`."""
        folder = self._batches / task_id
        for path in folder.iterdir() if folder.is_dir() else ():
            if int(path.name.partition("-")[0]) <= sequence:
                path.unlink(missing_ok=True)

    def discard(self, manifest: Manifest) -> None:
        """Forget the bytes of a batch that did not verify and was never committed."""
        self.slot(manifest).discard()
