"""The one way out: query with masking, and verify; every call is decided, recorded and only then answered."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue import Item, Resource
from datong.kernel import (
    AccessId,
    AgreementId,
    Clock,
    Database,
    EntryId,
    Invalid,
    JsonValue,
    Refused,
    ResourceId,
    Text,
    TooLarge,
    Value,
    canonical_json,
    new_id,
    sha256_hex,
)
from datong.kernel.limits import GATEWAY_ITEMS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.norms import ShareMode
from datong.sharing import tables
from datong.sharing.actions import Action, DataAccess, Decision
from datong.sharing.agreements import Agreements
from datong.sharing.evidence import item_facts, subject_fact
from datong.sharing.live import LiveServices
from datong.sharing.live_values import LiveAnswer, LiveCall, LiveKind, LiveService
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import UNSHOWN, ColumnMask, MaskKind
from datong.sharing.matching import Match, best_answers
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.records import Record, RecordSource
from datong.sharing.request_rules import find_item
from datong.sharing.row_filters import passes
from datong.sharing.subjects import CITIZEN_ELEMENT, SALT_BYTES, SubjectMark, keyed_index, marks
from datong.sharing.terms import Agreement, AgreementItem, AgreementState

ROWS_MAX = 100
"""Records that one query may return; a key that meets more is too wide."""
WRONG_PER_SUBJECT_DAY_MAX = 10
WRONG_PER_CONSUMER_DAY_MAX = 2000
"""Claims that may turn out wrong in a day, about one subject and in all, before verifying stops."""
EVERYBODY = "*"
KEY_ELEMENTS = frozenset(
    {"citizen_id", "household_id", "real_estate_unit", "uscc", "certificate_id", "student_id", "record_id"}
)


class GatewayAnswer(Value):
    """What a query answers. Rows and masks go by the names the caller used.

    `answer_salt` opens the ledger's commitment to the rows: the caller can later prove what it was told.
    """

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    rows: tuple[dict[str, str | None], ...]
    masks: dict[str, MaskKind]
    answer_salt: str


class VerifyAnswer(Value):
    """What a verification answers: one of match, no_match and unknown for each claim, by the names the caller used."""

    access_id: AccessId
    entry_id: EntryId
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    results: dict[str, Match]
    answer_salt: str


class Permit(NamedTuple):
    """What of a resource may be used now: by data element, with its mask. The rest is for the record."""

    resource_id: ResourceId
    masks: Mapping[str, ColumnMask]
    call: "_Call"
    agreements: Mapping[str, Agreement]


class _Call(NamedTuple):
    """A call whose names have been resolved."""

    action: Action
    principal: Principal
    resource: Resource
    key: Item
    key_value: str
    items: Mapping[str, Item]
    purpose: str
    case_number: str
    at: datetime

    @property
    def key_name(self) -> str:
        return self.key.element or self.key.column

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(item.column for item in self.items.values())


class _Outcome(NamedTuple):
    """What the record of a call says beyond the call itself."""

    allowed: bool
    agreements: tuple[Agreement, ...]
    policy_ids: tuple[str, ...]
    subjects: tuple[SubjectMark, ...]
    rows: int
    answer: str


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
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._catalogue = catalogue
        self._agreements = agreements
        self._policy = policy
        self._records = records
        self._index_key = index_key
        self._mask_keys = mask_keys
        self._live = live

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
        call = self._call(Action.DATA_QUERY, principal, resource_id, key, items, purpose, case_number)
        agreements = self._authorise(call)
        masks = self._masks(call.items, agreements)
        if self._is_live(call):
            answer = self._ask(call, masks={item.column: masks[name] for name, item in call.items.items()})
            rows = tuple({name: row.get(item.column) for name, item in call.items.items()} for row in answer.rows)
            people = answer.subjects
        else:
            records = self._read(call, agreements)
            rows = tuple(
                {name: masks[name].apply(_value(record, item)) for name, item in call.items.items()}
                for record in records
            )
            people = self._people(call, records)
        salt = secrets.token_bytes(SALT_BYTES)
        with self._database.transaction() as connection:
            outcome = self._allowed(call, agreements, len(rows), people, rows, salt)
            access_id, entry_id = self._record(connection, call, outcome)
        return GatewayAnswer(
            access_id=access_id,
            entry_id=entry_id,
            at=call.at,
            agreement_ids=_ids(outcome.agreements),
            rows=rows,
            masks={name: mask.kind for name, mask in masks.items()},
            answer_salt=salt.hex(),
        )

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
        call = self._call(Action.DATA_VERIFY, principal, resource_id, key, tuple(claims), purpose, case_number)
        agreements = self._authorise(call)
        if self._is_live(call):
            told = self._ask(call, claims={item.column: claims[name] for name, item in call.items.items()})
            results = {name: told.results[item.column] for name, item in call.items.items()}
            found, people = told.found, told.subjects
        else:
            records = self._read(call, agreements)
            facts = [{name: _value(record, item) for name, item in call.items.items()} for record in records]
            results, found, people = best_answers(claims, facts), len(facts), self._people(call, records)
        wrong = sum(1 for answer in results.values() if answer is Match.NO_MATCH) if found else len(results)
        salt = secrets.token_bytes(SALT_BYTES)
        answer = {name: result.value for name, result in results.items()}
        with self._database.transaction() as connection:
            blocked = self._count_wrong(connection, call, wrong)
            outcome = self._allowed(call, agreements, found, people, (answer,), salt)
            if blocked:
                outcome = outcome._replace(allowed=False, policy_ids=("gateway.guess_limit",), rows=0, answer="")
            access_id, entry_id = self._record(connection, call, outcome)
        if blocked:
            raise _guess_limit(access_id)
        return VerifyAnswer(
            access_id=access_id,
            entry_id=entry_id,
            at=call.at,
            agreement_ids=_ids(outcome.agreements),
            results=results,
            answer_salt=salt.hex(),
        )

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
        resource = self._catalogue.published(resource_id)
        agreed = self._agreed(principal, resource_id, purpose) or self._agreed(principal, resource_id, None)
        columns = {item.column for item in agreed}
        items = {item.column: item for item in resource.content.items if item.column in columns and item.element}
        call = _Call(
            action=Action.DATA_QUERY,
            principal=principal,
            resource=resource,
            key=next(iter(items.values()), resource.content.items[0]),
            key_value="",
            items=items,
            purpose=purpose,
            case_number=case_number,
            at=self._clock.now(),
        )
        agreements = self._authorise(call)
        masks = self._masks(items, agreements)
        shown = {
            item.element: masks[column]
            for column, item in items.items()
            if item.element and masks[column].kind is not MaskKind.HIDDEN
        }
        return Permit(resource_id=resource_id, masks=shown, call=call, agreements=agreements)

    def note(self, permit: Permit, *, rows: Sequence[Mapping[str, str | None]], people: Sequence[str]) -> AccessId:
        """Record a read under `permit`: its answer as a commitment, the citizens concerned as marks."""
        told = [row for row in rows if row]
        with self._database.transaction() as connection:
            salt = secrets.token_bytes(SALT_BYTES)
            outcome = self._allowed(permit.call, permit.agreements, len(told), people, told, salt)
            return self._record(connection, permit.call, outcome)[0]

    def _masks(self, items: Mapping[str, Item], agreements: Mapping[str, Agreement]) -> dict[str, ColumnMask]:
        """Return how each item is shown, by the names of `items`; what its agreement does not name is hidden."""
        used = {agreement.id: agreement for agreement in agreements.values()}
        told = {agreement_id: self._mask_keys.of(agreement) for agreement_id, agreement in used.items()}
        return {name: told[agreements[item.column].id].get(item.column, UNSHOWN) for name, item in items.items()}

    def _agreed(self, principal: Principal, resource_id: ResourceId, purpose: str | None) -> tuple[AgreementItem, ...]:
        if principal.department is None:
            return ()
        return tuple(
            item
            for agreement in self._agreements.candidates(principal.department, resource_id)
            if agreement.state is AgreementState.ACTIVE
            and ShareMode.INTERFACE in agreement.purpose.modes
            and agreement.valid_from <= self._clock.now() < agreement.valid_until
            and purpose in (None, agreement.purpose.service_item)
            for item in agreement.items
        )

    def _call(
        self,
        action: Action,
        principal: Principal,
        resource_id: ResourceId,
        key: Mapping[str, str],
        names: Sequence[str],
        purpose: str,
        case_number: str,
    ) -> _Call:
        """Resolve the names of a call, or say what is wrong with it. Nothing is read yet."""
        resource = self._catalogue.published(resource_id)
        if len(key) != 1 or not 0 < len(next(iter(key.values())).strip()) <= NAME_CHARS_MAX:
            raise _invalid("key", Text(zh="须恰好给出一个查询键及其值。", en="Give exactly one key with its value."))
        if len(names) > GATEWAY_ITEMS_MAX or len(purpose) > NAME_CHARS_MAX or len(case_number) > TEXT_CHARS_MAX:
            raise TooLarge(
                "sharing.call_too_large",
                what=Text(zh="一次调用的内容过多。", en="The call asks for too much at once."),
                remedy=Text(
                    zh=f"一次最多 {GATEWAY_ITEMS_MAX} 个信息项。", en=f"Ask for at most {GATEWAY_ITEMS_MAX} items."
                ),
            )
        key_name, key_value = next(iter(key.items()))
        key_item = find_item(resource, key_name)
        if key_item is None or not (key_item.key or key_item.element in KEY_ELEMENTS):
            raise _invalid(
                "key", Text(zh=f"不能按 {key_name} 查询该资源。", en=f"This resource is not looked up by {key_name}.")
            )
        items: dict[str, Item] = {}
        for name in names:
            item = find_item(resource, name)
            if item is None:
                raise _invalid("items", Text(zh=f"该资源没有信息项 {name}。", en=f"The resource has no item {name}."))
            items[name] = item
        return _Call(
            action=action,
            principal=principal,
            resource=resource,
            key=key_item,
            key_value=key_value.strip(),
            items=items,
            purpose=purpose.strip(),
            case_number=case_number.strip(),
            at=self._clock.now(),
        )

    def _authorise(self, call: _Call) -> Mapping[str, Agreement]:
        """Return the agreement under which each column may be used; record and raise a refusal otherwise.

        Items of one resource may stand in several agreements (one per share type), so each column takes the first
        agreement that the policy lets it have.
        """
        department = call.principal.department
        candidates = self._agreements.candidates(department, call.resource.id) if department else ()
        chosen: dict[str, Agreement] = {}
        denials: list[Decision] = []
        for agreement in candidates:
            left = call.columns - chosen.keys()
            part = left & agreement.columns
            if not part:
                continue
            decision = self._decide(call, part, agreement)
            if decision.allowed:
                chosen.update(dict.fromkeys(part, agreement))
            else:
                denials.append(decision)
        left = call.columns - chosen.keys()
        if call.columns and not left:
            return chosen
        if not denials or not any(left & agreement.columns for agreement in candidates):
            # Nothing was refused under an agreement of its own: say why the rest has none.
            denials = [self._decide(call, left, agreement) for agreement in candidates[:1] or (None,)]
        denial = min(denials, key=lambda decision: len(decision.policy_ids))
        with self._database.transaction() as connection:
            marked = marks(self._index_key, self._subjects_of_key(call))
            outcome = _Outcome(
                allowed=False,
                agreements=candidates[:1],
                policy_ids=denial.policy_ids,
                subjects=marked,
                rows=0,
                answer="",
            )
            access_id, _ = self._record(connection, call, outcome)
        raise refusal("sharing.access_refused", denial, access_id=access_id, items=sorted(left))

    def _decide(self, call: _Call, columns: frozenset[str], agreement: Agreement | None) -> Decision:
        access = DataAccess(
            resource_id=call.resource.id,
            provider=call.resource.department,
            items=columns,
            mode=ShareMode.INTERFACE,
            purpose=call.purpose,
            case_number=call.case_number,
            rows_filtered=self._filters_rows(call, agreement),
        )
        return self._policy.authorise_data(call.principal, call.action, access, agreement, call.at)

    def _filters_rows(self, call: _Call, agreement: Agreement | None) -> bool:
        """Whether rows outside the agreement are left out: of the library's; what a node answers is masked already."""
        return agreement is not None and bool(agreement.row_filter and call.key_value) and not self._is_live(call)

    def _read(self, call: _Call, agreements: Mapping[str, Agreement]) -> tuple[Record, ...]:
        """Return the records that the key meets and every agreement of the call is about."""
        records = self._records.lookup(call.resource.id, call.key_name, call.key_value)
        conditions = {condition for agreement in agreements.values() for condition in agreement.row_filter}
        if conditions:
            columns = {item.column: item for item in call.resource.content.items}
            records = tuple(record for record in records if passes(conditions, _values(record, columns)))
        if len(records) > ROWS_MAX:
            raise _too_wide()
        return records

    def _is_live(self, call: _Call) -> bool:
        return self._live is not None and self._live.of(call.resource.id) is not None

    def _ask(
        self, call: _Call, *, masks: Mapping[str, ColumnMask] | None = None, claims: Mapping[str, str] | None = None
    ) -> LiveAnswer:
        """Have the provider's node answer: it reads agreed columns only, and masks or compares them itself."""
        binding = call.resource.content.binding
        if self._live is None or binding is None:
            raise _invalid("resource", Text(zh="该资源未挂接。", en="The resource is not bound to a table."))
        live = self._live

        def make(service: LiveService, call_id: str, answer_key: bytes) -> LiveCall:
            return LiveCall(
                answer_key=answer_key,
                id=call_id,
                kind=LiveKind.VERIFY if masks is None else LiveKind.QUERY,
                source=binding.source,
                table=binding.table,
                key_column=call.key.column,
                key_value=call.key_value,
                columns={column: mask.kind for column, mask in (masks or {}).items()},
                mask_keys={column: mask.key for column, mask in (masks or {}).items() if mask.key},
                claims=claims or {},
                subject_columns=tuple(sorted(item.column for item in _person_items(call))),
                rows_max=service.terms.rows_max,
                timeout_milliseconds=service.terms.timeout_milliseconds,
                deadline_at=self._clock.now() + timedelta(milliseconds=service.terms.timeout_milliseconds),
            )

        answer = live.ask(call.resource.id, make)
        if answer.too_many:
            raise _too_wide()
        return answer

    def _people(self, call: _Call, records: Sequence[Record]) -> tuple[str, ...]:
        """Return the numbers of the people whom records concern."""
        return tuple(_value(record, item) or "" for record in records for item in _person_items(call))

    def _subjects_of_key(self, call: _Call) -> tuple[str, ...]:
        return (call.key_value,) if call.key.element == CITIZEN_ELEMENT else ()

    def _allowed(
        self,
        call: _Call,
        agreements: Mapping[str, Agreement],
        found: int,
        people: Sequence[str],
        rows: Sequence[Mapping[str, str | None]],
        salt: bytes,
    ) -> _Outcome:
        """Return what the record of an allowed call says: whose data, under which agreements, which answer."""
        used = {agreement.id: agreement for agreement in agreements.values()}
        return _Outcome(
            allowed=True,
            agreements=tuple(used.values()),
            policy_ids=("data.agreed",),
            subjects=marks(self._index_key, (*self._subjects_of_key(call), *people)),
            rows=found,
            answer=commitment(salt, sha256_hex(canonical_json([dict(row) for row in rows]))),
        )

    def _record(self, connection: Connection, call: _Call, outcome: _Outcome) -> tuple[AccessId, EntryId]:
        """Store the access and its evidence; the personal values are in the log as salted commitments only."""
        access_id = AccessId(new_id())
        case_salt = secrets.token_bytes(SALT_BYTES)
        purposes = [agreement.purpose for agreement in outcome.agreements]
        facts: dict[str, JsonValue] = {
            "access_id": access_id,
            "kind": call.action.value.removeprefix("data."),
            "allowed": outcome.allowed,
            "consumer": call.principal.department,
            "provider": call.resource.department,
            "resource_id": call.resource.id,
            "resource_version": call.resource.published_version or call.resource.version,
            "agreement_ids": list(_ids(outcome.agreements)),
            "service_item": call.purpose,
            "case_commitment": commitment(case_salt, call.case_number),
            "policies": list(outcome.policy_ids),
            "rows": outcome.rows,
            "subjects": len(outcome.subjects),
            "answer_commitment": outcome.answer,
            **{subject_fact(position): mark.commitment for position, mark in enumerate(outcome.subjects)},
            **item_facts(call.columns),
        }
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.ACCESS if outcome.allowed else EntryKind.REFUSAL,
            subject=access_id,
            actor=call.principal.actor,
            facts=facts,
        )
        connection.execute(
            insert(tables.access).values(
                id=access_id,
                kind=facts["kind"],
                allowed=outcome.allowed,
                at=call.at,
                consumer=call.principal.department,
                provider=call.resource.department,
                resource_id=call.resource.id,
                entry_id=entry_id,
                content={
                    "resource_title": call.resource.content.title.model_dump(),
                    "items": [item.name.model_dump() for item in call.items.values()],
                    "agreement_ids": list(_ids(outcome.agreements)),
                    "service_item": call.purpose,
                    "scene": purposes[0].scene if purposes else "",
                    "legal_basis": purposes[0].legal_basis if purposes else "",
                    "case_number": call.case_number,
                    "case_salt": case_salt.hex(),
                    "policies": list(outcome.policy_ids),
                    "rows": outcome.rows,
                },
            )
        )
        if outcome.subjects:
            connection.execute(
                insert(tables.access_subject),
                [
                    {"access_id": access_id, "subject_index": mark.index, "position": position, "salt": mark.salt}
                    for position, mark in enumerate(outcome.subjects)
                ],
            )
        return access_id, entry_id

    def _count_wrong(self, connection: Connection, call: _Call, wrong: int) -> bool:
        """Add wrong claims to today's counts; whether a limit was reached before this call."""
        index = keyed_index(self._index_key, call.key_name, call.key_value)
        reached = False
        for subject, most in ((index, WRONG_PER_SUBJECT_DAY_MAX), (EVERYBODY, WRONG_PER_CONSUMER_DAY_MAX)):
            before = _add_wrong(connection, call, subject, wrong)
            reached = reached or before >= most
        return reached


def _add_wrong(connection: Connection, call: _Call, subject: str, wrong: int) -> int:
    """Add to one counter and return what it held before; the row stays locked until the transaction ends."""
    table = tables.guess
    where = {
        "consumer": call.principal.department,
        "resource_id": call.resource.id,
        "subject_index": subject,
        "day": call.at.date().isoformat(),
    }
    if wrong == 0:
        found = connection.execute(
            select(table.c.wrong).where(*[table.c[column] == value for column, value in where.items()])
        ).scalar()
        return found or 0
    values = {**where, "wrong": wrong}
    key = list(where)
    if connection.dialect.name == "postgresql":
        upsert = postgresql.insert(table).values(values)
        statement = upsert.on_conflict_do_update(index_elements=key, set_={"wrong": table.c.wrong + wrong})
        after = connection.execute(statement.returning(table.c.wrong)).scalar_one()
    else:
        lite = sqlite.insert(table).values(values)
        also = lite.on_conflict_do_update(index_elements=key, set_={"wrong": table.c.wrong + wrong})
        after = connection.execute(also.returning(table.c.wrong)).scalar_one()
    return int(after) - wrong


def _value(record: Record, item: Item) -> str | None:
    """Return a record's value of an item: by its column, else by its data element."""
    if item.column in record.values:
        return record.values[item.column]
    return record.values.get(item.element) if item.element else None


def _values(record: Record, columns: Mapping[str, Item]) -> Callable[[str], str | None]:
    """Return what a record says by column; a column that the resource has no more says nothing."""
    return lambda column: _value(record, columns[column]) if column in columns else None


def _person_items(call: _Call) -> tuple[Item, ...]:
    """Return the items that hold citizens' numbers: the record's own, and those that are asked for."""
    own = {item.column: item for item in call.resource.content.items if item.element == CITIZEN_ELEMENT}
    asked = {item.column: item for item in call.items.values() if (item.element or "").endswith(CITIZEN_ELEMENT)}
    return tuple({**own, **asked}.values())


def _too_wide() -> TooLarge:
    return TooLarge(
        "sharing.answer_too_large",
        what=Text(zh="查询键对应的记录过多。", en="The key meets more records than one answer may hold."),
        remedy=Text(zh="请使用能唯一确定对象的查询键。", en="Use a key that identifies one thing."),
    )


def _ids(agreements: Sequence[Agreement]) -> tuple[AgreementId, ...]:
    return tuple(agreement.id for agreement in agreements)


def _invalid(field: str, what: Text) -> Invalid:
    return Invalid(
        f"sharing.{field}_invalid",
        what=what,
        remedy=Text(zh="请对照目录中的信息项修改。", en="Compare with the items in the catalogue."),
        field=f"/{field}",
    )


def _guess_limit(access_id: AccessId) -> Refused:
    return Refused(
        "sharing.guess_limit",
        what=Text(
            zh="今天对该对象的核验错误次数过多，已停止核验。",
            en="Too many claims about this subject were wrong today: verification is closed.",
        ),
        remedy=Text(zh="请核对材料后明日再试。", en="Check the documents and try again tomorrow."),
        context={"access_id": access_id},
    )
