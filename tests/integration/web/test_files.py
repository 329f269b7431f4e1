"""Files from department to department over the real interface: whole, once, resumable, sealed or not, and on record."""

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import EXCHANGE_AREAS, FileState
from datong.kernel import Actor, ActorKind, Conflict, Corrupt, DepartmentCode, NotFound, Refused, SystemClock
from datong.ledger import EntryKind
from datong.node import NodeProgram, Step
from datong.node.files import safe_name
from datong.norms import load_pack
from datong.sharing import Agreement
from tests.exchange_files import send_or_receive
from tests.integration.web.conftest import BUREAU, EDUCATION, POLICE, RunningHub
from tests.integration.web.test_story import Node, agree, publish
from tests.processes import PROCESSES

CONTENT = b"\x89scan of a deed\n" + bytes(range(256)) * 140_000
"""Some 36 MB, so that there are several chunks."""
MARK = b"scan of a deed"


def nothing(_stage: str, _done: int, _total: int) -> None:
    return None


class Parties:
    """Police and education with an agreement, a person and a node each."""

    def __init__(self, hub: RunningHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        operator, authority = hub.person("operator"), hub.person("authority")
        self.operator = operator
        self.people = {POLICE: hub.person("police"), EDUCATION: hub.person("education")}
        first, second = Node(hub, operator, POLICE), Node(hub, operator, EDUCATION)
        resource = publish(first, self.people[POLICE], authority)
        self.agreement: Agreement = agree(resource, self.people[POLICE], self.people[EDUCATION], (first, second))
        self.nodes = {department: self.node(department) for department in (POLICE, EDUCATION)}
        client = self.nodes[EDUCATION].client()
        self.nodes[EDUCATION].loop(client, lambda _text: None).round(0)
        client.close()
        self.file = folder / "房产证 扫描.bin"
        self.file.write_bytes(CONTENT)
        self.inbox = folder / "inbox"

    def node(self, department: DepartmentCode) -> NodeProgram:
        program = NodeProgram(
            directory=self.folder / department,
            clock=SystemClock(),
            load_signer=load_or_create_signer,
            open_connector=open_connector,
            open_target=open_target,
            load_pack=load_pack,
            sleep=lambda _: None,
        )
        actor = Actor(kind=ActorKind.PERSON, id="o", department=BUREAU)
        token = self.hub.services.identity.create_enrolment(department=department, actor=actor)
        program.enrol(hub_url=self.hub.url, token=token, name=department)
        return program

    def process(self, department: DepartmentCode, order: dict[str, object], *fault: Step | int) -> int | None:
        """Let a process send or receive, killed at the n-th passing of a step if so wished."""
        process = PROCESSES.Process(target=send_or_receive, args=(self.folder / department, json.dumps(order), *fault))
        process.start()
        process.join(120)
        code = process.exitcode
        process.close()
        return code

    def order(self, *, seal: bool = False) -> dict[str, object]:
        return {"send": str(self.file), "agreement": self.agreement.id, "seal": seal}

    def acts(self) -> list[str]:
        page = self.hub.services.ledger.entries(kind=EntryKind.FILE)
        return [str(entry.facts["action"]) for entry in reversed(page.rows)]

    def hub_bytes(self) -> Iterator[tuple[Path, bytes]]:
        for path in self.hub.services.settings.home.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


@pytest.fixture
def parties(hub: RunningHub, tmp_path: Path) -> Parties:
    return Parties(hub, tmp_path)


def test_a_file_arrives_whole_and_is_acknowledged(parties: Parties) -> None:
    told: list[tuple[str, int, int]] = []
    sender, receiver = parties.nodes[POLICE], parties.nodes[EDUCATION]
    record = sender.send_file(
        parties.file, parties.agreement.id, seal=False, progress=lambda *facts: told.append(facts)
    )
    assert record.state is FileState.READY
    assert {stage for stage, _, _ in told} == {"digest", "upload"}
    assert all(done <= total == len(CONTENT) for _, done, total in told)
    assert [one.manifest.file_id for one in receiver.waiting_files()] == [record.manifest.file_id]
    landed = receiver.receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
    assert landed == parties.inbox / "房产证 扫描.bin"
    assert landed.read_bytes() == CONTENT
    again = receiver.receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
    assert again.read_bytes() == CONTENT
    (done,) = sender.files()
    assert done.state is FileState.RECEIVED
    assert done.receipt is not None
    assert receiver.waiting_files() == ()
    assert parties.acts() == ["send", "receive"]
    compared = parties.hub.services.ledger.fsck(EXCHANGE_AREAS)
    assert (compared.faults, compared.compared["exchange.file"], compared.compared["exchange.file_receipt"]) == (
        (),
        1,
        1,
    )
    assert not list((parties.folder / POLICE / "files" / "outgoing").iterdir())
    assert not list((parties.folder / EDUCATION / "files" / "incoming").iterdir())


@pytest.mark.parametrize("seal", [False, True])
def test_killed_at_any_step_it_goes_on_and_arrives_once(parties: Parties, seal: bool) -> None:
    for step, number in (
        (Step.BATCH_SPOOLED, 1),
        (Step.UPLOAD_OPENED, 1),
        (Step.CHUNK_SENT, 2),
        (Step.BATCH_COMMITTED, 1),
    ):
        assert parties.process(POLICE, parties.order(seal=seal), step, number) == -signal.SIGKILL
    assert parties.process(POLICE, parties.order(seal=seal)) == 0
    (record,) = parties.nodes[POLICE].files()
    order: dict[str, object] = {"receive": record.manifest.file_id, "to": str(parties.inbox)}
    for step, number in ((Step.CHUNK_SENT, 2), (Step.PAYLOAD_FETCHED, 1), (Step.BATCH_APPLIED, 1)):
        assert parties.process(EDUCATION, order, step, number) == -signal.SIGKILL
    assert parties.process(EDUCATION, order) == 0
    assert [path.name for path in parties.inbox.iterdir()] == ["房产证 扫描.bin"]
    assert (parties.inbox / "房产证 扫描.bin").read_bytes() == CONTENT
    assert parties.acts() == ["send", "receive"]
    if seal:
        assert record.manifest.name == ""
        for path, content in parties.hub_bytes():
            assert MARK not in content, path
            assert "房产证".encode() not in content, path
    else:
        assert any(MARK in content for _, content in parties.hub_bytes())


def test_who_may_see_and_download(parties: Parties) -> None:
    plain = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    sealed = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=True, progress=nothing)
    content = f"/api/v1/files/{plain.manifest.file_id}/content"
    education, police = parties.people[EDUCATION], parties.people[POLICE]
    answer = education.get(content)
    assert answer.content == CONTENT
    assert "filename*=UTF-8''%E6%88%BF" in answer.headers["content-disposition"]
    assert education.get(content, headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert police.get(content).status_code == 403
    assert parties.operator.get(content).status_code == 403
    refused = education.get(f"/api/v1/files/{sealed.manifest.file_id}/content")
    assert (refused.status_code, refused.json()["code"]) == (403, "web.file_sealed")
    assert parties.operator.get("/api/v1/files").json()["total"] == 2
    assert parties.acts() == ["send", "send", "download"]


def test_a_withdrawn_file_is_gone(parties: Parties) -> None:
    record = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    path = f"/api/v1/files/{record.manifest.file_id}/withdrawal"
    assert parties.people[EDUCATION].post(path).status_code == 403
    answer = parties.people[POLICE].post(path)
    assert (answer.status_code, answer.json()["state"]) == (201, "withdrawn")
    assert not any(MARK in content for _, content in parties.hub_bytes())
    with pytest.raises(Conflict, match="file_state"):
        parties.nodes[EDUCATION].receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
    assert parties.acts() == ["send", "withdraw"]


def test_without_an_agreement_nothing_is_sent(parties: Parties) -> None:
    with pytest.raises(Refused, match="not_the_provider"):
        parties.nodes[EDUCATION].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    with pytest.raises(NotFound, match="no_such_file"):
        parties.nodes[POLICE].send_file(parties.folder / "none", parties.agreement.id, seal=False, progress=nothing)
    officer = Actor(kind=ActorKind.PERSON, id="p", department=POLICE)
    parties.hub.services.agreements.terminate(parties.agreement.id, officer, "测试")
    with pytest.raises(Refused, match="transfer_refused"):
        parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    assert parties.acts() == []


def test_what_the_hub_changed_is_not_handed_over(parties: Parties) -> None:
    for seal in (False, True):
        record = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=seal, progress=nothing)
        stored = parties.hub.services.files.content(record.manifest.file_id)
        good = stored.read_bytes()
        stored.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(Corrupt, match="file_not_as_signed"):
            parties.nodes[EDUCATION].receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
        assert not parties.inbox.exists()
        stored.write_bytes(good)
        landed = parties.nodes[EDUCATION].receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
        landed.unlink()
        parties.inbox.rmdir()


def test_a_file_that_changes_while_it_is_sent_is_told(parties: Parties) -> None:
    def change(stage: str, done: int, total: int) -> None:
        if stage == "upload" and done < total:
            parties.file.write_bytes(CONTENT[::-1])

    with pytest.raises(Conflict, match="file_changed"):
        parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=change)
    assert parties.acts() == ["refuse"]
    record = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    assert record.state is FileState.READY


def test_retention_deletes_with_evidence(parties: Parties) -> None:
    record = parties.nodes[POLICE].send_file(parties.file, parties.agreement.id, seal=False, progress=nothing)
    parties.nodes[EDUCATION].receive_file(record.manifest.file_id, parties.inbox, progress=nothing)
    files = parties.hub.services.files
    assert files.sweep() is False
    assert any(MARK in content for _, content in parties.hub_bytes())
    files._policy = files._policy.model_copy(update={"retention": timedelta(0)})
    files.sweep()
    assert not any(MARK in content for _, content in parties.hub_bytes())
    assert parties.acts() == ["send", "receive", "dispose"]
    assert files.record(record.manifest.file_id).disposed_at is not None
    answer = parties.people[EDUCATION].get(f"/api/v1/files/{record.manifest.file_id}/content")
    assert answer.status_code == httpx.codes.CONFLICT


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("扫描.pdf", "扫描.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "id"),
        (".bashrc", "bashrc"),
        ("a\\b:c\x00d\u202e.exe", "a_b_c_d_.exe"),
        ("", "id"),
    ],
)
def test_names_stay_in_their_folder(name: str, safe: str) -> None:
    assert safe_name(name, "id") == safe
