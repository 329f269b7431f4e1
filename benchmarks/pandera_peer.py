"""The peer of `benchmarks.norms` that data engineers reach for: pandera's checks, vectorised by Polars.

It runs in an environment of its own (`requirements/pandera.txt`), as a program that reads rows from a Parquet file and
prints how long validating them took, and how many checks failed. It checks form, code lists, dates and the check
characters of citizen IDs and credit codes; it repairs nothing and doubts nothing.
"""

import importlib
import json
import sys
import time
from typing import Any

CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def schema(pandera: Any, polars: Any, codes: dict[str, list[str]]) -> Any:
    """Return the schema of the ten columns."""

    def checked(weights: tuple[int, ...], alphabet: str, checks: str) -> Any:
        def passes(data: Any) -> Any:
            column = polars.col(data.key)
            values = {character: value for value, character in enumerate(alphabet)}
            total = sum(
                column.str.slice(place, 1).replace_strict(values, default=None, return_dtype=polars.Int64) * weight
                for place, weight in enumerate(weights)
            )
            expected = (total % len(checks)).replace_strict(dict(enumerate(checks)), default=None)
            return data.lazyframe.select((column.str.slice(len(weights), 1) == expected).fill_null(value=False))

        return pandera.Check(passes)

    def is_date(data: Any) -> Any:
        return data.lazyframe.select(polars.col(data.key).str.to_date("%Y-%m-%d", strict=False).is_not_null())

    def matches(pattern: str) -> Any:
        return pandera.Check.str_matches(pattern)

    uscc_checks = "".join(USCC_ALPHABET[(31 - rest) % 31] for rest in range(31))
    checks = {
        "citizen_id": [matches(r"^[1-9]\d{16}[0-9X]$"), checked(CITIZEN_WEIGHTS, "0123456789", "10X98765432")],
        "employer_uscc": [matches(r"^[0-9A-Z]{18}$"), checked(USCC_WEIGHTS, USCC_ALPHABET, uscc_checks)],
        "birth_date": [pandera.Check(is_date)],
        "annual_income": [matches(r"^-?\d+(\.\d+)?$")],
        "sex": [pandera.Check.isin(codes["sex"])],
        "ethnicity": [pandera.Check.isin(codes["ethnicity"])],
        "phone": [matches(r"^1\d{10}$")],
        "division_code": [matches(r"^\d{6}(\d{3}(\d{3})?)?$")],
        "person_name": [pandera.Check.str_length(1, 50)],
        "address": [pandera.Check.str_length(1, 200)],
    }
    return pandera.DataFrameSchema(
        {name: pandera.Column(polars.String, every, nullable=True) for name, every in checks.items()}
    )


def main() -> None:
    """Validate the rows of the file named first with the codes of the file named second."""
    pandera, polars = importlib.import_module("pandera.polars"), importlib.import_module("polars")
    errors = importlib.import_module("pandera.errors")
    rows = polars.read_parquet(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as file:
        described = schema(pandera, polars, json.load(file))
    started, spent = time.perf_counter(), time.process_time()
    try:
        described.validate(rows, lazy=True)
        failed = 0
    except errors.SchemaErrors as error:
        failed = len(error.failure_cases)
    taken = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - spent}
    print(json.dumps({**taken, "failed": failed}))


if __name__ == "__main__":
    main()
