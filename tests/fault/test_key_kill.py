"""A node's signing key is replaced while it is killed at each point; the log tells who vouched for which key."""

import base64
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.adapters.file_keys import load_or_create_signer
from datong.catalogue import KeyRecord, RotationProof, signing_keys
from datong.cli.keys import app
from datong.kernel import PLATFORM_ACTOR, Database, DatongError, Refused
from datong.ledger import Ed25519Signer, exported_entries
from datong.node import NodeHome, NodeIdentity, Step
from datong.node.steps import unobserved
from tests.exchange_node import program_of, rotate_key
from tests.integration.open.serving import BUREAU, OpenHub, served
from tests.processes import exit_code


def enrolled(hub: OpenHub, folder: Path) -> NodeHome:
    """Make the folder of a node that is enrolled at the hub."""
    services, home = hub.services, NodeHome(folder)
    folder.mkdir()
    signer = load_or_create_signer(home.key_path)
    token = services.identity.create_enrolment(department=BUREAU, actor=PLATFORM_ACTOR)
    node = services.identity.redeem_enrolment(token=token, public_key=signer.public_key, name="node")
    key = base64.b64encode(services.hub_key).decode()
    home.save_identity(
        NodeIdentity(
            hub_url=hub.url,
            node_id=node.id,
            name="node",
            department=BUREAU,
            log_origin=services.settings.log_origin,
            log_key=key,
            hub_public_key=key,
        )
    )
    return home


def history(hub: OpenHub, folder: Path) -> tuple[KeyRecord, ...]:
    """Return the history of keys, as who has the exported log alone finds it."""
    while hub.services.ledger.integrate():
        pass
    hub.services.ledger.export(folder)
    return signing_keys(exported_entries(folder, log_key=hub.services.hub_key))


def works(home: NodeHome) -> bool:
    """Whether the hub still knows the node by the key that lies in its folder."""
    client = program_of(home.directory, unobserved).client()
    try:
        client.work(0)
    except DatongError:
        return False
    finally:
        client.close()
    return True


def test_a_key_is_replaced_once_wherever_the_node_is_killed(migrated_sqlite: Path, tmp_path: Path) -> None:
    file = tmp_path / "control.sqlite"
    shutil.copy(migrated_sqlite, file)
    database = Database(f"sqlite:///{file}")
    with served(database, tmp_path / "hub") as hub:
        home = enrolled(hub, tmp_path / "node")
        first = load_or_create_signer(home.key_path)
        for step in (Step.KEY_MADE, Step.KEY_REGISTERED):
            assert exit_code(rotate_key, home.directory, step) == -signal.SIGKILL
            assert load_or_create_signer(home.key_path).key_id == first.key_id
            assert works(home)
        assert exit_code(rotate_key, home.directory, Step.KEY_REPLACED) == -signal.SIGKILL
        second = load_or_create_signer(home.key_path)
        assert second.key_id != first.key_id
        assert works(home)

        # One rotation, vouched for by the first key; the log alone says so.
        found = {record.key_id: record for record in history(hub, tmp_path / "log")}
        assert found[second.key_id].replaces == first.key_id
        assert sum(record.replaces != "" for record in found.values()) == 1
        assert not any(record.fault for record in found.values())

        # The old key is revoked since a moment: it opens nothing more, and vouches for nobody.
        since = datetime.now(UTC) - timedelta(hours=1)
        hub.services.departments.revoke_key(first.key_id, PLATFORM_ACTOR, "遗失", since)
        third = Ed25519Signer.generate()
        proof = RotationProof(b"", b"")
        with pytest.raises(Refused):
            hub.services.departments.replace_key(first.key_id, third.public_key, proof, PLATFORM_ACTOR)
        assert works(home)
        old = next(one for one in history(hub, tmp_path / "later") if one.key_id == first.key_id)
        assert old.compromised_since == since
        key = base64.b64encode(hub.services.hub_key).decode()
        told = CliRunner().invoke(app, ["history", str(tmp_path / "later"), "--key", key])
        assert told.exit_code == 0, told.output
        assert second.key_id in told.output
    database.close()
