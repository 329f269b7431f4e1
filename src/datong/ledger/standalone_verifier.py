#!/usr/bin/env python3
"""Verify a Datong log or proof with nothing but Python and `cryptography` · 只凭 Python 和 cryptography 验证存证.

    python verify.py log/       --key <the log's public key, base64 or hex>     an exported log, or the .tar of it
    python verify.py 2026-10.0-512.shard --key <the log's public key>           an archived month
    python verify.py proof.json --key <the log's public key>                    the proof of one entry
    python verify.py split-view.json --key <the log's public key>               the proof that it showed two histories

It shares no code with the platform: it was written from docs/ledger.md and the C2SP specifications, so that who doubts
the platform's own verifier has another. It ends with 0 and says what was proved, or with 1 and says what is wrong.
"""

import argparse
import base64
import hashlib
import json
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, WITNESS = b"\x01", b"\x04"
WIDTH, HASH, SALT = 256, 32, 16
UNPACKED_MIN, UNPACKED_TIMES, MEMBERS = 64 << 20, 100, 2_000_000
"""An archive may unpack to a hundred times its size (a small one to 64 MiB), and to so many files and folders."""
FILE_MAX = 32 << 20
"""A file of the log in a shard: 256 entries of 65,535 bytes and their lengths are less."""


def fail(zh: str, en: str) -> NoReturn:
    """End: something is wrong."""
    sys.exit(f"✗ {zh}\n✗ {en}")


def decoded(text: object) -> bytes:
    """Return the bytes of a base64 text in its only right form."""
    try:
        data = base64.b64decode(str(text), validate=True)
    except ValueError:
        data = None
    if data is None or base64.b64encode(data).decode() != text:
        fail(f"不是 base64：{text!s:.40}", f"not base64: {text!s:.40}")
    return data


def verified(key: bytes, message: bytes, signature: bytes, who: str) -> None:
    """Check an Ed25519 signature."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        fail(f"{who} 的签名不对", f"the signature of {who} is wrong")


def open_note(note: str, log_key: bytes, witnesses: dict[str, bytes]) -> tuple[int, bytes, list[str]]:
    """Return size, root and witnesses of a checkpoint; each signature under it must be right and of somebody known."""
    body, separator, lines = note.rpartition("\n\n")
    text = body + "\n"
    parts = text.split("\n")
    if not separator or len(parts) != 4 or not parts[1].isdecimal() or str(int(parts[1])) != parts[1]:
        fail("检查点格式不对", "the checkpoint is malformed")
    origin, size, root = parts[0], int(parts[1]), decoded(parts[2])
    known = {origin: (LOG, log_key)} | {name: (WITNESS, key) for name, key in witnesses.items()}
    signed = []
    for line in lines.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.rpartition(" ")
        data = decoded(encoded)
        if dash != "—" or name not in known:
            fail(f"不认识的签名：{name}", f"a signature of nobody known: {name}")
        kind, key = known[name]
        if data[:4] != key_id(name, kind, key):
            fail(f"{name} 的密钥编号不对", f"the key id of {name} is wrong")
        if kind == LOG:
            verified(key, text.encode(), data[4:], name)
        else:
            seconds = int.from_bytes(data[4:12], "big")
            verified(key, f"cosignature/v1\ntime {seconds}\n{text}".encode(), data[12:], name)
        signed.append(name)
    if sorted(signed) != sorted(set(signed)) or origin not in signed:
        fail("日志没有签这个检查点，或有人签了两次", "the log did not sign this checkpoint, or somebody signed twice")
    return size, root, sorted(set(signed) - {origin})


def signer_among(keys: list[bytes], note: str) -> bytes:
    """Return which of the log's keys a checkpoint names; the newest if it names none."""
    origin = note.partition("\n")[0]
    named = [line.split(" ")[-1] for line in note.splitlines() if line.startswith(f"— {origin} ")]
    ids = {decoded(encoded)[:4] for encoded in named}
    return next((key for key in keys if key_id(origin, LOG, key) in ids), keys[-1])


def key_id(name: str, kind: bytes, key: bytes) -> bytes:
    """Return the four bytes by which a signature names its key."""
    return hashlib.sha256(name.encode() + b"\n" + kind + key).digest()[:4]


def read_key(text: str, kind: bytes) -> tuple[str, bytes]:
    """Return name and key of a `name+id+key` text."""
    name, identity, encoded = text.split("+", 2)
    key = decoded(encoded)
    if key[:1] != kind or len(key) != 1 + HASH or key_id(name, kind, key[1:]).hex() != identity:
        fail(f"{name} 的公钥格式不对", f"the key of {name} is malformed")
    return name, key[1:]


def same_hands(key: bytes, origin: str, newest: bytes, lines: list[str]) -> list[bytes]:
    """Check how the log's keys followed each other; return `key` and those before and after it, the newest last.

    Each line is a succession: the old key, the new key, the signatures of both over it, in hexadecimal. A "-" for that
    of the old key means that others may have held it: what lies beyond such a line is not returned.
    """
    runs, new = [[newest]], newest
    for line in reversed(lines):
        old, said, by_old, by_new = line.split(" ")
        message = f"datong.log-key/1\nreplace\n{origin}\n{old}\n{said}\n".encode()
        if bytes.fromhex(said) != new or any(bytes.fromhex(old) in run for run in runs):
            fail("日志密钥的更替不连贯", "one key of the log does not follow the other")
        verified(new, message, bytes.fromhex(by_new), "the log's new key")
        new = bytes.fromhex(old)
        if by_old == "-":
            runs.append([new])
            continue
        verified(new, message, bytes.fromhex(by_old), "the log's old key")
        runs[-1].insert(0, new)
    for run in runs:
        if key in run:
            return run
    fail("文件中的日志公钥与所给的不同", "the log's key in the files is not the one given, nor vouched for by it")


def require_trusted(key: bytes, origin: str, newest: bytes, lines: list[str]) -> None:
    """Check that the newest key is the one that is trusted, or that this one vouches for it."""
    if same_hands(key, origin, newest, lines)[-1] != newest:
        fail(
            "所给的日志公钥已被紧急更换：请另行核实新公钥",
            "the key given was replaced in an emergency: ask for the new one",
        )


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two (RFC 6962)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The Merkle tree of the entries read so far: roots of the full subtrees, largest first, with their heights."""

    def __init__(self) -> None:
        self.full: list[tuple[int, bytes]] = []

    def add(self, value: bytes, height: int = 0) -> None:
        """Add a leaf's hash, or the root of a full subtree of 2^height leaves."""
        while self.full and self.full[-1][0] == height:
            value, height = node_hash(self.full.pop()[1], value), height + 1
        self.full.append((height, value))

    def root(self) -> bytes:
        """Return the root."""
        if not self.full:
            return hashlib.sha256(b"").digest()
        value = self.full[-1][1]
        for _, left in reversed(self.full[:-1]):
            value = node_hash(left, value)
        return value


def tile_name(level: int | str, number: int, width: int) -> str:
    """Return the file of a tile (C2SP tlog-tiles)."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < WIDTH else "")


class Export:
    """An exported log in a folder; each file that is read is remembered, so that none is left over."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder, self.names, self.acts = folder, set[str](), list[dict[str, Any]]()
        document = json.loads(self.read("keys.json"))
        self.origin, self.key = read_key(document["log"], LOG)
        self.successions = document.get("successions", [])
        require_trusted(key, self.origin, self.key, self.successions)
        self.witnesses = dict(read_key(text, WITNESS) for text in document["witnesses"])

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        self.names.add(name)
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            fail(f"缺少文件 {name}", f"the file {name} is missing")

    def checkpoint(self, name: str) -> tuple[int, bytes, list[str]]:
        """Return what a signed checkpoint says, verified."""
        note = self.read(name).decode()
        signed = {witness: key for witness, key in self.witnesses.items() if f"— {witness} " in note}
        return open_note(note, self.key, signed)

    def entries(self, size: int, roots: dict[int, bytes]) -> list[bytes]:
        """Check the entries against the roots and the lowest tiles; return the roots of the full lowest tiles."""
        tree, above = Tree(), list[bytes]()
        for begin in range(0, size, WIDTH):
            width, at, row = min(WIDTH, size - begin), 0, list[bytes]()
            name = tile_name("entries", begin // WIDTH, width)
            data = self.read(name)
            for index in range(begin, begin + width):
                length = int.from_bytes(data[at : at + 2], "big")
                entry = data[at + 2 : at + 2 + length]
                if b'"kind":"ledger.key"' in entry and (said := json.loads(entry))["kind"] == "ledger.key":
                    self.acts.append(said["facts"])
                row.append(leaf_hash(entry))
                tree.add(row[-1])
                at += 2 + length
                if roots.get(index + 1, b"") not in {b"", tree.root() if index + 1 in roots else b""}:
                    fail(f"前 {index + 1} 条不是所签的那些", f"the first {index + 1} entries are not those signed")
            if at != len(data):
                fail(f"{name} 的长度不对", f"{name} has a wrong length")
            above += self.tile(0, begin // WIDTH, row)
        return above

    def check_keys(self) -> None:
        """Check that the log has on record how its keys followed each other, and has not retired the one that signs."""
        made = [one for one in self.acts if one["action"] == "replace"]
        lines = [f"{one['old']} {one['new']} {one['by_old'] or '-'} {one['by_new']}" for one in made]
        if lines[: len(self.successions)] != self.successions:
            fail("日志密钥的更替没有记入日志", "how the log's keys followed each other is not on record in it")
        if made:
            newest = bytes.fromhex(made[-1]["new"])
            same_hands(newest, self.origin, newest, lines)
        if any(one["action"] == "retire" and one["old"] == self.key.hex() for one in self.acts):
            fail("签名的日志密钥已在日志中停用", "the key that signs was retired, as the log itself says")

    def tile(self, level: int, number: int, row: list[bytes]) -> list[bytes]:
        """Check a tile of hashes; return its root if it is full."""
        name = tile_name(level, number, len(row))
        if self.read(name) != b"".join(row):
            fail(f"{name} 与条目不符", f"{name} is not what the entries lead to")
        tree = Tree()
        for value in row:
            tree.add(value)
        return [tree.root()] if len(row) == WIDTH else []

    def verify(self) -> str:
        """Check everything; return what was proved."""
        size, root, witnesses = self.checkpoint("checkpoint")
        roots = {0: root} if size == 0 else {size: root}
        for path in sorted(self.folder.glob("cosigned/*")):
            earlier, other, cosigned = self.checkpoint(f"cosigned/{path.name}")
            roots[earlier], witnesses = other, witnesses + cosigned
        row, level = self.entries(size, roots), 1
        while row:
            tiles = (self.tile(level, at // WIDTH, row[at : at + WIDTH]) for at in range(0, len(row), WIDTH))
            row, level = [value for found in tiles for value in found], level + 1
        self.check_keys()
        left = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}
        if left - self.names:
            fail(f"多余的文件 {min(left - self.names)}", f"a file that does not belong: {min(left - self.names)}")
        named = ", ".join(sorted(set(witnesses)))
        return f"{size} 条存证，由下列各方见证 · {size} entries, witnessed by: {named}"


class Shard(Export):
    """A month of the log in one file: the entries of some full tiles, and the tree from there to the signed root."""

    def __init__(self, archive: zipfile.ZipFile, key: bytes) -> None:
        self.archive = archive
        super().__init__(Path(), key)

    def read(self, name: str) -> bytes:
        """Return the content of a file in the archive."""
        self.names.add(name)
        if name not in self.archive.namelist():
            fail(f"缺少文件 {name}", f"the file {name} is missing")
        if self.archive.getinfo(name).file_size > FILE_MAX:
            fail(f"文件 {name} 过大", f"the file {name} is too large")
        return self.archive.read(name)

    def hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """Return the hashes in a tile."""
        name = tile_name(level, number, width)
        data = self.read(name)
        if len(data) != width * HASH:
            fail(f"{name} 的长度不对", f"{name} has a wrong length")
        return [data[at : at + HASH] for at in range(0, len(data), HASH)]

    def verify(self) -> str:
        """Check the tree above the entries against the signed root, and the entries against the tree."""
        size, root, witnesses = self.checkpoint("checkpoint")
        said = json.loads(self.read("shard.json"))
        begin, end = said["begin"], said["end"]
        if not 0 <= begin < end <= size or begin % WIDTH or end % WIDTH:
            fail("shard.json 所称的范围不对", "shard.json tells of an impossible range")
        # The roots of all full lowest tiles lead, with the last partial one, to the signed root.
        full, tree = size // WIDTH, Tree()
        tiles = [self.hashes(1, at // WIDTH, min(WIDTH, full - at)) for at in range(0, full, WIDTH)]
        above = [value for tile in tiles for value in tile]
        for value in above:
            tree.add(value, 8)
        for value in self.hashes(0, full, size % WIDTH) if size % WIDTH else []:
            tree.add(value)
        if tree.root() != root:
            fail("哈希瓦片不通向所签的根", "the tiles do not lead to the signed root")
        row, level = above, 1
        while row:
            found = [self.tile(level, at // WIDTH, row[at : at + WIDTH]) for at in range(0, len(row), WIDTH)]
            row, level = [value for one in found for value in one], level + 1
        for number in range(begin // WIDTH, end // WIDTH):
            name, at, leaves = tile_name("entries", number, WIDTH), 0, list[bytes]()
            data = self.read(name)
            for _ in range(WIDTH):
                length = int.from_bytes(data[at : at + 2], "big")
                leaves.append(leaf_hash(data[at + 2 : at + 2 + length]))
                at += 2 + length
            if at != len(data) or self.tile(0, number, leaves) != [above[number]]:
                fail(f"{name} 不是所签的条目", f"{name} does not hold the entries that were signed")
        if set(self.archive.namelist()) - self.names:
            left = min(set(self.archive.namelist()) - self.names)
            fail(f"多余的文件 {left}", f"a file that does not belong: {left}")
        named = ", ".join(witnesses)
        return f"{said['month']} 的第 {begin} 至 {end - 1} 条存证 · entries {begin} to {end - 1}, witnessed by: {named}"


def verify_proof(proof: dict[str, Any], key: bytes) -> str:
    """Check the proof of one entry, and each value that it discloses."""
    signer, origin = decoded(proof["log_key"]), proof["checkpoint"].partition("\n")[0]
    if proof["type"] != "datong.ledger.proof/1":
        fail("不是这个日志的证明", "this is no proof of this log")
    require_trusted(key, origin, signer, proof.get("successions", []))
    witnesses = {one["name"]: decoded(one["key"]) for one in proof["witnesses"]}
    size, root, signed = open_note(proof["checkpoint"], signer, witnesses)
    entry, index = decoded(proof["leaf"]), proof["index"]
    if not 0 <= index < size:
        fail("序号不在日志之内", "the index is not within the log")
    value, node, last = leaf_hash(entry), index, size - 1
    for sibling in map(decoded, proof["proof"]):
        if last == 0:
            fail("证明过长", "the proof is too long")
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    if last or value != root:
        fail(f"第 {index} 号条目不在日志中", f"entry {index} is not in the log")
    check_disclosures(proof["disclosures"], json.loads(entry)["facts"])
    return f"第 {index} 号条目在日志中 · entry {index} is in the log of {size} ({', '.join(signed)}): {entry.decode()}"


def verify_split(split: dict[str, Any], key: bytes) -> str:
    """Check the proof that the log signed two histories: the larger tree does not begin with the smaller."""
    if split["type"] != "datong.ledger.split/1":
        fail("不是这个日志的证明", "this is no proof of this log")
    origin = split["smaller"].partition("\n")[0]
    keys = same_hands(key, origin, decoded(split["log_key"]), split.get("successions", []))
    size, signed, _ = open_note(split["smaller"], signer_among(keys, split["smaller"]), {})
    larger, root, _ = open_note(split["larger"], signer_among(keys, split["larger"]), {})
    same_origin = split["smaller"].partition("\n")[0] == split["larger"].partition("\n")[0]
    shown = root if size == larger else decoded(split["larger_began_with"])
    if size < larger and not consistent(size, shown, larger, root, [decoded(one) for one in split["proof"]]):
        fail("一致性证明不成立", "the consistency proof is wrong")
    if not same_origin or not 0 < size <= larger or shown == signed:
        fail("两个检查点并不矛盾", "both checkpoints fit together")
    return f"日志在大小 {size} 处分叉 · the log showed two histories of size {size}: {signed.hex()}, {shown.hex()}"


def consistent(old: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> bool:
    """Whether a tree of `size` with `root` begins with one of `old` with `old_root` (RFC 9162 §2.1.4.2)."""
    path = [old_root, *proof] if old & (old - 1) == 0 else proof
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for value in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(value, first), node_hash(value, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, value)
        node, last = node >> 1, last >> 1
    return last == 0 and (first, second) == (old_root, root)


def check_disclosures(disclosures: dict[str, Any], facts: dict[str, Any]) -> None:
    """Check that each disclosed value is the one that the entry commits to."""
    for name, opening in disclosures.items():
        salt, text = bytes.fromhex(opening["salt"]), opening["value"].encode()
        if len(salt) < SALT:
            fail(f"{name} 的盐过短", f"the salt of {name} is too short")
        fact = hashlib.sha256(len(salt).to_bytes(2, "big") + salt + text).hexdigest()
        if "among" in opening:
            branch, others = opening["among"]["branch"], opening["among"]["others"]
            same = all(one[:3] == fact[:3] for one in branch) and branch == sorted(set(branch))
            if fact not in branch or fact[:3] in others or not same:
                fail(f"{name} 不在名单中", f"{name} is not in its list")
            branches = {**others, fact[:3]: hashlib.sha256("".join(branch).encode()).hexdigest()}
            fact = hashlib.sha256("".join(branches[one] for one in sorted(branches)).encode()).hexdigest()
        if facts.get(name) != fact:
            fail(f"{name} 的值与存证不符", f"the value of {name} is not the one in evidence")


def unpack(archive: tarfile.TarFile, root: Path, left: int) -> None:
    """Write the archive's files, `left` bytes at most, below `root`.

    By hand, since Python knows `filter="data"` from 3.11.4 on only.
    """
    for number, member in enumerate(archive):
        left -= member.size
        if left < 0 or number >= MEMBERS:
            raise tarfile.TarError(f"more comes out of it than may · 解出的内容过多: {member.name}")
        target = (root / member.name).resolve()
        if not target.is_relative_to(root) or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(member.name)
        held = archive.extractfile(member)
        if held is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(held.read())


def main() -> None:
    """Read the arguments, verify, say the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--key", required=True, help="the log's public key: base64 or hex")
    chosen = parser.parse_args()
    key = bytes.fromhex(chosen.key) if len(chosen.key) == 2 * HASH else decoded(chosen.key)
    try:
        if chosen.path.is_dir():
            told = Export(chosen.path, key).verify()
        elif chosen.path.suffix == ".shard":
            with zipfile.ZipFile(chosen.path) as archive:
                told = Shard(archive, key).verify()
        elif chosen.path.suffix == ".json":
            document = json.loads(chosen.path.read_bytes())
            told = verify_split(document, key) if "larger" in document else verify_proof(document, key)
        else:
            with tempfile.TemporaryDirectory() as folder, tarfile.open(chosen.path) as archive:
                most = max(UNPACKED_MIN, chosen.path.stat().st_size * UNPACKED_TIMES)
                unpack(archive, Path(folder).resolve(), most)
                told = Export(Path(folder), key).verify()
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        fail(f"文件格式不对：{error}", f"the file is malformed: {error}")
    sys.stdout.write(f"✓ {told}\n")


if __name__ == "__main__":
    main()
