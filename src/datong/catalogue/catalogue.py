"""The catalogue service: drafts, edits, acts, search. The rules are in `lifecycle` and `completeness`."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from datong.catalogue.catalogue_reading import CatalogueReading
from datong.catalogue.completeness import content_problems
from datong.catalogue.departments import Departments
from datong.catalogue.discovery import Discovery
from datong.catalogue.faults import (
    binding_taken,
    changed_meanwhile,
    classification_fixed,
    content_incomplete,
    kept_elsewhere,
    not_editable,
    version_conflict,
    wrong_party,
)
from datong.catalogue.intake import Arrival, IntakeFault, IntakeResult, claims_of, fault_of, is_same, known_as, untold
from datong.catalogue.lifecycle import EDITABLE_STATES, Standing, advance, transition_of
from datong.catalogue.records import (
    binding_key,
    content_digest,
    declared,
    hide,
    locked,
    next_code,
    rewritten,
    show,
    standing_of,
)
from datong.catalogue.search import SearchRequest
from datong.catalogue.search_index import SearchIndex
from datong.catalogue.search_values import SearchFilters, SearchPage
from datong.catalogue.steps import (
    Step,
    claimed_by_another,
    insert_version,
    located,
    newest_version,
    put_content,
    put_standing,
    record_step,
    require_other_eyes_on_step,
    turn_versions,
)
from datong.catalogue.tables import resource, step
from datong.catalogue.values import (
    FieldComment,
    Party,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceState,
    SignOff,
)
from datong.kernel import (
    Actor,
    ActorKind,
    Clock,
    Database,
    DepartmentCode,
    ResourceId,
    Text,
    WorkingCalendar,
    new_id,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT
from datong.ledger import Ledger
from datong.norms import NormPack

STEP_DRAFT = "draft"
STEP_EDIT = "edit"
HEAD = Text(zh="部门负责人", en="head of the department")
NO_FILTERS = SearchFilters()


class Catalogue(CatalogueReading):
    """Who holds what, on which terms. Every change and its evidence commit together."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        departments: Departments,
        pack: NormPack,
        index: SearchIndex | None = None,
    ) -> None:
        super().__init__(database, pack)
        self._clock, self._calendar = clock, calendar
        self._ledger, self._departments = ledger, departments
        self.discovery = Discovery(
            database=database, clock=clock, ledger=ledger, pack=pack, index=index or SearchIndex()
        )

    def draft(self, department: DepartmentCode, content: ResourceContent, actor: Actor) -> Resource:
        """Draft a resource, or bring the draft of the same department and table up to date.

        An inventory never overwrites what a person has edited, nor anything under review or published: then the
        resource is returned as it stands.

        Raises:
            NotFound: no such department.
            Refused: the actor belongs to another department.
        """
        self._departments.get(department)
        self._require_party(Party.EITHER, department, actor)
        with self._database.transaction() as connection:
            return self._draft(connection, department, content, actor)

    def _draft(
        self, connection: Connection, department: DepartmentCode, content: ResourceContent, actor: Actor
    ) -> Resource:
        resource_id = ResourceId(new_id())
        key = binding_key(content.binding, resource_id)
        _lock_drafting(connection, department, key)
        known = connection.execute(
            select(resource.c.id).where(resource.c.department == department, resource.c.binding_key == key)
        ).scalar()
        if known is not None:
            return self._redraft(connection, locked(connection, ResourceId(known)), content, actor)
        now = self._clock.now()
        connection.execute(
            resource.insert().values(
                id=resource_id,
                department=department,
                binding_key=key,
                state=ResourceState.DRAFT.value,
                version=1,
                visible=False,
                created_at=now,
                updated_at=now,
            )
        )
        insert_version(connection, resource_id, 1, declared(content), now)
        made = locked(connection, resource_id)
        record_step(self._ledger, connection, made, Step(action=STEP_DRAFT, actor=actor, at=now), self._pack)
        return made

    def take_in(
        self,
        department: DepartmentCode,
        arrivals: Sequence[Arrival],
        actor: Actor,
        *,
        partly: bool = False,
        told: Callable[[int, int], None] = untold,
    ) -> IntakeResult:
        """Take in many drafts in one transaction: all of them, or with `partly` those that can be.

        `told` hears how far it is.

        Raises:
            NotFound: no such department.
            Refused: the actor belongs to another department.
        """
        self._departments.get(department)
        self._require_party(Party.EITHER, department, actor)
        made = {"created": 0, "updated": 0, "unchanged": 0}
        with self._database.transaction() as connection:
            met = [(arrival, known_as(connection, department, arrival)) for arrival in arrivals]
            seen: set[str] = set()
            faults: list[IntakeFault] = []
            wanted: list[tuple[Arrival, Resource | None]] = []
            for arrival, known in met:
                fault = fault_of(arrival, known, seen)
                if fault is not None:
                    faults.append(fault)
                    continue
                seen |= claims_of(arrival, known)
                wanted.append((arrival, known))
            if faults and not partly:
                return IntakeResult(taken=False, faults=tuple(faults))
            ids: list[ResourceId] = []
            for arrival, known in wanted:
                told(len(ids), len(wanted))
                if known is None:
                    found, done = self._draft(connection, department, arrival.content, actor), "created"
                elif is_same(arrival, known):
                    found, done = known, "unchanged"
                else:
                    found, done = self._rewrite(connection, known, arrival.content, actor, STEP_EDIT), "updated"
                made[done] += 1
                ids.append(found.id)
        return IntakeResult(taken=True, faults=tuple(faults), resource_ids=tuple(ids), **made)

    def edit(
        self,
        resource_id: ResourceId,
        content: ResourceContent,
        actor: Actor,
        expected_version: int,
        *,
        expected_digest: str = "",
    ) -> Resource:
        """Replace the content of a draft or returned resource; a signature under other content is void.

        `expected_digest` is the digest of the content that the edit was made from, where the editor keeps it.

        Raises:
            Conflict: it is under review or published, the version is not `expected_version`, somebody has changed the
                content meanwhile, its table belongs to another resource, or the classification of a resource that has
                its code would change.
            Refused: the actor belongs to another department.
        """
        with self._database.transaction() as connection:
            found = locked(connection, resource_id)
            self._require_party(Party.EITHER, found.department, actor)
            if found.version != expected_version:
                raise version_conflict(expected_version, found.version)
            if found.state not in EDITABLE_STATES:
                raise not_editable(found.state.label)
            if expected_digest and expected_digest != content_digest(found.content):
                raise changed_meanwhile(content_digest(found.content))
            return self._rewrite(connection, found, content, actor, STEP_EDIT)

    def act(
        self,
        resource_id: ResourceId,
        action: ResourceAction,
        actor: Actor,
        reason: str = "",
        *,
        comments: tuple[FieldComment, ...] = (),
        position: str = "",
        expected_digest: str = "",
    ) -> Resource:
        """Move a resource along its life and return its working version.

        `comments` say, field by field, what a return or rejection is about; `position` is the signing head's;
        `expected_digest` is that of the content that was looked at before deciding.

        Raises:
            Conflict: the action is not possible in the present state, the content is not the expected one, or the
                entry is kept elsewhere.
            Invalid: a reason is missing, or what is signed or submitted is incomplete (the context lists everything).
            Refused: the actor is not the party of this step, or had a part in what it approves (`steps.OTHER_EYES`).
        """
        with self._database.transaction() as connection:
            before = _actable(connection, resource_id, expected_digest)
            row = transition_of(standing_of(before), action)
            now = self._clock.now()
            after = self._decided(connection, before, action, actor, reason, now)
            code = before.code
            if action is ResourceAction.APPROVE and code is None:
                code = next_code(connection, before.content.classification, self._pack.code_serial_digits)
            if action is ResourceAction.SIGN_OFF:
                signature = SignOff(by=actor.name or actor.id, position=position or HEAD.zh, at=now)
                put_content(connection, before, before.content.model_copy(update={"sign_off": signature}), now)
            turn_versions(connection, before, row, after.version, now)
            put_standing(connection, before, after, code=code, now=now)
            moved = locked(connection, resource_id)
            if action in (ResourceAction.PUBLISH, ResourceAction.RESUME):
                show(connection, [moved])
            elif not after.visible:
                hide(connection, resource_id)
            said = located(comments, before.content)
            done = Step(action=action.value, from_state=before.state, actor=actor, reason=reason, comments=said, at=now)
            record_step(self._ledger, connection, moved, done, self._pack)
        return moved

    def foresee(self, resource_id: ResourceId, action: ResourceAction, actor: Actor, reason: str = "") -> ResourceState:
        """Return the state to which an act would lead now, doing nothing; raises what `act` would."""
        with self._database.transaction() as connection:
            before = _actable(connection, resource_id, "")
            return self._decided(connection, before, action, actor, reason, self._clock.now()).state

    def _decided(
        self,
        connection: Connection,
        before: Resource,
        action: ResourceAction,
        actor: Actor,
        reason: str,
        now: datetime,
    ) -> Standing:
        """Return where an act leads, after everything that may forbid it was asked."""
        standing = standing_of(before)
        self._require_party(transition_of(standing, action).party, before.department, actor)
        require_other_eyes_on_step(connection, before, action, actor)
        if action in (ResourceAction.SIGN_OFF, ResourceAction.SUBMIT):
            self._require_complete(before.content, action)
        return advance(
            standing,
            action,
            reason=reason,
            now=now,
            calendar=self._calendar,
            review_working_days=self._pack.time_limit("catalogue_review"),
            newest_version=newest_version(connection, before.id),
        )

    def search(
        self,
        query: str,
        *,
        filters: SearchFilters = NO_FILTERS,
        open_only: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
        department: DepartmentCode | None = None,
    ) -> SearchPage:
        """Search the visible catalogue in Chinese, English or pinyin.

        `department` is the searcher's: a query of its that finds nothing is recorded as unmet demand.
        """
        request = SearchRequest(text=query, filters=filters, open_only=open_only, offset=offset, limit=limit)
        return self.discovery.search(request, asked_by=department)

    def _redraft(self, connection: Connection, found: Resource, content: ResourceContent, actor: Actor) -> Resource:
        if found.state not in EDITABLE_STATES or declared(content) == declared(found.content):
            return found
        if actor.kind is ActorKind.NODE and _edited_by_hand(connection, found):
            return found
        return self._rewrite(connection, found, content, actor, STEP_DRAFT)

    def _rewrite(
        self, connection: Connection, found: Resource, content: ResourceContent, actor: Actor, step_name: str
    ) -> Resource:
        if found.content.origin is not None:
            raise kept_elsewhere(found.content.origin.address)
        content = rewritten(content, found.content)
        if found.code is not None and content.classification != found.content.classification:
            raise classification_fixed()
        now = self._clock.now()
        key = binding_key(content.binding, found.id)
        _lock_drafting(connection, found.department, key)
        if claimed_by_another(connection, found, key):
            raise binding_taken()
        connection.execute(update(resource).where(resource.c.id == found.id).values(updated_at=now, binding_key=key))
        put_content(connection, found, content, now)
        changed = locked(connection, found.id)
        record_step(
            self._ledger,
            connection,
            changed,
            Step(action=step_name, from_state=found.state, actor=actor, at=now),
            self._pack,
        )
        return changed

    def _require_complete(self, content: ResourceContent, action: ResourceAction) -> None:
        problems = content_problems(content, self._pack)
        if action is ResourceAction.SUBMIT and content.sign_off is None:
            problems = (*problems, ("/sign_off", Text(zh="缺少部门负责人签批", en="the head has not signed it")))
        if problems:
            raise content_incomplete(problems)

    def _require_party(self, party: Party, department: DepartmentCode, actor: Actor) -> None:
        is_provider = actor.department == department
        if is_provider and party is not Party.AUTHORITY:
            return
        may_be_authority = party is not Party.PROVIDER and actor.department is not None
        if may_be_authority and actor.department and self._departments.get(actor.department).is_authority:
            return
        raise wrong_party(party.label)


def _actable(connection: Connection, resource_id: ResourceId, expected_digest: str) -> Resource:
    """Return a resource that is kept here, locked, with the content that was expected, if any was."""
    found = locked(connection, resource_id)
    if found.content.origin is not None:
        raise kept_elsewhere(found.content.origin.address)
    if expected_digest and expected_digest != content_digest(found.content):
        raise changed_meanwhile(content_digest(found.content))
    return found


def _lock_drafting(connection: Connection, department: DepartmentCode, key: str) -> None:
    """Let two inventories of one table draft it one after the other (SQLite already writes one at a time)."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{department}/{key}", 0))))


def _edited_by_hand(connection: Connection, found: Resource) -> bool:
    statement = select(step.c.id).where(
        step.c.resource_id == found.id, step.c.version == found.version, step.c.action == STEP_EDIT
    )
    return connection.execute(statement.limit(1)).first() is not None
