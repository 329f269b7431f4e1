"""The hub's own key is replaced while it is killed at each point; nodes, links, proofs and verifiers follow."""

import signal
from base64 import b64encode
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datong.adapters.file_keys import load_or_create_signer, load_secrets, load_signer
from datong.app.bridges import AuthorityKey
from datong.app.fsck import AREAS
from datong.app.hub import Hub
from datong.app.hub_keys import HubKeys, KeyStep
from datong.federation import PeerSettings
from datong.kernel import PLATFORM_ACTOR, Conflict, Corrupt, Database, Misconfigured, Settings
from datong.ledger import Ed25519Signer, LogKeyBook, standalone_verifier, verify_bundle, verify_log
from datong.node import NodeHome, NodeIdentity
from datong.node.steps import unobserved
from datong.sharing import HubSecrets
from tests.exchange_node import program_of
from tests.hub_rotation import hub_keys
from tests.integration.open.serving import BUREAU, OpenHub, served
from tests.new_control import new_control
from tests.processes import exit_code

CITY, PROVINCE = "city/log", "province/log"


def serve(stack: ExitStack, home: Path, origin: str) -> OpenHub:
    """Serve the hub of a folder with the key that lies there."""
    file = home / "keys" / "hub.key"
    signer, kept = load_or_create_signer(file), load_secrets(file)
    database = Database(f"sqlite:///{home / 'control.sqlite'}")
    stack.callback(database.close)
    secrets = None if kept is None else HubSecrets.parse(kept)
    hub = stack.enter_context(served(database, home, signer=signer, log_origin=origin, secrets=secrets))
    # As background work does when it begins.
    AuthorityKey(departments=hub.services.departments, signer=signer).register()
    return hub


def grown(hub: OpenHub) -> None:
    """Put everything into the log."""
    while hub.services.ledger.integrate():
        pass


def enrolled(hub: OpenHub, home: NodeHome) -> None:
    """Enrol a node that witnesses the hub's log."""
    signer = load_or_create_signer(home.key_path)
    token = hub.services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
    node = hub.services.identity.redeem_enrolment(token=token, public_key=signer.public_key, name="node")
    key = b64encode(hub.services.hub_key).decode()
    home.save_identity(
        NodeIdentity(
            hub_url=hub.url, node_id=node.id, name="node", department=BUREAU,
            log_origin=CITY, log_key=key, hub_public_key=key,
        )
    )  # fmt: skip


def witnessed(hub: OpenHub, home: NodeHome) -> bytes:
    """Have the node cosign the newest checkpoint; return the hub's key that it then believes."""
    home.save_identity(home.identity().model_copy(update={"hub_url": hub.url}))
    program = program_of(home.directory, unobserved)
    client = program.client()
    program.loop(client, lambda _: None).round(0)
    client.close()
    return home.identity().log_key_bytes


def test_everybody_follows_the_hubs_key_wherever_it_is_killed(tmp_path: Path) -> None:
    for name in ("city", "province"):
        (tmp_path / name).mkdir(mode=0o700)
        new_control(tmp_path / name).close()
    home, node = tmp_path / "city", NodeHome(tmp_path / "node")
    node.directory.mkdir()
    file = home / "keys" / "hub.key"
    settings = PeerSettings(name="对方", department=BUREAU)
    with ExitStack() as outer:
        above = serve(outer, tmp_path / "province", PROVINCE)
        with ExitStack() as stack:
            city = serve(stack, home, CITY)
            first, before = load_signer(file), file.read_bytes()
            token = above.services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
            above.services.peers.expect_subordinate(settings, token, PLATFORM_ACTOR)
            link = city.services.exchanges.join(
                settings, address=above.url, token=token, own_name="city", actor=PLATFORM_ACTOR
            )
            enrolled(city, node)
            grown(city)
            assert witnessed(city, node) == first.public_key
            secrets = HubSecrets.derived(first)
            # 1. Killed before the new key lies in its place, the hub goes on with the old one.
            for step in (KeyStep.MADE, KeyStep.RECORDED, KeyStep.PUBLISHED, KeyStep.KEPT):
                assert exit_code(hub_keys, home, CITY, "replace", step) == -signal.SIGKILL
                assert load_signer(file).public_key == first.public_key
            city.services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
            grown(city)
            assert witnessed(city, node) == first.public_key
            assert city.services.exchanges.exchange(link.id).failure is None
            # 2. And with the new one as soon as it does; the links are told by the same command.
            assert exit_code(hub_keys, home, CITY, "replace", KeyStep.REPLACED) == -signal.SIGKILL
            second = load_signer(file)
            assert second.public_key != first.public_key
            assert load_secrets(file) == secrets.encode()
            assert exit_code(hub_keys, home, CITY, "replace", KeyStep.LINKED) == -signal.SIGKILL
            assert load_signer(file).public_key == second.public_key
            # The process that is not started anew yet still works, and takes the new key's tokens.
            assert city.services.exchanges.exchange(link.id).failure is None
            assert witnessed(city, node) == first.public_key
            bundle = city.services.ledger.proof_bundle(city.services.ledger.entries(limit=5).rows[-1].entry_id)
            assert verify_bundle(bundle, log_key=first.public_key).key_given
            opened = Hub(Settings(home=home, log_origin=CITY))
            assert not HubKeys(opened).progress().may_retire
            with pytest.raises(Conflict):
                HubKeys(opened).retire()
            opened.close()
        with ExitStack() as stack:
            city = serve(stack, home, CITY)
            book = LogKeyBook(database=city.services.database, clock=city.services.clock, ledger=city.services.ledger)
            city.services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
            grown(city)
            # 3. The node and the province know the new key by the old one.
            assert witnessed(city, node) == second.public_key
            assert len(node.identity().log_successions) == 1
            assert city.services.exchanges.exchange(link.id).failure is None
            opened = Hub(Settings(home=home, log_origin=CITY))
            assert HubKeys(opened).progress().may_retire
            opened.close()
            assert exit_code(hub_keys, home, CITY, "retire", KeyStep.RETIRED) == -signal.SIGKILL
            assert exit_code(hub_keys, home, CITY, "retire") == 0
            assert sorted(path.name for path in (home / "keys").iterdir()) == ["hub.key"]
            grown(city)
            assert book.in_use() == (second.public_key,)
            assert city.services.departments.key(first.key_id).revoked_at is not None
            # 4. Anybody who has the log and either key; nobody who has another.
            city.services.ledger.export(tmp_path / "log")
            for key in (first, second):
                assert verify_log(tmp_path / "log", log_key=key.public_key).size == city.services.ledger.size()
                standalone_verifier.Export(tmp_path / "log", key.public_key).verify()
            with pytest.raises(Corrupt):
                verify_log(tmp_path / "log", log_key=Ed25519Signer.generate().public_key)
            assert not city.services.ledger.fsck(AREAS).faults
            # 5. A hub that comes back with the old key does not serve.
            aside = file.read_bytes()
            file.write_bytes(before)
            with pytest.raises(Misconfigured):
                Hub(Settings(home=home, log_origin=CITY))
            file.write_bytes(aside)
        # 6. Stolen: the next key stands alone, and the node asks somebody before it goes on.
        opened = Hub(Settings(home=home, log_origin=CITY))
        HubKeys(opened).replace_at_once(reason="遗失", since=datetime.now(UTC))
        opened.close()
        with ExitStack() as stack:
            city = serve(stack, home, CITY)
            city.services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
            grown(city)
            assert witnessed(city, node) == second.public_key
            program_of(node.directory, unobserved).accept_hub_key(city.services.hub_key.hex())
            assert witnessed(city, node) == load_signer(file).public_key
            assert city.services.ledger.witnesses()[0].size == city.services.ledger.size()
            assert load_secrets(file) == secrets.encode()
