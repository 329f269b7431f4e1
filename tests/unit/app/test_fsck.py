"""The report of `datong hub fsck` for people."""

from datong.app.fsck import AREAS, NOT_COMPARED, lines
from datong.kernel import Text
from datong.ledger import EntryKind, Fault, FsckReport


def report(*faults: Fault, omitted: int = 0) -> FsckReport:
    compared = {area.name: number for number, area in enumerate(AREAS)}
    return FsckReport(
        size=7, pending=1, checkpoints=2, cosignatures=3, compared=compared, faults=faults, omitted=omitted
    )


def test_it_ends_with_the_verdict_and_says_what_it_did_not_compare() -> None:
    told = lines(report())
    assert told[-1].startswith("✓")
    assert NOT_COMPARED
    assert all(kind in told[-2] for kind in NOT_COMPARED)
    assert EntryKind.AGREEMENT not in NOT_COMPARED


def test_faults_are_named_in_both_languages_with_their_entry() -> None:
    fault = Fault(code="ledger.x", area="sharing.agreement", key="1", index=5, what=Text(zh="甲", en="A"))
    told = lines(report(fault, omitted=2))
    assert "✗ ledger.x [#5] 甲 · A" in told
    assert told[-1].startswith("✗ 3 ")


def test_areas_have_names_of_their_own() -> None:
    assert len({area.name for area in AREAS}) == len(AREAS)
