"""What the sharing system needs from the catalogue, with fakes that hold it in memory.

`catalogue.Departments`, `catalogue.Catalogue` and `catalogue.Discovery` satisfy these protocols.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from datong.catalogue import Department, DepartmentKey, Resource, RotationProof, UseKind
from datong.kernel import Actor, ActorKind, DepartmentCode, NodeId, NotFound, ResourceId, Text, sha256_hex

if TYPE_CHECKING:
    from sqlalchemy import Connection


class DepartmentBook(Protocol):
    """The registered departments and the keys of their nodes."""

    def get(self, code: DepartmentCode) -> Department:
        """Return a department, or raise NotFound."""
        ...

    def keys(self, code: DepartmentCode) -> tuple[DepartmentKey, ...]:
        """Return every key of a department, revoked ones too."""
        ...

    def key(self, key_id: str) -> DepartmentKey:
        """Return a key, or raise NotFound."""
        ...

    def register_key(
        self, code: DepartmentCode, public_key: bytes, node_id: NodeId | None, actor: Actor
    ) -> DepartmentKey:
        """Register a key of a department; the same key twice is the same key."""
        ...

    def replace_key(self, old_key_id: str, public_key: bytes, proof: RotationProof, actor: Actor) -> DepartmentKey:
        """Register the key that takes the place of a node's old one, which vouches for it."""
        ...


class PublishedResources(Protocol):
    """The published versions of resources."""

    def published(self, resource_id: ResourceId) -> Resource:
        """Return the published version of a resource, or raise NotFound."""
        ...

    def published_stamps(self, ids: Sequence[ResourceId]) -> Mapping[ResourceId, object]:
        """Return what changes whenever what `published` returns does; a resource that nobody sees has none."""
        ...


class CallersInForce(Protocol):
    """Knows which machines may still call; `Machines` satisfies it."""

    def callers_in_force(
        self, callers: Sequence[tuple[ActorKind, str, str]]
    ) -> Mapping[tuple[ActorKind, str, str], bool]:
        """Return of each machine (what it is, its id, its key or nothing) whether it was not revoked."""
        ...


class ResourceUses(Protocol):
    """Counts which departments use which resources: the catalogue's ranking looks at it."""

    def record_use_within(
        self,
        connection: "Connection",
        resource_id: ResourceId,
        kind: UseKind,
        user: DepartmentCode,
        provider: DepartmentCode,
    ) -> None:
        """Count one use in the transaction of the act that is the use; a department's own resources do not count."""
        ...


class MemoryDepartments:
    """Departments held in memory, for tests."""

    def __init__(self, departments: Iterable[Department]) -> None:
        self._departments = {department.code: department for department in departments}
        self._keys: dict[str, DepartmentKey] = {}

    def get(self, code: DepartmentCode) -> Department:
        """Return a department, or raise NotFound."""
        if code not in self._departments:
            raise _unknown(code)
        return self._departments[code]

    def keys(self, code: DepartmentCode) -> tuple[DepartmentKey, ...]:
        """Return every key of a department, revoked ones too."""
        return tuple(key for key in self._keys.values() if key.department == code)

    def key(self, key_id: str) -> DepartmentKey:
        """Return a key, or raise NotFound."""
        if key_id not in self._keys:
            raise _unknown(key_id)
        return self._keys[key_id]

    def register_key(
        self, code: DepartmentCode, public_key: bytes, node_id: NodeId | None, actor: Actor
    ) -> DepartmentKey:
        """Register a key in the name of `actor`; the same key twice is the same key."""
        if actor.department not in {None, code}:
            raise _unknown(code)
        key = DepartmentKey(
            key_id=sha256_hex(public_key)[:16],
            department=code,
            public_key=public_key,
            node_id=node_id,
            registered_at=datetime.now(UTC),
        )
        return self._keys.setdefault(key.key_id, key)

    def replace_key(self, old_key_id: str, public_key: bytes, proof: RotationProof, actor: Actor) -> DepartmentKey:
        """Register the key that takes the place of an old one; the proof is believed."""
        old = self.key(old_key_id)
        return self.register_key(old.department, public_key, old.node_id, actor)

    def revoke(self, key_id: str) -> None:
        """Make a key worthless."""
        self._keys[key_id] = self.key(key_id).model_copy(update={"revoked_at": datetime.now(UTC)})


class MemoryResources:
    """Published resources held in memory, for tests."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._resources = {resource.id: resource for resource in resources}

    def publish(self, resource: Resource) -> None:
        """Add or replace a published resource."""
        self._resources[resource.id] = resource

    def published(self, resource_id: ResourceId) -> Resource:
        """Return the published version of a resource, or raise NotFound."""
        if resource_id not in self._resources:
            raise _unknown(resource_id)
        return self._resources[resource_id]

    def published_stamps(self, ids: Sequence[ResourceId]) -> dict[ResourceId, object]:
        """Return the resources themselves: they are values."""
        return {resource_id: self._resources[resource_id] for resource_id in ids if resource_id in self._resources}


class MemoryUses:
    """Uses held in memory, for tests: how often each department used each resource in each way."""

    def __init__(self) -> None:
        self.times: Counter[tuple[ResourceId, UseKind, DepartmentCode]] = Counter()

    def record_use_within(
        self,
        connection: "Connection",
        resource_id: ResourceId,
        kind: UseKind,
        user: DepartmentCode,
        provider: DepartmentCode,
    ) -> None:
        """Count one use, unless the transaction is over or the resource is the department's own."""
        if user != provider and connection.in_transaction():
            self.times[resource_id, kind, user] += 1


def _unknown(key: str) -> NotFound:
    return NotFound(
        "sharing.unknown",
        what=Text(zh=f"没有 {key}。", en=f"There is no {key}."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )
