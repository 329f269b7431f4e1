"""Vendored files are the published ones, and no page asks another host for anything."""

import hashlib
import re

from datong.web.console.desk import TEMPLATES

STATIC = TEMPLATES.parent / "static"
VENDOR = STATIC / "vendor"
OWN = [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *TEMPLATES.rglob("*.html")]


def test_vendored_files_have_the_digests_and_licences_of_the_list() -> None:
    listed = re.findall(
        r"\| `([^`]+)` \|.*\(LICENSES/([^)]+)\) \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text()
    )
    assert {name for name, _, _ in listed} == {path.name for path in VENDOR.glob("*.js")}
    for name, licence, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
        assert (VENDOR / "LICENSES" / licence).read_text().strip()


def test_no_source_maps_and_no_registry_addresses() -> None:
    for path in [*VENDOR.glob("*.js"), *OWN]:
        text = path.read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text, path.name
        assert not re.search(r"registry\.|unpkg|jsdelivr|cdnjs", text), path.name


def test_our_own_files_name_no_other_host() -> None:
    for path in OWN:
        hosts = re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8"))
        assert not hosts, f"{path.name}: {hosts}"


def test_templates_hold_no_inline_script() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\son[a-z]+=|hx-on|javascript:", text), path.name
        for kind in re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", text):
            assert re.search(r'type="application/(ld\+)?json"', kind), path.name


def test_pages_name_only_assets_that_exist() -> None:
    for path in TEMPLATES.rglob("*.html"):
        for name in re.findall(r'"/static/([^"]+)"', path.read_text(encoding="utf-8")):
            assert (STATIC / name).is_file(), f"{path.name}: {name}"
