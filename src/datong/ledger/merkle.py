"""The Merkle tree of RFC 6962 §2.1: hashes, proofs and their verification (RFC 9162 §2.1.3.2, §2.1.4.2). Pure."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from datong.ledger.faults import corrupt

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
PROOF_HASHES_MAX = 64

SubtreeHash = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree: (level, index) is the one over leaves index·2^level to (index+1)·2^level."""


def leaf_hash_of(leaf: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of sibling hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[place], level[place + 1]) for place in range(0, len(level), 2)]
    return level[0]


def split_of(count: int) -> int:
    """Return the largest power of two smaller than `count` (RFC 6962's k)."""
    return 1 << ((count - 1).bit_length() - 1)


def range_hash(begin: int, end: int, subtree: SubtreeHash) -> bytes:
    """Return MTH of the leaves from `begin` to `end`, a range that RFC 6962 splits off; at least one leaf."""
    count = end - begin
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return subtree(level, begin >> level)
    middle = begin + split_of(count)
    return node_hash(range_hash(begin, middle, subtree), range_hash(middle, end, subtree))


def root_of(size: int, subtree: SubtreeHash) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962 §2.1.1, lowest node first; `index` is below `size`."""
    begin, end = 0, size
    proof: list[bytes] = []
    while end - begin > 1:
        middle = begin + split_of(end - begin)
        if index < middle:
            proof.append(range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(range_hash(begin, middle, subtree))
            begin = middle
    return proof[::-1]


def consistency_proof(old_size: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Return PROOF(old_size, D[size]) of RFC 6962 §2.1.2; 0 < `old_size` <= `size`."""
    begin, end = 0, size
    proof: list[bytes] = []
    while old_size < end:
        middle = begin + split_of(end - begin)
        if old_size <= middle:
            proof.append(range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(range_hash(begin, middle, subtree))
            begin = middle
    if begin > 0:
        proof.append(range_hash(begin, end, subtree))
    return proof[::-1]


def verify_inclusion(*, leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf is at `index` of the tree of `size` leaves with this `root`.

    Raises:
        Corrupt: it is not, or something has an impossible size (an empty tree includes nothing; a hash has 32 bytes).
    """
    _check_hashes(leaf_hash, root, *proof)
    if not 0 <= index < size:
        raise corrupt(
            "proof_malformed",
            zh=f"序号 {index} 不在大小为 {size} 的日志之内。",
            en=f"Index {index} is not within a log of size {size}.",
            index=index,
            size=size,
        )
    computed = leaf_hash
    for sibling, left in _climb(index, size - 1, proof):
        computed = node_hash(sibling, computed) if left else node_hash(computed, sibling)
    if computed != root:
        raise corrupt(
            "inclusion_wrong",
            zh=f"第 {index} 号条目不在检查点（大小 {size}）所签的日志之中：由证明算出的根与检查点不同。",
            en=f"Entry {index} is not in the log of size {size} that the checkpoint signs: the proof leads to another"
            " root.",
            index=index,
            size=size,
        )


def verify_consistency(*, old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `size` leaves begins with the tree of `old_size` leaves.

    Raises:
        Corrupt: it does not, or something has an impossible size (nothing is proved about an empty tree).
    """
    _check_hashes(old_root, root, *proof)
    if not 0 < old_size <= size:
        raise corrupt(
            "proof_malformed",
            zh=f"无法证明大小 {old_size} 与 {size} 的日志之间的一致性。",
            en=f"Consistency between logs of sizes {old_size} and {size} cannot be proved.",
            old_size=old_size,
            size=size,
        )
    if old_size == size:
        if proof:
            raise _wrong_length(len(proof))
        if old_root != root:
            raise _inconsistent(old_size, size)
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise _wrong_length(0)
    complete = ((old_size - 1) ^ old_size).bit_length() - 1
    old_computed = computed = path[0]
    for sibling, left in _climb((old_size - 1) >> complete, (size - 1) >> complete, path[1:]):
        if left:
            old_computed = node_hash(sibling, old_computed)
        computed = node_hash(sibling, computed) if left else node_hash(computed, sibling)
    if old_computed != old_root or computed != root:
        raise _inconsistent(old_size, size)


def _check_hashes(*hashes: bytes) -> None:
    if len(hashes) > PROOF_HASHES_MAX + 2:
        raise _wrong_length(len(hashes))
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise corrupt(
                "hash_malformed",
                zh=f"SHA-256 摘要应为 {HASH_BYTES} 字节，实际为 {len(value)} 字节。",
                en=f"A SHA-256 hash has {HASH_BYTES} bytes; this one has {len(value)}.",
            )


def _climb(node: int, last: int, siblings: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each sibling on the way from `node` to the root, and whether it stands to the left.

    `last` is the last node of the same level. Raises Corrupt if the siblings do not lead exactly to the root.
    """
    for sibling in siblings:
        if last == 0:
            raise _wrong_length(len(siblings))
        left = bool(node & 1) or node == last
        yield sibling, left
        while left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if last != 0:
        raise _wrong_length(len(siblings))


def _wrong_length(count: int) -> Exception:
    return corrupt(
        "proof_malformed",
        zh=f"证明中的摘要个数（{count}）不对。",
        en=f"The proof has a wrong number of hashes ({count}).",
    )


def _inconsistent(old_size: int, size: int) -> Exception:
    return corrupt(
        "inconsistent",
        zh=f"大小为 {size} 的日志不以先前大小为 {old_size} 的日志开头：历史被改写了。",
        en=f"The log of size {size} does not begin with the earlier log of size {old_size}: history was rewritten.",
        old_size=old_size,
        size=size,
    )
