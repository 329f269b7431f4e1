"""The upload of anything: whatever arrives, and whenever the process dies, the file is right or refused."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from datong.exchange.upload_slots import UploadSlot
from datong.kernel import Conflict, Corrupt, TooLarge, sha256_hex


class Uploading(RuleBasedStateMachine):
    """A sender that repeats, skips, corrupts and exceeds, over a slot whose process may die at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    @initialize(content=st.binary(max_size=200))
    def begin(self, content: bytes) -> None:
        self.content = content
        self.restart()

    @rule()
    def restart(self) -> None:
        """Another process takes over: nothing but the disk is left."""
        folder = Path(self.folder.name)
        self.slot = UploadSlot(
            part=folder / "parts" / "one.part", final=folder / "files" / "one.bin", size_bytes=len(self.content)
        )

    @rule(data=st.data())
    def send_on(self, data: st.DataObject) -> None:
        """Send a true chunk from anywhere."""
        offset = data.draw(st.integers(0, len(self.content)))
        chunk = self.content[offset : offset + data.draw(st.integers(0, 80))]
        before = self.slot.received()
        if offset + len(chunk) > before and offset > before:
            with pytest.raises(Conflict, match=f"offset {offset}"):
                self.slot.write(offset, chunk, sha256_hex(chunk))
        else:
            assert self.slot.write(offset, chunk, sha256_hex(chunk)) == max(before, offset + len(chunk))

    @rule(offset=st.integers(-5, 300), chunk=st.binary(min_size=1, max_size=80), right=st.booleans())
    def send_wrongly(self, offset: int, chunk: bytes, right: bool) -> None:
        """Send a chunk with another's digest, or over the end: nothing changes."""
        before = self.slot.received()
        over = offset + len(chunk) > len(self.content)
        if right and not over:
            return
        with pytest.raises((Corrupt, TooLarge)):
            self.slot.write(offset, chunk, sha256_hex(chunk if right else chunk + b"x"))
        assert self.slot.received() == before

    @rule(torn=st.integers(0, 80))
    def die_while_writing(self, torn: int) -> None:
        """A kill in the middle of a write leaves a true beginning of the chunk, never anything else."""
        received = self.slot.received()
        if self.slot.final.exists() or received >= len(self.content):
            return
        self.slot.part.parent.mkdir(parents=True, exist_ok=True)
        with self.slot.part.open("ab") as file:
            file.write(self.content[received : received + torn])
        self.restart()

    @rule()
    def complete(self) -> None:
        """Complete when whole, as the services do after they compared digests; twice is once."""
        if self.slot.received() == len(self.content) and self.slot.arrived.exists():
            assert hashlib.sha256(self.slot.arrived.read_bytes()).digest() == hashlib.sha256(self.content).digest()
            assert self.slot.complete() == self.slot.complete() == self.slot.final

    @rule()
    def discard(self) -> None:
        """Forget everything, and begin anew."""
        self.slot.discard()
        assert self.slot.received() == 0

    @invariant()
    def what_is_there_is_a_beginning_of_the_content(self) -> None:
        if hasattr(self, "slot") and self.slot.arrived.exists():
            there = self.slot.arrived.read_bytes()
            assert self.content.startswith(there)
            assert len(there) == self.slot.received()

    def teardown(self) -> None:
        self.folder.cleanup()


Uploading.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestUploading = Uploading.TestCase
