"""Writes the generated pages of docs/: the settings table, the REST routes. `make docs` runs it."""

from pathlib import Path

from datong.kernel import Settings

DOCS = Path(__file__).parents[1] / "docs"


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


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings_page())
