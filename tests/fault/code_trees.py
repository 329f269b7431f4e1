"""Other versions of this software, as processes: the code of an earlier commit, and that of a next version.

A tree of code runs in this environment's Python: what it depends on is what is installed here, whatever that version
pinned. Its programs fork from a process that has imported it (ADR 0210).
"""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from datong.adapters.launcher import Launched, Launcher
from datong.app.schema import newest_revision
from datong.demo.processes import DATONG, IMPORTED
from datong.kernel.settings import without_settings

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "tests" / "released"
PARTS = ("src", "docs", "benchmarks", "tests")
NEXT_REVISION = "9000"
GROWN = f'''"""What a next version may do to tables in use (ADR 0287): columns, a default, a table, an index."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT_REVISION}"
down_revision = "{{before}}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Grow what every call writes."""
    op.add_column("sharing_access", sa.Column("drill_note", sa.String(8), nullable=True))
    op.add_column("ledger_entry", sa.Column("drill_weight", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("sharing_application", sa.Column("drill_note", sa.String(8), nullable=True))
    op.create_table(
        "drill_later",
        sa.Column("access_id", sa.String(64), sa.ForeignKey("sharing_access.id"), primary_key=True),
    )
    op.create_index("ix_sharing_access_drill_note", "sharing_access", ["drill_note"])
'''


class CodeTree:
    """The code in `folder`, whose programs fork from one process, begun now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Without the safe path, Python would look for modules in the folder where the tests run before all others.
        self._own = {"PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)]), "PYTHONSAFEPATH": "1"}
        self._launcher = Launcher(*IMPORTED, environment={**without_settings(os.environ), **self._own})

    def serve(self, log: Path, environment: Mapping[str, str]) -> Launched:
        """Start `datong hub serve` of this code; what it writes is added to `log`."""
        with log.open("ab") as output:
            return self._launcher.start(
                [*DATONG, "hub", "serve"], environment={**environment, **self._own}, output=output
            )

    def told(self, program: str, *arguments: str, scratch: Path) -> object:
        """Run a program of this code to its end and return what it printed, which is JSON.

        Raises:
            RuntimeError: it failed, and wrote this.
        """
        file = scratch / "program.py"
        file.write_text(program, encoding="utf-8")
        environment = {**without_settings(os.environ), **self._own}
        done = self._launcher.run([str(file), *arguments], environment=environment, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return json.loads(done.stdout)

    def close(self) -> None:
        """End the process from which programs fork; programs go on."""
        self._launcher.close()


def of_released(folder: Path) -> CodeTree:
    """Return the code of the newest version in `tests/released`, or of the candidate for it, from git's history.

    A clone whose history does not reach back so far plays with its own code as the older one.
    """
    version = max(path.name for path in RELEASED.iterdir())
    commit = json.loads((RELEASED / version / "told.json").read_text())["commit"]
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, *PARTS]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        print(
            f"{commit}, the code of {version}, is not in this clone (git fetch --unshallow brings it): its own serves"
        )
        _copied(PARTS, folder)
    else:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return CodeTree(folder)


def of_next(folder: Path) -> CodeTree:
    """Return the code of the working tree as the version after it would be: another number, one migration more."""
    _copied(("src", "docs"), folder)
    package = folder / "src" / "datong"
    init = package / "__init__.py"
    init.write_text(re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{NEXT_REVISION}"', init.read_text()))
    migration = package / "app" / "migrations" / "versions" / f"{NEXT_REVISION}_drill.py"
    migration.write_text(GROWN.format(before=newest_revision()), encoding="utf-8")
    return CodeTree(folder)


def _copied(names: Iterable[str], folder: Path) -> None:
    for name in names:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.tmp", "__pycache__"))
