"""A month of the log in one file: it verifies by itself, and nobody who reads the log notices."""

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.adapters.directory_store import DirectoryStore
from datong.cli.ledger import app
from datong.kernel import CHINA, Conflict, Corrupt, DatongError, Invalid, NotFound
from datong.ledger import (
    EntryKind,
    MemoryTileStore,
    Month,
    ShardedStore,
    shards_in,
    standalone_verifier,
    verify_log,
    verify_shard,
)
from datong.ledger.tiles import TilePath
from tests.unit.ledger.logs import LOG_KEY, SmallLog

FEBRUARY, MARCH = Month.parse("2026-02"), Month.parse("2026-03")
BEGUN = datetime(2026, 2, 20, tzinfo=CHINA)


class Dying(Exception):
    """The power went."""


class DyingStore(MemoryTileStore):
    """A store that fails at its n-th removal."""

    left = 10**9

    def discard(self, path: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Dying
        super().discard(path)


def two_months(folder: Path, inner: MemoryTileStore | DirectoryStore) -> SmallLog:
    """Make a log of 600 entries of February and 300 of March, in April."""
    log = SmallLog(folder, tiles=ShardedStore(inner, folder / "shards"))
    log.clock.advance(BEGUN - log.clock.now())
    log.grow(600)
    log.clock.advance(timedelta(days=20))
    log.grow(300, prefix="march")
    log.cosign()
    log.clock.advance(timedelta(days=30))
    return log


def test_archived_months_are_read_where_they_lie(tmp_path: Path) -> None:
    log = two_months(tmp_path, DirectoryStore(tmp_path / "tiles"))
    folder, before = tmp_path / "shards", set((tmp_path / "tiles").rglob("*"))
    february = log.ledger.archive(FEBRUARY, folder)
    assert (february.begin, february.end) == (0, 512)
    # What began in February and ends in March is March's.
    march = log.ledger.archive(MARCH, folder)
    assert (march.begin, march.end) == (512, 768)
    assert shards_in(folder) == [february, march]
    gone = {str(path.relative_to(tmp_path / "tiles")) for path in before - set((tmp_path / "tiles").rglob("*"))}
    assert gone == {str(tile) for shard in (february, march) for tile in shard.tiles()}
    # The log goes on, and is verified and compared as before.
    more = log.grow(300, prefix="april")
    log.cosign()
    assert log.ledger.proof_bundle(log.ledger.entries(subject="subject-7").rows[0].entry_id)["index"] == 7
    assert log.ledger.proof_bundle(more[0])
    said = [entry.facts for entry in log.ledger.entries(kind=EntryKind.SHARD).rows]
    assert [one["end"] for one in said] == [768, 512]
    assert log.ledger.fsck([]).faults == ()
    log.ledger.export(tmp_path / "export")
    assert verify_log(tmp_path / "export", log_key=LOG_KEY.public_key).size == 1202
    assert log.ledger.tile("tile/0/000.p/7") == log.ledger.tile("tile/0/000")[: 7 * 32]
    # Each shard verifies by itself.
    report = verify_shard(march.path, log_key=LOG_KEY.public_key)
    assert (report.month, report.begin, report.end, report.key_given) == ("2026-03", 512, 768, True)
    assert [witness.name for witness in verify_shard(february.path).witnesses] == ["node-1"]
    for month, name in ((february, "node-1"), (march, "node-1")):
        with zipfile.ZipFile(month.path) as archive:
            proved = standalone_verifier.Shard(archive, LOG_KEY.public_key).verify()
        assert f"entries {month.begin} to {month.end - 1}, witnessed by: {name}" in proved
    told = CliRunner().invoke(app, ["verify", str(march.path)], catch_exceptions=False, env={"DATONG_LANGUAGE": "en"})
    assert "The entries 512 to 767 of 2026-03 are in the log" in told.output
    # Brought back, it may go.
    log.ledger.restore(FEBRUARY, folder)
    february.path.unlink()
    assert log.ledger.fsck([]).faults == ()
    with pytest.raises(NotFound):
        log.ledger.restore(FEBRUARY, folder)


def test_what_is_done_to_a_shard_is_found(tmp_path: Path) -> None:
    log = two_months(tmp_path, MemoryTileStore())
    shard = log.ledger.archive(FEBRUARY, tmp_path / "shards")
    whole = shard.path.read_bytes()

    def judged(name: str, old: bytes, new: bytes) -> str:
        """Return what is said of the shard once one file in it is another."""
        changed = tmp_path / shard.path.name
        with zipfile.ZipFile(shard.path) as source, zipfile.ZipFile(changed, "w") as target:
            for member in source.namelist():
                content = source.read(member)
                assert member != name or old in content
                target.writestr(member, content.replace(old, new, 1) if member == name else content)
        with pytest.raises((SystemExit, IndexError)), zipfile.ZipFile(changed) as archive:
            standalone_verifier.Shard(archive, LOG_KEY.public_key).verify()
        with pytest.raises(DatongError) as caught:
            verify_shard(changed, log_key=LOG_KEY.public_key)
        return caught.value.code

    with zipfile.ZipFile(shard.path) as file:
        tile = file.read("tile/0/001")
        above = file.read("tile/1/000.p/3")
    assert judged("tile/0/001", tile[:32], b"\0" * 32) == "ledger.shard_differs"
    assert judged("tile/1/000.p/3", above[:32], b"\0" * 32) == "ledger.shard_differs"
    assert judged("checkpoint", b"\n900\n", b"\n901\n") == "ledger.signature_wrong"
    assert judged("shard.json", b'"end":512', b'"end":768') == "ledger.file_unknown"
    assert judged("shard.json", b'"end":512', b'"end":500') == "ledger.shard_malformed"
    assert judged("tile/entries/001", b"subject-300", b"subject-3oo") == "ledger.shard_differs"
    # fsck reads the shard, too.
    other = SmallLog(tmp_path, tiles=ShardedStore(log.tiles, tmp_path), database=log.database)
    shard.path.unlink()
    assert ("ledger.file_edited", 300) in {(one.code, one.index) for one in other.ledger.fsck([]).faults}
    shard.path.write_bytes(whole[:-100])
    with pytest.raises(Corrupt):
        verify_shard(shard.path)
    with pytest.raises(Corrupt):
        verify_shard(Path(__file__))
    shard.path.write_bytes(whole)
    with pytest.raises(Corrupt, match="key"):
        verify_shard(shard.path, log_key=b"\x07" * 32)


def test_a_kill_on_the_way_is_gone_on_with(tmp_path: Path) -> None:
    inner = DyingStore()
    log = two_months(tmp_path, inner)
    inner.left = 2
    with pytest.raises(Dying):
        log.ledger.archive(FEBRUARY, tmp_path / "shards")
    inner.left = 10**9
    assert log.ledger.archive(FEBRUARY, tmp_path / "shards").end == 512
    assert not any(str(TilePath(level=0, number=number)) in inner.files for number in (0, 1))
    # The log says it once.
    assert log.ledger.entries(kind=EntryKind.SHARD).total == 1
    log.integrate()
    assert log.ledger.fsck([]).faults == ()


def test_months_are_archived_when_they_are_over_one_after_the_other(tmp_path: Path) -> None:
    log = two_months(tmp_path, MemoryTileStore())
    folder = tmp_path / "shards"
    assert (MARCH.next.isoformat(), str(MARCH), str(Month.parse("2026-12").next)) == (
        "2026-04-01",
        "2026-03",
        "2027-01-01",
    )
    for month, code in (("2026-05", "ledger.month_not_archivable"), ("2026-01", "ledger.month_too_small")):
        with pytest.raises(Conflict) as caught:
            log.ledger.archive(Month.parse(month), folder)
        assert caught.value.code == code
    log.ledger.archive(MARCH, folder)
    with pytest.raises(Conflict):
        log.ledger.archive(FEBRUARY, folder)
    for text in ("2026-13", "2026-1", "today", "2026-02-01"):
        with pytest.raises(Invalid):
            Month.parse(text)
