"""The licence of an open resource: the one it names, else the pack's first."""

from datong.norms import Licence, NormPack


def licence_of(pack: NormPack, key: str) -> Licence | None:
    """Return the licence under which a resource that names `key` (or nothing) is open; None: the pack has none."""
    named = next((entry for entry in pack.licences if entry.key == key), None)
    return named or (pack.licences[0] if pack.licences and not key else None)
