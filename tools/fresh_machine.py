"""Follow docs/operation.md on a fresh Debian machine that has a release and nothing else: `make fresh`.

The machine is an empty root that debootstrap fills with Debian 12's base, in a process, mount and network of its own.
The three databases that the page takes for granted are installed there first, by Debian's packages. Then a shell types
the page's blocks as they stand, from `machine` to `reconcile`; the moment from the first key to the last is the time. The
repository is not in that root: only the files of the release are, and what was typed.

Needs root, debootstrap and a way to Debian's and Python's packages. What this machine itself trusts (certificates) and
where it gets its packages from is told to the new one, as an operator behind a proxy does.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "operation.md"
MINUTES_MAX = 10
SUITE = "bookworm"
WITH_NETWORK = ("machine", "names", "install")
WITHOUT_NETWORK = (
    "practice-table", "hub", "serve", "call", "departments", "nodes", "scan", "publish", "request", "agreement", "task",
    "increment", "receipts", "reconcile", "stop",
)  # fmt: skip
"""The page's blocks: the first need the registries, the others nothing but this machine."""
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_BLOCK = re.compile(r"^```sh (?P<name>[\w-]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PREPARE = """
set -eu
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends ca-certificates postgresql mariadb-server iproute2 >/dev/null
test -f /usr/local/share/ca-certificates/site.crt && update-ca-certificates >/dev/null 2>&1 || true
"""
DATABASES = """
ip link set lo up
pg_ctlcluster 15 main start
install -d -o mysql /run/mysqld
(mariadbd-safe --user=mysql >/dev/null 2>&1 &)
su postgres -c "psql --quiet" <<'END'
CREATE ROLE datong LOGIN PASSWORD 'secret';
CREATE DATABASE datong OWNER datong;
CREATE DATABASE datong_restored OWNER datong;
CREATE DATABASE police OWNER datong;
END
until mariadb --execute 'SELECT 1' >/dev/null 2>&1; do sleep 0.3; done
mariadb <<'END'
CREATE DATABASE civil CHARACTER SET utf8mb4;
CREATE USER datong@'127.0.0.1' IDENTIFIED BY 'secret';
CREATE USER datong@localhost IDENTIFIED BY 'secret';
GRANT ALL ON civil.* TO datong@'127.0.0.1';
GRANT ALL ON civil.* TO datong@localhost;
END
"""
COUNTED = """
echo "residents at the police: $(psql --tuples-only --no-align "$POLICE_DATABASE" --command 'SELECT count(*) FROM resident')"
echo "residents at civil affairs: $(mariadb $CIVIL_CLIENT --skip-column-names --execute 'SELECT count(*) FROM gongan_hukou')"
"""


def blocks() -> dict[str, str]:
    """Return the page's shell blocks by their names."""
    return {match["name"]: match["text"] for match in _BLOCK.finditer(GUIDE.read_text(encoding="utf-8"))}


def package_address() -> str:
    """Return where this machine gets Debian's packages from."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], check=True, capture_output=True, text=True
    )
    return told.stdout.splitlines()[0]


def bootstrap(root: Path) -> None:
    """Fill `root` with Debian's base, and tell it what this machine trusts."""
    subprocess.run(
        ["debootstrap", "--variant=minbase", SUITE, str(root), package_address()],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for file in sorted(Path("/etc/apt/apt.conf.d").glob("9*")):
        shutil.copy(file, root / "etc/apt/apt.conf.d")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if BUNDLE.is_file():
        place = root / "usr/local/share/ca-certificates"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(BUNDLE, place / "site.crt")


def typed(names: tuple[str, ...], *, before: str = "", after: str = "") -> str:
    """Return a script that types the blocks called `names`, each with its name and the time on the way."""
    held = blocks()
    lines = ["set -euo pipefail", before]
    for name in names:
        # A group in braces is read as a whole before it begins, so that no command of it can read what follows.
        lines += [f'echo "== {name} $SECONDS s"', f"{{\n{held[name]}\n}} </dev/null"]
    return "\n".join([*lines, after, 'echo "== end $SECONDS s"'])


def run(root: Path, script: str, *, network: bool) -> None:
    """Run a script in `root`: processes and mounts of its own, and no network but its own where it needs none.

    Raises:
        subprocess.CalledProcessError: a command of it failed.
    """
    file = root / "root" / "typed.sh"
    file.write_text(script, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT", "http_proxy", "https_proxy") if name in os.environ}
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *([] if network else ["--net"])]
    inside = "mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm; exec bash --noprofile --norc /root/typed.sh"
    subprocess.run(
        [*own, "chroot", str(root), "bash", "-c", inside], check=True, env={**environment, **kept}, timeout=1800
    )


def main() -> None:
    """Make the machine, type the page, say how long it took; 1 if it took longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path, help="folder of a release; without it one is built of this tree")
    parser.add_argument("--keep", action="store_true", help="leave the machine's folder where it is")
    chosen = parser.parse_args()
    if os.geteuid() or not shutil.which("debootstrap"):
        sys.exit("needs root and debootstrap (apt-get install debootstrap)")
    folder = Path(tempfile.mkdtemp(prefix="datong-fresh-"))
    root = folder / "root"
    try:
        release = chosen.release
        if release is None:
            release = folder / "release"
            subprocess.run([sys.executable, "tools/build_release.py", str(release), "--changed"], cwd=ROOT, check=True)
        print("a fresh Debian", flush=True)
        bootstrap(root)
        (place,) = re.findall(r"^export RELEASE=(\S+)$", blocks()["names"], re.MULTILINE)
        shutil.copytree(release, root / place.removeprefix("/"))
        run(root, PREPARE, network=True)
        began = time.monotonic()
        run(root, typed(WITH_NETWORK), network=True)
        # The same person signs in again: names and path are typed once more.
        again = blocks()["names"] + 'export PATH="$APP/bin:$PATH"\n'
        run(root, typed(WITHOUT_NETWORK, before=DATABASES + again, after=COUNTED), network=False)
        minutes = (time.monotonic() - began) / 60
    finally:
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"hub and nodes installed and exchanging after {minutes:.1f} minutes ({MINUTES_MAX} are allowed)")
    if minutes > MINUTES_MAX:
        sys.exit(1)


if __name__ == "__main__":
    main()
