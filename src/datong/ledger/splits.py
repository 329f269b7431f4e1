"""Split views: two checkpoints that one log signed and that cannot both be true, as a file that proves it to anybody.

Of two checkpoints of one size the roots must be the same. Of two sizes, the tree of the larger must begin with that of
the smaller: a consistency proof (RFC 6962 §2.1.2) fixes which root the larger tree has at the smaller size, and if that
is not the one that was signed, the log has shown two histories. Nothing but the log's key is believed.
"""

import json
from collections.abc import Callable

from pydantic import Field, ValidationError

from datong.kernel import JsonValue, Value, canonical_json
from datong.ledger.bundles import BUNDLE_BYTES_MAX
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import SUCCESSIONS_MAX, LogKeys, open_by
from datong.ledger.merkle import PROOF_HASHES_MAX, consistency_proof, root_of, verify_consistency
from datong.ledger.notes import Note, decode_base64, encode_base64
from datong.ledger.tiles import TileReader

SPLIT_FILE = "split-view.json"
SPLIT_TYPE = "datong.ledger.split/1"


class SplitView(Value):
    """The proof: the notes of the smaller and the larger checkpoint, as the log signed them, and its key in base64.

    Of different sizes `larger_began_with` is the root that the larger tree has at the smaller size, and `proof` the
    consistency proof between both, base64; of equal sizes neither is needed.
    """

    type: str = Field(SPLIT_TYPE, pattern=f"^{SPLIT_TYPE}$")
    log_key: str
    smaller: str
    larger: str
    larger_began_with: str | None = None
    proof: tuple[str, ...] = Field((), max_length=PROOF_HASHES_MAX)
    successions: tuple[str, ...] | None = Field(None, max_length=SUCCESSIONS_MAX)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return canonical_json(
            self.model_dump(mode="json", exclude={"successions"} if self.successions is None else set())
        )


class SplitReport(Value):
    """What a verified proof of a split view shows: two histories of one log. Roots are hexadecimal."""

    origin: str
    size: int
    root_signed: str
    root_shown: str
    larger_size: int
    log_key: str
    key_given: bool


def compare(one: Note, other: Note, *, keys: LogKeys, fetch: Callable[[str], bytes]) -> SplitView | None:
    """Return the proof that two checkpoints of a log contradict each other; None: the larger continues the smaller.

    `fetch` gives the files of the log that the larger checkpoint is of; of equal sizes it is not called.

    Raises:
        Corrupt: a note is not a checkpoint that this log signed; or the files do not lead to the larger checkpoint.
    """
    opened, origin = {}, keys.origin
    for note in (one, other):
        own = Note(text=note.text, signatures=tuple(line for line in note.signatures if line.name == origin))
        opened[open_by(own, keys.all, origin=origin)[0]] = own
    if len(opened) == 1:
        return None
    smaller, larger = sorted(opened, key=lambda point: point.size)
    said: dict[str, object] = {
        "log_key": encode_base64(keys.newest),
        "successions": [one.text() for one in keys.successions] or None,
        "smaller": opened[smaller].encode().decode(),
        "larger": opened[larger].encode().decode(),
    }
    if smaller.size == larger.size:
        return SplitView.model_validate(said)
    if smaller.size == 0:
        return None
    tiles = TileReader(larger.size, fetch)
    began = root_of(smaller.size, tiles.subtree)
    proof = consistency_proof(smaller.size, larger.size, tiles.subtree)
    verify_consistency(old_size=smaller.size, old_root=began, size=larger.size, root=larger.root, proof=proof)
    if began == smaller.root:
        return None
    return SplitView.model_validate(
        {**said, "larger_began_with": encode_base64(began), "proof": [encode_base64(value) for value in proof]}
    )


def is_split(document: object) -> bool:
    """Whether a JSON document says that it is a proof of a split view."""
    return isinstance(document, dict) and document.get("type") == SPLIT_TYPE


def read_split(data: bytes) -> dict[str, JsonValue]:
    """Return the JSON object in a file, not verified yet.

    Raises:
        Corrupt: it is none.
    """
    try:
        document = json.loads(data) if len(data) <= BUNDLE_BYTES_MAX else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _malformed()
    return document


def verify_split(document: object, *, log_key: bytes | None = None) -> SplitReport:
    """Check a proof of a split view; without `log_key` the key in it is believed, and the report says which it was.

    Raises:
        Corrupt: it proves nothing: it is malformed, not signed by this log, or both checkpoints fit together.
    """
    try:
        split = SplitView.model_validate(document)
    except ValidationError as error:
        raise _malformed() from error
    key = decode_base64(split.log_key)
    if key is None:
        raise _malformed()
    origin = split.smaller.split("\n", 1)[0]
    chain = LogKeys.of(origin, key, split.successions or ())
    # What a key signed that others may hold is no proof against the log.
    keys = chain.kin(key if log_key is None else log_key)
    smaller, larger = (open_by(Note.parse(text.encode()), keys)[0] for text in (split.smaller, split.larger))
    if smaller.origin != larger.origin or smaller.size > larger.size:
        raise _malformed()
    if smaller.size == larger.size:
        shown = larger.root
    else:
        proof = [decode_base64(value) for value in split.proof]
        began = decode_base64(split.larger_began_with or "")
        hashes = [value for value in proof if value is not None]
        if began is None or len(hashes) != len(proof) or smaller.size == 0:
            raise _malformed()
        verify_consistency(old_size=smaller.size, old_root=began, size=larger.size, root=larger.root, proof=hashes)
        shown = began
    if shown == smaller.root:
        raise corrupt(
            "split_unproved",
            zh=f"两个检查点（大小 {smaller.size} 和 {larger.size}）并不矛盾。",
            en=f"The checkpoints of sizes {smaller.size} and {larger.size} do not contradict each other.",
            size=smaller.size,
        )
    return SplitReport(
        origin=smaller.origin,
        size=smaller.size,
        root_signed=smaller.root.hex(),
        root_shown=shown.hex(),
        larger_size=larger.size,
        log_key=split.log_key,
        key_given=log_key is not None,
    )


def _malformed() -> Exception:
    return corrupt(
        "split_malformed",
        zh="这不是日志分叉的证明文件。",
        en="This is not a file that proves a split view of a log.",
    )
