"""The one way out: query with masking, and verify; every call is decided, recorded and only then answered.

Many calls are answered together (`answer_many`): what they need to know is looked up at once, and their evidence is
durable in one transaction before the first of them is answered (ADR 0140).
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from datong.catalogue import Resource
from datong.kernel import (
    AccessId,
    Clock,
    Database,
    DatongError,
    Refused,
    ResourceId,
)
from datong.ledger import Ledger
from datong.norms import ShareMode
from datong.sharing.access_evidence import AccessDraft, Outcome, answer_commitment, draft, write
from datong.sharing.actions import Action
from datong.sharing.agreements import Agreements
from datong.sharing.applications.registrations import Registrations
from datong.sharing.call_failures import CallFailures
from datong.sharing.consent import Consents
from datong.sharing.gateway_calls import (
    Answer,
    Asked,
    Call,
    GatewayAnswer,
    Once,
    Shape,
    VerifyAnswer,
    require_call,
    resolve_names,
)
from datong.sharing.gateway_facts import GatewayFacts
from datong.sharing.gateway_live import ask_node
from datong.sharing.gateway_reading import Allowed, read_together
from datong.sharing.gateway_told import (
    Again,
    AtNode,
    Denied,
    Noted,
    Permit,
    Prepared,
    Reply,
    SameAs,
    Told,
    answer_of,
    claims_of,
    counted_against,
    is_early,
    outcome_of,
    said,
)
from datong.sharing.grants import Asks, Denial, Grant, Grants
from datong.sharing.guessing import count_wrong
from datong.sharing.live import LiveServices
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import MaskKind
from datong.sharing.once import ToldBefore, first_slot_of, keep, slot_of, told_before, used_for_another_call
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import CallersInForce, PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.quota_counts import take
from datong.sharing.quotas import NOT_COUNTED, CallQuota, Counted, quota_reached
from datong.sharing.records import RecordSource
from datong.sharing.request_rules import find_item
from datong.sharing.subjects import CITIZEN_ELEMENT, SALT_BYTES, marks
from datong.sharing.terms import Agreement, AgreementItem, AgreementState
from datong.sharing.tokens import unrecognised


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
        application_quota: CallQuota | None = None,
        consents: Consents | None = None,
        registrations: Registrations | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._records = records
        self._index_key = index_key
        self._application_quota = application_quota
        self._live = live
        self._consents = consents
        self._agreements = agreements
        self._grants = Grants(policy, mask_keys)
        self.failures = CallFailures(database=database, clock=clock, ledger=ledger, agreements=agreements.candidates)
        self._facts = GatewayFacts(
            database=database,
            catalogue=catalogue,
            agreements=agreements,
            live=live,
            callers=callers,
            registrations=registrations,
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
        answer = self.reply(asked).answer
        if isinstance(answer, DatongError):
            raise answer
        return answer

    def reply(self, asked: Asked) -> Reply:
        """Do as `answer` does; what went on record and ends in an error is returned with where the quota stands."""
        self._facts.refresh([asked], at_once=True)
        (done,) = self._carried_out([asked], alone=True)
        if isinstance(done, AtNode):
            raise TypeError("who waits for a node is told what it answered")
        self.failures.settle([asked], [done])
        return done

    def answer_many(self, calls: Sequence[Asked]) -> list[Reply | AtNode]:
        """Answer calls together, each as `answer` would, but for those that wait for a node.

        The caller raises the errors. What was looked up up to FRESH_SECONDS ago counts as present.
        """
        with self._database.reading_together():
            self._facts.refresh(calls)
            done = self._carried_out(calls, alone=False)
        self.failures.settle(calls, done)
        return done

    def _carried_out(self, calls: Sequence[Asked], *, alone: bool) -> list[Reply | AtNode]:
        try:
            return self._record(calls, self._prepared_all(calls, alone=alone))
        except IntegrityError:
            if all(asked.once is None for asked in calls):
                raise
            # Another process carried out one of the calls at the same moment; now it is on record.
            return self._record(calls, self._prepared_all(calls, alone=alone))

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
        resource = self._facts.resource_now(resource_id)
        agreed = self._agreed(principal, resource_id, purpose) or self._agreed(principal, resource_id, None)
        columns = {item.column for item in agreed}
        items = {item.column: item for item in resource.content.items if item.column in columns and item.element}
        key = next(iter(items.values()), resource.content.items[0])
        shape = Shape(Action.DATA_QUERY, principal, resource, key, items, purpose)
        permit = self._permitted(shape, case_number, filters_rows=False)
        masks = permit.masks
        shown = {item.element: masks[column] for column, item in items.items() if item.element and column in masks}
        return permit._replace(masks=shown)

    def permit_items(
        self, principal: Principal, resource_id: ResourceId, names: Sequence[str], *, purpose: str, case_number: str
    ) -> Permit:
        """Return how items of a resource may be read for `purpose`, by name; who reads leaves out the other rows.

        The call counts against its quotas. `note` then records it.

        Raises:
            NotFound: no such published resource. Invalid: unknown names.
            Refused: as in `query`; the refusal is on record. Overloaded: `sharing.quota_reached`.
        """
        self._facts.refresh([Asked(principal, resource_id, {}, (), purpose, case_number)], at_once=True)
        resource = self._facts.resource(resource_id)
        shape = resolve_names(Action.DATA_QUERY, principal, resource, names, purpose)
        permit = self._permitted(shape, case_number.strip(), filters_rows=True)
        self._counted(Told(permit.grant, permit.call, (), 0, (), None, b""))
        return permit

    def _permitted(self, shape: Shape, case_number: str, *, filters_rows: bool) -> Permit:
        call = Call(shape, "", case_number, self._clock.now())
        candidates = self._between(shape.principal, shape.resource.id)
        bound = self._facts.bound_now(shape.principal)
        asks = Asks(case_stated=bool(case_number), filters_rows=filters_rows, bound=bound)
        found = self._grants.decide(shape, candidates, asks, call.at)
        if isinstance(found, Denial):
            made = self._draft(Denied(found, call), self._clock.now(), blocked=False)
            if isinstance(made, DatongError):
                raise made
            with self._database.transaction() as connection:
                write(self._ledger, connection, [made])
            raise refusal("sharing.access_refused", found.decision, access_id=made.id, items=sorted(found.columns))
        shown = {name: mask for name, mask in found.masks.items() if mask.kind is not MaskKind.HIDDEN}
        return Permit(resource_id=shape.resource.id, masks=shown, call=call, grant=found)

    def note(self, permit: Permit, *, rows: Sequence[Mapping[str, str | None]], people: Sequence[str]) -> AccessId:
        """Record a read under `permit`: its answer as a commitment, the citizens concerned as marks."""
        return self.noted(permit, rows=rows, people=people).access_id

    def noted(self, permit: Permit, *, rows: Sequence[Mapping[str, str | None]], people: Sequence[str]) -> Noted:
        """Do as `note` does, and return what the caller keeps of the record."""
        told = [row for row in rows if row]
        salt = secrets.token_bytes(SALT_BYTES)
        subjects = marks(self._index_key, (*permit.call.people, *people))
        outcome = Outcome(permit.grant.alike, subjects, len(told), answer_commitment(salt, told))
        one = draft(self._ledger, permit.call, outcome, self._clock.now())
        with self._database.transaction() as connection:
            write(self._ledger, connection, [one])
        return Noted(one.id, one.entry.id, salt.hex())

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

    def _prepared_all(self, calls: Sequence[Asked], *, alone: bool) -> list[Prepared]:
        """Return what comes of calls; those with an Idempotency-Key that were carried out before come to that."""
        now = self._clock.now()
        before = told_before(self._database, self._index_key, calls, now)
        places: dict[str, int] = {}
        found: list[Prepared] = []
        allowed: dict[int, Allowed] = {}
        for place, asked in enumerate(calls):
            told = None
            if asked.once is not None:
                slot = slot_of(self._index_key, asked, asked.once)
                told = before.get(slot)
                known = told or before.get(first_slot_of(self._index_key, asked, asked.once))
                same = calls[places[slot]].once if slot in places else None
                if any(one is not None and one.digest != asked.once.digest for one in (known, same)):
                    found.append(used_for_another_call())
                    continue
                if same is not None:
                    found.append(SameAs(places[slot]))
                    continue
                places[slot] = place
            one = self._decided(asked, told, now, alone=alone)
            if isinstance(one, Allowed):
                allowed[place] = one
                found.append(AtNode(asked))
            else:
                found.append(one)
        for place, read in read_together(self._records, allowed).items():
            found[place] = read
        return found

    def _decided(self, asked: Asked, told: ToldBefore | None, now: datetime, *, alone: bool) -> Prepared | Allowed:
        """Return what comes of a call, an error as a value."""
        try:
            return self._decide(asked, told, now, alone=alone)
        except DatongError as error:
            return error

    def _decide(
        self, asked: Asked, told: ToldBefore | None, now: datetime, *, alone: bool
    ) -> Told | Denied | Again | AtNode | Allowed:
        """Decide about a call; nothing is on record yet, and of the hub's records nothing read. One that is `alone` can
        wait for a node.

        What was told before (`told`) is told again only while the policy still permits it.
        """
        if not self._facts.is_in_force(asked):
            raise unrecognised("revoked")
        if told is not None and isinstance(told.answer, DatongError):
            return Again(told.answer)
        resource = self._facts.resource(asked.resource_id)
        candidates = self._facts.candidates(asked)
        # Rows that are outside an agreement are left out: here, or by the node that answers.
        asks = Asks(
            case_stated=bool(asked.case_number.strip()),
            filters_rows=True,
            bound=self._facts.bound_to(asked.principal),
            consented=self._consented(asked, resource, candidates),
        )
        found = self._grants.of(asked, resource, candidates, asks, now, anew=alone)
        _, key_value = require_call(asked)
        call = Call(found.shape, key_value, asked.case_number.strip(), now)
        if isinstance(found, Denial):
            return Denied(found, call, told_before=told is not None)
        if told is not None:
            return Again(told.answer)
        if self._live is not None and self._facts.is_at_node(asked.resource_id):
            return self._told_by_node(self._live, asked, call, found) if alone else AtNode(asked)
        return Allowed(asked, call, found)

    def _consented(self, asked: Asked, resource: Resource, candidates: Sequence[Agreement]) -> frozenset[str]:
        """Return the columns whose use the person consents to whom the key names: as of now, for each call anew."""
        department = asked.principal.department
        if self._consents is None or department is None or not any(one.purpose.consent for one in candidates):
            return frozenset()
        name, value = require_call(asked)
        item = find_item(resource, name)
        if item is None or item.element != CITIZEN_ELEMENT:
            return frozenset()
        return self._consents.columns(department, resource.id, asked.purpose.strip(), value)

    def _told_by_node(self, live: LiveServices, asked: Asked, call: Call, grant: Grant) -> Told:
        items = call.shape.items
        salt = secrets.token_bytes(SALT_BYTES)
        # A node is asked only for a call that its quotas let pass.
        counted = self._counted(Told(grant, call, (), 0, (), None, salt))
        if asked.claims is None:
            masks = {item.column: grant.masks[name] for name, item in items.items()}
            answer = ask_node(live, self._clock, call, conditions=grant.conditions, masks=masks)
            rows = tuple({name: row.get(item.column) for name, item in items.items()} for row in answer.rows)
            return Told(grant, call, rows, len(rows), answer.subjects, None, salt, counted)
        claims = {item.column: asked.claims[name] for name, item in items.items()}
        answer = ask_node(live, self._clock, call, conditions=grant.conditions, claims=claims)
        results = {name: answer.results[item.column] for name, item in items.items()}
        return Told(grant, call, (said(results),), answer.found, answer.subjects, results, salt, counted)

    def _counted(self, told: Told) -> Counted:
        """Count a call by itself, before it is carried out.

        Raises:
            Overloaded: `sharing.quota_reached`.
        """
        against = counted_against(told, self._application_quota)
        if not against:
            return NOT_COUNTED
        with self._database.transaction() as connection:
            (counted,) = take(connection, [against], told.call.at)
        if not counted.passes:
            raise quota_reached(counted.state)
        return counted

    def _record(self, calls: Sequence[Asked], prepared: Sequence[Prepared]) -> list[Reply | AtNode]:
        """Put calls on record in one transaction, and return what their callers are told when it is durable."""
        done: dict[int, Reply | AtNode] = {}
        acts: dict[int, Told | Denied] = {}
        for number, one in enumerate(prepared):
            if isinstance(one, Told | Denied):
                acts[number] = one
            elif isinstance(one, AtNode):
                done[number] = one
            elif not isinstance(one, SameAs):
                done[number] = Reply(one.answer, again=True) if isinstance(one, Again) else Reply(one)
        if acts:
            # What does not depend on the counters is made before the transaction, which is then short.
            now = self._clock.now()
            early = {number: self._draft(one, now, blocked=False) for number, one in acts.items() if is_early(one)}
            # A counter that grows is locked until all is written; where none does, one statement is everything.
            grows = any(calls[number].once is not None or self._grows_counters(one) for number, one in acts.items())
            with self._database.transaction() if grows else self._database.one_statement() as connection:
                self._write(connection, calls, acts, early, done, now)
        for number, one in enumerate(prepared):
            if isinstance(one, SameAs):
                first = done[one.place]
                done[number] = first if isinstance(first, AtNode) else first._replace(again=True)
        return [done[number] for number in range(len(prepared))]

    def _write(
        self,
        connection: Connection,
        calls: Sequence[Asked],
        acts: Mapping[int, Told | Denied],
        early: Mapping[int, AccessDraft | DatongError],
        done: dict[int, Reply | AtNode],
        now: datetime,
    ) -> None:
        """Count calls, write the records of those that pass, and put into `done` what their callers are told."""
        counted = self._count(connection, acts, now)
        passing = {number: one for number, one in acts.items() if counted[number].passes}
        verified = [one for one in passing.values() if isinstance(one, Told) and one.results is not None]
        reached = iter(count_wrong(connection, [claims_of(self._index_key, one) for one in verified]))
        drafts: list[AccessDraft] = []
        kept: list[tuple[Asked, Once, Answer | Refused]] = []
        for number, one in acts.items():
            state = counted[number].state
            if number not in passing:
                done[number] = Reply(quota_reached(state), state)
                continue
            blocked = number not in early and next(reached)
            made = early[number] if number in early else self._draft(one, now, blocked=blocked)
            if isinstance(made, DatongError):
                done[number] = Reply(made, state)
                continue
            drafts.append(made)
            answer = answer_of(one, made, blocked=blocked)
            done[number] = Reply(answer, state)
            once = None if isinstance(one, Denied) and one.told_before else calls[number].once
            if once is not None and isinstance(answer, GatewayAnswer | VerifyAnswer | Refused):
                kept.append((calls[number], once, answer))
        write(self._ledger, connection, drafts)
        keep(connection, self._index_key, kept, now)

    def _grows_counters(self, one: Told | Denied) -> bool:
        if isinstance(one, Told) and one.wrong:
            return True
        return bool(counted_against(one, self._application_quota))

    def _count(self, connection: Connection, acts: Mapping[int, Told | Denied], now: datetime) -> dict[int, Counted]:
        """Count calls against their quotas, but for those that were counted before a node was asked."""
        counted = {number: one.counted for number, one in acts.items() if isinstance(one, Told) and one.counted}
        left = [number for number in acts if number not in counted]
        against = [counted_against(acts[number], self._application_quota) for number in left]
        return {**counted, **dict(zip(left, take(connection, against, now), strict=True))}

    def _draft(self, one: Told | Denied, now: datetime, *, blocked: bool) -> AccessDraft | DatongError:
        """Return the record of a call; an error where it cannot be written down."""
        try:
            outcome = outcome_of(self._index_key, one, blocked=blocked)
            return draft(self._ledger, one.call, outcome, now)
        except DatongError as error:
            return error
