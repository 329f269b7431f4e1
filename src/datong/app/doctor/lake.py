"""What the doctor looks at where several machines share a folder, or the libraries in an object store."""

from pathlib import Path
from typing import NamedTuple

from datong.app.doctor.machine import writable
from datong.app.doctor.values import Diagnosis, State, ok, told
from datong.kernel import BatchId, NotFound, Text
from datong.ledger import EntryKind
from datong.web import Services

MOUNTS = Path("/proc/self/mountinfo")
BATCHES_LOOKED_AT = 20
UNFIT = frozenset(
    {"fuse.s3fs", "fuse.goofys", "fuse.rclone", "fuse.gcsfuse", "fuse.mount-s3", "nfs", "cifs", "smb3", "vfat"}
)
"""File systems without POSIX locks, atomic renames, or an fsync that means it; `nfs` is version 3 and older."""


class Mount(NamedTuple):
    """A mounted file system: where, of which type, with which options."""

    place: str
    kind: str
    options: frozenset[str]


def mount_of(folder: Path, mounts: str) -> Mount | None:
    """Return the file system of a folder (absolute), from the text of `mountinfo`; None: it tells nothing."""
    found: Mount | None = None
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        fields, kind = before.split(" "), behind.split(" ")
        if len(fields) < 6 or len(kind) < 3:
            continue
        place = fields[4].replace("\\040", " ")
        inside = place == "/" or folder == Path(place) or Path(place) in folder.parents
        if inside and (found is None or len(place) >= len(found.place)):
            options = frozenset([*fields[5].split(","), *kind[2].split(",")])
            found = Mount(place=place, kind=kind[0], options=options)
    return found


def look_at_lake(services: Services) -> Diagnosis:
    """Return what is to be said of the folder that all processes of a hub share."""
    folder = services.settings.lake.absolute()
    if not folder.is_dir():
        return ok("lake", f"还没有 {folder}", f"{folder} is not there yet")
    mount = mount_of(folder.resolve(), MOUNTS.read_text(errors="replace") if MOUNTS.is_file() else "")
    named = "—" if mount is None else f"{mount.kind} {mount.place}"
    seen = Text(zh=f"{folder}（{named}）", en=f"{folder} ({named})")
    if not writable(folder) or (mount is not None and "ro" in mount.options):
        what = Text(zh=f"{seen.zh} 不可写", en=f"{seen.en} takes no writes")
        remedy = Text(zh="请以可写方式挂载，并核对属主。", en="Mount it for writing, and see who owns it.")
        return told("lake", State.FAILED, what, remedy)
    if mount is not None and mount.kind in UNFIT:
        remedy = Text(
            zh="请改用 NFS 4.1 以上或 CephFS（docs/scaling.md）。",
            en="Use NFS 4.1 or newer, or CephFS (docs/scaling.md).",
        )
        return told("lake", State.FAILED, seen, remedy)
    if mount is not None and mount.options & {"soft", "nolock", "local_lock=all", "local_lock=posix"}:
        what = Text(zh=f"{seen.zh} 以 soft 或 nolock 挂载", en=f"{seen.en} is mounted soft, or without locks")
        remedy = Text(zh="请以 hard 挂载并启用锁。", en="Mount it hard, and with locks.")
        return told("lake", State.WARNING, what, remedy)
    missing = _missing(services)
    if missing:
        what = Text(
            zh=f"{seen.zh} 缺少最近落地的批次：{missing[0]} 等 {len(missing)} 个",
            en=f"{seen.en} lacks batches that landed lately: {missing[0]} and {len(missing) - 1} more",
        )
        remedy = Text(
            zh="共享目录可能没有挂载：请核对挂载（RequiresMountsFor），或从备份恢复。",
            en="The shared folder may not be mounted: see to the mount (RequiresMountsFor), or restore from a backup.",
        )
        return told("lake", State.FAILED, what, remedy)
    return ok("lake", seen.zh, seen.en)


def look_at_shelf(services: Services) -> Diagnosis:
    """Return what is to be said of the libraries in the object store, and of the cache of them."""
    shelving = services.library.shelving
    if shelving is None:
        return ok("shelf", "资源库只在本地目录", "libraries lie in the folder alone")
    missing = shelving.missing()
    if missing:
        what = Text(
            zh=f"对象存储中没有当前版本：{'、'.join(missing)}",
            en=f"the object store lacks the current version of: {', '.join(missing)}",
        )
        remedy = Text(
            zh="请确认构建资源库的机器在做后台工作，且 DATONG_LIBRARY_PLACE=shelf；它每分钟补放一次。",
            en="See that a machine that builds does background work with DATONG_LIBRARY_PLACE=shelf: it puts there "
            "what is missing, each minute.",
        )
        return told("shelf", State.FAILED, what, remedy)
    awaited = shelving.awaited()
    if awaited:
        what = Text(
            zh=f"本机尚未取得当前版本：{'、'.join(awaited)}",
            en=f"this machine does not have the current version yet of: {', '.join(awaited)}",
        )
        remedy = Text(
            zh="服务运行时数秒内会取得；若一直如此，请看日志和磁盘空间。",
            en="The service takes it within seconds; if this stays so, see its log and the room on the disk.",
        )
        return told("shelf", State.WARNING, what, remedy)
    return ok("shelf", "当前版本都在对象存储中", "all current versions lie in the object store")


def _missing(services: Services) -> list[str]:
    """Return the newest committed batches that should lie there and do not."""
    missing = []
    for entry in services.ledger.newest(kind=EntryKind.BATCH, limit=BATCHES_LOOKED_AT):
        try:
            if not services.exchange.payload(BatchId(str(entry.facts["batch"]))).is_file():
                missing.append(str(entry.facts["batch"]))
        except NotFound:
            # It was kept long enough, and is gone by right.
            continue
    return missing
