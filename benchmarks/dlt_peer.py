"""dlt (data load tool) as a peer: the same table from PostgreSQL to PostgreSQL, by its fastest way.

It lives in an environment of its own, made from `requirements/dlt.txt` with hashes and kept under `var/`: it pins what
the platform pins otherwise. The backend is `pyarrow` and the files between its stages are Parquet, which its PostgreSQL
destination loads through ADBC; rows as Python objects are several times slower. Telemetry is off.
"""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import report

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements" / "dlt.txt"
CACHE = ROOT / "var" / "benchmarks" / "dlt"
TIMEOUT_SECONDS = 1800
_PROGRAM = """
import sys, time
import dlt
from dlt.sources.sql_database import sql_table

source, target, table, folder = sys.argv[1:]
how = {"backend": "pyarrow", "chunk_size": 100_000, "reflection_level": "full_with_precision"}
data = sql_table(credentials=source, table=table, **how)
pipeline = dlt.pipeline(
    pipeline_name="peer", pipelines_dir=folder, destination=dlt.destinations.postgres(target), dataset_name="dlt_peer"
)
started = time.perf_counter()
pipeline.run(data, loader_file_format="parquet", write_disposition="replace").raise_on_failed_jobs()
print(time.perf_counter() - started)
"""


def environment() -> Path:
    """Return the Python of dlt's environment, made anew when its requirements changed."""
    python = CACHE / "bin" / "python"
    stamp = CACHE / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
        report.say("making dlt's environment")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--require-hashes", "--no-deps", "-r"]
        subprocess.run([*install, str(REQUIREMENTS)], check=True)
        stamp.write_bytes(REQUIREMENTS.read_bytes())
    return python


def copy(source: str, target: str, table: str) -> float:
    """Copy `table` by dlt; return the seconds of its run, without the start of its process.

    Raises:
        subprocess.CalledProcessError: it failed; its own words are on stderr.
    """
    settings = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    with report.folder() as folder:
        done = subprocess.run(
            [
                str(environment()),
                "-c",
                _PROGRAM,
                source.replace("postgresql", "postgresql+psycopg2", 1),
                target,
                table,
                str(folder),
            ],
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, **settings},
            cwd=folder,
            timeout=TIMEOUT_SECONDS,
            text=True,
        )
    return float(done.stdout.split()[-1])
