"""Audits what a release depends on, offline: pins, digests, licences, and known weaknesses from a folder of advisories.

`python tools/audit.py [--advisories FOLDER] [--requirements FOLDER]` prints what is wrong and ends with 1, or with 0.
FOLDER holds advisories in OSV's format (https://ossf.github.io/osv-schema/), one JSON file each, as OSV's dump of PyPI
unpacks; without it weaknesses are not looked for, and the last line says so. Whether a version was yanked only the
index knows: `tools/lock-requirements` never pins one.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from build_sbom import ROOT, Pin, pins, told_licences

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache Software License", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0",
    "ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib",
}  # fmt: skip
"""Licences that ask for no more than to be named, as packages write them."""
REASONED = {
    "psycopg": ("LGPL-3.0-only", "imported as it is, replaceable by whoever installs it"),
    "psycopg-binary": ("LGPL-3.0-only", "as psycopg"),
    "certifi": ("Mozilla Public License 2.0 (MPL 2.0)", "a list of certificates, not changed"),
    "cedarpy": ("", "its metadata names none; its LICENSE file is Apache-2.0"),
}
"""What is allowed by itself, as its metadata names it, and why."""
RELEASED = ("runtime.txt", "spark.txt")


def main(arguments: list[str]) -> int:
    """Audit what `arguments` name; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--advisories", type=Path)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements")
    asked = parser.parse_args(arguments)
    released = {pin.name: pin for name in RELEASED for pin in pins((asked.requirements / name).read_text("utf-8"))}
    found = [*pin_faults(asked.requirements), *licence_faults(released)]
    if asked.advisories is not None:
        found += advisory_faults(released, asked.advisories)
    for line in found:
        print(f"✗ {line}")
    looked = "advisories looked through" if asked.advisories else "known weaknesses not looked for: no --advisories"
    print(f"{len(released)} packages, {len(found)} faults; {looked}")
    return 1 if found else 0


def pin_faults(folder: Path) -> Iterator[str]:
    """Yield each pin of any requirements file without a digest, and each package that a release pins twice."""
    versions: dict[str, str] = {}
    for path in sorted(folder.glob("*.txt")):
        for pin in pins(path.read_text(encoding="utf-8")):
            if not pin.digests:
                yield f"{path.name}: {pin.name} {pin.version} has no digest"
            if path.name in RELEASED and versions.setdefault(pin.name, pin.version) != pin.version:
                yield f"{path.name}: {pin.name} is {pin.version} here and {versions[pin.name]} elsewhere"


def licence_faults(released: dict[str, Pin]) -> Iterator[str]:
    """Yield each released package whose licence nobody allowed; one that is not installed here cannot be asked."""
    for name in sorted(released):
        told = told_licences(name)
        if name in REASONED and (not told or REASONED[name][0] in told):
            continue
        terms = [term for text in told for term in re.split(r" AND | OR ", text)]
        if not terms or not set(terms) <= ALLOWED:
            yield f"{name}: licence {', '.join(told) or 'not told (is it installed?)'}"


def advisory_faults(released: dict[str, Pin], folder: Path) -> Iterator[str]:
    """Yield each advisory that names a released version."""
    for path in sorted(folder.rglob("*.json")):
        advisory = json.loads(path.read_text(encoding="utf-8"))
        for affected in advisory.get("affected", ()) if "withdrawn" not in advisory else ():
            package = affected.get("package", {})
            pin = released.get(re.sub(r"[-_.]+", "-", str(package.get("name", ""))).lower())
            if package.get("ecosystem") == "PyPI" and pin is not None and pin.version in affected.get("versions", ()):
                yield f"{pin.name} {pin.version}: {advisory['id']} {advisory.get('summary', '')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
