"""The tables as declared and the migrations say the same, on both engines."""

import threading
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from datong.app.schema import MIGRATIONS, migrate
from datong.kernel import METADATA, Database


def test_migrations_lead_to_the_declared_tables(control_database: Database) -> None:
    with control_database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
    assert differences == []


def test_each_migration_follows_the_one_before_it() -> None:
    found = sorted(path for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    numbers = [path.name[:4] for path in found]
    assert len(set(numbers)) == len(numbers)
    for path, number, before in zip(found, numbers, [None, *numbers], strict=False):
        told = "None" if before is None else f'"{before}"'
        said = f'\nrevision = "{number}"\ndown_revision = {told}\n'
        assert said in path.read_text(encoding="utf-8"), path.name


def test_migrating_again_changes_nothing(control_database: Database) -> None:
    with control_database.snapshot() as connection:
        before = sorted(inspect(connection).get_table_names())
    migrate(control_database)
    with control_database.snapshot() as connection:
        assert sorted(inspect(connection).get_table_names()) == before


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / 'control.sqlite'}") for _ in range(3)]
    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].snapshot() as connection:
        assert "ledger_entry" in inspect(connection).get_table_names()
    for database in databases:
        database.close()
