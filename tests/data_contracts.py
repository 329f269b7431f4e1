"""The linter that readers of our data contracts use: `datacontract lint`, in an environment of its own."""

import subprocess
from pathlib import Path

DATACONTRACT = Path(__file__).parent.parent / "var" / "clients" / "datacontract" / "bin" / "datacontract"


def lint(contract: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Lint a contract; `tools/setup-clients` (part of `make test`) installs the linter."""
    written = folder / "contract.yaml"
    written.write_text(contract, encoding="utf-8")
    command = [str(DATACONTRACT), "lint", str(written)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
