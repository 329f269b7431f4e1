"""One hub with one agreement, somebody who attacks it from every side, and values that must stay where they are.

The police keep residents. The schools may read some items of some of them, masked; everything else of the table, and
the whole of a second table, is none of their business. Whatever a client of the schools, of a stranger or of the
platform's own staff is told goes through one hook that looks for what they may not see.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from datong.catalogue import Department, Item, ResourceAction
from datong.exchange import FileId, FileManifest, signed_file
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    AgreementId,
    DepartmentCode,
    NodeId,
    ResourceId,
    Text,
    new_id,
    sha256_hex,
)
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer
from datong.library import FixedLanding, Library, shipped_definitions
from datong.norms import ShareMode, ShareType
from datong.sharing import (
    Agreement,
    MaskKind,
    PurposeDraft,
    RequestAction,
    RequestLine,
    Role,
    RowCondition,
    RowOperator,
)
from datong.sharing.gateway_calls import FRESH_SECONDS
from datong.web import Services
from tests.integration.open.serving import BUREAU, OpenHub
from tests.integration.redteam.canaries import Canaries
from tests.library_sources import landed
from tests.unit.catalogue.conftest import content

POLICE, SCHOOLS, TAX = (
    DepartmentCode("12440600456000017N"),
    DepartmentCode("524406005000000158"),
    DepartmentCode("11440600MB2C00048K"),
)
PASSWORD = "red-team-2026-only"
PURPOSE, CASE = "义务教育入学", "RX2026-0001"
RESIDENTS = {
    "bh": "record_id", "xm": "person_name", "sfzh": "citizen_id", "dh": "phone", "zz": "address", "qu": "division_code",
    "zd": "diagnosis_name", "hh": "household_id", "sr": "annual_income", "bz": "remark", "gx": "relation_to_head",
}  # fmt: skip
AGREED = ("bh", "xm", "sfzh", "dh", "zz", "qu", "zd")
"""Of these the number and the district are shown, the diagnosis can only be verified, the rest is masked."""
UNAGREED = ("hh", "sr", "bz")
SEEN_DISTRICT, OTHER_DISTRICT = "440604", "440606"


class Resident(NamedTuple):
    """A row of the police's table, in the order of its columns."""

    bh: str
    xm: str
    sfzh: str
    dh: str
    zz: str
    qu: str
    zd: str | None
    hh: str
    sr: str
    bz: str
    gx: str


def _resident(number: int, name: str, citizen: str, district: str, diagnosis: str | None) -> Resident:
    return Resident(
        bh=f"JL{number:04}",
        xm=name,
        sfzh=citizen,
        dh=f"1390075{number:04}",
        zz=f"广东省示例市禅城区祖庙街道金雀巷{number}号之{number * 7}",
        qu=district,
        zd=diagnosis,
        hh=f"HKJQ{number // 2:06}",
        sr=f"8{number:02}437.19",
        bz=f"备注金雀{number:02}",
        gx="01",
    )


SEEN = (
    _resident(1, "欧阳金雀", "440604199107120012", SEEN_DISTRICT, "金雀综合征"),
    _resident(2, "上官金鹂", "440604201109300068", SEEN_DISTRICT, None),
)
"""What the agreement is about, of which the second has nothing where the diagnosis stands."""
UNSEEN = (
    _resident(5, "司徒金鹭", "440604198001010014", OTHER_DISTRICT, "金鹭综合征"),
    _resident(6, "诸葛金鹤", "440605201506155021", OTHER_DISTRICT, "金鹤综合征"),
)
FILE_CONTENT = "名单：金鸥路的人"
NOBODY = "440601199901010012"
"""A citizen number that nobody has."""
DEPOTS = {
    "no": "facility_code", "name": "facility_name", "place": "place_name", "lon": "longitude", "lat": "latitude",
    "tel": "phone",
}  # fmt: skip
DEPOT_ROWS = (("SS-0009", "应急物资库", "金鸢坪", "115.4", "20.5", "13900790001"),)


def canaries() -> Canaries:
    """Return the values that nobody but the police may read, with why."""
    found: dict[str, str] = {}
    for row in SEEN:
        found |= {getattr(row, column): f"{column} of {row.bh} below its grade" for column in ("xm", "sfzh", "dh")}
        found |= {getattr(row, column): f"{column} of {row.bh} outside the agreement" for column in UNAGREED}
        found[row.zz[-6:]] = f"zz of {row.bh} below its grade"
        if row.zd:
            found[row.zd] = f"zd of {row.bh} below its grade"
    for row in UNSEEN:
        for column in ("xm", "sfzh", "dh", *UNAGREED):
            found[getattr(row, column)] = f"{column} of {row.bh}, a row outside the filter"
        found |= {row.zz[-6:]: f"zz of {row.bh}", row.zd or row.bh: f"zd of {row.bh}"}
    for _, _, place, _, _, telephone in DEPOT_ROWS:
        found |= {place: "a place's name, masked", telephone: "a telephone outside the agreement"}
    return Canaries(found)


@dataclass
class Attacker:
    """Somebody who must not learn a canary: whatever the hub tells them is searched for one."""

    name: str
    client: httpx.Client
    leaks: list[str]
    canaries: Canaries
    said: set[str]
    called: set[tuple[str, str]] = field(default_factory=set)
    """Method and path of every call."""

    def __post_init__(self) -> None:
        """Look at every answer, whatever a test makes of it."""
        self.client.event_hooks["response"].append(self._look)

    def _look(self, answer: httpx.Response) -> None:
        """Note what an answer tells that its request did not say."""
        answer.read()
        request = answer.request
        self.called.add((request.method, request.url.path))
        said = self.canaries.found_in([str(request.url).encode(), request.read(), str(request.headers).encode()])
        told = self.canaries.found_in([answer.content, str(answer.headers.multi_items()).encode()])
        for leaked in told - said - self.said:
            place = f"{request.method} {request.url.path}"
            self.leaks.append(f"{self.name}: {place} tells {leaked} ({self.canaries.why[leaked]})")


@dataclass
class RedTeamWorld:
    """The hub, what is agreed in it, and the attackers by name."""

    hub: OpenHub
    residents: ResourceId
    depots: ResourceId
    agreement: Agreement
    canaries: Canaries
    people: tuple[str, ...]
    """The entities of everybody, seen or not."""
    node: str
    """The police's node."""
    file: str
    """A file from the police that only the schools may fetch."""
    clock_file: Path
    police_signer: Ed25519Signer
    """The key of the police's node."""
    client_id: str = ""
    """The application of the schools."""
    leaks: list[str] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    """What attackers put on record themselves, and so may read."""
    attackers: dict[str, Attacker] = field(default_factory=dict)
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def services(self) -> Services:
        """The hub's services, to look what they keep."""
        return self.hub.services

    def __getitem__(self, name: str) -> httpx.Client:
        """Return the client of an attacker."""
        return self.attackers[name].client

    def attacker(self, name: str, **headers: str) -> None:
        """Let somebody attack who sends these headers."""
        # Every address is escaped by httpx; redirects would hide what a page says.
        client = httpx.Client(base_url=self.hub.url, headers=headers, timeout=120, verify=tls_context(self.hub.url))
        self.opened.callback(client.close)
        self.attackers[name] = Attacker(name, client, self.leaks, self.canaries, self.said)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let the police suspend both agreements for a while."""
        agreements = self.services.agreements.of_consumer(SCHOOLS)
        for one in agreements:
            self.services.agreements.suspend(one.id, _officer(POLICE), "抽查")
        # What a process has looked up counts as present for a moment: see docs/gateway.md.
        time.sleep(2 * FRESH_SECONDS)
        yield
        for one in agreements:
            self.services.agreements.resume(one.id, _officer(POLICE))
        time.sleep(2 * FRESH_SECONDS)

    @contextmanager
    def later(self, *, minutes: int) -> Iterator[None]:
        """Let it be later for a while."""
        self.clock_file.write_text(str(minutes * 60))
        yield
        self.clock_file.write_text("0")

    def no_leak(self) -> None:
        """Fail with everything that came out since it was last asked."""
        told, self.leaks[:] = list(self.leaks), []
        assert not told, "\n".join(told)


def build(hub: OpenHub, landing: FixedLanding, home: Path) -> RedTeamWorld:
    """Publish, agree, land and build; then let the attackers in."""
    services = hub.services
    for code, name in ((POLICE, "公安局"), (SCHOOLS, "教育局"), (TAX, "税务局")):
        text = Text(zh=name, en=name)
        services.departments.register(Department(code=code, name=text, short_name=text), PLATFORM_ACTOR)
    keys = {code: _enrolled(services, code) for code in (POLICE, SCHOOLS, TAX)}
    residents = _published(services, "常住人口", RESIDENTS, ShareType.UNCONDITIONAL)
    depots = _published(services, "物资库", DEPOTS, ShareType.CONDITIONAL)
    in_district = RowCondition(column="qu", operator=RowOperator.IS, values=(SEEN_DISTRICT,))
    agreement = _agree(services, keys, RequestLine(resource_id=residents, items=AGREED, rows=(in_district,)))
    places = RequestLine(resource_id=depots, items=("no", "name", "place", "lon", "lat"))
    unfiltered = _agree(services, keys, places, masks={"place": MaskKind.HIDDEN})
    landing.landed = (
        landed(home, residents, RESIDENTS, [*SEEN, *UNSEEN]).model_copy(update={"department": POLICE}),
        landed(home, depots, DEPOTS, DEPOT_ROWS).model_copy(update={"department": POLICE}),
    )
    for name in ("population", "closed_facility"):
        services.library.run_build(services.library.request_build(name, actor=PLATFORM_ACTOR).id)
    world = RedTeamWorld(
        hub=hub,
        residents=residents,
        depots=depots,
        agreement=agreement,
        canaries=canaries(),
        people=tuple(
            str(services.library.lookup("population", "citizen_id", one.sfzh)[0].entity_id) for one in (*SEEN, *UNSEEN)
        ),
        node=keys[POLICE][1].id,
        file=_sent(services, unfiltered, *keys[POLICE]),
        clock_file=home / "clock",
        police_signer=keys[POLICE][0],
    )
    _let_in(world)
    return world


def library(services: Services, landing: FixedLanding) -> Library:
    """Return the library of people, and one of places that is not open."""
    shipped = {known.name: known for known in shipped_definitions()}
    closed = shipped["facility"].model_copy(update={"name": "closed_facility", "open": False})
    return Library(
        database=services.database,
        clock=services.clock,
        ledger=services.ledger,
        pack=services.pack,
        lake=services.settings.lake,
        landing=landing,
        definitions=(shipped["population"], closed),
    )


def _enrolled(services: Services, code: DepartmentCode) -> tuple[Ed25519Signer, Actor]:
    signer = Ed25519Signer.generate()
    token = services.identity.create_enrolment(department=code, actor=PLATFORM_ACTOR)
    node = services.identity.redeem_enrolment(token=token, public_key=signer.public_key, name=f"node-{code}")
    return signer, Actor(kind=ActorKind.NODE, id=NodeId(node.id), department=code)


def _published(services: Services, title: str, columns: dict[str, str], share_type: ShareType) -> ResourceId:
    """Publish a resource of the police's whose items have the grades of their elements."""
    officer, authority = _officer(POLICE), _officer(BUREAU)
    modes = (ShareMode.INTERFACE, ShareMode.BULK, ShareMode.FILE)
    items = tuple(
        Item(
            name=Text(zh=services.pack.element(element).name.zh, en=column),
            column=column,
            element=element,
            grade=services.pack.element(element).grade,
            share_type=share_type,
            share_condition="" if share_type is ShareType.UNCONDITIONAL else "履职所需",
            share_modes=modes,
            key=column == next(iter(columns)),
        )
        for column, element in columns.items()
    )
    described = content(title, items=items, share_type=share_type, share_modes=modes, table=title)
    made = services.catalogue.draft(POLICE, described, officer)
    for action in (ResourceAction.SIGN_OFF, ResourceAction.SUBMIT):
        services.catalogue.act(made.id, action, officer)
    for action in (ResourceAction.APPROVE, ResourceAction.PUBLISH):
        services.catalogue.act(made.id, action, authority)
    return made.id


def _agree(
    services: Services,
    keys: dict[DepartmentCode, tuple[Ed25519Signer, Actor]],
    line: RequestLine,
    masks: dict[str, MaskKind] | None = None,
) -> Agreement:
    """Put an agreement of the schools in force."""
    now = services.clock.now()
    purpose = PurposeDraft(
        scene="入学资格核验", service_item=PURPOSE, legal_basis="《义务教育法》", scope="教育局招生办",
        modes=(ShareMode.INTERFACE, ShareMode.BULK, ShareMode.FILE), valid_from=now,
        valid_until=now + timedelta(days=30),
    )  # fmt: skip
    (request,) = services.requests.submit(consumer=SCHOOLS, lines=[line], purpose=purpose, actor=_officer(SCHOOLS))
    if masks is not None:
        request = services.requests.act(request.id, RequestAction.APPROVE, _officer(POLICE), masks=masks)
    agreement = services.agreements.of_request(request.id)
    assert agreement is not None
    for party in agreement.parties:
        services.agreements.confirm(agreement.id, party, _officer(party))
    for party in agreement.parties:
        signer, node = keys[party]
        signed = signer.sign(services.agreements.get(agreement.id).signing_bytes())
        services.agreements.sign(agreement.id, key_id=signer.key_id, signature=signed, actor=node)
    return services.agreements.get(AgreementId(agreement.id))


def _sent(services: Services, agreement: Agreement, signer: Ed25519Signer, node: Actor) -> str:
    """Send a file from a department to the consumer of its agreement."""
    content = FILE_CONTENT.encode()
    manifest = FileManifest(
        file_id=FileId(new_id()),
        agreement_id=agreement.id,
        sender=agreement.provider,
        sender_node=NodeId(node.id),
        recipient=agreement.consumer,
        name="名单.txt",
        sm3=sha256_hex(b"sm3 " + content),
        payload_digest=sha256_hex(content),
        payload_bytes=len(content),
        sent_at=services.clock.now(),
    )
    services.files.open(signed_file(manifest, signer), node=NodeId(node.id))
    services.files.put_chunk(manifest.file_id, 0, content, sha256_hex(content), node=NodeId(node.id))
    services.files.commit(manifest.file_id, actor=node)
    return manifest.file_id


def police_officer() -> Actor:
    """Return who acts for the police."""
    return _officer(POLICE)


def _officer(code: DepartmentCode) -> Actor:
    return Actor(kind=ActorKind.PERSON, id=f"officer-{code}", department=code)


PEOPLE: dict[str, tuple[DepartmentCode | None, frozenset[Role]]] = {
    "officer": (SCHOOLS, frozenset({Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})),
    "clerk": (SCHOOLS, frozenset({Role.BUSINESS})),
    "stranger": (TAX, frozenset({Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})),
    "auditor": (BUREAU, frozenset({Role.AUDITOR})),
    "operator": (None, frozenset({Role.OPERATOR})),
}


def _let_in(world: RedTeamWorld) -> None:
    """Open the attackers' accounts and applications and sign them in."""
    identity = world.services.identity
    world.attacker("visitor")
    for username, (department, roles) in PEOPLE.items():
        identity.create_account(
            username=username,
            password=PASSWORD,
            name=username,
            roles=roles,
            actor=PLATFORM_ACTOR,
            department=department,
        )
        with world.hub.visitor() as visitor:
            answer = visitor.post("/api/v1/session", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        world.attacker(username, Authorization=f"Bearer {token}", Cookie=f"datong_session={token}")
    for name, department in (("application", SCHOOLS), ("foreign application", TAX)):
        made = identity.create_application(name=name, department=department, actor=PLATFORM_ACTOR)
        issued = identity.token_for_application(made.application.client_id, made.client_secret)
        world.attacker(name, Authorization=f"Bearer {issued.access_token}")
        world.client_id = world.client_id or made.application.client_id
        profile = world.services.profiles.issue(made.application.client_id, days=1, replace=False, actor=PLATFORM_ACTOR)
        world.attacker(f"{name}'s profile", Authorization=f"Bearer {profile.token}")


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the documents of an answer in lines."""
    return [json.loads(line) for line in answer.text.splitlines()]
