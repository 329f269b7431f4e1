"""`make audit`: what a release depends on is pinned, has digests and licences; advisories are compared."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "audit.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_release_depends_on_is_in_order() -> None:
    done = audit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults; known weaknesses not looked for" in done.stdout


def test_advisories_licences_and_missing_digests_are_told(tmp_path: Path) -> None:
    advisories, requirements = tmp_path / "advisories", tmp_path / "requirements"
    advisories.mkdir()
    requirements.mkdir()
    text = f"click==8.0.0 \\\n    --hash=sha256:{'0' * 64}\n    # via datong (pyproject.toml)\nnowhere-at-all==1.0\n"
    for name in ("runtime.txt", "spark.txt"):
        (requirements / name).write_text(text)
    for number, more in enumerate(({}, {"withdrawn": "2026-01-01T00:00:00Z"})):
        affected = {"package": {"ecosystem": "PyPI", "name": "Click"}, "versions": ["8.0.0"]}
        (advisories / f"{number}.json").write_text(
            json.dumps({"id": f"PYSEC-{number}", "affected": [affected], **more})
        )
    done = audit("--advisories", str(advisories), "--requirements", str(requirements))
    assert done.returncode == 1
    assert "click 8.0.0: PYSEC-0" in done.stdout
    assert "PYSEC-1" not in done.stdout
    assert "nowhere-at-all 1.0 has no digest" in done.stdout
    assert "nowhere-at-all: licence not told" in done.stdout
