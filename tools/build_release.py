"""Builds a release into a folder: wheel, sdist, pinned requirements, bill of materials, digests of all of them.

`python tools/build_release.py dist` is what `make dist` runs. Wheel and sdist are built twice, from two copies of the
tracked files at different places, in different time zones and with different masks for new files, and must be equal to
the byte; times in them are those of the commit (SOURCE_DATE_EPOCH, https://reproducible-builds.org/specs/). So whoever has
the commit can build the same files and compare them with SHA256SUMS. A changed working tree is refused, since it is no
commit, unless `--changed` is said (the tests do).
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = {"runtime.txt": "requirements.txt", "spark.txt": "requirements-spark.txt"}
SURROUNDINGS = (("UTC", 0o022), ("Asia/Shanghai", 0o077))
"""Of each build: time zone and mask of new files; none of it may show in what is built."""


def main(arguments: list[str]) -> int:
    """Build the release that `arguments` ask for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what is built goes here; must be empty or absent, or an older release")
    parser.add_argument("--changed", action="store_true", help="allow changes that are not committed")
    asked = parser.parse_args(arguments)
    if git("status", "--porcelain") and not asked.changed:
        print("The working tree differs from the commit: commit or stash, then build.", file=sys.stderr)
        return 1
    folder: Path = asked.folder.absolute()
    with tempfile.TemporaryDirectory(prefix="datong-release-") as place:
        builds = [
            built(Path(place, f"build-{number}"), time_zone, mask)
            for number, (time_zone, mask) in enumerate(SURROUNDINGS)
        ]
        first, second = ({path.name: digest(path) for path in sorted(build.iterdir())} for build in builds)
        if first != second:
            print(f"Two builds differ:\n{first}\n{second}", file=sys.stderr)
            return 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(builds[0], folder)
    for source, name in REQUIREMENTS.items():
        shutil.copyfile(ROOT / "requirements" / source, folder / name)
    materials = [sys.executable, str(ROOT / "tools" / "build_sbom.py"), str(folder), "--epoch", epoch()]
    subprocess.run(materials, check=True)
    lines = [f"{digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    print("".join(lines), end="")
    return 0


def built(place: Path, time_zone: str, mask: int) -> Path:
    """Copy the tracked files to `place`, build wheel and sdist there, and return their folder."""
    tree = place / "tree"
    for name in git("ls-files", "-z").split("\0"):
        source = ROOT / name
        if name and source.is_file():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    target = place / "dist"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch(), "TZ": time_zone, "PYTHONHASHSEED": str(mask)}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    done = subprocess.run(command, cwd=tree, env=environment, umask=mask, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return target


def epoch() -> str:
    """Return the second of the commit, or what SOURCE_DATE_EPOCH says."""
    return os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct").strip()


def git(*arguments: str) -> str:
    """Return what git says of the repository."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
