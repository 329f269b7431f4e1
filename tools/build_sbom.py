"""Writes the bill of materials of a release: CycloneDX 1.6, from the pinned requirements and the vendored files.

`python tools/build_sbom.py FOLDER` writes FOLDER/datong-VERSION.cdx.json: each pinned package with its package URL, the
digests of its files that an installation accepts, its licence as its own metadata tells it, and who asks for it; Spark's
as optional; the JavaScript that the wheel carries. Nothing is looked up, nothing depends on when or where it is written.
The document is checked against the schema of the standard before it is written (https://cyclonedx.org/docs/1.6/json/).
"""

import argparse
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import datong

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "src" / "datong" / "web" / "static" / "vendor" / "README.md"
ITSELF = "datong"
LICENCE_CHARS_MAX = 64
"""A longer `License` field is a licence's whole text, not its name."""


class Pin(NamedTuple):
    """A line of a requirements file: which package, which of its files, and on whose account."""

    name: str
    version: str
    digests: tuple[str, ...]
    wanted_by: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Write the bill of materials that `arguments` ask for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epoch", type=int, required=True, help="seconds since 1970 of the commit")
    asked = parser.parse_args(arguments)
    text = bill(datetime.fromtimestamp(asked.epoch, UTC))
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        print(problem, file=sys.stderr)
        return 1
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / f"{ITSELF}-{datong.__version__}.cdx.json").write_text(text + "\n", encoding="utf-8")
    return 0


def bill(moment: datetime) -> str:
    """Return the document, dated `moment`."""
    requirements = ROOT / "requirements"
    always = {pin.name: pin for pin in pins((requirements / "runtime.txt").read_text(encoding="utf-8"))}
    every = {pin.name: pin for pin in pins((requirements / "spark.txt").read_text(encoding="utf-8"))}
    itself = Component(
        name=ITSELF, version=datong.__version__, type=ComponentType.APPLICATION, bom_ref=ITSELF,
        purl=PackageURL("pypi", name=ITSELF, version=datong.__version__), licenses=licences(["Apache-2.0"]),
    )  # fmt: skip
    components = {ITSELF: itself}
    components |= {name: component(pin, always=name in always) for name, pin in every.items()}
    vendored = [*vendored_files(VENDOR.read_text(encoding="utf-8"))]
    bom = Bom(components=[*components.values(), *vendored][1:], serial_number=uuid5(NAMESPACE_URL, f"{itself.purl}"))
    bom.metadata.component = itself
    bom.metadata.timestamp = moment
    wants: dict[str, list[Component]] = {name: [] for name in components}
    for pin in every.values():
        for asker in pin.wanted_by:
            wants[asker].append(components[pin.name])
    wants[ITSELF] += vendored
    for name, wanted in wants.items():
        bom.register_dependency(components[name], wanted)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)


def pins(text: str) -> Iterator[Pin]:
    """Return what a requirements file, as `uv pip compile` writes it, pins."""
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        line, *notes = entry.split("    # via", 1)
        pinned = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", line)
        if pinned is None:
            raise ValueError(f"not a pinned requirement: {line[:80]}")
        askers = re.findall(r"^ *(?:#  *)?([a-z0-9][\w.-]*)(?: \(pyproject.toml\))?$", "".join(notes), re.MULTILINE)
        yield Pin(pinned[1], pinned[2], tuple(re.findall(r"--hash=sha256:(\w+)", line)), tuple(sorted(askers)))


def component(pin: Pin, *, always: bool) -> Component:
    """Return the component of a pinned package; what only an extra brings is optional."""
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    files = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.digests]
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=pin.name,
        purl=purl,
        scope=ComponentScope.REQUIRED if always else ComponentScope.OPTIONAL,
        licenses=licences(told_licences(pin.name)),
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(f"{purl}"), hashes=files)],
    )


def told_licences(name: str) -> list[str]:
    """Return the licences that a package's own metadata names; none if it is not installed here or tells none."""
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return []
    if expression := told.get("License-Expression"):
        return [expression]
    classifiers = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License :: ")]
    named = [line for line in classifiers if line != "OSI Approved"]
    short = told.get("License", "").strip()
    return named or ([short] if 0 < len(short) <= LICENCE_CHARS_MAX else [])


def licences(told: Iterable[str]) -> list[License]:
    """Return licences as the standard writes them: by SPDX id or expression where they are one, else by name."""
    return [LicenseFactory().make_from_string(text) for text in told]


def vendored_files(text: str) -> Iterator[Component]:
    """Return the components of the list of vendored files."""
    for row in re.finditer(r"^\| `(.+?)` \| (\S+) (\S+), (\S+) \| (\S+) .*? \| `(\w+)` \|$", text, re.MULTILINE):
        file, name, version, _, licence, digest = row.groups()
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=file,
            purl=PackageURL("npm", name=name, version=version),
            scope=ComponentScope.REQUIRED,
            licenses=licences([licence]),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
