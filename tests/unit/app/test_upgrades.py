"""Data of every released version opens with this one; what changes the schema leaves the version before at work."""

import json
import re
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, select, text

from datong.app.fsck import AREAS
from datong.app.hub import Hub
from datong.app.schema import MIGRATIONS, migrate, newest_revision, revision_of
from datong.app.upgrade import upgrade
from datong.kernel import METADATA, Database, Settings, Unavailable
from datong.ledger import verify_log
from tests.conftest import sqlalchemy_url
from tests.servers import PostgresqlServer

RELEASED = Path(__file__).parents[2] / "released"
VERSIONS = sorted(path.name for path in RELEASED.iterdir())
CONTRACTING = re.compile(
    r"op\.(drop_table|drop_column|rename_table)|\.drop_column|nullable=False|new_column_name|type_="
)
CONTRACTS = "Contracts: "
"""In a migration's docstring: the released version since which nothing uses what it takes away."""


def unpacked(version: str, folder: Path) -> Path:
    """Return the home of a hub with the data of a released version."""
    home = folder / "hub"
    home.mkdir(mode=0o700)
    with tarfile.open(RELEASED / version / "hub.tar.xz") as archive:
        archive.extractall(home, filter="data")
    (home / "keys").chmod(0o700)
    (home / "keys" / "hub.key").chmod(0o600)
    return home


def told(version: str) -> dict[str, object]:
    """Return what a version's data have to tell."""
    found: dict[str, object] = json.loads((RELEASED / version / "told.json").read_text())
    return found


def require_whole(hub: Hub, version: str, folder: Path) -> None:
    """Check that nothing of the data is lost: the rows of each table, the log, the state against the log."""
    rows = told(version)["rows"]
    assert isinstance(rows, dict)
    with hub.database.snapshot() as connection:
        assert revision_of(connection) == newest_revision()
        names = set(inspect(connection).get_table_names())
        held = {
            name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()  # noqa: S608
            for name in rows
            if name in names
        }
    assert {name: count for name, count in rows.items() if name in held and name != "alembic_version"} == {
        name: count for name, count in held.items() if name != "alembic_version"
    }
    while hub.services.ledger.integrate():
        pass
    assert hub.services.ledger.fsck(AREAS).faults == ()
    hub.services.ledger.export(folder / "log")
    report = verify_log(folder / "log", log_key=bytes.fromhex(str(told(version)["log_key"])))
    assert report.size >= int(str(told(version)["log_size"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hub_on_sqlite_opens_the_data_of_a_released_version(version: str, tmp_path: Path) -> None:
    hub = Hub(Settings(home=unpacked(version, tmp_path), log_origin=str(told(version)["log_origin"])))
    require_whole(hub, version, tmp_path)
    hub.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hub_on_postgresql_opens_the_data_of_a_released_version(
    version: str, postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    home, url = unpacked(version, tmp_path), postgresql_server.create_database()
    database, kept = Database(sqlalchemy_url(url)), Database(f"sqlite:///{home / 'control.sqlite'}")
    # The tables as that version made them, and its rows in them.
    with database.transaction() as connection:
        upgrade(connection, MIGRATIONS, str(told(version)["revision"]))
    with database.transaction() as connection, kept.snapshot() as source:
        connection.exec_driver_sql("SET session_replication_role = replica")
        for table in METADATA.sorted_tables:
            if not inspect(source).has_table(table.name):
                continue
            there = {column["name"] for column in inspect(source).get_columns(table.name)}
            columns = [column for column in table.columns if column.name in there]
            rows = [dict(row) for row in source.execute(select(*columns)).mappings()]
            if rows:
                connection.execute(table.insert(), rows)
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('ledger_entry', 'serial'), (SELECT max(serial) FROM ledger_entry))"
        )
    database.close()
    kept.close()
    hub = Hub(Settings(home=home, database_url=sqlalchemy_url(url), log_origin=str(told(version)["log_origin"])))
    require_whole(hub, version, tmp_path)
    hub.close()
    postgresql_server.drop_database(url)


def test_what_came_after_a_release_leaves_that_release_at_work() -> None:
    """While a hub is upgraded, process by process, the old ones work on the new tables."""
    base = str(told(VERSIONS[-1])["revision"])
    later = [path for path in (MIGRATIONS / "versions").glob("[0-9]*.py") if path.name[:4] > base]
    for path in later:
        text_of = path.read_text(encoding="utf-8")
        contracts = re.search(rf"{CONTRACTS}(\S+)", text_of.split('"""')[1])
        if contracts is not None:
            assert contracts[1] in VERSIONS, f"{path.name} takes away what {contracts[1]} does not use: released?"
            continue
        for added in re.findall(r"op\.add_column\(.*?\n    \)|op\.add_column\([^\n]*\)", text_of, re.DOTALL):
            assert "nullable=True" in added or "server_default" in added, f"{path.name}: old code writes no such column"
        outside = re.sub(r"op\.(create_table|add_column)\(.*?\n    \)", "", text_of, flags=re.DOTALL)
        found = CONTRACTING.search(outside)
        assert found is None, f"{path.name}: {found and found[0]} breaks the version before; see docs/stability.md"


def test_a_migration_lets_go_of_what_others_hold_and_comes_back(postgresql_server: PostgresqlServer) -> None:
    """A migration that waits for a table keeps everybody else waiting behind it."""
    url = postgresql_server.create_database()
    with closing(Database(sqlalchemy_url(url))) as database:
        with database.transaction() as connection:
            upgrade(connection, MIGRATIONS, "0075")
        with database.transaction() as holder:
            holder.execute(text("LOCK TABLE sharing_account IN ROW EXCLUSIVE MODE"))
            with pytest.raises(Unavailable, match=r"app\.migration_waits"):
                migrate(database, seconds=0)
            with database.snapshot() as connection:
                connection.execute(text("SET LOCAL lock_timeout = 1000"))
                assert connection.scalar(text("SELECT count(*) FROM sharing_account")) == 0
                assert revision_of(connection) == "0075"
        migrate(database, seconds=0)
        with database.snapshot() as connection:
            assert revision_of(connection) == newest_revision()
    postgresql_server.drop_database(url)


def test_an_older_process_starts_on_newer_tables(tmp_path: Path) -> None:
    home = unpacked(VERSIONS[-1], tmp_path)
    with closing(Database(f"sqlite:///{home / 'control.sqlite'}")) as database:
        migrate(database)
        with database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        migrate(database)
        with database.snapshot() as connection:
            assert revision_of(connection) == "9999"
