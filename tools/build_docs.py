"""Writes the generated page of docs/ (settings), and the documentation as a site: `python tools/build_docs.py FOLDER`.

The site is what a hub serves under /help, with the description of the REST interface added; it is read over HTTP or
opened as files, and asks no other host for anything. `make docs` runs it.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from datong.kernel import Settings
from datong.web.application import description
from datong.web.console.manual import site_of
from datong.web.manual import DOCS


def settings_page() -> str:
    """Return the table of settings in Markdown."""
    lines = [
        "# Settings of a hub",
        "",
        "Every knob, its default and its meaning. A variable that no setting knows is refused at start, so that a",
        "typing error cannot go unnoticed. This page is written by `make docs` from `datong.kernel.settings`.",
        "",
        "| environment variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        lines.append(f"| `DATONG_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def api_page(document: dict[str, Any]) -> str:
    """Return every operation of an OpenAPI document in Markdown, by tag."""
    by_tag: dict[str, list[tuple[str, str, str]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["hub"])[0]
            said = (operation.get("description") or operation.get("summary") or "").strip().split("\n")[0]
            by_tag.setdefault(tag, []).append((path, method.upper(), said.replace("|", "\\|")))
    lines = ["# The REST interface", "", document["info"]["description"], ""]
    lines += ["A running hub has the whole, with the shapes of bodies and answers, at `/api/openapi.json`.", ""]
    for tag, operations in sorted(by_tag.items()):
        lines += [f"## {tag}", "", "| | path | what it does |", "|---|---|---|"]
        lines += [f"| {method} | `{path}` | {said} |" for path, method, said in operations]
        lines.append("")
    return "\n".join(lines)


def write_site(folder: Path) -> int:
    """Write the site into `folder`, which is emptied first; return how many files it has."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "docs"
        shutil.copytree(DOCS, source)
        (source / "api.md").write_text(api_page(description()), encoding="utf-8")
        site = site_of(source)
        shutil.rmtree(folder, ignore_errors=True)
        count = 0
        for address in site.addresses():
            asset = site.file(address)
            if asset is None:
                raise SystemExit(f"the site has no {address}")
            target = folder / address
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(asset.body)
            count += 1
    return count


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    if sys.argv[1:]:
        print(f"{write_site(Path(sys.argv[1]))} files in {sys.argv[1]}")
