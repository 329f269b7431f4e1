"""The keys with which one log has signed, one after the other, each vouched for by the one before it. Pure.

Who pins a log's first key learns the others from it: a succession is one line that both keys signed. In an emergency,
when others may hold the old key, nothing it says is worth anything: the new key stands alone in its line, and who
pinned the old one has to be told the new one by other means (docs/adr/0285).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from datong.kernel import Value, canonical_json
from datong.ledger.faults import corrupt
from datong.ledger.notes import Checkpoint, Note, is_key_name, log_key_of, open_checkpoint
from datong.ledger.signing import KEY_BYTES, Signer, key_id_of, verify_signature

KEYS_TYPE = "datong.ledger.keys/1"
SUCCESSIONS_MAX = 200
NOBODY = "-"
"""Stands for the old key's signature where it gave none."""


def succession_message(origin: str, old: bytes, new: bytes) -> bytes:
    """Return what both keys sign when `new` (raw, 32 bytes) takes the place of `old` as the key of the log `origin`."""
    return f"datong.log-key/1\nreplace\n{origin}\n{old.hex()}\n{new.hex()}\n".encode()


class Succession(Value):
    """One key taking another's place. Keys are raw, signatures 64 bytes; `by_old` is empty in an emergency."""

    old: bytes
    new: bytes
    by_old: bytes
    by_new: bytes

    @classmethod
    def make(cls, origin: str, old: bytes, new: Signer, *, voucher: Signer | None) -> Self:
        """Return the succession, signed by the new key and by `voucher`, the old one; None: in an emergency."""
        message = succession_message(origin, old, new.public_key)
        by_old = b"" if voucher is None else voucher.sign(message)
        return cls(old=old, new=new.public_key, by_old=by_old, by_new=new.sign(message))

    @property
    def vouched(self) -> bool:
        """Whether the old key vouches for the new one."""
        return bool(self.by_old)

    def text(self) -> str:
        """Return the line that files hold: both keys and both signatures in hexadecimal."""
        return " ".join([self.old.hex(), self.new.hex(), self.by_old.hex() or NOBODY, self.by_new.hex()])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the line.

        Raises:
            Corrupt: it is none.
        """
        try:
            old, new, by_old, by_new = text.split(" ")
            found = cls(
                old=bytes.fromhex(old),
                new=bytes.fromhex(new),
                by_old=b"" if by_old == NOBODY else bytes.fromhex(by_old),
                by_new=bytes.fromhex(by_new),
            )
        except (ValueError, AttributeError) as error:
            raise _malformed() from error
        if found.text() != text or len(found.old) != KEY_BYTES or len(found.new) != KEY_BYTES:
            raise _malformed()
        return found

    def check(self, origin: str) -> None:
        """Check both signatures.

        Raises:
            Corrupt: one is wrong.
        """
        message = succession_message(origin, self.old, self.new)
        verify_signature(self.new, message, self.by_new)
        if self.vouched:
            verify_signature(self.old, message, self.by_old)


class LogKeys(Value):
    """All keys of a log that are told of, the `newest` last; made by `of` or `parse`, which check the chain."""

    origin: str
    newest: bytes
    successions: tuple[Succession, ...] = ()

    @classmethod
    def of(cls, origin: str, newest: bytes, successions: Sequence[str | Succession] = ()) -> Self:
        """Return the keys of a log, after checking that each succession follows the one before it, and is signed.

        Raises:
            Corrupt: `ledger.log_keys_malformed`, or a signature is wrong.
        """
        if len(successions) > SUCCESSIONS_MAX:
            raise _malformed()
        parsed = tuple(one if isinstance(one, Succession) else Succession.parse(one) for one in successions)
        keys = [*(one.old for one in parsed), newest]
        if len(set(keys)) != len(keys) or any(one.new != keys[place + 1] for place, one in enumerate(parsed)):
            raise _malformed()
        for one in parsed:
            one.check(origin)
        return cls(origin=origin, newest=newest, successions=parsed)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the document that a hub publishes as `/log/keys`.

        Raises:
            Corrupt: it is none, or its chain is broken.
        """
        try:
            document = json.loads(data)
            kind, origin, newest = document["type"], document["origin"], bytes.fromhex(document["newest"])
            successions = [str(one) for one in document["successions"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _malformed() from error
        if kind != KEYS_TYPE or not isinstance(origin, str) or not is_key_name(origin) or len(newest) != KEY_BYTES:
            raise _malformed()
        return cls.of(origin, newest, successions)

    def encode(self) -> bytes:
        """Return the document."""
        said = {"type": KEYS_TYPE, "origin": self.origin, "newest": self.newest.hex()}
        return canonical_json({**said, "successions": [one.text() for one in self.successions]})

    @property
    def all(self) -> tuple[bytes, ...]:
        """Every key, the oldest first."""
        return (*(one.old for one in self.successions), self.newest)

    def since(self, key: bytes) -> Self:
        """Return the keys from `key` on, for who trusts it and believes what it vouches for.

        Raises:
            Corrupt: `ledger.log_key_differs`: it is none of them. `ledger.log_key_emergency`: a key at or after it was
                replaced without vouching for the next.
        """
        if key not in self.all:
            raise corrupt(
                "log_key_differs",
                zh="其中的日志公钥与所给的公钥不同，也不由它接续。",
                en="The log's key in it is not the key that was given, nor vouched for by it.",
            )
        left = self.successions[self.all.index(key) :]
        broken = next((one for one in left if not one.vouched), None)
        if broken is not None:
            raise corrupt(
                "log_key_emergency",
                zh=f"日志密钥 {key_id_of(broken.old)} 因可能泄露而被紧急更换，不能为新密钥 {broken.new.hex()} 背书："
                "请另行向主管部门核实新公钥。",
                en=f"The log's key {key_id_of(broken.old)} was replaced in an emergency, since others may hold it, and"
                f" cannot vouch for the new key {broken.new.hex()}: ask the authority for it by other means.",
                key_id=key_id_of(broken.old),
            )
        return self.model_copy(update={"successions": left})

    def kin(self, key: bytes) -> tuple[bytes, ...]:
        """Return `key` and those before and after it, up to where one was replaced without vouching.

        Raises:
            Corrupt: `ledger.log_key_differs`.
        """
        after = [one for one in self.all if one == key]
        if not after:
            return self.since(key).all
        begin = end = self.all.index(key)
        while begin > 0 and self.successions[begin - 1].vouched:
            begin -= 1
        while end < len(self.successions) and self.successions[end].vouched:
            end += 1
        return self.all[begin : end + 1]


def open_by(note: Note, keys: Sequence[bytes], *, origin: str | None = None) -> tuple[Checkpoint, bytes]:
    """Return the checkpoint in a note and which of `keys`, the newest last, signed it; see `open_checkpoint`.

    Raises:
        Corrupt: it is malformed, of another log than `origin`, or signed by none of them.
    """
    named = {(signature.name, signature.key_id) for signature in note.signatures}
    claimed = note.text.split("\n", 1)[0]
    for key in reversed(keys):
        own = log_key_of(claimed, key)
        if (own.name, own.key_id) in named:
            return open_checkpoint(note, public_key=key, origin=origin), key
    return open_checkpoint(note, public_key=keys[-1], origin=origin), keys[-1]


def check_recorded(keys: LogKeys, acts: Iterable[Mapping[str, object]]) -> None:
    """Check the keys that are told of with what a log's entries `ledger.key` say, given in their order.

    The log may have a newer key on record than the one that signs, which waits for the hub's next start.

    Raises:
        Corrupt: `ledger.log_keys_unrecorded`: a succession is not on record, or is wrong there.
            `ledger.log_key_retired`: the key that signs was retired.
    """
    listed, place, retired = [one.text() for one in keys.successions], 0, set[object]()
    for facts in acts:
        if facts.get("action") == "retire":
            retired.add(facts.get("old"))
            continue
        said = [facts.get(name) for name in ("old", "new", "by_old", "by_new")]
        line = " ".join(str(one) if one else NOBODY for one in said)
        Succession.parse(line).check(keys.origin)
        if place < len(listed) and line != listed[place]:
            raise _unrecorded()
        place += 1
    if place < len(listed):
        raise _unrecorded()
    if keys.newest.hex() in retired:
        raise corrupt(
            "log_key_retired",
            zh=f"签名的日志密钥 {key_id_of(keys.newest)} 已在日志中停用。",
            en=f"The key {key_id_of(keys.newest)} that signs was retired, as the log itself says.",
            key_id=key_id_of(keys.newest),
        )


class PinnedKeys:
    """The log's keys as somebody who pinned one follows them. `keep` is called with what was learned."""

    def __init__(self, keys: LogKeys, *, keep: Callable[[LogKeys], None] = lambda _: None) -> None:
        self._keys = keys
        self._keep = keep

    @property
    def known(self) -> LogKeys:
        """The keys that are believed."""
        return self._keys

    def open(self, note: Note, fetch: Callable[[str], bytes]) -> Checkpoint:
        """Return the checkpoint in a note that the log signed, asking it for newer keys where none known did.

        Raises:
            Corrupt: it is malformed, of another log, or signed by no key that the newest known one vouches for.
        """
        claimed = Checkpoint.parse(note.text).origin
        keys = self._keys
        named = {(one.name, one.key_id) for one in note.signatures}
        known = {(claimed, log_key_of(claimed, key).key_id) for key in keys.all}
        if claimed == keys.origin and not named & known:
            self.follow(fetch)
        return open_by(note, self._keys.all, origin=keys.origin)[0]

    def follow(self, fetch: Callable[[str], bytes]) -> LogKeys:
        """Ask the log (`fetch` gives its file `keys`) for the keys after those known, and believe what is vouched for.

        Raises:
            Corrupt: the chain is broken, of another log, or does not begin at a known key.
        """
        told = LogKeys.parse(fetch("keys"))
        if told.origin != self._keys.origin:
            raise _malformed()
        later = told.since(self._keys.newest)
        if later.successions:
            joined = (*self._keys.successions, *later.successions)
            self._keys = LogKeys.of(told.origin, later.newest, joined)
            self._keep(self._keys)
        return self._keys


def _unrecorded() -> Exception:
    return corrupt(
        "log_keys_unrecorded",
        zh="所列的日志密钥更替没有记入日志，或与日志所记的不同。",
        en="A succession of the log's keys that is told of is not on record in the log, or stands there otherwise.",
    )


def _malformed() -> Exception:
    return corrupt(
        "log_keys_malformed",
        zh="日志密钥的更替记录不完整或格式不对。",
        en="The account of the log's keys is malformed, or one does not follow the other.",
    )
