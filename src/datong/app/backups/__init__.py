"""Backups of a hub at work, and their restore."""

from datong.app.backups.folder import BackupFolder
from datong.app.backups.restoring import HubKey, RestoreReport, choose, restore
from datong.app.backups.sealing import read_passphrase
from datong.app.backups.taking import take
from datong.app.backups.values import NAME_FORMAT, Manifest

__all__ = [
    "NAME_FORMAT",
    "BackupFolder",
    "HubKey",
    "Manifest",
    "RestoreReport",
    "choose",
    "read_passphrase",
    "restore",
    "take",
]
