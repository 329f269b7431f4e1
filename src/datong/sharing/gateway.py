"""The one way out: query with masking, and verify; every call is decided, recorded and only then answered.

Many calls are answered together (`answer_many`): what they need to know is looked up at once, and their evidence is
durable in one transaction before the first of them is answered (ADR 0140).
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from datong.catalogue import Resource
from datong.kernel import AccessId, Clock, Database, DatongError, Remembered, ResourceId
from datong.ledger import Ledger
from datong.norms import ShareMode
from datong.sharing.access_evidence import AccessDraft, Outcome, alike, answer_commitment, draft, write
from datong.sharing.actions import Action
from datong.sharing.agreements import Agreements
from datong.sharing.gateway_calls import (
    FRESH_SECONDS,
    ROWS_MAX,
    Answer,
    Asked,
    Call,
    GatewayAnswer,
    Shape,
    VerifyAnswer,
    people_of,
    require_call,
    too_wide,
    value_of,
    values_by_column,
)
from datong.sharing.gateway_live import ask_node
from datong.sharing.grants import Asks, Denial, Grant, Grants
from datong.sharing.guessing import Claims, count_wrong, guess_limit
from datong.sharing.live import LiveServices
from datong.sharing.machines import Caller
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import ColumnMask, MaskKind
from datong.sharing.matching import Match, best_answers
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import CallersInForce, PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.records import Record, RecordSource
from datong.sharing.revisions import Parties, revisions_between
from datong.sharing.row_filters import passes
from datong.sharing.subjects import SALT_BYTES, keyed_index, marks
from datong.sharing.terms import Agreement, AgreementItem, AgreementState
from datong.sharing.tokens import unrecognised

KEPT_MAX = 10_000
"""Resources, pairs of parties and callers that a process keeps read."""
GUESS_POLICY = "gateway.guess_limit"


class AtNode(NamedTuple):
    """Instead of an answer: the call is one for the provider's node, and waits for it."""

    asked: Asked


class Permit(NamedTuple):
    """What of a resource may be used now: by data element, with its mask. The rest is for the record."""

    resource_id: ResourceId
    masks: Mapping[str, ColumnMask]
    call: Call
    grant: Grant


class _Told(NamedTuple):
    """A call that is allowed, with what the caller is to be told once it is on record."""

    grant: Grant
    call: Call
    rows: tuple[dict[str, str | None], ...]
    found: int
    people: tuple[str, ...]
    results: Mapping[str, Match] | None
    salt: bytes

    @property
    def wrong(self) -> int:
        """How many claims count as wrong: all of them where there is nothing on record."""
        results = self.results or {}
        return sum(1 for one in results.values() if one is Match.NO_MATCH) if self.found else len(results)


class _Denied(NamedTuple):
    """A call that is refused, with what goes on record."""

    denial: Denial
    call: Call


class Gateway:
    """Queries and verifications under agreements."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        catalogue: PublishedResources,
        agreements: Agreements,
        policy: PolicyEngine,
        records: RecordSource,
        index_key: bytes,
        mask_keys: MaskKeys,
        live: LiveServices | None = None,
        callers: CallersInForce | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._records = records
        self._index_key = index_key
        self._live = live
        self._agreements = agreements
        self._grants = Grants(policy, mask_keys)
        self._resources: Remembered[ResourceId, Resource] = Remembered(
            catalogue.published_stamps, catalogue.published, most=KEPT_MAX, fresh_seconds=FRESH_SECONDS
        )
        self._candidates: Remembered[Parties, tuple[Agreement, ...]] = Remembered(
            lambda pairs: revisions_between(database, pairs),
            lambda pair: agreements.candidates(*pair),
            most=KEPT_MAX,
            fresh_seconds=FRESH_SECONDS,
        )
        self._at_node: Remembered[ResourceId, bool] | None = None
        if live is not None:
            self._at_node = Remembered(
                live.offered, lambda one: live.offered([one])[one], most=KEPT_MAX, fresh_seconds=FRESH_SECONDS
            )
        self._callers: Remembered[Caller, bool] | None = None
        if callers is not None:
            self._callers = Remembered(
                callers.callers_in_force,
                lambda one: callers.callers_in_force([one])[one],
                most=KEPT_MAX,
                fresh_seconds=FRESH_SECONDS,
            )

    def query(
        self,
        principal: Principal,
        resource_id: ResourceId,
        *,
        key: Mapping[str, str],
        items: Sequence[str],
        purpose: str,
        case_number: str,
    ) -> GatewayAnswer:
        """Return the records that `key` (one item or element and its value) names, with the agreed items, masked.

        Raises:
            NotFound: no such published resource, or nothing of it can be read yet.
            Invalid: unknown names, or a key that identifies nothing.
            Refused: `sharing.access_refused` with every reason of the policy; the refusal is on record.
            TooLarge: the key meets more than ROWS_MAX records.
        """
        answer = self.answer(Asked(principal, resource_id, key, tuple(items), purpose, case_number))
        if not isinstance(answer, GatewayAnswer):
            raise TypeError("a query is answered with rows")
        return answer

    def verify(
        self,
        principal: Principal,
        resource_id: ResourceId,
        *,
        key: Mapping[str, str],
        claims: Mapping[str, str],
        purpose: str,
        case_number: str,
    ) -> VerifyAnswer:
        """Say of each claim whether it matches the record; the answer has the same shape whatever is on record.

        Raises:
            NotFound, Invalid: as in `query`.
            Refused: as in `query`, or `sharing.guess_limit` after too many wrong claims today.
        """
        answer = self.answer(Asked(principal, resource_id, key, tuple(claims), purpose, case_number, claims))
        if not isinstance(answer, VerifyAnswer):
            raise TypeError("a verification is answered with results")
        return answer

    def answer(self, asked: Asked) -> Answer:
        """Answer one call by itself, from what the control database says now, or by the provider's node.

        Raises:
            DatongError: as in `query` and `verify`; of a node, as in `LiveServices.ask`.
        """
        self._refresh([asked], at_once=True)
        (done,) = self._record([self._prepare(asked, alone=True)])
        if isinstance(done, DatongError):
            raise done
        if isinstance(done, AtNode):
            raise TypeError("who waits for a node is told what it answered")
        return done

    def answer_many(self, calls: Sequence[Asked]) -> list[Answer | DatongError | AtNode]:
        """Answer calls together, each as `answer` would, but for those that wait for a node.

        The caller raises the errors. What was looked up up to FRESH_SECONDS ago counts as present.
        """
        self._refresh(calls)
        return self._record([self._prepared(asked) for asked in calls])

    def agreed_elements(
        self, principal: Principal, resource_id: ResourceId, *, purpose: str | None = None
    ) -> frozenset[str]:
        """Return the elements that agreements in force let the caller's department use by interface; nothing is read.

        With `purpose`, those of agreements for this service item.
        """
        return frozenset(item.element for item in self._agreed(principal, resource_id, purpose) if item.element)

    def permit(self, principal: Principal, resource_id: ResourceId, *, purpose: str, case_number: str) -> Permit:
        """Return what of a resource may be used for `purpose`, for a read that is not by key; `note` then records it.

        Raises:
            NotFound: no such published resource.
            Refused: as in `query`; the refusal is on record.
        """
        self._resources.refresh([resource_id], at_once=True)
        resource = self._resources.get(resource_id)
        agreed = self._agreed(principal, resource_id, purpose) or self._agreed(principal, resource_id, None)
        columns = {item.column for item in agreed}
        items = {item.column: item for item in resource.content.items if item.column in columns and item.element}
        key = next(iter(items.values()), resource.content.items[0])
        shape = Shape(Action.DATA_QUERY, principal, resource, key, items, purpose)
        call = Call(shape, "", case_number, self._clock.now())
        candidates = self._between(principal, resource_id)
        asks = Asks(case_stated=bool(case_number), filters_rows=False)
        found = self._grants.decide(shape, candidates, asks, call.at)
        if isinstance(found, Denial):
            (refused,) = self._record([_Denied(found, call)])
            raise refused if isinstance(refused, DatongError) else TypeError("a denial is refused")
        shown = {
            item.element: found.masks[column]
            for column, item in items.items()
            if item.element and found.masks[column].kind is not MaskKind.HIDDEN
        }
        return Permit(resource_id=resource_id, masks=shown, call=call, grant=found)

    def note(self, permit: Permit, *, rows: Sequence[Mapping[str, str | None]], people: Sequence[str]) -> AccessId:
        """Record a read under `permit`: its answer as a commitment, the citizens concerned as marks."""
        told = [row for row in rows if row]
        salt = secrets.token_bytes(SALT_BYTES)
        subjects = marks(self._index_key, (*permit.call.people, *people))
        outcome = Outcome(permit.grant.alike, subjects, len(told), answer_commitment(salt, told))
        one = draft(self._ledger, permit.call, outcome)
        with self._database.transaction() as connection:
            write(self._ledger, connection, [one])
        return one.id

    def _agreed(self, principal: Principal, resource_id: ResourceId, purpose: str | None) -> tuple[AgreementItem, ...]:
        now = self._clock.now()
        return tuple(
            item
            for agreement in self._between(principal, resource_id)
            if agreement.state is AgreementState.ACTIVE
            and ShareMode.INTERFACE in agreement.purpose.modes
            and agreement.valid_from <= now < agreement.valid_until
            and purpose in (None, agreement.purpose.service_item)
            for item in agreement.items
        )

    def _between(self, principal: Principal, resource_id: ResourceId) -> tuple[Agreement, ...]:
        """Return the agreements of the caller's department about a resource, as they are now."""
        if principal.department is None:
            return ()
        return self._agreements.candidates(principal.department, resource_id)

    def _refresh(self, calls: Sequence[Asked], *, at_once: bool = False) -> None:
        """Look up what has changed of all that some calls need, in one statement for each kind of thing."""
        resources = {asked.resource_id for asked in calls}
        self._resources.refresh(resources, at_once=at_once)
        pairs = [(one.principal.department, one.resource_id) for one in calls if one.principal.department]
        self._candidates.refresh(pairs, at_once=at_once)
        if self._at_node is not None:
            self._at_node.refresh(resources, at_once=at_once)
        if self._callers is not None:
            unproved = [_caller(asked) for asked in calls if not asked.proved]
            self._callers.refresh(unproved, at_once=at_once)

    def _prepared(self, asked: Asked) -> _Told | _Denied | AtNode | DatongError:
        """Return what comes of a call, an error as a value."""
        try:
            return self._prepare(asked, alone=False)
        except DatongError as error:
            return error

    def _prepare(self, asked: Asked, *, alone: bool) -> _Told | _Denied | AtNode:
        """Decide about a call and read what it asks for; nothing is on record yet. One that is `alone` can wait."""
        if not asked.proved and (self._callers is None or not self._callers.get(_caller(asked))):
            raise unrecognised("revoked")
        now = self._clock.now()
        resource = self._resources.get(asked.resource_id)
        department = asked.principal.department
        candidates = self._candidates.get((department, asked.resource_id)) if department else ()
        at_node = self._at_node is not None and self._at_node.get(asked.resource_id)
        # Rows of the library that are outside an agreement are left out; what a node answers is masked already.
        asks = Asks(case_stated=bool(asked.case_number.strip()), filters_rows=not at_node)
        found = self._grants.of(asked, resource, candidates, asks, now, anew=alone)
        _, key_value = require_call(asked)
        call = Call(found.shape, key_value, asked.case_number.strip(), now)
        if isinstance(found, Denial):
            return _Denied(found, call)
        if self._live is not None and at_node:
            return self._told_by_node(self._live, asked, call, found) if alone else AtNode(asked)
        return _told(asked, call, found, self._read(call, found))

    def _read(self, call: Call, grant: Grant) -> tuple[Record, ...]:
        """Return the records that the key meets and every agreement of the call is about."""
        records = self._records.lookup(call.shape.resource.id, call.shape.key_name, call.key_value)
        if grant.conditions:
            records = tuple(one for one in records if passes(grant.conditions, values_by_column(one, grant.shape)))
        if len(records) > ROWS_MAX:
            raise too_wide()
        return records

    def _told_by_node(self, live: LiveServices, asked: Asked, call: Call, grant: Grant) -> _Told:
        items = call.shape.items
        salt = secrets.token_bytes(SALT_BYTES)
        if asked.claims is None:
            masks = {item.column: grant.masks[name] for name, item in items.items()}
            answer = ask_node(live, self._clock, call, masks=masks)
            rows = tuple({name: row.get(item.column) for name, item in items.items()} for row in answer.rows)
            return _Told(grant, call, rows, len(rows), answer.subjects, None, salt)
        claims = {item.column: asked.claims[name] for name, item in items.items()}
        answer = ask_node(live, self._clock, call, claims=claims)
        results = {name: answer.results[item.column] for name, item in items.items()}
        return _Told(grant, call, (_said(results),), answer.found, answer.subjects, results, salt)

    def _record(
        self, prepared: Sequence[_Told | _Denied | AtNode | DatongError]
    ) -> list[Answer | DatongError | AtNode]:
        """Put calls on record in one transaction, and return what their callers are told when it is durable."""
        verified = [one for one in prepared if isinstance(one, _Told) and one.results is not None]
        if all(isinstance(one, AtNode | DatongError) for one in prepared):
            return [one for one in prepared if isinstance(one, AtNode | DatongError)]
        # What does not depend on the counters is made before the transaction, which is then short.
        early = {number: self._draft(one, blocked=False) for number, one in enumerate(prepared) if _counts_not(one)}
        done: list[Answer | DatongError | AtNode] = []
        with self._database.transaction() as connection:
            reached = iter(count_wrong(connection, [self._claims(one) for one in verified]))
            drafts: list[AccessDraft] = []
            for number, one in enumerate(prepared):
                if isinstance(one, AtNode | DatongError):
                    done.append(one)
                    continue
                blocked = number not in early and next(reached)
                made = early[number] if number in early else self._draft(one, blocked=blocked)
                if isinstance(made, DatongError):
                    done.append(made)
                else:
                    drafts.append(made)
                    done.append(_answer(one, made, blocked=blocked))
            write(self._ledger, connection, drafts)
        return done

    def _claims(self, told: _Told) -> Claims:
        shape, call = told.call.shape, told.call
        index = keyed_index(self._index_key, shape.key_name, call.key_value)
        day = call.at.date().isoformat()
        return Claims.of(shape.principal.department or "", shape.resource.id, index, day, told.wrong)

    def _draft(self, one: _Told | _Denied | AtNode | DatongError, *, blocked: bool) -> AccessDraft | DatongError:
        """Return the record of a call; an error where it cannot be written down."""
        if isinstance(one, AtNode | DatongError):
            raise TypeError("nothing of this call goes on record here")
        try:
            return draft(self._ledger, one.call, self._outcome(one, blocked=blocked))
        except DatongError as error:
            return error

    def _outcome(self, one: _Told | _Denied, *, blocked: bool) -> Outcome:
        if isinstance(one, _Denied):
            return Outcome(one.denial.alike, marks(self._index_key, one.call.people))
        subjects = marks(self._index_key, (*one.call.people, *one.people))
        if blocked:
            said = alike(one.call.shape, one.grant.used, allowed=False, policy_ids=(GUESS_POLICY,))
            return Outcome(said, subjects)
        return Outcome(one.grant.alike, subjects, one.found, answer_commitment(one.salt, one.rows))


def _told(asked: Asked, call: Call, grant: Grant, records: Sequence[Record]) -> _Told:
    """Return what a caller is told of records: masked values, or how claims compare with them."""
    items = call.shape.items
    people = people_of(records, grant.people)
    salt = secrets.token_bytes(SALT_BYTES)
    if asked.claims is None:
        rows = tuple(
            {name: grant.masks[name].apply(value_of(record, item)) for name, item in items.items()}
            for record in records
        )
        return _Told(grant, call, rows, len(rows), people, None, salt)
    facts = [{name: value_of(record, item) for name, item in items.items()} for record in records]
    results = best_answers(asked.claims, facts)
    return _Told(grant, call, (_said(results),), len(facts), people, results, salt)


def _said(results: Mapping[str, Match]) -> dict[str, str | None]:
    return {name: result.value for name, result in results.items()}


def _counts_not(one: _Told | _Denied | AtNode | DatongError) -> bool:
    return isinstance(one, _Denied) or (isinstance(one, _Told) and one.results is None)


def _answer(one: _Told | _Denied, made: AccessDraft, *, blocked: bool) -> Answer | DatongError:
    """Return what the caller is told of a call whose record is `made`."""
    if isinstance(one, _Denied):
        denial = one.denial
        return refusal("sharing.access_refused", denial.decision, access_id=made.id, items=sorted(denial.columns))
    if blocked:
        return guess_limit(made.id)
    entry_id = made.entry.id
    ids, at, salt = one.grant.alike.agreement_ids, one.call.at, one.salt.hex()
    if one.results is None:
        return GatewayAnswer(
            access_id=made.id,
            entry_id=entry_id,
            at=at,
            agreement_ids=ids,
            rows=one.rows,
            masks={name: mask.kind for name, mask in one.grant.masks.items()},
            answer_salt=salt,
        )
    return VerifyAnswer(
        access_id=made.id,
        entry_id=entry_id,
        at=at,
        agreement_ids=ids,
        results=dict(one.results),
        answer_salt=salt,
    )


def _caller(asked: Asked) -> Caller:
    return asked.principal.actor.kind, asked.principal.actor.id
