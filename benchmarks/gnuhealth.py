"""GNU Health 5 in a PostgreSQL database: a real system of 393 tables made by somebody else, with its makers' labels.

The packages come from PyPI with pinned hashes (`requirements/gnuhealth.txt`) into an environment of their own; nothing
of them is kept in this repository. Its own administration program makes the schema, which takes some minutes, so the
schema and the Chinese labels of its translation files are kept under `var/`.
"""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql
from tests.servers import POSTGRESQL_BIN, PostgresqlServer

from datong.demo.dice import Dice
from datong.demo.names import given_name, surname
from datong.demo.places import any_home, official_address

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements" / "gnuhealth.txt"
CACHE = ROOT / "var" / "benchmarks" / "gnuhealth"
TRUTH = Path(__file__).parent / "truth" / "gnuhealth.csv"
LEFT_OUT_MODULES = re.compile(
    r"__|.*(icd10$|icd10pcs|icd11|icd9|icpm|uniprot|charts_who|medicines|caldav|webdav|calendar|qrcodes|crypto|orthanc)"
)
"""Modules that bring only large tables of codes, or programs around the system: no further kinds of columns."""
NAMES = 400
STRUCTURAL = frozenset({"id"})
"""The key that every table has: counted apart, for nobody could miss it."""
_ENTRY = re.compile(r'msgctxt\s+((?:"[^\n]*"\s*)+)msgid\s+((?:"[^\n]*"\s*)+)msgstr\s+((?:"[^\n]*"\s*)+)')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Column(NamedTuple):
    """A column of the database, with the table that its single-column foreign key refers to."""

    table: str
    name: str
    type: str
    refers_to: str | None


def make_database(server: PostgresqlServer) -> str:
    """Return the URL of a new database with the schema and, as comments, the makers' own Chinese labels."""
    schema = CACHE / "schema.sql"
    if not schema.exists():
        _build(server, schema)
    url = server.create_database()
    subprocess.run([str(POSTGRESQL_BIN / "psql"), "-q", "-o", os.devnull, "-f", str(schema), url], check=True)
    return url


def columns(connection: psycopg.Connection) -> list[Column]:
    """Return every column of the system's tables."""
    rows = connection.execute(
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
               (SELECT k.confrelid::regclass::text FROM pg_constraint k
                WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] LIMIT 1)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1, a.attnum
        """
    ).fetchall()
    return [Column(*row) for row in rows]


def truth(found: list[Column]) -> dict[tuple[str, str], frozenset[str]]:
    """Return what each identifier-like column may be called, by table and column; foreign keys are added."""
    by_hand: dict[tuple[str, str], frozenset[str]] = {}
    with TRUTH.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            by_hand[row["table"], row["column"]] = frozenset(row["elements"].split("|"))
    labels = {}
    for column in found:
        known = by_hand.get((column.table, column.name)) or by_hand.get(("*", column.name))
        is_reference = column.refers_to is not None
        if column.name in STRUCTURAL or is_reference:
            labels[column.table, column.name] = frozenset({"record_id"}) | (known or frozenset())
        elif known is not None and column.type != "boolean":
            labels[column.table, column.name] = known
    return labels


def held_out(table: str) -> bool:
    """Whether a table belongs to the half that the mapper was never tuned on, by a digest of its name."""
    return sha256(table.encode()).digest()[0] % 2 == 1


def fill(connection: psycopg.Connection, found: list[Column], rows: int) -> int:
    """Fill every table with generated, plausible rows, references and checks aside; return how many in all."""
    labels = truth(found)
    dice = Dice(1)
    people = range(NAMES)
    names = [surname(dice) + given_name(dice, sex=str(1 + n % 2), birth_year=1950 + n % 60) for n in people]
    homes = [official_address(any_home(dice)) for _ in people]
    words = {"names": names, "homes": homes}
    tables: dict[str, list[Column]] = {}
    for column in found:
        tables.setdefault(column.table, []).append(column)
    connection.execute("SET session_replication_role = replica")
    checks = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid <> 0"
    for table, constraint in connection.execute(checks).fetchall():
        statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(statement.format(sql.SQL(table), sql.Identifier(constraint)))
    computed = (
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indexprs IS NOT NULL AND c.relnamespace = 'public'::regnamespace"
    )
    for (index,) in connection.execute(computed).fetchall():
        # Indexes that read a number out of a text would refuse generated texts.
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.SQL(index)))
    for table, members in tables.items():
        values = [_values(column, labels.get((table, column.name), frozenset()), words) for column in members]
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {}) AS n ON CONFLICT DO NOTHING")
        connection.execute(
            statement.format(
                sql.Identifier(table),
                sql.SQL(", ").join(sql.Identifier(column.name) for column in members),
                sql.SQL(", ").join(values),
                sql.Literal(rows),
            )
        )
    connection.execute("ANALYZE")
    return rows * len(tables)


def _values(column: Column, means: frozenset[str], words: dict[str, list[str]]) -> sql.Composable:
    """The expression over `n` that gives a column plausible values."""
    picked = sql.SQL("({}::text[])[1 + (n * 7919) % {}]")
    kind = re.sub(r"\([0-9,]+\)", "", column.type)
    if column.name == "id":
        return sql.SQL("n")
    if kind in {"character varying", "text"}:
        if means & {"person_name", "organisation_name"}:
            return picked.format(sql.Literal(words["names"]), sql.Literal(len(words["names"])))
        if "address" in means:
            return picked.format(sql.Literal(words["homes"]), sql.Literal(len(words["homes"])))
        if "sex" in means:
            return sql.SQL("(ARRAY['m', 'f'])[1 + n % 2]")
        if "phone" in means:
            return sql.SQL("'139' || lpad((n * 7919 % 100000000)::text, 8, '0')")
        if "record_id" in means:
            return sql.SQL("'R' || lpad(n::text, 8, '0')")
        limit = re.search(r"\((\d+)\)", column.type)
        return sql.SQL("left(md5(n::text || {}), {})").format(
            sql.Literal(column.name), sql.Literal(min(12, int(limit[1]) if limit else 12))
        )
    moment = sql.SQL("timestamp '2020-01-01' + n * interval '7 hours'")
    by_kind: dict[str, sql.Composable] = {
        "integer": sql.SQL("1 + (n * 31) % 50"),
        "bigint": sql.SQL("1 + (n * 31) % 50"),
        "boolean": sql.SQL("n % 2 = 0"),
        "date": sql.SQL("date '1950-01-01' + n * 29"),
        "timestamp without time zone": moment,
        "numeric": sql.SQL("n * 1.5"),
        "double precision": sql.SQL("n * 1.5"),
        "bytea": sql.SQL("'\\x00'::bytea"),
        "time without time zone": sql.SQL("time '08:00'"),
        "interval": sql.SQL("interval '1 day'"),
        "json": sql.SQL("'{}'::json"),
        "jsonb": sql.SQL("'{}'::jsonb"),
        "uuid": sql.SQL("md5(n::text)::uuid"),
    }
    return by_kind.get(kind, sql.SQL("NULL"))


def _build(server: PostgresqlServer, schema: Path) -> None:
    environment = CACHE / "venv"
    CACHE.mkdir(parents=True, exist_ok=True)
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)]
    subprocess.run(install, check=True)
    modules = next((environment / "lib").glob("python*/site-packages/trytond/modules"))
    names = [one.name for one in sorted(modules.iterdir()) if one.is_dir() and not LEFT_OUT_MODULES.match(one.name)]
    url = server.create_database()
    base, database = url.rsplit("/", 1)
    settings, password = CACHE / "trytond.conf", CACHE / "password"
    settings.write_text(f"[database]\nuri = {base}/\n")
    password.write_text("only-for-benchmarks")
    admin = [str(environment / "bin" / "trytond-admin"), "-c", str(settings), "-d", database, "--email", "a@b.invalid"]
    subprocess.run(
        [*admin, "-u", "ir", "res", *names, "--activate-dependencies"],
        check=True,
        env={**os.environ, "TRYTONPASSFILE": str(password)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with psycopg.connect(url, autocommit=True) as connection:
        known = {(column.table, column.name) for column in columns(connection)}
        for table, column, label in _labels(modules.parent):
            if (table, column) in known:
                statement = sql.SQL("COMMENT ON COLUMN {}.{} IS {}")
                connection.execute(statement.format(sql.Identifier(table), sql.Identifier(column), sql.Literal(label)))
    dump = [str(POSTGRESQL_BIN / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", url]
    part = schema.with_suffix(".part")
    part.write_bytes(subprocess.run(dump, check=True, capture_output=True).stdout)
    part.rename(schema)
    server.drop_database(url)


def _labels(package: Path) -> Iterator[tuple[str, str, str]]:
    """Yield table, column and Chinese label from the makers' translation files."""
    for path in sorted(package.rglob("locale/zh_CN.po")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            match = _ENTRY.search(block)
            if match is None:
                continue
            context, _, label = ("".join(_QUOTED.findall(part)) for part in match.groups())
            if context.startswith("field:") and label:
                model, _, field = context.removeprefix("field:").rstrip(":").partition(",")
                yield model.replace(".", "_").replace("-", "_"), field.rstrip(":"), label
