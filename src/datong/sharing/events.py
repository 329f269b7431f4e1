"""What a subscriber is told: that a shared resource has a new version, and which keys changed, under its agreement.

Everything comes from the release of the changes between the two versions (`delta_release`): agreed columns and rows
only, masked; a change of what the consumer does not see is none. A correction that a build took in is a change like
any other. Of the rows, only the agreed key items are told; the subscriber then asks for what it needs.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from datong.catalogue import Resource
from datong.kernel import AccessId, AgreementId, EntryId, ResourceId, Value, canonical_json, sha256_hex
from datong.sharing.delta_release import Releases
from datong.sharing.delta_shares import DeltaShares, OpenedTable
from datong.sharing.delta_sql import CHANGE_TYPE
from datong.sharing.delta_values import Release, TableSource, TableVersion
from datong.sharing.delta_versions import numbered
from datong.sharing.gateway_calls import KEY_ELEMENTS
from datong.sharing.mask_columns import quoted
from datong.sharing.ports import PublishedResources
from datong.sharing.principals import Principal

CHANGED = "datong.resource.changed"
EVENT_KIND = "event"
KEYS_MAX = 1000
"""Changed keys that one event names; of more it tells the numbers only, and the subscriber reads the changes."""
_CHANGES = {"insert": "insert", "delete": "delete", "update_postimage": "update"}


class KeyChange(Value):
    """One changed row: what happened to it, and its agreed key items, masked as agreed."""

    change: str
    key: dict[str, str | None]


class ChangedData(Value):
    """What an event says; `former` is null for the first version, of which nothing changed yet."""

    resource_id: ResourceId
    version: int
    former: int | None
    published_at: datetime
    purpose: str
    agreement_ids: tuple[AgreementId, ...]
    changes: dict[str, int]
    keys: tuple[KeyChange, ...]
    keys_complete: bool


class ResourceEvent(Value):
    """An event as it is sent, by webhook or as a server-sent event; `access_id` and `entry_id` name its record."""

    type: str = CHANGED
    timestamp: datetime
    data: ChangedData
    access_id: AccessId
    entry_id: EntryId


class PreparedEvent(Value):
    """What is to be told, before it is on record."""

    data: ChangedData
    columns: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what is told: what the ledger records."""
        return sha256_hex(canonical_json(self.data.model_dump(mode="json")))


class ResourceEvents:
    """Makes the events of resources, each for one caller."""

    def __init__(
        self, *, shares: DeltaShares, releases: Releases, tables: TableSource, catalogue: PublishedResources
    ) -> None:
        self._shares = shares
        self._tables = tables
        self._releases = releases
        self._catalogue = catalogue

    def newest(self, caller: Principal, resource_id: ResourceId, purpose: str) -> int:
        """Return the newest version that the caller may be told of; nothing is recorded but a refusal.

        Raises:
            NotFound: no agreement of the caller's department is about it, or no version was published.
            Refused: the policy does not let the caller read the resource in bulk for `purpose` now.
        """
        return self._shares.opened(caller, resource_id, purpose).versions[-1].version

    def versions_after(self, caller: Principal, resource_id: ResourceId, purpose: str, version: int) -> tuple[int, ...]:
        """Return the versions after `version`, oldest first, that are still kept.

        Raises:
            NotFound, Refused: see `newest`.
        """
        versions = self._shares.opened(caller, resource_id, purpose).versions
        return tuple(one.version for one in versions if one.version > version)

    def published_after(self, resource_id: ResourceId, version: int) -> tuple[int, ...]:
        """Return the versions after `version` that are still kept, oldest first, whoever may be told of them."""
        return tuple(one.version for one in self._tables.versions(resource_id) if one.version > version)

    def event(
        self,
        caller: Principal,
        resource_id: ResourceId,
        purpose: str,
        version: int,
        recorded: tuple[AccessId, EntryId, str] | None = None,
    ) -> tuple[ResourceEvent, str]:
        """Return the event of a version, once it is on record, and its digest.

        `recorded` is the record of an earlier attempt to tell it; it stands for this one if the same is told.

        Raises:
            NotFound, Refused: see `newest`.
            Invalid: the version is not kept any more.
            Unavailable: the changes cannot be read now.
        """
        opened = self._shares.opened(caller, resource_id, purpose)
        chosen = numbered(opened.versions, version)
        place = opened.versions.index(chosen)
        former = opened.versions[place - 1] if place else None
        prepared = self._prepared(opened, chosen, former)
        if recorded is not None and recorded[2] == prepared.digest:
            access_id, entry_id, _ = recorded
        else:
            release = self._shares.release(opened, chosen, former)
            access_id, entry_id = self._shares.record(
                caller,
                opened,
                release,
                kind=EVENT_KIND,
                columns=prepared.columns,
                content_sha256=prepared.digest,
            )
        event = ResourceEvent(timestamp=opened.at, data=prepared.data, access_id=access_id, entry_id=entry_id)
        return event, prepared.digest

    def _prepared(self, opened: OpenedTable, version: TableVersion, former: TableVersion | None) -> PreparedEvent:
        agreed = opened.agreed
        shown = _key_columns(self._catalogue.published(agreed.table.resource_id), opened, version)
        changes: Counter[str] = Counter()
        keys: tuple[KeyChange, ...] = ()
        if former is not None:
            release = self._shares.release(opened, version, former)
            shown = {column: name for column, name in shown.items() if name in release.types}
            if release.files:
                changes = self._counts(release)
                keys = self._keys(release, shown)
        told = len(keys) == sum(changes.values()) and bool(shown)
        data = ChangedData(
            resource_id=agreed.table.resource_id,
            version=version.version,
            former=None if former is None else former.version,
            published_at=version.published_at,
            purpose=agreed.table.purpose,
            agreement_ids=agreed.agreement_ids,
            changes={name: changes[name] for name in sorted(set(_CHANGES.values()))},
            keys=keys if told else (),
            keys_complete=told or not changes.total(),
        )
        return PreparedEvent(data=data, columns=tuple(sorted(shown)))

    def _counts(self, release: Release) -> Counter[str]:
        query = f"SELECT {CHANGE_TYPE}, count(*) FROM {{release}} GROUP BY ALL"
        found: Counter[str] = Counter()
        for kind, count in self._releases.read(release, query):
            if kind in _CHANGES and isinstance(count, int):
                found[_CHANGES[str(kind)]] += count
        return found

    def _keys(self, release: Release, shown: Mapping[str, str]) -> tuple[KeyChange, ...]:
        """Return the changed keys; none of them if there are too many, or the agreement names no key."""
        if not shown:
            return ()
        columns = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in shown.values())
        query = (
            f"SELECT {CHANGE_TYPE}, {columns} FROM {{release}} WHERE {CHANGE_TYPE} <> 'update_preimage' "
            f"ORDER BY ALL LIMIT {KEYS_MAX + 1}"
        )
        rows = self._releases.read(release, query)
        if len(rows) > KEYS_MAX:
            return ()
        return tuple(
            KeyChange(
                change=_CHANGES[str(kind)],
                key={
                    column: None if value is None else str(value) for column, value in zip(shown, values, strict=True)
                },
            )
            for kind, *values in rows
        )


def _key_columns(resource: Resource, opened: OpenedTable, version: TableVersion) -> dict[str, str]:
    """Return the agreed key items by column, with the names under which they are published."""
    keys = {item.column for item in resource.content.items if item.key or item.element in KEY_ELEMENTS}
    return {
        column: published
        for column, published in version.columns.items()
        if column in keys and column in opened.agreed.masks
    }
