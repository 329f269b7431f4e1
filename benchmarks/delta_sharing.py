"""Delta Sharing: a table read by the official client from a live hub, against reading the same Parquet files directly.

Both end in a pandas table, made in the same way, in the client's own environment; the client reads over HTTP from this
machine's hub, through its policy and evidence. Preparing the files (once per version and terms) is told apart.
"""

import json
import shutil
import subprocess
from pathlib import Path

import duckdb
from tests.delta_sharing_client import PYTHON
from tests.integration.web.conftest import EDUCATION, running_hub
from tests.integration.web.test_delta_sharing import TABLE, Published

from benchmarks import report
from datong.app.schema import migrate
from datong.kernel import Database

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 1800
PROGRAM = """
import glob, json, sys, time
import delta_sharing, pandas as pd, pyarrow.dataset as ds
import delta_sharing.reader
table, folder, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
MB = sum(len(open(path, "rb").read()) for path in glob.glob(folder + "/*.parquet")) / 1e6
how = {"date_as_object": True, "use_threads": False, "split_blocks": False, "self_destruct": True}
def local():
    tables = [ds.dataset(path, format="parquet").to_table() for path in sorted(glob.glob(folder + "/*.parquet"))]
    parts = [table.to_pandas(**how) for table in tables]
    return len(pd.concat(parts, axis=0, ignore_index=True, copy=False))
def shared():
    return len(delta_sharing.load_as_pandas(table))
def timed(act):
    begun = time.perf_counter()
    rows = act()
    return time.perf_counter() - begun, rows
found = {"mb": MB, "local": [], "shared": []}
for act in (local, shared):
    timed(act)
for _ in range(runs):
    for act in (local, shared):
        seconds, found["rows"] = timed(act)
        found[act.__name__].append(seconds)
print(json.dumps(found))
"""


def main() -> None:
    """Publish, prepare, read in both ways, report."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.rows = 1, 2_000
    subprocess.run([ROOT / "tools" / "setup-clients"], check=True)
    with report.folder() as folder:
        database = Database(f"sqlite:///{folder / 'control.sqlite'}")
        migrate(database)
        with running_hub(database, folder / "hub") as hub:
            measure(Published(hub), folder, chosen.rows, chosen.runs)
        database.close()


def measure(published: Published, folder: Path, rows: int, runs: int) -> None:
    """Read a table of `rows` rows; version 3 of the published one."""
    with duckdb.connect() as connection:
        number = "(440604190001010000 + i)::VARCHAR"
        query = f"SELECT {number} AS id, '王' || (i * 7919 % 99991) AS name, 'x' AS phone, {number} AS _row_key"
        published.publish_rows(3, connection, f"{query} FROM range({rows}) t(i)", rows)
    client_id = published.application(published.education, EDUCATION)
    profile = published.profile(published.education, client_id, folder)
    consumer = published.hub.client(Authorization=f"Bearer {json.loads(Path(profile).read_text())['bearerToken']}")
    consumer.timeout = TIMEOUT_SECONDS
    share, schema, table = TABLE.split(".")
    path = f"/delta-sharing/shares/{share}/schemas/{schema}/tables/{table}/query"
    prepare, _ = report.timed(lambda: consumer.post(path, json={}).raise_for_status())
    query_seconds, answer = report.timed(lambda: consumer.post(path, json={}).raise_for_status())
    report.say(f"prepared {rows} rows in {prepare:.1f} s, asked again in {query_seconds:.2f} s")
    # The token that the preparation was asked with may have run out by now.
    profile = published.profile(published.education, client_id, folder)
    local = folder / "local"
    local.mkdir()
    for line in answer.text.splitlines()[2:]:
        url = json.loads(line)["file"]["url"]
        release, name = url.split("?")[0].split("/")[-2:]
        shutil.copy(published.hub.services.settings.home / "delta-sharing" / "files" / release / name, local / name)
    command = [str(PYTHON), "-W", "ignore", "-c", PROGRAM, f"{profile}#{TABLE}", str(local), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["rows"] != rows:
        raise SystemExit(f"{found['rows']} rows were read instead of {rows}")
    direct, shared = report.median(found["local"]), report.median(found["shared"])
    report.finish(
        "delta_sharing",
        runs=runs,
        sizes={"rows": rows, "parquet_mb": report.rounded(found["mb"])},
        figures={
            "ratio_to_local_parquet": report.rounded(direct / shared),
            "shared_mb_per_second": report.rounded(found["mb"] / shared),
            "local_mb_per_second": report.rounded(found["mb"] / direct),
            "prepare_seconds": report.rounded(prepare),
            "query_seconds": report.rounded(query_seconds),
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
