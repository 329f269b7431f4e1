"""A hub on which one department may use another's resource under an agreement in force, and the hub as a process."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import httpx

from datong.adapters.file_keys import load_or_create_signer
from datong.app.hub import Hub
from datong.catalogue import Binding, Department, Item, Resource, ResourceAction, ResourceContent
from datong.exchange import ColumnMap, TaskDraft
from datong.kernel import CHINA, PLATFORM_ACTOR, Actor, ActorKind, DepartmentCode, NodeId, Settings, Text
from datong.kernel.settings import without_settings
from datong.ledger import Ed25519Signer
from datong.node import NodeHome, NodeIdentity, SourceEntry
from datong.norms import Grade, ShareMode, ShareType
from datong.sharing import Agreement, AgreementState, PurposeDraft, RequestLine

BUREAU = DepartmentCode("114406000000000193")
PROVIDER = DepartmentCode("12440600456000017N")
CONSUMER = DepartmentCode("524406005000000158")
SERVICE_ITEM = "义务教育入学审核"
MODES = (ShareMode.INTERFACE, ShareMode.BULK)
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0


class Node(NamedTuple):
    """An enrolled node."""

    id: NodeId
    department: DepartmentCode
    signer: Ed25519Signer

    @property
    def actor(self) -> Actor:
        """The node as the one who acts."""
        return Actor(kind=ActorKind.NODE, id=self.id, department=self.department, name=self.department)


def officer(department: DepartmentCode) -> Actor:
    """Return a department's data officer."""
    return Actor(kind=ActorKind.PERSON, id=f"officer-{department}", department=department, name="officer")


def register_departments(hub: Hub) -> None:
    """Register the authority, the provider and the consumer."""
    for code, zh, en in (
        (BUREAU, "数据局", "Data bureau"),
        (PROVIDER, "公安局", "Police"),
        (CONSUMER, "教育局", "Education"),
    ):
        name = Text(zh=zh, en=en)
        department = Department(code=code, name=name, short_name=name, is_authority=code == BUREAU)
        hub.services.departments.register(department, PLATFORM_ACTOR)


def enrol(hub: Hub, department: DepartmentCode, signer: Ed25519Signer) -> Node:
    """Enrol a node with its key."""
    identity = hub.services.identity
    token = identity.create_enrolment(department=department, actor=PLATFORM_ACTOR)
    enrolled = identity.redeem_enrolment(token=token, public_key=signer.public_key, name=f"node-{department}")
    return Node(enrolled.id, department, signer)


def enrol_folder(hub: Hub, folder: Path, department: DepartmentCode, database: str, *, writable: bool) -> Node:
    """Make a node's folder, enrolled and with its source `main`."""
    home = NodeHome(folder)
    folder.mkdir(exist_ok=True)
    node = enrol(hub, department, load_or_create_signer(home.key_path))
    key = base64.b64encode(hub.signer.public_key).decode()
    home.save_identity(
        NodeIdentity(
            hub_url=hub.settings.base_url,
            node_id=node.id,
            name=folder.name,
            department=department,
            log_origin=hub.settings.log_origin,
            log_key=key,
            hub_public_key=key,
        )
    )
    home.add_source(SourceEntry(name="main", url=database, writable=writable))
    return node


def publish(
    hub: Hub, provider: Node, table: str, columns: Sequence[tuple[str, str | None]], *, conditional: bool = False
) -> Resource:
    """Publish `table` of the provider, its columns given with their data elements; the first column is the key.

    It is shared unconditionally, or (`conditional`) when the provider agrees.
    """
    share_type = ShareType.CONDITIONAL if conditional else ShareType.UNCONDITIONAL
    items = tuple(
        Item(
            name=Text(zh=column, en=column),
            column=column,
            element=element,
            length=100,
            grade=Grade.L2,
            share_type=share_type,
            share_condition="依法履职所需" if conditional else "",
            share_modes=MODES,
            key=number == 0,
            mapping_confidence=100,
        )
        for number, (column, element) in enumerate(columns)
    )
    content = ResourceContent.model_validate(
        {
            "title": Text(zh=table, en=table),
            "summary": Text(zh=table, en=table),
            "classification": "101001",
            "items": items,
            "share_type": share_type,
            "share_condition": "依法履职所需" if conditional else "",
            "share_modes": MODES,
            "format": "3",
            "update_cycle": "daily",
            "theme": "population",
            "use_condition": "依法履职",
            "data_category": "personal_basic",
            "assessment": {
                "secrecy": "不涉及国家秘密",
                "personal_information": "风险可控",
                "conclusion": "passed",
                "assessed_by": "保密办",
                "assessed_on": "2026-11-02",
            },
            "binding": Binding(node_id=provider.id, source="main", table=table, key_columns=(columns[0][0],)),
        }
    )
    catalogue = hub.services.catalogue
    draft = catalogue.draft(provider.department, content, officer(provider.department))
    catalogue.act(draft.id, ResourceAction.SIGN_OFF, officer(provider.department))
    catalogue.act(draft.id, ResourceAction.SUBMIT, officer(provider.department))
    catalogue.act(draft.id, ResourceAction.APPROVE, officer(BUREAU))
    return catalogue.act(draft.id, ResourceAction.PUBLISH, officer(BUREAU))


def agree(hub: Hub, resource: Resource, provider: Node, consumer: Node) -> Agreement:
    """Request every item of the resource for the consumer; confirm and sign for both; return the agreement in force."""
    now = hub.clock.now().astimezone(CHINA)
    purpose = PurposeDraft.model_validate(
        {
            "legal_basis": "《中华人民共和国义务教育法》第十二条",
            "scene": "入学资格审核",
            "scope": "市教育局招生科",
            "modes": MODES,
            "valid_from": now - timedelta(minutes=1),
            "valid_until": now + timedelta(days=365),
            "service_item": SERVICE_ITEM,
        }
    )
    line = RequestLine(resource_id=resource.id, items=tuple(item.column for item in resource.content.items))
    (request,) = hub.services.requests.submit(
        consumer=consumer.department, lines=[line], purpose=purpose, actor=officer(consumer.department)
    )
    agreements = hub.services.agreements
    drawn_up = agreements.of_request(request.id)
    if drawn_up is None:
        raise RuntimeError("the request was not granted at once")
    for node in (provider, consumer):
        agreements.confirm(drawn_up.id, node.department, officer(node.department))
    for node in (provider, consumer):
        signature = node.signer.sign(drawn_up.signing_bytes())
        agreements.sign(drawn_up.id, key_id=node.signer.key_id, signature=signature, actor=node.actor)
    agreement = agreements.get(drawn_up.id)
    if agreement.state is not AgreementState.ACTIVE:
        raise RuntimeError(f"the agreement is {agreement.state.value}, not in force")
    return agreement


def draft(
    agreement: Agreement, producer: Node, consumer: Node, table: str, columns: Sequence[str], **fields: object
) -> TaskDraft:
    """Return a task that moves `table`, whose key is its `id`, from source `main` under the agreement."""
    known = TaskDraft(
        agreement_id=agreement.id,
        resource_id=agreement.resource_id,
        resource_version=agreement.resource_version,
        provider=agreement.provider,
        consumer=agreement.consumer,
        producer_node=producer.id,
        consumer_node=consumer.id,
        source="main",
        table=table,
        columns=tuple(ColumnMap(column=column, item=column) for column in columns),
        key_columns=("id",),
    )
    return TaskDraft.model_validate(known.model_dump() | fields)


@contextmanager
def process(arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run `python -m arguments` beside the block and yield its process id; end it after."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            (sys.executable, "-m", *arguments),
            env={**without_settings(os.environ), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield running.pid
    finally:
        running.terminate()
        try:
            running.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def serving(settings: Settings) -> Iterator[int]:
    """Run `datong hub serve` with `settings` beside the block, once it is healthy; yield its process id."""
    log = settings.home / f"serve-{settings.port}.log"
    environment = {f"DATONG_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    with process(("datong.app.main", "hub", "serve"), log=log, environment=environment) as pid:
        wait_healthy(f"http://{settings.host}:{settings.port}/healthz", log)
        yield pid


def wait_healthy(url: str, log: Path) -> None:
    """Return when `url` answers 200.

    Raises:
        RuntimeError: it does not in time; the message holds the end of the log.
    """
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        try:
            if httpx.get(url, timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer: {log.read_text(errors='replace')[-2000:]}")
