"""Archives of strangers: what leads out of the folder, or is no file, is refused."""

import io
import tarfile
from pathlib import Path

import pytest

from datong.kernel.archives import UNPACKED_BYTES_MIN, UNPACKED_TIMES_MAX, unpack, unpacked_max


def archive(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarFile:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as writing:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        member.size = 2 if kind == tarfile.REGTYPE else 0
        writing.addfile(member, io.BytesIO(b"ok"))
    held.seek(0)
    return tarfile.open(fileobj=held)


def test_files_and_folders_are_written(tmp_path: Path) -> None:
    unpack(archive("log/tile/0"), tmp_path)
    unpack(archive("empty", tarfile.DIRTYPE), tmp_path)
    assert (tmp_path / "log" / "tile" / "0").read_bytes() == b"ok"
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../out", tarfile.REGTYPE),
        ("/out", tarfile.REGTYPE),
        ("a", tarfile.SYMTYPE),
        ("a", tarfile.LNKTYPE),
        ("a", tarfile.FIFOTYPE),
        ("a", tarfile.CHRTYPE),
    ],
)
def test_what_leads_elsewhere_is_refused(name: str, kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(tarfile.TarError):
        unpack(archive(name, kind), tmp_path / "inside")
    assert not list(tmp_path.rglob("out"))


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tarfile.TarError, match="more than 1 bytes"):
        unpack(archive("a"), tmp_path, bytes_max=1)
    unpack(archive("a"), tmp_path, bytes_max=2)
    assert unpacked_max(10) == UNPACKED_BYTES_MIN
    assert unpacked_max(UNPACKED_BYTES_MIN) == UNPACKED_BYTES_MIN * UNPACKED_TIMES_MAX
