"""What one step writes: the resource's standing, its versions, the step itself and its evidence.

All of it happens on the caller's connection, in the caller's transaction.
"""

import hashlib
import json
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, update

from datong.catalogue.conformance import score_content
from datong.catalogue.lifecycle import Standing, Transition
from datong.catalogue.records import binding_key, content_digest, declared
from datong.catalogue.tables import resource, step, version
from datong.catalogue.values import (
    FieldComment,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceState,
)
from datong.kernel import Actor, JsonValue, ResourceId, Value, new_id
from datong.ledger import EntryKind, Ledger, require_other_eyes
from datong.norms import NormPack

OTHER_EYES = {
    ResourceAction.SIGN_OFF: frozenset({ResourceAction.SUBMIT}),
    ResourceAction.SUBMIT: frozenset({ResourceAction.SIGN_OFF}),
    ResourceAction.APPROVE: frozenset({ResourceAction.SIGN_OFF, ResourceAction.SUBMIT}),
    ResourceAction.PUBLISH: frozenset({ResourceAction.SIGN_OFF, ResourceAction.SUBMIT}),
}
"""Four eyes: who did one of these acts on a version does not do that one, as a substitute or not."""
WITHIN_DEPARTMENT = frozenset({ResourceAction.SIGN_OFF, ResourceAction.SUBMIT})
"""A small department may give one account both roles; a substitute does not get both together by lending."""


class Step(Value):
    """One act as it is about to be written."""

    action: str
    actor: Actor
    at: datetime
    from_state: ResourceState | None = None
    reason: str = ""
    comments: tuple[FieldComment, ...] = ()


def located(comments: tuple[FieldComment, ...], content: ResourceContent) -> tuple[FieldComment, ...]:
    """Return the comments with the columns of the items they are about; they find their item also after it moved."""
    return tuple(comment.model_copy(update={"column": _column_of(comment.field, content)}) for comment in comments)


def _column_of(pointer: str, content: ResourceContent) -> str:
    parts = pointer.split("/")
    if len(parts) < 3 or parts[1] != "items" or not (parts[2].isascii() and parts[2].isdecimal()):
        return ""
    place = int(parts[2][:6])
    return content.items[place].column if place < len(content.items) else ""


def newest_version(connection: Connection, resource_id: ResourceId) -> int:
    """Return the highest version number that the resource ever used."""
    statement = select(func.max(version.c.version)).where(version.c.resource_id == resource_id)
    return int(connection.execute(statement).scalar_one())


def insert_version(
    connection: Connection, resource_id: ResourceId, number: int, content: ResourceContent, now: datetime
) -> None:
    """Add a version as a draft."""
    connection.execute(
        version.insert().values(
            resource_id=resource_id,
            version=number,
            state=ResourceState.DRAFT.value,
            content=content.model_dump(mode="json"),
            created_at=now,
            updated_at=now,
        )
    )


def put_content(connection: Connection, found: Resource, content: ResourceContent, now: datetime) -> None:
    """Replace the content of the working version."""
    connection.execute(
        update(version)
        .where(version.c.resource_id == found.id, version.c.version == found.version)
        .values(content=content.model_dump(mode="json"), updated_at=now)
    )


def claimed_by_another(connection: Connection, found: Resource, key: str) -> bool:
    """Return whether another resource of the department already describes the table behind `key`."""
    statement = select(resource.c.id).where(
        resource.c.department == found.department, resource.c.binding_key == key, resource.c.id != found.id
    )
    return connection.execute(statement).first() is not None


def put_standing(connection: Connection, before: Resource, after: Standing, *, code: str | None, now: datetime) -> None:
    """Write where a resource stands now."""
    values: dict[str, object] = {
        "code": code,
        "state": after.state.value,
        "version": after.version,
        "published_version": after.published_version,
        "visible": after.visible,
        "updated_at": now,
        "due_at": after.due_at,
    }
    if after.state is ResourceState.RETIRED:
        # The table may be catalogued anew, so the retired resource gives up its claim to it.
        values["binding_key"] = before.id
    elif after.version < before.version:
        values["binding_key"] = _key_of_version(connection, before, after.version)
    connection.execute(update(resource).where(resource.c.id == before.id).values(**values))


def _key_of_version(connection: Connection, found: Resource, number: int) -> str:
    """Return the claim of an earlier version, to which the resource goes back; another may have taken it meanwhile."""
    statement = select(version.c.content).where(version.c.resource_id == found.id, version.c.version == number)
    content = ResourceContent.model_validate(connection.execute(statement).scalar_one())
    key = binding_key(content.binding, found.id)
    return found.id if claimed_by_another(connection, found, key) else key


def turn_versions(connection: Connection, before: Resource, row: Transition, working: int, now: datetime) -> None:
    """Keep `catalogue_version` in step: a version is only ever added or marked, never removed."""

    def mark(number: int, **values: object) -> None:
        connection.execute(
            update(version)
            .where(and_(version.c.resource_id == before.id, version.c.version == number))
            .values(**values)
        )

    if row.new_version:
        # The head signed the version before, not this one.
        unsigned = declared(before.content).model_copy(update={"origin": before.content.origin})
        insert_version(connection, before.id, working, unsigned, now)
        return
    if row.action is ResourceAction.DISCARD or row.sets_aside:
        mark(before.version, superseded_at=now)
    if row.action is ResourceAction.DISCARD:
        return
    if row.action is ResourceAction.PUBLISH:
        if before.published_version is not None and before.published_version != working:
            mark(before.published_version, superseded_at=now)
        mark(working, state=row.target.value, published_at=now, superseded_at=None, updated_at=now)
    elif row.target is ResourceState.RETIRED or row.action is ResourceAction.UNPUBLISH:
        mark(working, state=row.target.value, superseded_at=now)
    else:
        mark(working, state=row.target.value)


def require_other_eyes_on_step(connection: Connection, found: Resource, action: ResourceAction, actor: Actor) -> None:
    """Let a step pass that nobody takes on what they themselves submitted or signed, as a substitute or not.

    Raises:
        Refused: `ledger.own_submission`.
    """
    acts = OTHER_EYES.get(action)
    if acts:
        require_other_eyes(
            connection,
            actor,
            subject=found.id,
            kinds=(EntryKind.CATALOGUE_STEP,),
            acts=[act.value for act in acts],
            facts={"version": found.version},
            lent_only=action in WITHIN_DEPARTMENT,
        )


def record_step(ledger: Ledger, connection: Connection, found: Resource, done: Step, pack: NormPack) -> None:
    """Write one step and its ledger entry; the reason and the comments stay here, the log holds facts and digests."""
    entry_id = ledger.append(
        connection,
        kind=EntryKind.CATALOGUE_STEP,
        subject=found.id,
        actor=done.actor,
        facts={
            "action": done.action,
            "from_state": done.from_state.value if done.from_state else None,
            "to_state": found.state.value,
            **standing_facts(found),
            **content_facts(found.content),
            "standard_items": score_content(found.content, pack).agreeing,
            **_word_facts(done),
        },
    )
    connection.execute(
        step.insert().values(
            id=new_id(),
            resource_id=found.id,
            version=found.version,
            action=done.action,
            from_state=done.from_state.value if done.from_state else None,
            to_state=found.state.value,
            actor_id=done.actor.id,
            actor_name=done.actor.name,
            actor_department=done.actor.department,
            reason=done.reason,
            comments=[comment.model_dump(mode="json") for comment in done.comments],
            at=done.at,
            due_at=found.due_at,
            entry_id=entry_id,
        )
    )


def standing_facts(found: Resource) -> dict[str, JsonValue]:
    """Return the facts of where a resource stands in its life."""
    return {
        "department": found.department,
        "version": found.version,
        "published_version": found.published_version,
        "code": found.code,
        "due_at": found.due_at.isoformat() if found.due_at else None,
    }


def content_facts(content: ResourceContent) -> dict[str, JsonValue]:
    """Return the facts of a version's content: counts and a digest."""
    return {
        "bound": content.binding is not None,
        "share_type": content.share_type.value,
        "open": content.open,
        "update_cycle": content.update_cycle.value,
        "legal_basis_cited": bool(content.legal_basis.strip()),
        "items": len(content.items),
        "mapped_items": sum(item.element is not None for item in content.items),
        "use_condition_stated": bool(content.use_condition.strip()),
        "data_category": content.data_category,
        "assessment": content.assessment.conclusion.value if content.assessment else None,
        "signed_off": content.sign_off is not None,
        "contact_named": content.contact is not None,
        "distributions": len(content.distributions),
        "origin": content.origin.source_id if content.origin else None,
        "content_digest": content_digest(content),
    }


def _word_facts(done: Step) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {}
    if done.reason:
        facts["reason_sha256"] = hashlib.sha256(done.reason.encode()).hexdigest()
    if done.comments:
        said = [comment.model_dump(mode="json") for comment in done.comments]
        facts["comments"] = len(said)
        facts["comments_sha256"] = hashlib.sha256(
            json.dumps(said, ensure_ascii=False, sort_keys=True).encode()
        ).hexdigest()
    return facts
