import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Corrupt
from datong.ledger.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash_of,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from datong.ledger.tiles import TileBuilder, TilePath, TileReader, tiles_of
from tests.unit.ledger import oracle

# Inputs and roots of the reference implementations' common test vector (certificate-transparency, transparency-dev).
VECTOR = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
    bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]  # fmt: skip
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree(leaves: list[bytes]) -> tuple[TileBuilder, TileReader]:
    builder = TileBuilder()
    files = {str(tile): content for leaf in leaves for tile, content in builder.add(leaf_hash_of(leaf))}
    files |= {str(tile): content for tile, content in builder.partials()}
    assert set(files) == {str(tile) for tile in tiles_of(len(leaves)) if tile.level is not None}
    return builder, TileReader(len(leaves), files.__getitem__)


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(count)]


def test_reference_vector() -> None:
    for size, expected in enumerate(VECTOR_ROOTS, 1):
        builder, reader = tree(VECTOR[:size])
        assert builder.root().hex() == root_of(size, reader.subtree).hex() == expected


def test_empty_tree() -> None:
    assert TileBuilder().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=600), st.data())
def test_proofs_are_the_oracles(leaves: list[bytes], data: st.DataObject) -> None:
    builder, reader = tree(leaves)
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    old_size = data.draw(st.integers(1, size))
    root, old_root = oracle.root(leaves[:size]), oracle.root(leaves[:old_size])
    assert builder.root() == oracle.root(leaves)
    assert root_of(size, reader.subtree) == root

    inclusion = inclusion_proof(index, size, reader.subtree)
    assert inclusion == oracle.path(index, leaves[:size])
    verify_inclusion(leaf_hash=leaf_hash_of(leaves[index]), index=index, size=size, proof=inclusion, root=root)

    consistency = consistency_proof(old_size, size, reader.subtree)
    assert consistency == oracle.proof(old_size, leaves[:size])
    verify_consistency(old_size=old_size, old_root=old_root, size=size, root=root, proof=consistency)


@given(st.integers(1, 300), st.data())
def test_a_changed_proof_is_refused(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    root = oracle.root(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = oracle.path(index, leaves)
    leaf_hash = leaf_hash_of(leaves[index])
    change = data.draw(st.sampled_from(["longer", "shorter", "bit", "index", "leaf"]))
    if change == "longer":
        proof = [*proof, root]
    elif change in {"shorter", "bit"} and proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        changed = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        proof = proof[:place] + ([changed] if change == "bit" else []) + proof[place + 1 :]
    elif change == "index" and size > 1:
        index = (index + 1) % size
    else:
        leaf_hash = leaf_hash_of(b"another leaf")
    with pytest.raises(Corrupt):
        verify_inclusion(leaf_hash=leaf_hash, index=index, size=size, proof=proof, root=root)


@given(st.integers(2, 300), st.data())
def test_a_changed_consistency_proof_is_refused(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    old_size = data.draw(st.integers(1, size - 1))
    proof = oracle.proof(old_size, leaves)
    old_root, root = oracle.root(leaves[:old_size]), oracle.root(leaves)
    place = data.draw(st.integers(0, len(proof) - 1))
    changed = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    for wrong in (
        [*proof, root],
        proof[:-1],
        [],
        proof[:place] + [changed] + proof[place + 1 :],
    ):
        with pytest.raises(Corrupt):
            verify_consistency(old_size=old_size, old_root=old_root, size=size, root=root, proof=wrong)
    with pytest.raises(Corrupt):
        verify_consistency(old_size=old_size, old_root=root, size=size, root=root, proof=proof)


@pytest.mark.parametrize(
    ("index", "size", "leaf_hash", "root", "proof"),
    [
        (0, 0, b"\0" * 32, EMPTY_ROOT, []),
        (0, 0, b"", b"", []),
        (0, 1, b"", b"", []),
        (0, 1, EMPTY_ROOT, b"", []),
        (0, 1, b"", EMPTY_ROOT, []),
        (1, 1, EMPTY_ROOT, EMPTY_ROOT, []),
        (-1, 1, EMPTY_ROOT, EMPTY_ROOT, []),
        (0, 1, EMPTY_ROOT, EMPTY_ROOT, [b""]),
        (0, 1, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT]),
        (0, 2**70, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT] * 70),
    ],
)
def test_impossible_inclusion(index: int, size: int, leaf_hash: bytes, root: bytes, proof: list[bytes]) -> None:
    with pytest.raises(Corrupt):
        verify_inclusion(leaf_hash=leaf_hash, index=index, size=size, proof=proof, root=root)


@pytest.mark.parametrize(
    ("old_size", "size", "old_root", "root", "proof"),
    [
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, []),
        (0, 1, EMPTY_ROOT, b"\1" * 32, []),
        (0, 1, b"", b"", []),
        (1, 1, b"", b"", []),
        (1, 0, EMPTY_ROOT, EMPTY_ROOT, []),
        (2, 1, EMPTY_ROOT, EMPTY_ROOT, []),
        (1, 1, EMPTY_ROOT, b"\1" * 32, []),
        (1, 1, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT]),
        (3, 4, EMPTY_ROOT, EMPTY_ROOT, []),
        (1, 2, EMPTY_ROOT, EMPTY_ROOT, [b""]),
    ],
)
def test_impossible_consistency(old_size: int, size: int, old_root: bytes, root: bytes, proof: list[bytes]) -> None:
    with pytest.raises(Corrupt):
        verify_consistency(old_size=old_size, old_root=old_root, size=size, root=root, proof=proof)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_a_builder_goes_on_from_the_edge_of_a_published_tree(size: int) -> None:
    leaves = numbered(size)
    whole, reader = tree(leaves)
    resumed = TileBuilder(size, reader.edge())
    assert resumed.root() == whole.root()
    assert resumed.partials() == whole.partials()
    more = leaf_hash_of(b"one more")
    assert resumed.add(more) == whole.add(more)
    assert resumed.root() == whole.root()
    assert root_of(size, reader.subtree) != resumed.root()
    assert all(isinstance(tile, TilePath) for tile, _ in whole.partials())
