"""Whatever departments, heads and the authority do, in whatever order and at the same time, the catalogue stays whole.

The legal moves are written here once more, apart from the transition table, so that a wrong row is noticed.
"""

import threading
from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from datong.catalogue import Resource, ResourceAction, ResourceContent, ResourceState, content_digest
from datong.catalogue.tables import listing, open_listing, resource, search_change, step, version
from datong.kernel import Actor, Conflict, Database, DatongError, Invalid, NotFound, Refused, ResourceId, Text, new_id
from datong.ledger import EntryKind
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import (
    AUTHORITY_ACTOR,
    CIVIL_ACTOR,
    POLICE,
    POLICE_ACTOR,
    POLICE_NODE,
    Office,
    content,
    make_office,
)

ACTORS = (POLICE_ACTOR, POLICE_NODE, CIVIL_ACTOR, AUTHORITY_ACTOR)
WORKING = {"draft", "submitted", "registered", "returned", "rejected"}
MOVES = {
    ("draft", "sign_off", "draft"),
    ("returned", "sign_off", "returned"),
    ("draft", "submit", "submitted"),
    ("returned", "submit", "submitted"),
    ("submitted", "withdraw", "draft"),
    ("submitted", "approve", "registered"),
    ("submitted", "return", "returned"),
    ("submitted", "reject", "rejected"),
    ("registered", "publish", "published"),
    ("registered", "return", "returned"),
    ("registered", "revise", "draft"),
    ("published", "revise", "draft"),
    ("rejected", "revise", "draft"),
    ("suspended", "resume", "published"),
    ("suspended", "retire", "retired"),
    *((state, "unpublish", "registered") for state in WORKING | {"published"}),
    *((state, "suspend", "suspended") for state in WORKING | {"published"}),
    *((state, "retire", "retired") for state in WORKING | {"published"}),
    *((state, "discard", "published") for state in ("draft", "returned", "rejected")),
    *((state, "drop", "retired") for state in ("draft", "returned", "rejected")),
}
PROVIDER_ONLY = {"sign_off", "submit", "withdraw", "revise", "discard", "drop"}
AUTHORITY_ONLY = {"approve", "return", "reject", "publish", "unpublish"}
contents = st.builds(
    lambda number, share_type, whole, is_open: content(
        f"第{number}类信息",
        share_type=share_type,
        legal_basis="《统计法》第九条",
        summary=Text(zh="摘要" if whole else "", en=""),
        open=is_open and share_type is not ShareType.NONE,
    ),
    st.integers(0, 5),
    st.sampled_from(ShareType),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
)


class CatalogueLife(RuleBasedStateMachine):
    """One table of one department through any life, with a second editor at its heels."""

    def __init__(self, office: Office) -> None:
        super().__init__()
        self.office = office
        self.table = new_id()
        self.known: list[ResourceId] = []
        self.published_contents: dict[tuple[ResourceId, int], ResourceContent] = {}
        self.numbers: dict[ResourceId, int] = {}
        self.codes: dict[ResourceId, str] = {}

    @initialize(given=contents)
    def first(self, given: ResourceContent) -> None:
        self.draft(given, POLICE_NODE)

    @rule(given=contents, actor=st.sampled_from(ACTORS))
    def draft(self, given: ResourceContent, actor: Actor) -> None:
        bound = given.binding
        assert bound is not None
        given = given.model_copy(update={"binding": bound.model_copy(update={"table": self.table})})
        try:
            made = self.office.catalogue.draft(POLICE, given, actor)
        except Refused:
            assert actor is CIVIL_ACTOR
            return
        if made.id not in self.known:
            # A table is drafted anew only when nothing describes it any more.
            assert all(self._state(one) is ResourceState.RETIRED for one in self.known)
            self.known.append(made.id)

    @rule(given=contents, actor=st.sampled_from(ACTORS), stale=st.booleans())
    def edit(self, given: ResourceContent, actor: Actor, stale: bool) -> None:
        before = self.office.catalogue.get(self.known[-1])
        digest = "0" * 64 if stale else content_digest(before.content)
        bound = before.content.binding
        given = given.model_copy(update={"binding": bound})
        try:
            after = self.office.catalogue.edit(before.id, given, actor, before.version, expected_digest=digest)
        except DatongError:
            assert self.office.catalogue.get(before.id) == before
            return
        assert before.state in (ResourceState.DRAFT, ResourceState.RETURNED)
        assert not stale
        assert actor is not CIVIL_ACTOR
        assert (after.state, after.version) == (before.state, before.version)

    @rule(
        action=st.sampled_from(ResourceAction),
        actor=st.sampled_from((POLICE_ACTOR, AUTHORITY_ACTOR, CIVIL_ACTOR)),
        reason=st.sampled_from(["", "理由", "理由"]),
    )
    def act(self, action: ResourceAction, actor: Actor, reason: str) -> None:
        before = self.office.catalogue.get(self.known[-1])
        try:
            after = self.office.catalogue.act(before.id, action, actor, reason)
        except (Conflict, Invalid, Refused):
            assert self.office.catalogue.get(before.id) == before
            return
        self._check_move(before, action, after, actor)

    @rule()
    def straight_ahead(self) -> None:
        """Do what a diligent department and authority would do next, so that deep states are reached often."""
        path = {
            ResourceState.DRAFT: ((POLICE_ACTOR, ResourceAction.SIGN_OFF), (POLICE_ACTOR, ResourceAction.SUBMIT)),
            ResourceState.RETURNED: ((POLICE_ACTOR, ResourceAction.SIGN_OFF), (POLICE_ACTOR, ResourceAction.SUBMIT)),
            ResourceState.SUBMITTED: ((AUTHORITY_ACTOR, ResourceAction.APPROVE),),
            ResourceState.REGISTERED: ((AUTHORITY_ACTOR, ResourceAction.PUBLISH),),
            ResourceState.SUSPENDED: ((AUTHORITY_ACTOR, ResourceAction.RESUME),),
            ResourceState.REJECTED: ((POLICE_ACTOR, ResourceAction.REVISE),),
        }
        for actor, action in path.get(self._state(self.known[-1]), ()):
            self.act(action, actor, "理由")

    @rule(
        first=contents,
        second=contents,
        action=st.sampled_from(ResourceAction),
        actor=st.sampled_from((POLICE_ACTOR, AUTHORITY_ACTOR)),
    )
    def at_the_same_time(
        self, first: ResourceContent, second: ResourceContent, action: ResourceAction, actor: Actor
    ) -> None:
        """Two edits of the same content and one act start together: at most one edit wins, and nothing is torn."""
        before = self.office.catalogue.get(self.known[-1])
        digest = content_digest(before.content)
        won: list[str] = []
        failed: list[BaseException] = []

        def attempt(name: str, deed: Callable[[], object]) -> None:
            start.wait()
            try:
                deed()
            except (Conflict, Invalid, Refused):
                return
            except BaseException as error:
                failed.append(error)
                raise
            won.append(name)

        def saved(given: ResourceContent) -> Callable[[], object]:
            mine = given.model_copy(update={"binding": before.content.binding})
            return lambda: self.office.catalogue.edit(
                before.id, mine, POLICE_ACTOR, before.version, expected_digest=digest
            )

        deeds = {
            "first": saved(first),
            "second": saved(second),
            "act": lambda: self.office.catalogue.act(before.id, action, actor, "理由"),
        }
        start = threading.Barrier(len(deeds))
        threads = [threading.Thread(target=attempt, args=deed) for deed in deeds.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        after = self.office.catalogue.get(before.id)
        if {"first", "second"} <= set(won):
            # Both can win only where one of them changed nothing.
            texts = {
                content_digest(one.model_copy(update={"binding": before.content.binding})) for one in (first, second)
            }
            assert len(texts) == 1 or digest in texts
        if "act" not in won:
            assert (after.state, after.version) == (before.state, before.version)
        else:
            assert (before.state.value, action.value, after.state.value) in MOVES

    @invariant()
    def nothing_is_lost_and_everybody_sees_the_same(self) -> None:
        for resource_id in self.known:
            found = self.office.catalogue.get(resource_id)
            self._check_versions(found)
            self._check_code(found)
            self._check_visibility(found)
            self._check_evidence(found)

    def _state(self, resource_id: ResourceId) -> ResourceState:
        return self.office.catalogue.get(resource_id).state

    def _check_move(self, before: Resource, action: ResourceAction, after: Resource, actor: Actor) -> None:
        assert (before.state.value, action.value, after.state.value) in MOVES
        assert actor is not CIVIL_ACTOR
        assert action.value not in PROVIDER_ONLY or actor is POLICE_ACTOR
        assert action.value not in AUTHORITY_ONLY or actor is AUTHORITY_ACTOR
        if action is ResourceAction.SUBMIT:
            assert after.content.sign_off is not None
            assert after.due_at is not None
        if action is ResourceAction.REVISE:
            assert after.version == self.numbers[before.id] + 1

    def _check_versions(self, found: Resource) -> None:
        history = self.office.catalogue.history(found.id)
        numbers = [entry.version for entry in history]
        assert numbers == list(range(len(numbers), 0, -1))
        assert len(numbers) >= self.numbers.get(found.id, 0)
        self.numbers[found.id] = len(numbers)
        for entry in history:
            if entry.published_at is not None:
                key = (found.id, entry.version)
                assert self.published_contents.setdefault(key, entry.content) == entry.content
        for known, number in self.published_contents:
            assert known != found.id or number in numbers
        current = [entry for entry in history if entry.published_at is not None and entry.superseded_at is None]
        if found.state is ResourceState.RETIRED:
            assert current == []
        else:
            assert [entry.version for entry in current] == (
                [found.published_version] if found.published_version is not None else []
            )

    def _check_code(self, found: Resource) -> None:
        if found.code is not None:
            assert self.codes.setdefault(found.id, found.code) == found.code
        assert found.code is not None or found.id not in self.codes
        assert found.code is not None or found.published_version is None

    def _check_visibility(self, found: Resource) -> None:
        hidden = found.state in (ResourceState.SUSPENDED, ResourceState.RETIRED)
        visible = found.published_version is not None and not hidden
        with self.office.database.snapshot() as connection:
            listed = connection.execute(select(listing).where(listing.c.resource_id == found.id)).mappings().first()
            flag = connection.execute(select(resource.c.visible).where(resource.c.id == found.id)).scalar_one()
            opened = connection.execute(
                select(open_listing.c.resource_id).where(open_listing.c.resource_id == found.id)
            ).first()
            changed = connection.execute(
                select(search_change.c.resource_id).where(search_change.c.resource_id == found.id)
            ).first()
        assert flag == visible == (listed is not None)
        # Whatever was ever shown stands in the log that the search indexes follow.
        assert changed is not None or not visible
        if not visible:
            assert opened is None
            with pytest.raises(NotFound):
                self.office.catalogue.published(found.id)
            return
        shown = self.office.catalogue.published(found.id)
        assert shown.version == found.published_version
        assert shown.content == self.published_contents[found.id, shown.version]
        assert listed is not None
        assert listed["title"] == shown.content.title.zh
        assert (opened is not None) == shown.content.open

    def _check_evidence(self, found: Resource) -> None:
        steps = self.office.catalogue.steps(found.id)
        entries = self.office.ledger.entries(kind=EntryKind.CATALOGUE_STEP, subject=found.id, limit=200)
        assert entries.total == len(steps)
        assert {entry.entry_id for entry in entries.rows} <= {one.entry_id for one in steps}
        assert steps[-1].to_state is found.state
        with self.office.database.snapshot() as connection:
            digest = content_digest(
                ResourceContent.model_validate(
                    connection.execute(
                        select(version.c.content).where(
                            version.c.resource_id == found.id, version.c.version == found.version
                        )
                    ).scalar_one()
                )
            )
            newest = connection.execute(
                select(step.c.entry_id)
                .where(step.c.resource_id == found.id)
                .order_by(step.c.at.desc(), step.c.id.desc())
            ).first()
        assert newest is not None
        told = {entry.entry_id: entry.facts["content_digest"] for entry in entries.rows}
        if newest.entry_id in told:
            assert told[newest.entry_id] == digest


def test_no_life_of_a_resource_breaks_the_catalogue(control_database: Database, pack: NormPack) -> None:
    office = make_office(control_database, pack)

    class Life(CatalogueLife):
        def __init__(self) -> None:
            super().__init__(office)

    # What fails is told as it was found: shrinking it would take minutes on a real database.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    run_state_machine_as_test(
        Life, settings=settings(max_examples=15, stateful_step_count=20, deadline=None, phases=phases)
    )
