"""What of the catalogue `fsck` compares with the log: departments, keys, resources, their versions and steps."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.catalogue.records import content_digest, select_working, working_from
from datong.catalogue.steps import content_facts, standing_facts
from datong.catalogue.tables import department, department_key, recipient_key, step, version
from datong.catalogue.values import ResourceContent, ResourceState
from datong.kernel import EntryId, JsonValue, Text
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, of_act, streamed

_KEY_STEPS = {"register_key", "revoke_key"}
_RECIPIENT_STEPS = {"register_recipient_key", "revoke_recipient_key"}


def _department(entry: EntryContent) -> Stated | None:
    return Stated(entry.subject, entry.facts) if entry.facts["action"] == "register_department" else None


def _departments(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(department)).mappings():
        facts = {name: row[name] for name in row if name not in {"code", "registered_at"}}
        yield Held(row["code"], {"catalogue_department": facts})


def _key(steps: set[str], entry: EntryContent) -> Stated | None:
    action = entry.facts["action"]
    if action not in steps:
        return None
    if action.startswith("revoke"):
        return Stated(entry.subject, {"revoked": True}, adds=True)
    return Stated(entry.subject, {**entry.facts, "revoked": False})


def _keys(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(department_key)).mappings():
        facts = {
            "department": row["department"],
            "public_key": row["public_key"].hex(),
            "node_id": row["node_id"],
            "revoked": row["revoked_at"] is not None,
        }
        yield Held(row["key_id"], {"catalogue_department_key": facts})


def _recipient_keys(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(recipient_key)).mappings():
        facts = {
            "department": row["department"],
            "public_key": row["public_key"].hex(),
            "node_id": row["node_id"],
            "key_id": row["signed_by"],
            "revoked": row["revoked_at"] is not None,
        }
        yield Held(row["key_id"], {"catalogue_recipient_key": facts})


def _resource(entry: EntryContent) -> Stated:
    if entry.kind is EntryKind.CATALOGUE_STEP:
        return Stated(entry.subject, entry.facts)
    withdrawn = entry.facts["action"] == "withdraw"
    state = ResourceState.RETIRED if withdrawn else ResourceState.PUBLISHED
    return Stated(entry.subject, {**entry.facts, "to_state": state.value}, adds=withdrawn)


def _resources(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select_working()):
        found = working_from(dict(row))
        content = content_facts(found.content)
        if found.code is None and found.content.origin is not None:
            # Kept elsewhere: its entries tell less.
            standing: dict[str, JsonValue] = {"department": found.department, "version": found.version}
            content = {name: content[name] for name in ("open", "items", "content_digest")}
        else:
            standing = standing_facts(found)
        standing["to_state"] = found.state.value
        yield Held(found.id, {"catalogue_resource": standing, "catalogue_version.content": content})


def _version(entry: EntryContent) -> Stated | None:
    if "content_digest" not in entry.facts:
        return None
    return Stated(f"{entry.subject}/{entry.facts['version']}", entry.facts)


def _versions(connection: Connection) -> Iterator[Held]:
    query = select(version.c.resource_id, version.c.version, version.c.content)
    for row in streamed(connection, query):
        digest = content_digest(ResourceContent.model_validate(row["content"]))
        yield Held(f"{row['resource_id']}/{row['version']}", {"catalogue_version.content": {"content_digest": digest}})


def _steps(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(step)):
        facts = {name: row[name] for name in ("action", "version")} | {"actor": row["actor_id"]}
        yield Held(f"{row['resource_id']}: {row['action']}", {"catalogue_step": facts}, EntryId(row["entry_id"]))


_RESOURCE_KINDS = frozenset({EntryKind.CATALOGUE_STEP, EntryKind.FOREIGN})
_KEY_KINDS = frozenset({EntryKind.DEPARTMENT_KEY})
CATALOGUE_AREAS = (
    Area("catalogue.department", Text(zh="部门", en="Department"), _KEY_KINDS, _department, _departments),
    Area(
        "catalogue.key",
        Text(zh="签名密钥", en="Signing key"),
        _KEY_KINDS,
        lambda entry: _key(_KEY_STEPS, entry),
        _keys,
    ),
    Area(
        "catalogue.recipient_key",
        Text(zh="收件密钥", en="Recipient key"),
        _KEY_KINDS,
        lambda entry: _key(_RECIPIENT_STEPS, entry),
        _recipient_keys,
    ),
    Area("catalogue.resource", Text(zh="信息资源", en="Resource"), _RESOURCE_KINDS, _resource, _resources),
    Area("catalogue.version", Text(zh="资源版本", en="Version of a resource"), _RESOURCE_KINDS, _version, _versions),
    Area("catalogue.step", Text(zh="目录操作", en="Catalogue act"), _RESOURCE_KINDS, of_act, _steps, own_entry=True),
)
