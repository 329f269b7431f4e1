"""The catalogue service: drafts, edits, acts, versions, lists. The rules are in `lifecycle` and `completeness`."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from datong.catalogue.completeness import content_problems
from datong.catalogue.departments import Departments
from datong.catalogue.differences import ContentDifference, content_differences
from datong.catalogue.discovery import Discovery
from datong.catalogue.faults import (
    binding_taken,
    changed_meanwhile,
    classification_fixed,
    content_incomplete,
    kept_elsewhere,
    not_editable,
    resource_not_found,
    version_conflict,
    wrong_party,
)
from datong.catalogue.intake import Arrival, IntakeFault, IntakeResult, claims_of, fault_of, is_same, known_as, untold
from datong.catalogue.lifecycle import EDITABLE_STATES, Standing, Transition, advance, possible_actions, transition_of
from datong.catalogue.records import (
    binding_key,
    content_digest,
    declared,
    hide,
    locked,
    next_code,
    published_from,
    published_stamps,
    rewritten,
    select_published,
    select_working,
    show,
    standing_of,
    version_from,
    working_from,
)
from datong.catalogue.search import SearchRequest
from datong.catalogue.search_index import SearchIndex
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
from datong.catalogue.tables import listing, resource, step, version
from datong.catalogue.values import (
    CatalogueCounts,
    FieldComment,
    Party,
    Resource,
    ResourceAction,
    ResourceContent,
    ResourceState,
    ResourceStep,
    ResourceVersion,
    SearchFilters,
    SearchPage,
    SignOff,
)
from datong.kernel import (
    Actor,
    ActorKind,
    Clock,
    Database,
    DepartmentCode,
    Page,
    ResourceId,
    Text,
    WorkingCalendar,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.norms import NormPack

STEP_DRAFT = "draft"
STEP_EDIT = "edit"
HEAD = Text(zh="部门负责人", en="head of the department")
NO_FILTERS = SearchFilters()
_PUBLISHED = select_published().where(resource.c.id == bindparam("of_id"))
"""Made once: every call of the gateway runs it."""


class Catalogue:
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
        self._database, self._clock, self._calendar = database, clock, calendar
        self._ledger, self._departments, self._pack = ledger, departments, pack
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

    def get(self, resource_id: ResourceId) -> Resource:
        """Return the working version, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select_working().where(resource.c.id == resource_id)).mappings().first()
        if row is None:
            raise resource_not_found(resource_id)
        return working_from(dict(row))

    def published(self, resource_id: ResourceId, *, open_only: bool = False) -> Resource:
        """Return the version that everybody sees.

        Raises:
            NotFound: it was never published, is suspended or retired; or `open_only` and it is not open.
        """
        statement = _PUBLISHED.where(listing.c.open.is_(True)) if open_only else _PUBLISHED
        with self._database.snapshot() as connection:
            row = connection.execute(statement, {"of_id": resource_id}).mappings().first()
        if row is None:
            raise resource_not_found(resource_id)
        return published_from(dict(row), open_only=open_only)

    def published_stamps(self, ids: Sequence[ResourceId]) -> dict[ResourceId, object]:
        """Return what changes whenever what `published` returns does; a resource that nobody sees has none."""
        with self._database.reading() as connection:
            return published_stamps(connection, ids)

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        state: ResourceState | None = None,
        open_only: bool = False,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Resource]:
        """Return resources, last changed first.

        With `state` PUBLISHED or `open_only` these are the visible resources in their published version; otherwise the
        working versions.
        """
        limit = min(limit, PAGE_ROWS_MAX)
        visible = open_only or state is ResourceState.PUBLISHED
        statement = select_published() if visible else select_working()
        if department is not None:
            statement = statement.where(resource.c.department == department)
        if open_only:
            statement = statement.where(listing.c.open.is_(True))
        if state is not None and not visible:
            statement = statement.where(resource.c.state == state.value)
        order = listing.c.published_at if visible else resource.c.updated_at
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()
            rows = connection.execute(
                statement.order_by(order.desc(), resource.c.id).offset(offset).limit(limit)
            ).mappings()
            found = tuple(
                published_from(dict(row), open_only=open_only) if visible else working_from(dict(row)) for row in rows
            )
        return page_of(found, total=total, offset=offset)

    def history(self, resource_id: ResourceId) -> tuple[ResourceVersion, ...]:
        """Return every version, newest first, or raise NotFound."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(version).where(version.c.resource_id == resource_id).order_by(version.c.version.desc())
            ).mappings()
            found = tuple(version_from(dict(row)) for row in rows)
        if not found:
            raise resource_not_found(resource_id)
        return found

    def version(self, resource_id: ResourceId, number: int) -> ResourceVersion:
        """Return one version, for example the one an agreement names, or raise NotFound."""
        found = next((entry for entry in self.history(resource_id) if entry.version == number), None)
        if found is None:
            raise resource_not_found(f"{resource_id}/{number}")
        return found

    def published_once(self, resource_id: ResourceId, number: int) -> ResourceVersion:
        """Return a version that everybody saw at some time, or raise NotFound."""
        found = self.version(resource_id, number)
        if found.published_at is None:
            raise resource_not_found(f"{resource_id}/{number}")
        return found

    def compare(self, resource_id: ResourceId, older: int, newer: int) -> ContentDifference:
        """Return what differs between two versions, in words, with what it means to consumers; or raise NotFound."""
        before, after = self.version(resource_id, older), self.version(resource_id, newer)
        return content_differences(before.content, after.content, self._pack, older=older, newer=newer)

    def steps(self, resource_id: ResourceId) -> tuple[ResourceStep, ...]:
        """Return every act in the resource's life with its ledger entry, oldest first."""
        columns = [column for column in step.c if column.name not in ("id", "resource_id")]
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(*columns).where(step.c.resource_id == resource_id).order_by(step.c.at, step.c.id)
            ).mappings()
            return tuple(ResourceStep.model_validate(dict(row)) for row in rows)

    def possible(self, found: Resource) -> tuple[Transition, ...]:
        """Return what can be done now to a working version, with the party who may."""
        return possible_actions(standing_of(found))

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

    def counts(self) -> CatalogueCounts:
        """Return how many resources there are, by state and department."""
        with self._database.snapshot() as connection:
            states = connection.execute(select(resource.c.state, func.count()).group_by(resource.c.state)).all()
            departments = connection.execute(
                select(listing.c.department, func.count()).group_by(listing.c.department)
            ).all()
            items = connection.execute(select(func.coalesce(func.sum(listing.c.item_count), 0))).scalar_one()
            is_open = connection.execute(
                select(func.count()).select_from(listing).where(listing.c.open.is_(True))
            ).scalar_one()
        by_department = {DepartmentCode(code): count for code, count in departments}
        return CatalogueCounts(
            by_state={ResourceState(state): count for state, count in states},
            visible=sum(by_department.values()),
            open=is_open,
            items=items,
            by_department=by_department,
        )

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
