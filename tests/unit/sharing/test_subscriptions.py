"""Subscriptions: who is told of what, once on record; retries, replay, dead deliveries; signatures for others."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from datong.adapters import WebhookPost
from datong.kernel import PLATFORM_ACTOR, Conflict, Database, Invalid, NotFound, Overloaded, Refused, Unavailable
from datong.ledger import EntryKind, verify_bundle
from datong.norms import ShareMode
from datong.sharing.events import EVENT_KIND, ResourceEvents
from datong.sharing.machines import ApplicationSecret
from datong.sharing.principals import Principal
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.subscription_desk import TEST_PAUSE_SECONDS, SubscriptionDesk
from datong.sharing.subscription_values import DeliveryState, SubscriptionState
from datong.sharing.subscriptions import LEASE_SECONDS, Subscriptions
from datong.sharing.webhooks import RETRY_SECONDS, RecordingSender, WebhookSender, next_attempt, signed_headers
from tests.new_control import new_control
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.shared_world import FIRST, LI, WANG, ZHAO, SharedWorld
from tests.unit.sharing.world import World

URL = "https://intake.example/hook"
PURPOSE_CODE = "school-admission"


class Subscribed:
    """A shared table with one version, an application of the consumer, and the hub's subscriptions."""

    def __init__(self, folder: Path, database: Database, *, rows: tuple[RowCondition, ...] = ()) -> None:
        self.shared = SharedWorld(World(database), folder)
        self.world = self.shared.world
        self.agreement = self.shared.agree(rows=rows)
        self.shared.publish(FIRST)
        self.application: ApplicationSecret = self.world.identity.create_application(
            name="入学", department=EDUCATION, actor=person(EDUCATION)
        )
        caller = application(EDUCATION)
        actor = caller.actor.model_copy(update={"id": self.application.application.client_id, "name": "入学"})
        self.caller: Principal = caller.model_copy(update={"actor": actor})
        self.events = ResourceEvents(
            shares=self.shared.shares,
            releases=self.shared.releases,
            tables=self.shared.tables,
            catalogue=self.world.resources,
        )
        self.sender = RecordingSender()

    def hub(self, sender: WebhookSender | None = None) -> Subscriptions:
        """Return what a process of the hub has."""
        return Subscriptions(
            database=self.world.database,
            clock=self.world.clock,
            ledger=self.world.ledger,
            machines=self.world.identity,
            events=self.events,
            sender=sender or self.sender,
            secret=b"of the hub",
        )

    def accesses(self) -> int:
        return self.world.ledger.entries(kind=EntryKind.ACCESS).total


@pytest.fixture
def subscribed(tmp_path: Path) -> Iterator[Subscribed]:
    database = new_control(tmp_path)
    yield Subscribed(
        tmp_path, database, rows=(RowCondition(column="hh", operator=RowOperator.STARTS_WITH, values=("H",)),)
    )
    database.close()


def test_a_new_version_is_told_with_its_changed_keys_signed_and_on_record(subscribed: Subscribed) -> None:
    hub = subscribed.hub()
    made = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL)
    hub.follow()
    assert not hub.deliver()
    assert subscribed.sender.sent == [], "what was published before is not told"
    # Li moves, Wang leaves, Zhao comes; the one of another household is outside the agreement's rows.
    subscribed.shared.publish([(LI, "李四光", "H9"), (ZHAO, "赵六", "H3"), ("370102198502150024", "钱七", "X1")])
    hub.follow()
    hub.follow()
    hub.deliver()
    ((url, headers, body),) = subscribed.sender.sent
    assert url == URL
    event = json.loads(body)
    assert event["type"] == "datong.resource.changed"
    data = event["data"]
    assert (data["version"], data["former"], data["keys_complete"]) == (2, 1, True)
    assert data["changes"] == {"delete": 1, "insert": 1, "update": 1}
    keys = {(one["change"], one["key"]["gmsfhm"]) for one in data["keys"]}
    assert keys == {
        ("update", "1101**********0011"),
        ("delete", "1101**********0042"),
        ("insert", "4406**********0014"),
    }, "masked as agreed"
    for hidden in (LI, "李", "370102", "X1"):
        assert hidden not in body.decode()
    (done,) = hub.deliveries(subscribed.caller, made.subscription.id)
    assert (done.state, done.attempts, done.status, done.id) == (DeliveryState.DELIVERED, 1, 200, headers["webhook-id"])
    assert done.entry_id is not None
    entry = subscribed.world.ledger.entry(done.entry_id)
    assert entry.facts["kind"] == EVENT_KIND
    assert entry.facts["subjects"] == 3
    subscribed.world.ledger.integrate()
    uses = subscribed.shared.usage.uses_of(WANG)
    assert [use.kind for use in uses] == [EVENT_KIND]
    verify_bundle(subscribed.shared.usage.proof(uses[0].access_id, citizen_id=WANG))
    steps = [one.facts["step"] for one in subscribed.world.ledger.entries(kind=EntryKind.SUBSCRIPTION).rows]
    assert steps == ["create"]


def test_what_fails_is_tried_again_with_the_same_id_and_record_until_it_is_dead(subscribed: Subscribed) -> None:
    hub = subscribed.hub()
    subscribed.sender.statuses = [500, 0, 302, 200]
    made = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL)
    subscribed.shared.publish(FIRST[:1])
    hub.follow()
    for number, pause in enumerate((0, *RETRY_SECONDS[:3])):
        subscribed.world.clock.advance(timedelta(seconds=pause - 1))
        hub.deliver()
        assert len(subscribed.sender.sent) == number, "not before its time"
        subscribed.world.clock.advance(timedelta(seconds=1))
        hub.deliver()
    assert len({headers["webhook-id"] for _, headers, _ in subscribed.sender.sent}) == 1
    assert subscribed.accesses() == 1
    subscribed.sender.statuses = [503]
    subscribed.shared.publish(FIRST)
    hub.follow()
    for pause in (0, *RETRY_SECONDS):
        subscribed.world.clock.advance(timedelta(seconds=pause))
        hub.deliver()
    (dead,) = hub.deliveries(subscribed.caller, made.subscription.id, DeliveryState.DEAD)
    assert (dead.version, dead.attempts, dead.status) == (3, len(RETRY_SECONDS) + 1, 503)
    subscribed.sender.statuses = [200]
    assert hub.replay(subscribed.caller, made.subscription.id, after=1) == 2
    hub.deliver()
    told = [json.loads(body)["data"]["version"] for _, _, body in subscribed.sender.sent[-2:]]
    assert sorted(told) == [2, 3]


def test_a_worker_that_is_killed_leaves_its_delivery_to_another(subscribed: Subscribed) -> None:
    hub, other = subscribed.hub(), subscribed.hub()
    made = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL)
    subscribed.shared.publish(FIRST[:1])
    hub.follow()

    def killed() -> None:
        raise KeyboardInterrupt

    subscribed.sender.on_post = killed
    with pytest.raises(KeyboardInterrupt):
        hub.deliver()
    subscribed.sender.on_post = lambda: None
    other.deliver()
    assert len(subscribed.sender.sent) == 1, "it is the killed worker's for a time"
    subscribed.world.clock.advance(timedelta(seconds=LEASE_SECONDS))
    other.deliver()
    first, second = subscribed.sender.sent
    assert first[1]["webhook-id"] == second[1]["webhook-id"], "the subscriber can tell that it got this before"
    assert other.deliveries(subscribed.caller, made.subscription.id)[0].state is DeliveryState.DELIVERED
    assert subscribed.accesses() == 1


def test_nothing_is_told_outside_an_agreement_in_force(subscribed: Subscribed) -> None:
    hub = subscribed.hub()
    with pytest.raises(NotFound):
        hub.create(application(SOCIAL), RESOURCE, purpose=PURPOSE_CODE, url=URL)
    with pytest.raises(NotFound):
        hub.create(subscribed.caller, RESOURCE, purpose="another", url=URL)
    with pytest.raises(Refused):
        hub.create(Principal(actor=person(EDUCATION)), RESOURCE, purpose=PURPOSE_CODE, url=URL)
    with pytest.raises(Invalid):
        hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url="http://intake.example")
    made = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL)
    with pytest.raises(NotFound):
        hub.deliveries(application(EDUCATION), made.subscription.id)
    subscribed.shared.publish(FIRST[:1])
    hub.follow()
    subscribed.world.agreements.suspend(subscribed.agreement.id, person(POLICE), "超范围使用")
    hub.deliver()
    (dead,) = hub.deliveries(subscribed.caller, made.subscription.id)
    assert (dead.state, dead.detail) == (DeliveryState.DEAD, "sharing.access_refused")
    assert subscribed.sender.sent == []
    assert subscribed.world.ledger.entries(kind=EntryKind.REFUSAL).total == 1


def test_a_subscription_ends_by_its_application_by_410_and_by_revocation(subscribed: Subscribed) -> None:
    hub = subscribed.hub()
    ended, gone, revoked = (
        hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=f"{URL}/{name}").subscription
        for name in ("ended", "gone", "revoked")
    )
    subscribed.shared.publish(FIRST[:1])
    hub.follow()
    hub.end(subscribed.caller, ended.id)
    with pytest.raises(Conflict):
        hub.end(subscribed.caller, ended.id)
    subscribed.sender.statuses = [410]
    hub.deliver()
    found = {one.id: one.state for one in hub.of(subscribed.caller, RESOURCE)}
    assert found == dict.fromkeys((ended.id, gone.id, revoked.id), SubscriptionState.ENDED)
    assert len(subscribed.sender.sent) == 2, "what has ended is not told any more"
    last = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL).subscription
    subscribed.shared.publish(FIRST)
    hub.follow()
    subscribed.world.identity.revoke_application(subscribed.application.application.client_id, PLATFORM_ACTOR)
    hub.deliver()
    assert hub.deliveries(subscribed.caller, last.id)[0].detail == "sharing.applications_only"
    assert len(subscribed.sender.sent) == 2


def test_pauses_grow_and_end() -> None:
    pauses = [next_attempt(number, NOW) for number in range(1, len(RETRY_SECONDS) + 2)]
    assert pauses[-1] is None
    assert [one - NOW for one in pauses if one] == [timedelta(seconds=one) for one in sorted(RETRY_SECONDS)]


class Consumer(BaseHTTPRequestHandler):
    """What a subscriber runs: the official library, unmodified."""

    secrets: ClassVar[list[str]] = []
    got: ClassVar[list[object]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.got.append(Webhook(self.secrets[-1]).verify(body, dict(self.headers)))
            self.send_response(204)
        except WebhookVerificationError:
            self.send_response(400)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def test_the_official_library_verifies_what_is_sent_over_http(subscribed: Subscribed) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Consumer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    hub = subscribed.hub(WebhookPost(user_agent="Datong", allow_private=True))
    # The library looks at the machine's clock.
    subscribed.world.clock.advance(datetime.now(UTC) - subscribed.world.clock.now())
    try:
        made = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=url)
        Consumer.secrets.append(made.secret)
        subscribed.shared.publish(FIRST[:1])
        subscribed.world.clock.advance(-timedelta(hours=1))
        hub.follow()
        hub.renew_secret(subscribed.caller, made.subscription.id)
        hub.deliver()
        (done,) = hub.deliveries(subscribed.caller, made.subscription.id)
        assert (done.state, done.status) == (DeliveryState.DELIVERED, 204), "the old secret verifies for a day"
        assert isinstance(Consumer.got[0], dict)
        Consumer.secrets.append("whsec_" + "A" * 43)
        hub.replay(subscribed.caller, made.subscription.id, after=1)
        hub.deliver()
        assert hub.deliveries(subscribed.caller, made.subscription.id, DeliveryState.DUE)[0].status == 400
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("https://x.example/", ["10.0.0.8"]),
        ("https://x.example/", ["93.184.216.34", "127.0.0.1"]),
        ("https://x.example/", ["169.254.169.254"]),
        ("https://x.example/", ["::ffff:10.0.0.1"]),
        ("https://127.0.0.1/", ["127.0.0.1"]),
        ("http://x.example/", ["93.184.216.34"]),
        ("https://a:b@x.example/", ["93.184.216.34"]),
        ("ftp://x.example/", ["93.184.216.34"]),
        ("https://", []),
        ("https://[::1", []),
        ("no address", []),
    ],
)
def test_nobody_reaches_closed_networks_through_the_hub(url: str, addresses: list[str]) -> None:
    sender = WebhookPost(user_agent="Datong", resolver=lambda _host, _port: addresses)
    with pytest.raises((Refused, Invalid)):
        sender.post(url, {}, b"{}")


def test_a_name_that_is_not_known_now_is_tried_again() -> None:
    sender = WebhookPost(user_agent="Datong", resolver=lambda _host, _port: [])
    with pytest.raises(Unavailable):
        sender.check("https://x.example/")


def test_each_secret_signs() -> None:
    secrets = ("whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "=")
    now = datetime.now(UTC)
    headers = signed_headers(secrets, "msg_1", now, b'{"a":1}')
    for secret in secrets:
        assert Webhook(secret).verify(b'{"a":1}', headers) == {"a": 1}


def test_bulk_must_be_agreed(subscribed: Subscribed) -> None:
    subscribed.shared.agree(modes=(ShareMode.INTERFACE,), service_item="another-item")
    with pytest.raises(Refused):
        subscribed.hub().create(subscribed.caller, RESOURCE, purpose="another-item", url=URL)


def test_people_pause_try_and_send_again_what_is_dead_on_record(subscribed: Subscribed) -> None:
    hub, world, who = subscribed.hub(), subscribed.world, person(EDUCATION)
    desk = SubscriptionDesk(
        database=world.database, clock=world.clock, ledger=world.ledger, sender=subscribed.sender, secret=b"of the hub"
    )
    one = hub.create(subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, url=URL).subscription
    # Paused: nothing is sent, and what was published meanwhile is told once it goes on.
    assert desk.pause(one.id, who).state is SubscriptionState.PAUSED
    with pytest.raises(Conflict):
        desk.pause(one.id, who)
    subscribed.shared.publish([(LI, "李四光", "H9")])
    hub.follow()
    hub.deliver()
    assert (subscribed.sender.sent, desk.due()) == ([], 0)
    desk.resume(one.id, who)
    hub.follow()
    # What is due when it pauses waits, too.
    desk.pause(one.id, who)
    hub.deliver()
    assert (subscribed.sender.sent, desk.due()) == ([], 1)
    desk.resume(one.id, who)
    subscribed.sender.statuses = [500]
    for pause in (0, *RETRY_SECONDS):
        world.clock.advance(timedelta(seconds=pause))
        hub.deliver()
    assert (desk.get(one.id).dead, desk.dead(), desk.dead(POLICE)) == (1, 1, 0)
    # The address is tried with a signed message that tells nothing.
    tried = desk.test(one.id, who)
    assert (tried.status, tried.succeeded) == (500, False)
    url, headers, body = subscribed.sender.sent[-1]
    assert url == URL
    assert json.loads(body) == {
        "type": "datong.test",
        "timestamp": world.clock.now().isoformat(),
        "data": {"subscription_id": one.id},
    }
    secret = hub.renew_secret(subscribed.caller, one.id).secret
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, dict(headers))
    with pytest.raises(Overloaded):
        desk.test(one.id, who)
    world.clock.advance(timedelta(seconds=TEST_PAUSE_SECONDS))
    subscribed.sender.statuses = [204]
    assert desk.test(one.id, who).succeeded
    stored = desk.get(one.id).subscription.tried
    assert stored is not None
    assert stored.succeeded
    # Dead ones go out again under the ids that they had.
    (dead,) = desk.deliveries(one.id, state=DeliveryState.DEAD).rows
    assert desk.send_again(one.id, who) == 1
    hub.deliver()
    assert subscribed.sender.sent[-1][1]["webhook-id"] == dead.id
    assert desk.get(one.id).delivered == 1
    with pytest.raises(Conflict):
        desk.send_again(one.id, who)
    assert desk.find(department=EDUCATION).total == 1
    assert desk.find(department=POLICE).total == 0
    assert desk.end(one.id, who).state is SubscriptionState.ENDED
    with pytest.raises(Conflict):
        desk.test(one.id, who)
    with pytest.raises(NotFound):
        desk.get("nothing")
    steps = [entry.facts["step"] for entry in world.ledger.entries(kind=EntryKind.SUBSCRIPTION).rows]
    assert steps == [
        *("end", "send_again", "test", "renew_secret", "test"),
        *("resume", "pause", "resume", "pause", "create"),
    ]
