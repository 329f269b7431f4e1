"""The hub's own key is replaced: the old key vouches for the new one in the log, and everybody follows.

1. The new key is made in `keys/next.key`, with the secrets that were derived from the first one behind it.
2. The succession, signed by both keys, goes into the log, and the log publishes it.
3. The old key is kept as `keys/previous.key`; the new one takes its place by a rename.
4. Higher hubs, where this hub is a node, register the new key.

Killed between any two, the hub goes on with the key that lies in `keys/hub.key`, and the same command goes on from
there. Both keys sign until the old one is retired: processes that were not started anew yet use it. Retiring puts that
on record, revokes the old key as the authority's, and removes its file (docs/adr/0285).
"""

import os
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from datong.adapters.file_keys import load_signer, make_key_with_secrets
from datong.adapters.hub_link import HubLink
from datong.app.hub import HUB_KEY_FILE, Hub
from datong.catalogue import rotation_message
from datong.federation import Peer, PeerSide, PeerState
from datong.kernel import PLATFORM_ACTOR, Conflict, DatongError, NotFound, Text, Unavailable, Value
from datong.kernel.files import flush
from datong.ledger import Ed25519Signer, EntryKind, LogKeyBook, Succession, key_id_of

NEXT, PREVIOUS = "next.key", "previous.key"
PUBLISH_TRIES_MAX = 100


class KeyStep(StrEnum):
    """A point that the replacing of the hub's key has just passed."""

    MADE = "made"
    RECORDED = "recorded"
    PUBLISHED = "published"
    RETIRED = "retired"
    KEPT = "kept"
    REPLACED = "replaced"
    LINKED = "linked"
    REMOVED = "removed"


class Follower(Value):
    """Somebody who has to follow the hub's key: a witness or a higher hub, and whether it has."""

    name: str
    kind: str
    followed: bool


class KeyProgress(Value):
    """How the hub's keys stand. Keys are hexadecimal; `previous` is still to be retired."""

    newest: str
    since: datetime | None
    file: str
    signed_newest: str | None
    previous: str | None
    followers: tuple[Follower, ...]

    @property
    def may_retire(self) -> bool:
        """Whether the log is signed with the newest key, and everybody known has followed."""
        return self.signed_newest == self.newest and all(one.followed for one in self.followers)


class HubKeys:
    """Replaces and retires the key of one hub, whose folder and database are open here."""

    def __init__(self, hub: Hub, passed: Callable[[KeyStep], None] = lambda _: None) -> None:
        self._hub, self._passed = hub, passed
        self._folder = hub.settings.home / "keys"
        self._current, self._next = self._folder / HUB_KEY_FILE, self._folder / NEXT
        self._previous = self._folder / PREVIOUS
        services = hub.services
        self._book = LogKeyBook(database=hub.database, clock=hub.clock, ledger=services.ledger)

    def replace(self) -> tuple[str, str]:
        """Replace the key; return the ids of the old and of the new one. Every process is to be started anew then.

        Raises:
            Unavailable: the log cannot be published. Whatever else is wrong with a higher hub is in `progress`.
        """
        current = load_signer(self._current)
        if self._previous.exists() and load_signer(self._previous).public_key != current.public_key:
            # The new key is in its place already.
            self._tell_links(load_signer(self._previous), current)
            return load_signer(self._previous).key_id, current.key_id
        new = make_key_with_secrets(self._next, self._hub.secrets.encode())
        self._passed(KeyStep.MADE)
        self._record(current, new, voucher=current, reason="rotation")
        self._previous.unlink(missing_ok=True)
        os.link(self._current, self._previous)
        self._passed(KeyStep.KEPT)
        self._put_in_place()
        self._tell_links(current, new)
        return current.key_id, new.key_id

    def replace_at_once(self, *, reason: str, since: datetime) -> tuple[str, str]:
        """Replace a key that others may have held `since` a moment: it vouches for nobody, and is retired at once.

        Nodes and hubs refuse what the new key signs until somebody tells them of it (docs/security.md).
        """
        current = load_signer(self._current)
        new = make_key_with_secrets(self._next, self._hub.secrets.encode())
        self._passed(KeyStep.MADE)
        self._record(current, new, voucher=None, reason=reason)
        self._retire(current.public_key, reason, since)
        self._passed(KeyStep.RETIRED)
        self._previous.unlink(missing_ok=True)
        self._put_in_place()
        return current.key_id, new.key_id

    def progress(self) -> KeyProgress:
        """Return how the keys stand, and who has followed."""
        keys, signed = self._book.keys(), self._book.signed_newest()
        previous = load_signer(self._previous).public_key if self._previous.exists() else None
        file = load_signer(self._current).public_key
        followers: list[Follower] = []
        if previous is not None and previous != file:
            followers = [*self._witnesses(), *self._links(load_signer(self._current))]
        return KeyProgress(
            newest=keys.newest.hex(),
            since=self._book.begun_at(),
            file=file.hex(),
            signed_newest=None if signed is None else signed.hex(),
            previous=None if previous is None or previous == file else previous.hex(),
            followers=tuple(followers),
        )

    def retire(self, *, anyway: bool = False) -> str:
        """Retire the key before the present one; return its id. From now on nothing takes its signature.

        Raises:
            NotFound: there is none. Conflict: processes still sign with it, or somebody has not followed; not for
                those who have not if it is done `anyway`: they may follow later all the same.
        """
        if not self._previous.exists():
            raise NotFound(
                "app.no_previous_key",
                what=Text(zh="没有待停用的旧密钥。", en="There is no old key to retire."),
                remedy=Text(zh="请先运行 datong hub rotate-key。", en="Run datong hub rotate-key first."),
            )
        old, now = load_signer(self._previous), self.progress()
        signs = now.signed_newest == now.newest == now.file
        waiting = [one.name for one in now.followers if not one.followed]
        if not signs or (waiting and not anyway):
            names = ", ".join(waiting[:5])
            raise Conflict(
                "app.key_still_used",
                what=Text(
                    zh=f"日志尚未由新密钥签名，或仍有未跟上的：{names or '—'}。",
                    en=f"The log is not signed by the new key yet, or some have not followed: {names or '—'}.",
                ),
                remedy=Text(
                    zh="请重启枢纽的全部进程，稍候再试；确实不再运行的可加 --anyway。",
                    en="Start every process of the hub anew and try later; --anyway passes over those that are gone.",
                ),
                context={"waiting": waiting[:100]},
            )
        self._tell_links(old, load_signer(self._current))
        self._retire(old.public_key, "rotation", None)
        self._passed(KeyStep.RETIRED)
        self._previous.unlink()
        flush(self._folder)
        self._passed(KeyStep.REMOVED)
        return old.key_id

    def _record(self, old: Ed25519Signer, new: Ed25519Signer, *, voucher: Ed25519Signer | None, reason: str) -> None:
        ledger = self._hub.services.ledger
        succession = Succession.make(ledger.origin, old.public_key, new, voucher=voucher)
        self._book.replace(succession, PLATFORM_ACTOR, reason)
        self._passed(KeyStep.RECORDED)
        for _ in range(PUBLISH_TRIES_MAX):
            found = ledger.newest(kind=EntryKind.LOG_KEY, subject=old.key_id, limit=1)
            if found and found[0].index is not None:
                break
            ledger.integrate()
        else:
            raise Unavailable(
                "app.key_unpublished",
                what=Text(zh="密钥更替还没有进入已发布的日志。", en="The log has not published the new key yet."),
                remedy=Text(zh="请查看 datong doctor，再运行一次。", en="Look at datong doctor, and run it again."),
            )
        self._passed(KeyStep.PUBLISHED)

    def _retire(self, key: bytes, reason: str, since: datetime | None) -> None:
        self._book.retire(key, PLATFORM_ACTOR, reason, since)
        departments = self._hub.services.departments
        try:
            departments.revoke_key(key_id_of(key), PLATFORM_ACTOR, reason, since)
        except NotFound:
            # A hub without an authority has registered no key for it.
            return

    def _put_in_place(self) -> None:
        self._next.replace(self._current)
        flush(self._folder)
        self._passed(KeyStep.REPLACED)

    def _witnesses(self) -> list[Follower]:
        """Return the nodes that witness, and whether the newest key published what they cosigned last."""
        newest = self._book.keys().newest
        return [
            Follower(name=name, kind="witness", followed=key == newest)
            for name, key in self._book.cosigned_under().items()
        ]

    def _superiors(self) -> list[Peer]:
        peers = self._hub.services.peers.all()
        return [one for one in peers if one.side is PeerSide.SUPERIOR and one.state is PeerState.ACTIVE]

    def _links(self, signer: Ed25519Signer) -> list[Follower]:
        return [
            Follower(name=peer.hub, kind="higher hub", followed=self._known_at(peer, signer))
            for peer in self._superiors()
        ]

    def _known_at(self, peer: Peer, signer: Ed25519Signer) -> bool:
        link = self._open(peer, signer)
        try:
            link.standing()
        except DatongError:
            return False
        finally:
            link.close()
        return True

    def _tell_links(self, old: Ed25519Signer, new: Ed25519Signer) -> None:
        """Register the new key at every higher hub; one that does not answer is told when this is run again."""
        for peer in self._superiors():
            if self._known_at(peer, new):
                continue
            link = self._open(peer, old)
            try:
                message = rotation_message(link.department(), link.node_id, old.key_id, new.public_key)
                link.replace_key(new.public_key, by_old=old.sign(message), by_new=new.sign(message))
            except DatongError as error:
                self._hub.services.cascade.failed(peer.id, error.what)
            finally:
                link.close()
        self._passed(KeyStep.LINKED)

    def _open(self, peer: Peer, signer: Ed25519Signer) -> HubLink:
        settings = self._hub.settings
        return HubLink(
            address=peer.address,
            node_id=peer.node_id,
            signer=signer,
            clock=self._hub.clock,
            networks=settings.intranets,
        )
