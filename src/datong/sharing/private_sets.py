"""Private set intersection by commuting exponents (ECDH-PSI, after Meadows 1986 and Huberman, Franklin, Hogg 1999).

The group is ristretto255 (RFC 9496) of libsodium, through rbcl; values become points as in RFC 9497's
ristretto255-SHA512, by hashing to 64 uniform bytes. Each side raises points to a secret of its own, and
H(x)^a^b = H(x)^b^a: equal values become equal points under both secrets, and nobody with one secret learns the other's
values (decisional Diffie–Hellman, random oracle, semi-honest parties). A point that is none of the group is refused.
"""

import hashlib
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Protocol, TypeVar, cast

from datong.kernel import Corrupt, Misconfigured, Text

POINT_BYTES = SECRET_BYTES = 32
INDEX_BYTES = 4
_LABEL = b"datong private matching 1\x1f"
THREADS_MAX = 4
SLICE_POINTS = 2_000


_Thing = TypeVar("_Thing")


class Group(Protocol):
    """What is needed of a prime-order group: libsodium's ristretto255, by rbcl's names."""

    def crypto_core_ristretto255_from_hash(self, h: bytes) -> bytes:
        """Return the point of 64 uniform bytes."""
        ...

    def crypto_scalarmult_ristretto255(self, s: bytes, p: bytes) -> bytes:
        """Return a point raised to a secret."""
        ...

    def crypto_core_ristretto255_scalar_random(self) -> bytes:
        """Return a secret, not zero."""
        ...


def group() -> Group:
    """Return the group.

    Raises:
        Misconfigured: this node was installed without the extra `psi`.
    """
    try:
        return cast("Group", import_module("rbcl"))
    except ImportError as error:
        raise Misconfigured(
            "sharing.psi_missing",
            what=Text(zh="本机未安装隐私求交组件。", en="This machine has no library for private matching."),
            remedy=Text(zh="请安装 datong[psi]。", en="Install datong[psi]."),
        ) from error


def new_secret() -> bytes:
    """Return a secret for one matching: it must never be used with another set."""
    return bytes(group().crypto_core_ristretto255_scalar_random())


def blinded(values: Sequence[str], secret: bytes, context: str) -> bytes:
    """Return the points of `values` under `secret`, one after the other, in their order.

    `context` belongs to one matching: the same value has another point in every other.
    """
    base = group()
    prefix = _LABEL + context.encode() + b"\x1f"

    def points(some: Sequence[str]) -> bytes:
        hashed = (hashlib.sha512(prefix + value.encode()).digest() for value in some)
        raised = (
            base.crypto_scalarmult_ristretto255(secret, base.crypto_core_ristretto255_from_hash(one)) for one in hashed
        )
        return b"".join(raised)

    return _in_slices(values, points)


def raised(points: bytes, secret: bytes) -> bytes:
    """Return somebody's points under `secret` as well, in their order.

    Raises:
        Corrupt: they are not points of the group, or the same one stands twice.
    """
    base = group()
    each = split(points)

    def raise_some(some: Sequence[bytes]) -> bytes:
        try:
            return b"".join(base.crypto_scalarmult_ristretto255(secret, one) for one in some)
        except (RuntimeError, ValueError, TypeError) as error:
            raise malformed() from error

    return _in_slices(each, raise_some)


def split(points: bytes) -> list[bytes]:
    """Return points one by one.

    Raises:
        Corrupt: they have not the length of points, or the same one stands twice.
    """
    each = [points[at : at + POINT_BYTES] for at in range(0, len(points), POINT_BYTES)]
    if len(points) % POINT_BYTES or len(set(each)) != len(each):
        raise malformed()
    return each


def new_order(size: int) -> list[int]:
    """Return a random order of `size` things, from the operating system's randomness."""
    order = list(range(size))
    random.SystemRandom().shuffle(order)
    return order


def ordered(points: bytes, order: Sequence[int]) -> bytes:
    """Return points in another order: the first is that at place `order[0]`."""
    each = split(points)
    return b"".join(each[place] for place in order)


def common_places(own: bytes, theirs: bytes) -> list[int]:
    """Return the places of `own` whose points are among `theirs`; both are under both secrets.

    Raises:
        Corrupt: see `split`.
    """
    known = set(split(theirs))
    return [place for place, point in enumerate(split(own)) if point in known]


def packed_order(order: Sequence[int]) -> bytes:
    """Return an order as bytes."""
    return b"".join(place.to_bytes(INDEX_BYTES, "big") for place in order)


def read_order(data: bytes, size: int) -> list[int]:
    """Return the order that `packed_order` packed.

    Raises:
        Corrupt: it is no order of `size` things.
    """
    order = [int.from_bytes(data[at : at + INDEX_BYTES], "big") for at in range(0, len(data), INDEX_BYTES)]
    if len(data) != size * INDEX_BYTES or sorted(order) != list(range(size)):
        raise malformed()
    return order


def values_digest(values: Iterable[str]) -> str:
    """Return what a secret is bound to: the digest of the set that it is used with."""
    found = hashlib.sha256()
    for value in values:
        coded = value.encode()
        found.update(len(coded).to_bytes(4, "big") + coded)
    return found.hexdigest()


def new_token() -> str:
    """Return a random context for one matching."""
    return secrets.token_hex(16)


def malformed() -> Corrupt:
    """Return the error of what the other side sent and what nobody honest sends."""
    return Corrupt(
        "sharing.matching_malformed",
        what=Text(zh="对方发来的求交数据不合规。", en="What the other side sent is no part of a private matching."),
        remedy=Text(zh="本次求交已作废，请与对方核查前置机。", en="The matching is void: look into both nodes."),
    )


def _in_slices(things: Sequence[_Thing], work: Callable[[Sequence[_Thing]], bytes]) -> bytes:
    """Do work on slices side by side: libsodium works without Python's lock."""
    slices = [things[at : at + SLICE_POINTS] for at in range(0, len(things), SLICE_POINTS)]
    with ThreadPoolExecutor(max_workers=THREADS_MAX) as pool:
        return b"".join(pool.map(work, slices))
