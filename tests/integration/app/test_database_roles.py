"""The hub works with the rights that docs/security.md gives it, and can do nothing else to its database."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from datong.adapters import DurableJobs
from datong.app.hub import Hub
from datong.catalogue import Department
from datong.kernel import PLATFORM_ACTOR, DepartmentCode, Settings, Text
from datong.sharing import Role
from tests.conftest import sqlalchemy_url
from tests.servers import PostgresqlServer

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
FORBIDDEN = (
    "CREATE TABLE more (n int)",
    "DROP TABLE ledger_entry",
    "ALTER TABLE ledger_entry ADD COLUMN n int",
    "TRUNCATE ledger_entry",
    "UPDATE ledger_entry SET subject = ''",
    "DELETE FROM ledger_entry",
    "DELETE FROM ledger_entry_department",
    "UPDATE alembic_version SET version_num = '0'",
    "CREATE SCHEMA other",
    "CREATE EXTENSION pg_trgm",
    "CREATE ROLE more",
    "COPY ledger_entry TO '/tmp/x'",
    "SET ROLE datong_owner",
)


def block(name: str) -> list[str]:
    """Return the statements of a block of the page."""
    found = re.search(rf"```sql {name}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return [statement for line in found[1].split(";\n") if (statement := line.strip())]


@pytest.fixture
def urls(postgresql_server: PostgresqlServer) -> Iterator[dict[str, str]]:
    """Yield the URLs of a new database for its owner and for the hub."""
    for statement in block("roles-administrator"):
        postgresql_server.execute(statement)
    base = postgresql_server.url("datong").split("@", 1)[1]
    yield {
        "owner": f"postgresql://datong_owner:choose-one@{base}",
        "hub": f"postgresql://datong_hub:choose-another@{base}",
    }
    postgresql_server.drop_database(postgresql_server.url("datong"))
    for role in ("datong_owner", "datong_hub"):
        postgresql_server.execute(f"DROP ROLE {role}")


def run(url: str, statements: list[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_the_hub_works_with_no_more_rights_than_it_needs(urls: dict[str, str], tmp_path: Path) -> None:
    run(urls["owner"], block("roles-owner"))
    Hub(Settings(home=tmp_path / "hub", database_url=sqlalchemy_url(urls["owner"]))).close()
    migrate = [str(Path(sys.executable).with_name("dbos")), "migrate", "--app-role", "datong_hub", "--sys-db-url"]
    subprocess.run([*migrate, urls["owner"]], check=True, capture_output=True, timeout=120)
    run(urls["owner"], block("roles-evidence"))

    hub = Hub(Settings(home=tmp_path / "hub", database_url=sqlalchemy_url(urls["hub"])))
    services = hub.services
    bureau = DepartmentCode("114406000000000193")
    name = Text(zh="数据局", en="Data Bureau")
    services.departments.register(
        Department(code=bureau, name=name, short_name=name, is_authority=True), PLATFORM_ACTOR
    )
    roles = frozenset({Role.OPERATOR})
    services.identity.create_account(
        username="operator", password="a password", name="运维", roles=roles, actor=PLATFORM_ACTOR
    )
    services.identity.session(services.identity.authenticate("operator", "a password").token)
    services.ledger.integrate()
    assert services.ledger.size() >= 1
    for sweep in hub.sweeps():
        sweep.run()
    jobs = DurableJobs(database_url=sqlalchemy_url(urls["hub"]), executor_id="hub", at_once=1, handlers={})
    jobs.start()
    jobs.stop()
    for statement in FORBIDDEN:
        with pytest.raises(ProgrammingError), hub.database.transaction() as connection:
            connection.exec_driver_sql(statement)
    hub.close()
