"""A build starts from the one before only if nothing but batches and decisions differs; else it says why not."""

from pathlib import Path

import pytest

from datong.library import LibraryKind, WholeReason
from datong.library.increment import Basis, choose, weigh, write_basis

DIGESTS = {"platform": "1", "definition": "2", "norms": "3", "sources": "4"}
ONE, OTHER = ("b1", 1, "increment", 0, ""), ("b2", 2, "increment", 0, "")
BASIS = Basis(digests=DIGESTS, batches=((ONE, OTHER), (ONE,)))


@pytest.fixture
def former(tmp_path: Path) -> Path:
    folder = tmp_path / "build-1"
    (folder / "conform").mkdir(parents=True)
    write_basis(Basis(digests=DIGESTS, batches=((ONE,), (OTHER,))), folder / "conform")
    return folder


def chosen(former: Path | None, basis: Basis = BASIS, kind: LibraryKind = LibraryKind.LINKED) -> Basis:
    return choose(basis, kind, former, grows=True, whole=False)


def test_the_former_build_is_the_base_where_nothing_else_changed(former: Path) -> None:
    found = chosen(former)
    assert (found.base, found.reason) == ("build-1", None)
    known = Basis(digests=DIGESTS, batches=((ONE,), (OTHER,)))
    assert [found.known_batches(number, known) for number in (0, 1)] == [1, None]


@pytest.mark.parametrize("aspect", sorted(DIGESTS))
def test_each_aspect_that_changed_is_named(former: Path, aspect: str) -> None:
    found = chosen(former, BASIS.model_copy(update={"digests": DIGESTS | {aspect: "other"}}))
    assert (found.base, found.reason) == (None, WholeReason(aspect))


def test_other_reasons(former: Path, tmp_path: Path) -> None:
    assert chosen(None).reason is WholeReason.FIRST
    assert chosen(former, kind=LibraryKind.REFERENCE).reason is WholeReason.KIND
    assert chosen(tmp_path / "gone").reason is WholeReason.FILES
    assert choose(BASIS, LibraryKind.KEYED, former, grows=False, whole=False).reason is WholeReason.ENGINE
    assert choose(BASIS, LibraryKind.KEYED, former, grows=True, whole=True).reason is WholeReason.ASKED
    assert all(reason.meaning.zh and reason.meaning.en for reason in WholeReason)


def test_too_many_changed_records_make_everything_anew(former: Path) -> None:
    found = chosen(former)
    assert weigh(found, changed=30, records=100, share_max=0.3).base == "build-1"
    assert weigh(found, changed=31, records=100, share_max=0.3).reason is WholeReason.SHARE
