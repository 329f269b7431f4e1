"""A node takes the inventory of real databases and reports it to a real hub: what is drafted, leaves, and drifts."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pymysql
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    CrawlOptions,
    CrawlProgress,
    Inventory,
    ResourceAction,
    ResourceState,
)
from datong.governance import Duty, DutyKind, LedgerEvidence
from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, Database, DatongError, ResourceId, SystemClock
from datong.ledger import EntryKind, RecordedEntry
from datong.node import NodeProgram
from datong.norms import load_pack
from tests.integration.web.conftest import BUREAU, EDUCATION, POLICE, RunningHub, running_hub
from tests.servers import MariadbServer, PostgresqlServer

OFFICER = Actor(kind=ActorKind.PERSON, id="p", department=POLICE, name="管理员")
REVIEWER = Actor(kind=ActorKind.PERSON, id="a", department=BUREAU, name="审核员")
ASSESSMENT = Assessment(
    secrecy="不涉及国家秘密",
    personal_information="已评估",
    conclusion=AssessmentConclusion.PASSED,
    assessed_by="数据管理员",
    assessed_on=date(2026, 11, 1),
)
CANARIES = ("4406041987654321", "金丝雀王丽", "canary-default", "canary@example.org", "2019-03-04 05:06:07", "7654321")
TABLES = """
CREATE TABLE person ( -- 常住人口
    sfzh TEXT PRIMARY KEY, -- 公民身份号码（例如：44060419876543210X）
    xm TEXT DEFAULT 'canary-default', -- 姓名
    xb TEXT, -- 性别(1男2女)
    yx TEXT,
    sr REAL,
    gxsj TEXT -- 更新时间
);
CREATE TABLE person_ext (sfzh TEXT PRIMARY KEY REFERENCES person, bz TEXT);
CREATE TABLE tmp_person (sfzh TEXT, xm TEXT);
CREATE TABLE dm_xb (dm TEXT PRIMARY KEY, mc TEXT);
"""
ROW = ("44060419876543210X", "金丝雀王丽", "1", "canary@example.org", 7654321.5, "2019-03-04 05:06:07")


class BodyKeeper:
    """Keeps every byte that clients send to the application behind it: paths, headers and bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.sent = bytearray()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.sent += scope["raw_path"] + scope["query_string"] + repr(scope["headers"]).encode()

        async def kept() -> Message:
            message = await receive()
            self.sent += message.get("body", b"")
            return message

        await self.app(scope, kept, send)


def node_of(hub: RunningHub, folder: Path, **sources: str) -> NodeProgram:
    """Enrol a node of the police with these sources."""
    node = NodeProgram(
        directory=folder,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=load_pack,
    )
    token = hub.services.identity.create_enrolment(department=POLICE, actor=PLATFORM_ACTOR)
    node.enrol(hub_url=hub.url, token=token, name="police-1")
    for name, url in sources.items():
        node.add_source(name=name, url=url, writable=False)
    return node


def take(node: NodeProgram, **options: object) -> tuple[Inventory, ...]:
    chosen = CrawlOptions.model_validate({"again": True, **options})
    return node.send_inventory(node.plan_inventory(None, options=chosen, progress=lambda _: None))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "people.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
        connection.executemany("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?)", [ROW])
        connection.executemany("INSERT INTO dm_xb VALUES (?, ?)", [("1", "男"), ("2", "女")])
        connection.commit()
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def publish(hub: RunningHub, resource_id: ResourceId) -> None:
    """Complete a resource as its officer does, and take it to publication."""
    catalogue = hub.services.catalogue
    draft = catalogue.get(resource_id)
    content = draft.content.model_copy(
        update={"assessment": ASSESSMENT, "use_condition": "履职所需", "data_category": "personal"}
    )
    catalogue.edit(resource_id, content, OFFICER, draft.version)
    for action, actor in (
        (ResourceAction.SIGN_OFF, OFFICER),
        (ResourceAction.SUBMIT, OFFICER),
        (ResourceAction.APPROVE, REVIEWER),
        (ResourceAction.PUBLISH, REVIEWER),
    ):
        catalogue.act(resource_id, action, actor)


def test_an_inventory_drafts_counts_and_says_what_was_left_out(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    (made,) = take(node)
    counts = made.counts
    assert (counts.tables, counts.to_catalogue, counts.members, counts.codes, counts.left_out) == (4, 1, 1, 1, 1)
    assert made.coverage == 0
    rows = hub.services.inventories.tables(made.id).rows
    roles = {row.found.table: (row.found.role.value, row.found.of) for row in rows}
    assert roles == {
        "person": ("main", ""),
        "person_ext": ("extension", "person"),
        "tmp_person": ("left_out", ""),
        "dm_xb": ("codes", ""),
    }
    person = next(row for row in rows if row.found.table == "person")
    assert person.resource_id is not None
    assert person.found.personal
    elements = {column.item.column: column.item.element for column in person.found.columns}
    assert elements["xm"] == "person_name"
    assert elements["xb"] == "sex"
    draft = hub.services.catalogue.get(person.resource_id)
    assert draft.state is ResourceState.DRAFT
    assert draft.content.binding is not None
    assert draft.content.binding.table == "person"
    again = take(node)
    assert again[0].counts.drafted == 1
    assert len(hub.services.catalogue.find(department=POLICE).rows) == 1


def test_no_value_leaves_the_node(
    control_database: Database,
    tmp_path: Path,
    source: Path,
    postgresql_server: PostgresqlServer,
    mariadb_server: MariadbServer,
) -> None:
    postgresql, mariadb = postgresql_server.create_database(), mariadb_server.create_database()
    fill_postgresql(postgresql)
    fill_mariadb(mariadb_server, mariadb)
    files = tmp_path / "files"
    files.mkdir()
    (files / "people.csv").write_text(f"sfzh,xm,yx\n{ROW[0]},{ROW[1]},{ROW[3]}\n", encoding="utf-8")
    keepers: list[BodyKeeper] = []

    def watched(app: ASGIApp) -> ASGIApp:
        keepers.append(BodyKeeper(app))
        return keepers[0]

    with running_hub(control_database, tmp_path / "hub", watched) as hub:
        node = node_of(
            hub,
            tmp_path / "node",
            people=f"sqlite:///{source}",
            pg=postgresql,
            maria=mariadb,
            files=f"files://{files}",
        )
        made = take(node)
    assert {one.source: one.counts.tables for one in made} == {"people": 4, "pg": 2, "maria": 1, "files": 1}
    sent = keepers[0].sent.decode(errors="replace")
    assert "person" in sent
    assert "公民身份号码" in sent
    for canary in CANARIES:
        assert canary not in sent, canary
        assert canary.encode("unicode-escape").decode() not in sent, canary


def fill_postgresql(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA hr")
        for name in ("person", "hr.person"):
            connection.execute(
                f"CREATE TABLE {name} (sfzh text PRIMARY KEY, xm text DEFAULT 'canary-default', yx text, n bigint, "
                "gxsj timestamp)".encode()
            )
            connection.execute(
                f"INSERT INTO {name} VALUES (%s, %s, %s, 7654321, %s)".encode(), (ROW[0], ROW[1], ROW[3], ROW[5])
            )
            connection.execute(
                f"COMMENT ON COLUMN {name}.sfzh IS '公民身份号码，如：44060419876543210X canary@example.org'".encode()
            )


def fill_mariadb(server: MariadbServer, url: str) -> None:
    connection = pymysql.connect(
        host="127.0.0.1",
        port=server.port,
        user=server.user,
        password=server.password,
        database=url.rsplit("/", 1)[1],
        autocommit=True,
        charset="utf8mb4",
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE person (sfzh varchar(18) PRIMARY KEY COMMENT '身份证号 4406041987654321', "
            "xm varchar(50) DEFAULT 'canary-default', yx varchar(99), gxsj datetime) COMMENT '常住人口'"
        )
        cursor.execute("INSERT INTO person VALUES (%s, %s, %s, %s)", (ROW[0], ROW[1], ROW[3], ROW[5]))


def test_a_source_that_departs_from_its_entry_opens_the_duty_until_it_is_revised(
    hub: RunningHub, tmp_path: Path, source: Path
) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    (made,) = take(node)
    resource_id = listed(hub, made, "person")
    publish(hub, resource_id)
    take(node)
    inventories = hub.services.inventories
    assert inventories.drifts().total == 0
    change(source, "ALTER TABLE person ADD COLUMN mz TEXT", "ALTER TABLE person DROP COLUMN yx")
    take(node)
    (drift,) = inventories.drifts().rows
    kinds = {(change.kind.value, change.column) for change in drift.changes}
    assert kinds == {("column_added", "mz"), ("column_removed", "yx")}
    calendar = hub.services.calendar
    assert calendar.working_days_left(drift.opened_at, drift.due_at) == 10
    (duty,) = duties(hub)
    assert (duty.resource_id, duty.due_at, duty.done_at) == (resource_id, drift.due_at, None)
    take(node)
    assert inventories.drifts().total == 1

    revision = inventories.propose_revision(resource_id, OFFICER)
    assert revision.version == 2
    columns = {item.column for item in revision.content.items}
    assert "mz" in columns
    assert "yx" not in columns
    publish(hub, resource_id)
    assert inventories.drifts().total == 0
    (duty,) = duties(hub)
    assert duty.done_at is not None
    take(node)
    assert inventories.drifts().total == 0
    closed = inventories.drifts(include_closed=True)
    assert [one.state.value for one in closed.rows] == ["closed"]


def test_a_drift_that_disappears_and_a_table_that_is_gone(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    (made,) = take(node)
    resource_id = listed(hub, made, "person")
    publish(hub, resource_id)
    inventories = hub.services.inventories
    change(source, "ALTER TABLE person RENAME TO person_moved")
    take(node)
    (drift,) = inventories.drifts().rows
    assert [one.kind.value for one in drift.changes] == ["table_gone"]
    assert not drift.revisable
    change(source, "ALTER TABLE person_moved RENAME TO person")
    take(node)
    assert inventories.drifts().total == 0
    (duty,) = duties(hub)
    assert duty.done_at is not None


def test_only_a_source_that_fails_twice_is_a_dead_binding(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    (made,) = take(node)
    publish(hub, listed(hub, made, "person"))
    moved = source.rename(tmp_path / "away.sqlite")
    (failed,) = take(node)
    assert not failed.answered
    assert failed.fault is not None
    assert hub.services.inventories.drifts().total == 0
    take(node)
    (drift,) = hub.services.inventories.drifts().rows
    assert [one.kind.value for one in drift.changes] == ["unreadable"]
    (kept,) = hub.services.inventories.find(POLICE)
    assert kept.id == made.id
    moved.rename(source)
    take(node)
    assert hub.services.inventories.drifts().total == 0


def test_a_table_that_cannot_be_read_does_not_end_the_crawl(
    hub: RunningHub, tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    url = postgresql_server.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE good (id int PRIMARY KEY, xm text)")
        connection.execute("CREATE VIEW broken AS SELECT 1 / (random() < 0)::int AS n FROM generate_series(1, 2)")
    told: list[CrawlProgress] = []
    node = node_of(hub, tmp_path / "node", pg=url)
    (plan,) = node.plan_inventory(None, options=CrawlOptions(), progress=told.append)
    (made,) = node.send_inventory((plan,))
    assert made.counts.tables == 2
    assert made.counts.failed == 1
    assert [one.table for one in told if one.fault is not None] == ["broken"]


def test_a_crawl_goes_on_where_it_was_cut_short(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    seen: list[CrawlProgress] = []
    node.plan_inventory(None, options=CrawlOptions(), progress=seen.append, stop=lambda: len(seen) >= 1)
    change(source, "UPDATE person SET xb = NULL")
    (plan,) = node.plan_inventory(None, options=CrawlOptions(), progress=seen.append)
    first = next(table for table in plan.tables if table.found.table == seen[0].table)
    assert first.found.fault is None
    assert len(plan.tables) == 4
    journals = list((tmp_path / "node" / "inventory").glob("*.jsonl"))
    assert len(journals) == 1
    node.send_inventory((plan,))
    assert not journals[0].exists()


def test_an_inventory_is_its_own_department_s(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    (made,) = take(node_of(hub, tmp_path / "node", people=f"sqlite:///{source}"))
    police, education, authority = hub.person("police"), hub.person("education"), hub.person("authority")
    assert [one["id"] for one in police.get("/api/v1/inventories").json()] == [made.id]
    assert [one["id"] for one in authority.get("/api/v1/inventories").json()] == [made.id]
    assert education.get("/api/v1/inventories").json() == []
    assert education.get(f"/api/v1/inventories/{made.id}").status_code == 403
    assert education.get(f"/api/v1/inventories/{made.id}/tables").status_code == 403
    assert education.get("/api/v1/inventories", params={"department": POLICE}).status_code == 403
    page = police.get(f"/api/v1/inventories/{made.id}/tables", params={"to_check": "true"}).json()
    assert {row["found"]["table"] for row in page["rows"]} <= {"person", "person_ext"}
    assert police.post("/api/v1/inventories", json={"source": "x"}).status_code == 403
    assert police.post(f"/api/v1/inventories/{made.id}/tables", json={"tables": []}).status_code == 403
    assert police.get("/api/v1/drifts").json()["total"] == 0
    assert EDUCATION not in police.get("/api/v1/inventories").text


def test_a_finished_inventory_takes_in_nothing_more(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    node = node_of(hub, tmp_path / "node", people=f"sqlite:///{source}")
    (made,) = take(node)
    client = node.client()
    with pytest.raises(DatongError, match="inventory_finished"):
        client.add_to_inventory(made.id, [])
    with pytest.raises(DatongError, match="inventory_not_found"):
        client.finish_inventory("nothing", None)
    client.close()


def test_the_evidence_names_counts_and_no_columns_of_persons(hub: RunningHub, tmp_path: Path, source: Path) -> None:
    (made,) = take(node_of(hub, tmp_path / "node", people=f"sqlite:///{source}"))
    (entry,) = ledger_entries(hub, EntryKind.INVENTORY)
    assert entry.facts["inventory"] == made.id
    assert (entry.facts["tables"], entry.facts["without_draft"]) == (4, 0)


def listed(hub: RunningHub, made: Inventory, table: str) -> ResourceId:
    rows = hub.services.inventories.tables(made.id).rows
    resource_id = next(row.resource_id for row in rows if row.found.table == table)
    assert resource_id is not None
    return resource_id


def ledger_entries(hub: RunningHub, kind: EntryKind) -> list[RecordedEntry]:
    now = hub.services.clock.now() + timedelta(days=1)
    return hub.services.ledger.entries_between(kinds=[kind], since=now - timedelta(days=9), until=now)


def duties(hub: RunningHub) -> list[Duty]:
    """The duties to update the catalogue, as the evidence shows them."""
    evidence = LedgerEvidence(
        ledger=hub.services.ledger,
        calendar=hub.services.calendar,
        authorities=lambda: frozenset({BUREAU}),
        title_of=lambda resource_id: hub.services.catalogue.get(resource_id).content.title,
    )
    found = evidence.duties(until=hub.services.clock.now() + timedelta(days=1))
    return [duty for duty in found if duty.kind is DutyKind.CATALOGUE_UPDATE]
