"""A node's signing key is replaced: the new one is made, vouched for by the old one, registered, and put in its place.

Killed at any point, the node goes on with the old key, which stays valid; the same command again goes on with the new
one that was made.
"""

import re
from collections.abc import Callable
from pathlib import Path

from datong.catalogue import rotation_message
from datong.kernel import Invalid, Text
from datong.kernel.files import flush
from datong.ledger import LogKeys, Signer, key_id_of
from datong.node.home import NodeHome
from datong.node.hub_client import HubClient
from datong.node.steps import Passed, Step

NEXT = "next.key"
KEY_HEX = re.compile("[0-9a-f]{64}")


def accept_hub_key(home: NodeHome, key: str) -> str:
    """Take a key (hexadecimal) for the hub's from now on, without anybody vouching for it; return its id.

    For when the hub's key was replaced in an emergency, and somebody asked the authority for the new one.

    Raises:
        Invalid: `node.hub_key_malformed`.
    """
    if not KEY_HEX.fullmatch(key.strip().lower()):
        raise Invalid(
            "node.hub_key_malformed",
            what=Text(zh="这不是 64 位十六进制的公钥。", en="This is no public key of 64 hexadecimal digits."),
            remedy=Text(zh="请向主管部门索取。", en="Ask the authority for it."),
            field="key",
        )
    new = bytes.fromhex(key.strip())
    home.keep_log_keys(LogKeys(origin=home.identity().log_origin, newest=new))
    return key_id_of(new)


def change_key(
    home: NodeHome, client: HubClient, *, load_signer: Callable[[Path], Signer], passed: Passed
) -> tuple[str, str]:
    """Replace the signing key; return the ids of the old and of the new one. A running node has to be started anew.

    Raises:
        Unreachable, Refused, …: what the hub answers.
    """
    identity = home.identity()
    prepared = home.key_path.with_name(NEXT)
    new = load_signer(prepared)
    passed(Step.KEY_MADE)
    old = load_signer(home.key_path)
    message = rotation_message(identity.department, identity.node_id, old.key_id, new.public_key)
    client.replace_key(new.public_key, by_old=old.sign(message), by_new=new.sign(message))
    passed(Step.KEY_REGISTERED)
    prepared.replace(home.key_path)
    flush(home.key_path.parent)
    passed(Step.KEY_REPLACED)
    return old.key_id, new.key_id
