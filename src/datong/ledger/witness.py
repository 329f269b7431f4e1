"""The witness: remembers the last checkpoint it saw, and cosigns only what continues it (C2SP tlog-witness rules).

A node runs one. It fetches, since a department's node makes outbound connections only (docs/adr/0007).
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from datong.kernel import Clock, Corrupt, Misconfigured, Text, Value
from datong.kernel.files import replace_file
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import PinnedKeys
from datong.ledger.merkle import EMPTY_ROOT, consistency_proof, root_of, verify_consistency
from datong.ledger.notes import Checkpoint, Note, cosign_text, is_key_name, witness_key_of
from datong.ledger.signing import Signer
from datong.ledger.splits import SPLIT_FILE, compare
from datong.ledger.tiles import TileReader

CHECKPOINT_FILE = "checkpoint"
_NOTHING_SEEN = Checkpoint(origin="-", size=0, root=EMPTY_ROOT)


class Memory(Value):
    """What a witness keeps: the note of the last checkpoint it cosigned, and the note it returned for it."""

    note: str
    cosigned: str


class Witness:
    """Watches one log. `state_path` is the file of its memory; a fork's evidence is kept beside it, as `.fork`."""

    def __init__(self, *, name: str, signer: Signer, state_path: Path, clock: Clock, keys: PinnedKeys) -> None:
        if not is_key_name(name):
            raise Misconfigured(
                "ledger.witness_name_unusable",
                what=Text(
                    zh=f"“{name}”不能作为见证方名称：不能为空，也不能含空格或加号。",
                    en=f"“{name}” cannot be a witness's name: it must not be empty, nor hold a space or a plus.",
                ),
                remedy=Text(zh="请使用节点编号。", en="Use the node's id."),
            )
        self._name = name
        self._signer = signer
        self._state_path = state_path
        self._clock = clock
        self._keys = keys

    def update(self, fetch: Callable[[str], bytes]) -> bytes | None:
        """Check the log's newest checkpoint and return it with this witness's cosignature, to be posted to the hub.

        `fetch` gives the content of a file of the log by its name: `checkpoint`, `tile/0/000`, … None means that the
        log has not moved since the last time and bears this witness's signature already.

        Raises:
            Corrupt: the log's signature is wrong, it shrank (`ledger.rollback`), or it rewrote its history
                (`ledger.fork`, `ledger.inconsistent`). The witness signs nothing and keeps both notes as evidence.
            Misconfigured: the file of its memory is unreadable.
        """
        # 1. The log signed what it shows, with the key that is known or one that it vouches for.
        note = Note.parse(fetch(CHECKPOINT_FILE))
        checkpoint = self._keys.open(note, fetch)
        memory = self._remembered()
        # 2. It continues what this witness has seen.
        if memory is None:
            self._check_continues(_NOTHING_SEEN, checkpoint, fetch)
        else:
            last = Checkpoint.parse(Note.parse(memory.note.encode()).text)
            if last == checkpoint:
                signed = note.signature_by(witness_key_of(self._name, self._signer.public_key)) is not None
                return None if signed else memory.cosigned.encode()
            try:
                self._check_continues(last, checkpoint, fetch)
            except Corrupt:
                self._keep_evidence(Note.parse(memory.note.encode()), note, fetch)
                raise
        # 3. Remember before signing: a kill in between leaves a memory, never a signature that is forgotten.
        log_note = Note(text=note.text, signatures=tuple(s for s in note.signatures if s.name == checkpoint.origin))
        cosignature = cosign_text(note.text, name=self._name, signer=self._signer, at=self._clock.now())
        cosigned = Note(text=note.text, signatures=(*log_note.signatures, cosignature)).encode()
        state = Memory(note=log_note.encode().decode(), cosigned=cosigned.decode())
        replace_file(self._state_path, state.model_dump_json().encode())
        return cosigned

    def remembered(self) -> Note | None:
        """Return the newest checkpoint that this witness cosigned, with its cosignature; None: it never did.

        Raises:
            Misconfigured: the file of its memory is unreadable.
        """
        memory = self._remembered()
        return None if memory is None else Note.parse(memory.cosigned.encode())

    def _keep_evidence(self, last: Note, shown: Note, fetch: Callable[[str], bytes]) -> None:
        """Keep both notes, and the proof of a split view if they are one."""
        replace_file(self._state_path.with_suffix(".fork"), last.encode() + b"\n" + shown.encode())
        if Checkpoint.parse(shown.text).size < Checkpoint.parse(last.text).size:
            # A log that went back signed nothing that contradicts itself; who is shown more tells (gossip).
            return
        with suppress(Corrupt):
            # Files that do not lead to what was shown prove nothing.
            split = compare(last, shown, keys=self._keys.known, fetch=fetch)
            if split is not None:
                replace_file(self._state_path.with_name(SPLIT_FILE), split.encode())

    def _check_continues(self, last: Checkpoint, checkpoint: Checkpoint, fetch: Callable[[str], bytes]) -> None:
        if checkpoint.size < last.size:
            raise corrupt(
                "rollback",
                zh=f"日志从大小 {last.size} 退回到了 {checkpoint.size}：已见证的条目被删去。",
                en=f"The log went back from size {last.size} to {checkpoint.size}: witnessed entries are gone.",
                old_size=last.size,
                size=checkpoint.size,
            )
        if checkpoint.size == last.size and checkpoint.root != last.root:
            raise corrupt(
                "fork",
                zh=f"日志对大小 {last.size} 出示了两个不同的根：历史被改写。",
                en=f"The log shows two roots for size {last.size}: history was rewritten.",
                size=checkpoint.size,
            )
        tiles = TileReader(checkpoint.size, fetch)
        if last.size == 0:
            # Every log continues the empty one; that its tiles lead to its root is all there is to check.
            if root_of(checkpoint.size, tiles.subtree) != checkpoint.root:
                raise corrupt(
                    "tiles_wrong",
                    zh="日志的分片算出的根与检查点不同。",
                    en="The log's tiles lead to another root than its checkpoint's.",
                    size=checkpoint.size,
                )
            return
        verify_consistency(
            old_size=last.size,
            old_root=last.root,
            size=checkpoint.size,
            root=checkpoint.root,
            proof=consistency_proof(last.size, checkpoint.size, tiles.subtree),
        )

    def _remembered(self) -> Memory | None:
        try:
            return Memory.model_validate(json.loads(self._state_path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValidationError, ValueError) as error:
            raise Misconfigured(
                "ledger.witness_memory_unreadable",
                what=Text(
                    zh=f"见证记录文件 {self._state_path} 无法读取。",
                    en=f"The witness's memory {self._state_path} cannot be read.",
                ),
                remedy=Text(
                    zh="请从备份恢复该文件；删除它等于忘记曾见证过的历史。",
                    en="Restore it from a backup; to delete it is to forget the history that was witnessed.",
                ),
            ) from error
