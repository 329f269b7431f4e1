"""Judging a million rows of ten data elements: canonical form, flag, repairs and doubts of every value.

The rows are made with the dirt that real tables have: other forms of dates and numbers, names instead of codes,
separators, wrong check characters. The peer in the same run is what one would write in plain Python: the same rows, one
value at a time, with python-stdnum for the identifiers and a set for the codes; it only checks, it repairs nothing. It
runs over a part of the rows (`--peer-rows`), so its figure is values per second. A second peer is pandera over Polars
(`pandera_peer`), in an environment of its own that the first run fills from PyPI by pinned hashes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import parquet
from stdnum.cn import ric, uscc

from benchmarks import report
from datong.norms import JudgedColumn, NormPack, judged_sql, load_pack, match_columns, prepare_divisions, score_table

ROWS = 1_000_000
PEER_ROWS = 100_000
PANDERA = Path(__file__).parent.parent / "var" / "benchmarks" / "pandera"
PANDERA_REQUIREMENTS = Path(__file__).parent.parent / "requirements" / "pandera.txt"
TODAY = date(2026, 11, 26)
ELEMENTS = (
    "citizen_id",
    "person_name",
    "sex",
    "birth_date",
    "phone",
    "address",
    "ethnicity",
    "employer_uscc",
    "annual_income",
    "division_code",
)
_MAKE = """
CREATE TABLE people AS
WITH numbers AS (SELECT i, hash(i) AS h FROM range({rows}) AS t(i)),
born AS (SELECT *, DATE '1940-01-01' + CAST(h % 29000 AS INTEGER) AS born,
    (['440604','440605','440606','440607','110101','370102'])
    [1 + CAST((h >> 8) % 6 AS INTEGER)] AS region FROM numbers),
ids AS (SELECT *, region || strftime(born, '%Y%m%d') || lpad(CAST((h >> 16) % 1000 AS VARCHAR), 3, '0') AS first_17
    FROM born),
checked AS (SELECT *, first_17 || substr('10X98765432', 1 + CAST((
    {weights}) % 11 AS INTEGER), 1) AS id FROM ids)
SELECT
  CASE h % 20 WHEN 0 THEN lower(id) WHEN 1 THEN substr(id, 1, 17) || '7' WHEN 2 THEN '不详'
    WHEN 3 THEN substr(id, 1, 6) || ' ' || substr(id, 7) ELSE id END AS citizen_id,
  (['王','李','张','刘','陈'])[1 + CAST(h % 5 AS INTEGER)] || (['丽 ','伟','芳芳','国 强','敏'])
    [1 + CAST((h >> 4) % 5 AS INTEGER)]
    AS person_name,
  (['1','2','男','女','9','F'])[1 + CAST((h >> 5) % 6 AS INTEGER)] AS sex,
  CASE h % 4 WHEN 0 THEN strftime(born, '%Y/%m/%d') WHEN 1 THEN strftime(born, '%Y%m%d')
    WHEN 2 THEN strftime(born, '%Y年%m月%d日') ELSE strftime(born, '%Y-%m-%d') END AS birth_date,
  CASE h % 5 WHEN 0 THEN '+86 ' ELSE '' END || '13' || lpad(CAST((h >> 12) % 1000000000 AS VARCHAR), 9, '0') AS phone,
  '示例市' || (['一区','二区','三区'])[1 + CAST(h % 3 AS INTEGER)] || '人民路'
    || CAST(h % 500 AS VARCHAR) || '号' AS address,
  (['汉族','01','汉','回族','99x','1'])[1 + CAST((h >> 7) % 6 AS INTEGER)] AS ethnicity,
  (['114406000000000193','12440600456000017N','91440604ma0000015b','91440604MA0000015C'])
    [1 + CAST((h >> 9) % 4 AS INTEGER)]
    AS employer_uscc,
  CASE h % 3 WHEN 0 THEN CAST((h >> 3) % 900000 AS VARCHAR) WHEN 1 THEN CAST((h >> 3) % 90 AS VARCHAR) || '.5万元'
    ELSE format('{{:,}}', CAST((h >> 3) % 900000 AS BIGINT)) END AS annual_income,
  CASE h % 10 WHEN 0 THEN '999999' ELSE region END AS division_code
FROM checked
"""


def make_people(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Create the table `people`."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = " + ".join(
        f"(ascii(substr(first_17, {place}, 1)) - 48) * {weight}" for place, weight in enumerate(weights, start=1)
    )
    connection.execute(_MAKE.format(rows=rows, weights=total))


def judge(connection: duckdb.DuckDBPyConnection, pack: NormPack) -> int:
    """Judge and keep every value; return how many rows were judged."""
    columns = [JudgedColumn(column=code, element=pack.element(code)) for code in ELEMENTS]
    # The values as they were lie in `people` already.
    kept = ", ".join(f"clean_{place}, flag_{place}, repairs_{place}, doubts_{place}" for place, _ in enumerate(columns))
    judged = judged_sql("people", columns, TODAY)
    connection.execute(f"CREATE OR REPLACE TABLE judged AS SELECT {kept} FROM ({judged})")
    row = connection.execute("SELECT count(*) FROM judged").fetchone()
    return int(row[0]) if row else 0


def peer(rows: list[tuple[str | None, ...]], pack: NormPack) -> int:
    """Check every value of `rows` in plain Python; return how many passed."""
    codes = {
        code: {
            spelling for known in pack.element(code).codes for spelling in (known.code, known.name.zh, *known.aliases)
        }
        for code in ("sex", "ethnicity")
    }

    def is_date(text: str) -> bool:
        try:
            date.fromisoformat(text)
        except ValueError:
            return False
        return True

    def is_number(text: str) -> bool:
        try:
            float(text)
        except ValueError:
            return False
        return True

    checks: dict[str, Callable[[str], bool]] = {
        "citizen_id": ric.is_valid,
        "employer_uscc": uscc.is_valid,
        "birth_date": is_date,
        "annual_income": is_number,
        "sex": codes["sex"].__contains__,
        "ethnicity": codes["ethnicity"].__contains__,
        "phone": lambda text: len(text) == 11 and text.isdigit() and text[0] == "1",
        "division_code": lambda text: len(text) in (6, 9, 12) and text.isdigit(),
        "person_name": lambda text: 0 < len(text) <= 50,
        "address": lambda text: 0 < len(text) <= 200,
    }
    passed = 0
    for row in rows:
        for code, value in zip(ELEMENTS, row, strict=True):
            passed += value is not None and checks[code](value)
    return passed


def pandera_peer(folder: Path, rows: list[tuple[str | None, ...]], pack: NormPack) -> dict[str, float]:
    """Return how long pandera takes to validate `rows` (`seconds`, `cpu_seconds`), and how many checks `failed`."""
    python = PANDERA / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PANDERA)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(PANDERA_REQUIREMENTS)]
        subprocess.run(install, check=True)
    data, codes = folder / "rows.parquet", folder / "codes.json"
    columns = list(zip(*rows, strict=True))
    parquet.write_table(
        pa.table({code: pa.array(column, pa.string()) for code, column in zip(ELEMENTS, columns, strict=True)}), data
    )
    known = {code: [entry.code for entry in pack.element(code).codes] for code in ("sex", "ethnicity")}
    codes.write_text(json.dumps(known))
    program = Path(__file__).with_name("pandera_peer.py")
    done = subprocess.run([str(python), str(program), str(data), str(codes)], check=True, capture_output=True)
    return {name: float(value) for name, value in json.loads(done.stdout).items()}


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows to judge")
    parser.add_argument("--peer-rows", type=int, default=PEER_ROWS, help="rows that the peer checks")
    given = parser.parse_args()
    rows, peer_rows, runs = (20_000, 2_000, 1) if given.quick else (given.rows, given.peer_rows, given.runs)
    pack = load_pack()
    with report.folder() as folder:
        connection = duckdb.connect(str(Path(folder) / "norms.duckdb"))
        make_people(connection, rows)
        prepare_divisions(connection, pack, TODAY)
        mapping = match_columns(ELEMENTS, pack)
        sample = connection.execute(f"SELECT * FROM people LIMIT {peer_rows}").fetchall()
        judged, judged_cpu, scored, checked, validated = [], [], [], [], []
        for run in range(runs):
            started = time.process_time()
            judged.append(report.timed(lambda: judge(connection, pack))[0])
            judged_cpu.append(time.process_time() - started)
            scored.append(report.timed(lambda: score_table(connection, "people", mapping, pack, today=TODAY))[0])
            checked.append(report.timed(lambda: peer(sample, pack))[0])
            if not given.quick:
                validated.append(pandera_peer(Path(folder), sample, pack))
            report.say(
                f"run {run + 1}: judged {judged[-1]:.2f} s ({judged_cpu[-1]:.2f} s of CPU), scored {scored[-1]:.2f} s,"
                f" plain Python {checked[-1]:.2f} s, pandera {validated[-1:]} s"
            )
        connection.close()
    values = rows * len(ELEMENTS)
    rate = values / report.median(judged)
    peer_rate = len(sample) * len(ELEMENTS) / report.median(checked)
    pandera = {name: report.median([one[name] for one in validated]) for name in validated[0]} if validated else {}
    pandera_rate = len(sample) * len(ELEMENTS) / pandera["seconds"] if pandera else None
    report.finish(
        "norms",
        sizes={"rows": rows, "elements": len(ELEMENTS), "peer_rows": peer_rows},
        runs=runs,
        figures={
            "judge_seconds": report.median(judged),
            "judge_cpu_seconds": report.median(judged_cpu),
            "score_seconds": report.median(scored),
            "values_per_second": report.rounded(rate),
            "peer_values_per_second": report.rounded(peer_rate),
            "ratio_to_python": report.rounded(rate / peer_rate),
            "pandera_values_per_second": None if pandera_rate is None else report.rounded(pandera_rate),
            "pandera_cpu_seconds": pandera.get("cpu_seconds"),
            "ratio_to_pandera": None if pandera_rate is None else report.rounded(rate / pandera_rate),
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
