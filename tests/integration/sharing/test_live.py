"""Live service interfaces over real databases: the gateway asks, a node answers from its own tables."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from datong.adapters.connections import open_connector
from datong.catalogue import Binding
from datong.kernel import Corrupt, Database, NodeId, Overloaded, TimedOut, TooLarge, Unavailable
from datong.ledger import Ed25519Signer, EntryKind, Signer
from datong.node.live import LiveAnswerer
from datong.sharing import (
    CircuitState,
    LiveCall,
    LiveKey,
    LiveKind,
    LiveServices,
    LiveTerms,
    Match,
    RowCondition,
    RowOperator,
    SealedLiveAnswer,
    SealedLiveCall,
    sealed_answer,
)
from datong.sharing.breaker import FAILURES_MAX, OPEN_FOR
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_calls import GatewayAnswer, VerifyAnswer
from datong.sharing.live import PRESENT_FOR
from datong.sharing.masks import MaskKind
from datong.sharing.request_rules import RequestAction
from datong.sharing.subjects import subject_index_key
from tests.integration.exchange.test_fidelity import run_mariadb, run_postgresql
from tests.servers import DatabaseServer
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, application, person
from tests.unit.sharing.world import POLICY, World

CITIZEN = "110101199003070011"
TABLE = "CREATE TABLE hj (gmsfhm varchar(18) PRIMARY KEY, xm varchar(40), hh varchar(20), hjdz varchar(200), bz text)"
ADDRESS = "广东省佛山市顺德区某路1号"
ROW = f"INSERT INTO hj VALUES ('{CITIZEN}', '张三丰', 'H1', '{ADDRESS}', '密')"
KEY = LiveKey()
NODE = NodeId(f"node-{POLICE}")
TERMS = LiveTerms(timeout_milliseconds=30_000, calls_at_once_max=2, rows_max=3)
"""Nobody waits so long but on a machine that stands still."""


class DirectHub:
    """A node's way to the hub without HTTP: the same services, called directly."""

    def __init__(self, live: LiveServices) -> None:
        self._live = live

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Wait as the route does."""
        until = time.monotonic() + wait_seconds
        while not (calls := self._live.take(NODE, key)) and time.monotonic() < until:
            time.sleep(0.01)
        return calls

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in an answer."""
        self._live.answer(NODE, sealed)


class Town:
    """A hub whose police resource is answered live, and the police's node."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        resource = world.resources.published(RESOURCE)
        binding = Binding(node_id=NODE, source="main", table="hj", key_columns=("gmsfhm",))
        bound = resource.model_copy(update={"content": resource.content.model_copy(update={"binding": binding})})
        world.resources.publish(bound)
        granted, waiting = world.submit(["姓名", "公民身份号码", "hh", "hjdz"])
        world.put_in_force(granted.agreement_id)
        approved = world.requests.act(waiting.id, RequestAction.APPROVE, person(POLICE))
        world.put_in_force(approved.agreement_id)
        self.live = LiveServices(
            database=world.database,
            clock=world.clock,
            ledger=world.ledger,
            catalogue=world.resources,
            departments=world.departments,
        )
        self.gateway = Gateway(
            database=world.database,
            clock=world.clock,
            ledger=world.ledger,
            catalogue=world.resources,
            agreements=world.agreements,
            policy=POLICY,
            records=world.records,
            index_key=subject_index_key(world.signer),
            mask_keys=world.mask_keys,
            live=self.live,
        )
        self.live.offer(RESOURCE, TERMS, actor=person(POLICE))

    def answerer(self, signer: Signer | None = None) -> LiveAnswerer:
        return LiveAnswerer(
            client=DirectHub(self.live),
            signer=signer or self.world.keys[POLICE],
            clock=self.world.clock,
            open_source=lambda _: open_connector(self.url),
            tell=lambda text: print(text.en),
        )

    @contextmanager
    def node(self, signer: Signer | None = None) -> Iterator[None]:
        """Run the node beside the block."""
        stop = threading.Event()
        answerer = self.answerer(signer)
        thread = threading.Thread(target=lambda: answerer.run(stop.is_set, wait_seconds=0.05))
        self.live.take(NODE, answerer.public_key)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def query(
        self, *items: str, key: str = CITIZEN, by: str = "citizen_id", purpose: str = "school-admission"
    ) -> GatewayAnswer:
        return self.gateway.query(
            application(EDUCATION),
            RESOURCE,
            key={by: key},
            items=items,
            purpose=purpose,
            case_number="RX-1",
        )

    def verify(self, key: str = CITIZEN, purpose: str = "school-admission", **claims: str) -> VerifyAnswer:
        return self.gateway.verify(
            application(EDUCATION),
            RESOURCE,
            key={"citizen_id": key},
            claims=claims,
            purpose=purpose,
            case_number="RX-1",
        )

    def insert(self, *statements: str) -> None:
        """Put more rows into the node's table."""
        run = {"postgresql": run_postgresql, "mysql": run_mariadb}.get(self.url.split(":")[0])
        if run is not None:
            run(self.url, *statements)
            return
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def filtered(self) -> None:
        """Put relatives into the table, and an agreement in force that is about some of them."""
        self.insert(*RELATIVES)
        (granted,) = self.world.submit(["姓名", "公民身份号码", "hh"], service_item="statistics", rows=(SHUNDE, ADULT))
        self.world.put_in_force(granted.agreement_id)

    def failed(self) -> dict[str, int]:
        """Return how many calls failed by cause, once their hour is over."""
        self.world.clock.advance(timedelta(hours=1))
        self.gateway.failures.record()
        rows = self.world.ledger.entries(kind=EntryKind.FAILURE).rows
        return {row.facts["cause"]: row.facts["calls"] for row in rows}

    def entries(self, kind: EntryKind) -> int:
        self.world.ledger.integrate()
        return self.world.ledger.entries(kind=kind).total


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def town(request: pytest.FixtureRequest, control_database: Database, tmp_path: Path) -> Iterator[Town]:
    world = World(control_database)
    if request.param == "sqlite":
        path = tmp_path / "police.sqlite"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(TABLE)
            connection.execute(ROW)
        yield Town(world, f"sqlite:///{path}")
        return
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    url = server.create_database()
    run: Callable[..., None] = run_postgresql if request.param == "postgresql" else run_mariadb
    run(url, TABLE, ROW)
    yield Town(world, url)
    server.drop_database(url)


def test_a_query_is_answered_from_the_table_masked_and_on_record(town: Town) -> None:
    with town.node():
        answer = town.query("姓名", "citizen_id", "address")
        assert answer.rows == (
            {"姓名": "张**", "citizen_id": "1101**********0011", "address": "广东省佛山市顺德区***"},
        )
        assert town.query("姓名", key="110101200002290042").rows == ()
        # A collation or a number's value is not enough: the text of the key must be equal.
        assert town.query("姓名", key="h1", by="household_id").rows == ()
        assert len(town.query("姓名", key="H1", by="household_id").rows) == 1
    assert town.world.records.lookups == 0
    assert town.entries(EntryKind.ACCESS) == 4


def test_a_node_masks_by_key_as_the_hub_would(town: Town) -> None:
    world = town.world
    (waiting,) = world.submit(["hjdz"], service_item="statistics")
    approved = world.requests.act(waiting.id, RequestAction.APPROVE, person(POLICE), masks={"hjdz": MaskKind.PSEUDONYM})
    agreement = world.put_in_force(approved.agreement_id)
    with town.node():
        answer = town.query("hjdz", purpose="statistics")
    assert answer.rows == ({"hjdz": world.mask_keys.of(agreement)["hjdz"].apply(ADDRESS)},)


RELATIVES = (
    "INSERT INTO hj VALUES ('440604199107120012', '李四', 'H1', '广东省佛山市禅城区某路2号', '9')",
    "INSERT INTO hj VALUES ('440604201109300068', '王五', 'H1', '广东省佛山市顺德区某路3号', ' 17 ')",
    "INSERT INTO hj VALUES ('440605201506155021', '赵六', 'H1', '广东省佛山市顺德区某路4号', NULL)",
)
SHUNDE = RowCondition(column="hjdz", operator=RowOperator.STARTS_WITH, values=("广东省佛山市顺德区",))
ADULT = RowCondition(column="bz", operator=RowOperator.AT_LEAST, values=("10",))


GUESSES = (("440604199107120012", "李四"), ("440604201109300068", "王五"), ("440605201506155021", "赵六"))


def test_rows_outside_the_filter_do_not_leave_the_node(town: Town) -> None:
    """By texts that the source looks for, and by numbers that the node compares; for queries and verifications."""
    town.filtered()
    with town.node():
        assert town.query("姓名", key="H1", by="household_id", purpose="statistics").rows == ({"姓名": "王*"},)
        assert town.query("姓名", key=GUESSES[0][0], purpose="statistics").rows == ()
        assert len(town.query("姓名", key=GUESSES[0][0]).rows) == 1, "the other agreement is about all rows"
        claims = [town.verify(key=key, purpose="statistics", 姓名=name).results["姓名"] for key, name in GUESSES]
    assert claims == [Match.UNKNOWN, Match.MATCH, Match.UNKNOWN]


def test_a_node_says_of_a_row_outside_what_it_says_of_none(town: Town) -> None:
    call = LiveCall(
        id="1",
        kind=LiveKind.VERIFY,
        source="main",
        table="hj",
        key_column="gmsfhm",
        key_value=GUESSES[0][0],
        claims={"xm": "李四"},
        conditions=(ADULT, SHUNDE),
        subject_columns=("gmsfhm",),
        rows_max=3,
        timeout_milliseconds=10_000,
        deadline_at=town.world.clock.now(),
        answer_key=KEY.public_key,
    )
    nobody = town.answerer().answer(call)
    town.filtered()
    assert town.answerer().answer(call).answer == nobody.answer
    assert town.answerer().answer(call.model_copy(update={"conditions": ()})).answer.found == 1


def test_an_answer_of_a_node_that_did_not_filter_is_refused(town: Town) -> None:
    town.filtered()
    town.live.take(NODE, KEY.public_key)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(town.query, "姓名", "hh", key="H1", by="household_id", purpose="statistics")
        while not (calls := town.live.take(NODE, KEY.public_key)):
            time.sleep(0.01)
        call = KEY.open_call(calls[0])
        told = town.answerer().answer(call.model_copy(update={"conditions": ()}))
        town.live.answer(NODE, sealed_answer(told, call))
        with pytest.raises(Corrupt, match="live_unfiltered"):
            asked.result()
    assert town.entries(EntryKind.ACCESS) == 0


def test_neither_the_key_nor_the_answer_ever_stands_in_the_control_database(town: Town) -> None:
    stored: list[str] = []

    def keep(_connection: object, _cursor: object, _statement: str, values: object, *_: object) -> None:
        listed = values.values() if isinstance(values, dict) else values if isinstance(values, tuple) else (values,)
        # psycopg shows what it wraps as JSON only in part.
        stored.extend(repr(getattr(value, "obj", value)) for value in listed)

    engine = town.world.database.engine
    event.listen(engine, "before_cursor_execute", keep)
    with town.node():
        row = town.query("姓名", "citizen_id", "address").rows[0]
        town.verify(hjdz="别处的地址")
    event.remove(engine, "before_cursor_execute", keep)
    said = "\n".join(stored)
    assert said.count("'sealed'") + said.count('"sealed"') >= 4, "two calls and two answers went through it"
    for value in (CITIZEN, *row.values(), "别处的地址"):
        assert str(value) not in said
        assert str(value).encode("unicode_escape").decode() not in said


def test_a_call_sealed_for_another_process_is_opened_by_nobody(town: Town) -> None:
    town.live.take(NODE, KEY.public_key)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(town.query, "姓名")
        while not (calls := town.live.take(NODE, KEY.public_key)):
            time.sleep(0.01)
        call = KEY.open_call(calls[0])
        with pytest.raises(Corrupt, match="live_unsealable"):
            LiveKey().open_call(calls[0])
        forged = calls[0].model_copy(update={"id": "another"})
        with pytest.raises(Corrupt, match="live_unsealable"):
            KEY.open_call(forged)
        answered = sealed_answer(town.answerer().answer(call), call)
        flipped = answered.sealed[:-1] + bytes([answered.sealed[-1] ^ 1])
        town.live.answer(NODE, answered.model_copy(update={"sealed": flipped}))
        with pytest.raises(Corrupt, match="live_unsealable"):
            asked.result()


def test_verifying_tells_match_and_no_match_only(town: Town) -> None:
    with town.node():
        results = town.verify(姓名="张三丰", hjdz="别处").results
    assert results == {"姓名": Match.MATCH, "hjdz": Match.NO_MATCH}


def test_an_offline_node_a_full_service_and_a_slow_node_have_their_own_errors(town: Town) -> None:
    with pytest.raises(Unavailable, match="live_offline"):
        town.query("姓名")
    town.live.take(NODE, KEY.public_key)
    with ThreadPoolExecutor(TERMS.calls_at_once_max) as pool:
        asked = [pool.submit(town.query, "姓名") for _ in range(TERMS.calls_at_once_max)]
        calls: list[SealedLiveCall] = []
        while len(calls) < len(asked):
            calls += town.live.take(NODE, KEY.public_key)
            assert not any(one.done() for one in asked)
        for _ in range(2):
            with pytest.raises(Overloaded):
                town.query("姓名")
        for sealed in calls:
            call = KEY.open_call(sealed)
            town.live.answer(NODE, sealed_answer(town.answerer().answer(call), call))
        assert [len(one.result().rows) for one in asked] == [1, 1]
    town.live.offer(RESOURCE, TERMS.model_copy(update={"timeout_milliseconds": 100}), actor=person(POLICE))
    with pytest.raises(TimedOut):
        town.query("姓名")
    assert town.entries(EntryKind.ACCESS) == 2, "of those that were answered"
    # Each that failed is counted by its cause; how many calls are answered at once was stated beforehand.
    assert town.failed() == {"node_offline": 1, "node_timeout": 1}


def test_the_circuit_opens_after_failures_and_one_probe_closes_it(town: Town) -> None:
    town.live.take(NODE, KEY.public_key)
    town.live.offer(RESOURCE, TERMS.model_copy(update={"timeout_milliseconds": 100}), actor=person(POLICE))
    for _ in range(FAILURES_MAX):
        with pytest.raises(TimedOut):
            town.query("姓名")
    with pytest.raises(Unavailable, match="live_circuit_open") as caught:
        town.query("姓名")
    assert caught.value.context["retry_after_seconds"]
    service = town.live.of(RESOURCE)
    assert service is not None
    assert service.breaker.state is CircuitState.OPEN
    assert OPEN_FOR < PRESENT_FOR
    town.world.clock.advance(OPEN_FOR + timedelta(seconds=1))
    # New terms do not forget that calls failed.
    town.live.offer(RESOURCE, TERMS, actor=person(POLICE))
    with town.node():
        assert len(town.query("姓名").rows) == 1
    service = town.live.of(RESOURCE)
    assert service is not None
    assert service.breaker.state is CircuitState.CLOSED


def test_a_key_that_meets_too_much_and_a_foreign_signature_are_refused(town: Town) -> None:
    town.insert(*(f"INSERT INTO hj VALUES ('x{n}', 'n', 'H9', 'a', '')" for n in range(6)))
    with town.node(), pytest.raises(TooLarge):
        town.query("姓名", key="H9", by="household_id")
    with town.node(Ed25519Signer.generate()), pytest.raises(Corrupt, match="live_bad_signature"):
        town.query("姓名")
    assert town.failed() == {"provider_error": 1}, "a key that meets too much is asked wrongly"


def test_a_call_left_behind_by_a_killed_hub_is_swept_and_its_answer_refused(town: Town) -> None:
    def make(_: object, call_id: str, _key: bytes) -> LiveCall:
        raise KeyboardInterrupt(call_id)

    town.live.take(NODE, KEY.public_key)
    with pytest.raises(KeyboardInterrupt):
        town.live.ask(RESOURCE, make)
    assert town.live.take(NODE, KEY.public_key) == ()
    assert not town.live.sweep()
    assert town.entries(EntryKind.ACCESS) == 0
