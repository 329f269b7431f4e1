"""Evidence: entries appended with the acts they witness, a Merkle log over them, checkpoints, witnesses, proofs."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.ledger.entries import CommonFacts, EntryContent, EntryKind, RecordedEntry, commitment, departments_concerned
from datong.ledger.gossip import Gossip, GossipTrouble, PeerNote
from datong.ledger.log_keys import LogKeys, PinnedKeys, Succession
from datong.ledger.notes import Checkpoint, Note, VerifierKey, open_checkpoint
from datong.ledger.signing import Ed25519Signer, Signer, key_id_of, verify_signature
from datong.ledger.tiles import File, MemoryTileStore, TileStore, no_file, rewritten
from datong.ledger.witness import Witness

if TYPE_CHECKING:
    from datong.ledger.bundles import BundleReport, Disclosure, WitnessReport, read_bundle, verify_bundle
    from datong.ledger.cosigning import WitnessState, bears_cosignature
    from datong.ledger.days import COMMITTED_WITHIN
    from datong.ledger.exported import exported_entries
    from datong.ledger.eyes import require_other_eyes
    from datong.ledger.fsck import Fault, FsckReport
    from datong.ledger.key_book import LEDGER_AREAS, LogKeyBook
    from datong.ledger.log import EntryDraft, Ledger
    from datong.ledger.newest import NewestEntries
    from datong.ledger.pulse import LogPulse, read_pulse
    from datong.ledger.quorum import ExpectedWitness, Quorum, QuorumWatch, WitnessStanding
    from datong.ledger.samples import SAMPLE_ENTRIES_MAX, SEED_CHARS_MAX, Sample
    from datong.ledger.shards import Month, Shard, ShardedStore, ShardReport, shards_in, verify_shard
    from datong.ledger.splits import SplitReport, is_split, read_split, verify_split
    from datong.ledger.state_audit import Area, Held, Stated, of_act, of_subject, streamed
    from datong.ledger.verification import LogReport, WitnessedSize, verify_log
else:
    __getattr__ = on_demand(
        __name__,
        {
            "bundles": ["BundleReport", "Disclosure", "WitnessReport", "read_bundle", "verify_bundle"],
            "cosigning": ["WitnessState", "bears_cosignature"],
            "days": ["COMMITTED_WITHIN"],
            "exported": ["exported_entries"],
            "eyes": ["require_other_eyes"],
            "fsck": ["Fault", "FsckReport"],
            "key_book": ["LEDGER_AREAS", "LogKeyBook"],
            "log": ["EntryDraft", "Ledger"],
            "newest": ["NewestEntries"],
            "pulse": ["LogPulse", "read_pulse"],
            "quorum": ["ExpectedWitness", "Quorum", "QuorumWatch", "WitnessStanding"],
            "samples": ["SAMPLE_ENTRIES_MAX", "SEED_CHARS_MAX", "Sample"],
            "shards": ["Month", "Shard", "ShardReport", "ShardedStore", "shards_in", "verify_shard"],
            "splits": ["SplitReport", "is_split", "read_split", "verify_split"],
            "state_audit": ["Area", "Held", "Stated", "of_act", "of_subject", "streamed"],
            "verification": ["LogReport", "WitnessedSize", "verify_log"],
        },
    )

__all__ = [
    "COMMITTED_WITHIN",
    "LEDGER_AREAS",
    "SAMPLE_ENTRIES_MAX",
    "SEED_CHARS_MAX",
    "Area",
    "BundleReport",
    "Checkpoint",
    "CommonFacts",
    "Disclosure",
    "Ed25519Signer",
    "EntryContent",
    "EntryDraft",
    "EntryKind",
    "ExpectedWitness",
    "Fault",
    "File",
    "FsckReport",
    "Gossip",
    "GossipTrouble",
    "Held",
    "Ledger",
    "LogKeyBook",
    "LogKeys",
    "LogPulse",
    "LogReport",
    "MemoryTileStore",
    "Month",
    "NewestEntries",
    "Note",
    "PeerNote",
    "PinnedKeys",
    "Quorum",
    "QuorumWatch",
    "RecordedEntry",
    "Sample",
    "Shard",
    "ShardReport",
    "ShardedStore",
    "Signer",
    "SplitReport",
    "Stated",
    "Succession",
    "TileStore",
    "VerifierKey",
    "Witness",
    "WitnessReport",
    "WitnessStanding",
    "WitnessState",
    "WitnessedSize",
    "bears_cosignature",
    "commitment",
    "departments_concerned",
    "exported_entries",
    "is_split",
    "key_id_of",
    "no_file",
    "of_act",
    "of_subject",
    "open_checkpoint",
    "read_bundle",
    "read_pulse",
    "read_split",
    "require_other_eyes",
    "rewritten",
    "shards_in",
    "streamed",
    "verify_bundle",
    "verify_log",
    "verify_shard",
    "verify_signature",
    "verify_split",
]
