"""The official client of Delta Sharing, unmodified, in an environment of its own (`tools/setup-clients`)."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / "var" / "clients" / "delta-sharing" / "bin" / "python"
TIMEOUT_SECONDS = 120
_PROGRAM = """
import json, sys
import delta_sharing
from delta_sharing import SharingClient

def outcome(act):
    try:
        found = act()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return json.loads(found.to_json(orient="records")) if hasattr(found, "to_json") else found

def tables(profile):
    client = SharingClient(profile)
    shares = client.list_shares()
    schemas = client.list_schemas(shares[0])
    return {
        "shares": [share.name for share in shares],
        "schemas": [schema.name for schema in schemas],
        "tables": [table.name for table in client.list_tables(schemas[0])],
        "all": [f"{table.share}.{table.schema}.{table.name}" for table in client.list_all_tables()],
    }

ACTS = {
    "tables": tables,
    "load": lambda profile, table, **how: delta_sharing.load_as_pandas(f"{profile}#{table}", **how),
    "changes": lambda profile, table, **how: delta_sharing.load_table_changes_as_pandas(f"{profile}#{table}", **how),
    "version": lambda profile, table: delta_sharing.get_table_version(f"{profile}#{table}"),
    "columns": lambda profile, table: json.loads(
        delta_sharing.get_table_metadata(f"{profile}#{table}").schema_string
    )["fields"],
}
wanted = json.load(sys.stdin)
print(json.dumps([outcome(lambda: ACTS[name](*args, **how)) for name, args, how in wanted]))
"""
Call = tuple[str, list[str], dict[str, object]]


def calls(wanted: list[Call]) -> list[Any]:
    """Make calls of the client in one process; return their outcomes, tables as rows and errors as their text."""
    subprocess.run([ROOT / "tools" / "setup-clients"], check=True)
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", _PROGRAM],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return outcomes
