"""What comes of a call before it is on record, and what its caller is told once it is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from datong.kernel import AccessId, ActorKind, DatongError, EntryId, ResourceId, random_bytes
from datong.sharing.access_evidence import AccessDraft, Outcome, alike, answer_commitment
from datong.sharing.gateway_calls import Answer, Asked, Call, GatewayAnswer, VerifyAnswer, people_of, value_of
from datong.sharing.grants import Denial, Grant
from datong.sharing.guessing import Claims, guess_limit
from datong.sharing.masks import ColumnMask
from datong.sharing.matching import Match, best_answers
from datong.sharing.policy import refusal
from datong.sharing.quotas import Allowance, CallQuota, Counted, QuotaState, allowances
from datong.sharing.records import Record
from datong.sharing.subjects import SALT_BYTES, keyed_index, marks

GUESS_POLICY = "gateway.guess_limit"


class AtNode(NamedTuple):
    """Instead of an answer: the call is one for the provider's node, and waits for it."""

    asked: Asked


class Told(NamedTuple):
    """A call that is allowed, with what the caller is to be told once it is on record.

    `counted`: the call was counted against its quotas before a node was asked.
    """

    grant: Grant
    call: Call
    rows: tuple[dict[str, str | None], ...]
    found: int
    people: tuple[str, ...]
    results: Mapping[str, Match] | None
    salt: bytes
    counted: Counted | None = None

    @property
    def wrong(self) -> int:
        """How many claims count as wrong: all of them where nothing is known, be it of somebody or of nobody."""
        results = self.results or {}
        known = any(one is not Match.UNKNOWN for one in results.values())
        return sum(1 for one in results.values() if one is Match.NO_MATCH) if known else len(results)

    @property
    def shown(self) -> int:
        """How many rows the caller is told; a verification always says as much, so that its record tells no more."""
        return self.found if self.results is None else len(self.rows)


class Denied(NamedTuple):
    """A call that is refused, with what goes on record; `told_before`: it was permitted when it came first."""

    denial: Denial
    call: Call
    told_before: bool = False


class Again(NamedTuple):
    """A call that was carried out before, with what its caller was told then; nothing more goes on record."""

    answer: Answer | DatongError


class SameAs(NamedTuple):
    """A call that is carried out by another one of the same batch, at `place`."""

    place: int


class Permit(NamedTuple):
    """What of a resource may be used now: by data element, with its mask. The rest is for the record."""

    resource_id: ResourceId
    masks: Mapping[str, ColumnMask]
    call: Call
    grant: Grant


class Noted(NamedTuple):
    """The record of a read under a permit; `answer_salt` opens the commitment to what was told."""

    access_id: AccessId
    entry_id: EntryId
    answer_salt: str


Prepared = Told | Denied | Again | SameAs | AtNode | DatongError


class Reply(NamedTuple):
    """What the caller of one call is told: an answer or an error, where its quota stands, and whether it was told it
    before."""

    answer: Answer | DatongError
    quota: QuotaState | None = None
    again: bool = False


def told_of(asked: Asked, call: Call, grant: Grant, records: Sequence[Record]) -> Told:
    """Return what a caller is told of records: masked values, or how claims compare with them."""
    items = call.shape.items
    people = people_of(records, grant.people)
    salt = random_bytes(SALT_BYTES)
    if asked.claims is None:
        rows = tuple(
            {name: grant.masks[name].apply(value_of(record, item)) for name, item in items.items()}
            for record in records
        )
        return Told(grant, call, rows, len(rows), people, None, salt)
    # Who is nobody is marked by the key, which is no citizen's number: the record of a verification does not tell.
    people = people if any(people) or call.people else (f"{call.shape.key_name}\n{call.key_value}",)
    facts = [{name: value_of(record, item) for name, item in items.items()} for record in records]
    results = best_answers(asked.claims, facts)
    return Told(grant, call, (said(results),), len(facts), people, results, salt)


def said(results: Mapping[str, Match]) -> dict[str, str | None]:
    """Return the results of a verification as the one row that the record commits to."""
    return {name: result.value for name, result in results.items()}


def is_early(one: Prepared) -> bool:
    """Whether the record of a call depends on no counter."""
    return isinstance(one, Denied) or (isinstance(one, Told) and one.results is None)


def counted_against(one: Told | Denied, each_application: CallQuota | None) -> tuple[Allowance, ...]:
    """Return what a call counts against: the quota of its application, and those of the agreements it uses."""
    actor = one.call.shape.principal.actor
    found: tuple[Allowance, ...] = ()
    if actor.kind is ActorKind.APPLICATION:
        found = allowances(f"application:{actor.id}", each_application, one.call.at)
    if isinstance(one, Told):
        for agreement in one.grant.used:
            if agreement.calls is not None:
                found += allowances(f"agreement:{agreement.id}", agreement.calls, one.call.at)
    return found


def claims_of(index_key: bytes, told: Told) -> Claims:
    """Return how a verification counts against guessing."""
    shape, call = told.call.shape, told.call
    index = keyed_index(index_key, shape.key_name, call.key_value)
    return Claims.of(shape.principal.department or "", shape.resource.id, index, call.at.date().isoformat(), told.wrong)


def outcome_of(index_key: bytes, one: Told | Denied, *, blocked: bool) -> Outcome:
    """Return what goes on record of a call; `blocked`: too many claims were wrong before it."""
    if isinstance(one, Denied):
        return Outcome(one.denial.alike, marks(index_key, one.call.people))
    subjects = marks(index_key, (*one.call.people, *one.people))
    if blocked:
        refused = alike(one.call.shape, one.grant.used, allowed=False, policy_ids=(GUESS_POLICY,))
        return Outcome(refused, subjects)
    return Outcome(one.grant.alike, subjects, one.shown, answer_commitment(one.salt, one.rows))


def answer_of(one: Told | Denied, made: AccessDraft, *, blocked: bool) -> Answer | DatongError:
    """Return what the caller is told of a call whose record is `made`."""
    if isinstance(one, Denied):
        denial = one.denial
        return refusal("sharing.access_refused", denial.decision, access_id=made.id, items=sorted(denial.columns))
    if blocked:
        return guess_limit(made.id)
    entry_id = made.entry.id
    ids, at, salt = one.grant.alike.agreement_ids, one.call.at, one.salt.hex()
    # Made of what is checked already.
    if one.results is None:
        return GatewayAnswer.model_construct(
            access_id=made.id,
            entry_id=entry_id,
            at=at,
            agreement_ids=ids,
            rows=one.rows,
            masks={name: mask.kind for name, mask in one.grant.masks.items()},
            answer_salt=salt,
        )
    return VerifyAnswer.model_construct(
        access_id=made.id,
        entry_id=entry_id,
        at=at,
        agreement_ids=ids,
        results=dict(one.results),
        answer_salt=salt,
    )
