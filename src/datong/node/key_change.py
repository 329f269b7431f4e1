"""A node's signing key is replaced: the new one is made, vouched for by the old one, registered, and put in its place.

Killed at any point, the node goes on with the old key, which stays valid; the same command again goes on with the new
one that was made.
"""

import os
from collections.abc import Callable
from pathlib import Path

from datong.catalogue import rotation_message
from datong.ledger import Signer
from datong.node.home import NodeHome
from datong.node.hub_client import HubClient
from datong.node.steps import Passed, Step

NEXT = "next.key"


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
    folder = os.open(home.key_path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    passed(Step.KEY_REPLACED)
    return old.key_id, new.key_id
