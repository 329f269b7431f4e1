"""Agreements: drawn up on a grant, confirmed by both officers, signed by both departments' keys, then in force."""

import base64
import binascii
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select

from datong.catalogue import DepartmentKey, UseKind
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    AgreementId,
    Clock,
    Database,
    DepartmentCode,
    Page,
    PersonId,
    Refused,
    RequestId,
    ResourceId,
    Text,
    WorkingCalendar,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, Signer, verify_signature
from datong.norms import NormPack, ShareMode, ShareType
from datong.sharing import agreement_rules, tables
from datong.sharing.actions import Action, DataAccess
from datong.sharing.agreement_rules import ENDED, ActingDepartment
from datong.sharing.agreement_store import add_agreement, load_agreement, save_agreement, select_agreements
from datong.sharing.amendment_rules import Amendment, AmendmentAction, TermsChange
from datong.sharing.amendment_store import signing_parties
from datong.sharing.amendments import Amendments
from datong.sharing.credentials import invalid_field
from datong.sharing.evidence import agreement_facts
from datong.sharing.paper_codes import new_code
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import DepartmentBook, ResourceUses
from datong.sharing.principals import Principal
from datong.sharing.request_rules import reply_limits
from datong.sharing.terms import Agreement, AgreementState, EndCause, PartySignature, Request

CANDIDATES_MAX = 200
"""Agreements of one consumer about one resource that a call looks at."""
OF_CONSUMER_MAX = 2_000
"""Agreements of one consumer whose tables are listed for it."""
READ_MAX = 10_000
"""Agreements that a process keeps parsed for the gateway's calls."""
_CANDIDATES = (
    select(tables.agreement.c.id, tables.agreement.c.revision)
    .where(
        tables.agreement.c.consumer == bindparam("of_consumer"),
        tables.agreement.c.resource_id == bindparam("of_resource"),
    )
    .order_by(tables.agreement.c.drawn_up_at.desc(), tables.agreement.c.id.desc())
    .limit(CANDIDATES_MAX)
)


class Agreements:
    """The agreements of all departments; satisfies `exchange.TransferTerms`.

    `signer` is the hub's key: it signs for the authority, whose own library is a consumer like any other.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        pack: NormPack,
        departments: DepartmentBook,
        policy: PolicyEngine,
        signer: Signer,
        uses: ResourceUses,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._departments = departments
        self._policy = policy
        self._signer = signer
        self._uses = uses
        self.amendments = Amendments(database=database, clock=clock, ledger=ledger)
        # A revision never changes, so an agreement that was parsed stays true; the database says which is present.
        self._read: dict[tuple[AgreementId, int], Agreement] = {}
        self._limits = reply_limits(pack)

    def draw_up(
        self, connection: Connection, request: Request, *, agreement_id: AgreementId, actor: Actor, now: datetime
    ) -> None:
        """Store the agreement of a request that has just been granted, in the transaction of the grant."""
        agreement = agreement_rules.draw_up(
            request,
            agreement_id=agreement_id,
            now=now,
            calendar=self._calendar,
            limits=self._limits,
        ).model_copy(update={"code": new_code()})
        add_agreement(connection, agreement)
        self._record(connection, agreement, "draw_up", actor)
        if request.share_type is ShareType.UNCONDITIONAL:
            # Who publishes something as unconditional has agreed beforehand (Arts. 14, 21): nothing is left to confirm.
            by = ActingDepartment(code=agreement.provider)
            confirmed = agreement_rules.confirm(agreement, by, PersonId(PLATFORM_ACTOR.id), now)
            save_agreement(connection, agreement, confirmed)
            self._record(connection, confirmed, "confirm", PLATFORM_ACTOR)

    def get(self, agreement_id: AgreementId) -> Agreement:
        """Return an agreement.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            return load_agreement(connection, agreement_id)

    def of_request(self, request_id: RequestId) -> Agreement | None:
        """Return the agreement that a request led to, if it was granted."""
        with self._database.snapshot() as connection:
            found = select_agreements(connection, [tables.agreement.c.request_id == request_id], limit=1)
        return found[0] if found else None

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        provider: DepartmentCode | None = None,
        consumer: DepartmentCode | None = None,
        resource_id: ResourceId | None = None,
        state: AgreementState | None = None,
        reminded: bool = False,
        offset: int = 0,
        limit: int = 20,
    ) -> Page[Agreement]:
        """Return agreements, newest first; `department` means provider or consumer, `reminded` those that end soon."""
        table = tables.agreement
        wanted = (
            (table.c.provider, provider),
            (table.c.consumer, consumer),
            (table.c.resource_id, resource_id),
            (table.c.state, state.value if state else None),
        )
        where: list[ColumnElement[bool]] = [column == value for column, value in wanted if value is not None]
        if reminded:
            where.append(table.c.reminded_at.is_not(None))
        if department is not None:
            where.append(or_(table.c.provider == department, table.c.consumer == department))
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            rows = select_agreements(connection, where, offset=offset, limit=min(limit, PAGE_ROWS_MAX))
        return page_of(rows, total=total, offset=offset)

    def of_consumer(self, consumer: DepartmentCode) -> tuple[Agreement, ...]:
        """Return the agreements of `consumer`, in whatever state, newest first: at most OF_CONSUMER_MAX."""
        table = tables.agreement
        query = select(table.c.id, table.c.revision).where(table.c.consumer == consumer)
        newest = query.order_by(table.c.drawn_up_at.desc(), table.c.id.desc()).limit(OF_CONSUMER_MAX)
        with self._database.snapshot() as connection:
            return self._known(connection, [(row.id, row.revision) for row in connection.execute(newest)])

    def candidates(self, consumer: DepartmentCode, resource_id: ResourceId) -> tuple[Agreement, ...]:
        """Return every agreement of `consumer` about a resource, in whatever state, those in force first."""
        with self._database.snapshot() as connection:
            asked = {"of_consumer": consumer, "of_resource": resource_id}
            found = self._known(connection, [(row.id, row.revision) for row in connection.execute(_CANDIDATES, asked)])
        return tuple(sorted(found, key=lambda agreement: agreement.state is not AgreementState.ACTIVE))

    def _known(self, connection: Connection, stamps: Sequence[tuple[AgreementId, int]]) -> tuple[Agreement, ...]:
        """Return the agreements with these ids and revisions, parsed once per revision."""
        known = {stamp: agreement for stamp in stamps if (agreement := self._read.get(stamp)) is not None}
        unread = [stamp[0] for stamp in stamps if stamp not in known]
        where: list[ColumnElement[bool]] = [tables.agreement.c.id.in_(unread)]
        new = select_agreements(connection, where, limit=len(unread)) if unread else ()
        fresh = {(agreement.id, agreement.revision): agreement for agreement in new}
        if len(self._read) + len(fresh) > READ_MAX:
            self._read.clear()
        self._read.update(fresh)
        return tuple({**known, **fresh}[stamp] for stamp in stamps)

    def confirm(self, agreement_id: AgreementId, department: DepartmentCode, actor: Actor) -> Agreement:
        """Record that an officer of `department` confirms the terms; the hub then signs for the authority.

        Raises:
            NotFound, Refused, Conflict: see `agreement_rules.confirm`.
        """
        officer, now = PersonId(actor.id), self._clock.now()
        by = ActingDepartment(code=department)
        confirmed = self.apply(
            agreement_id, "confirm", actor, lambda agreement: agreement_rules.confirm(agreement, by, officer, now)
        )
        return self._sign_for_authority(confirmed)

    def to_sign(self, department: DepartmentCode) -> tuple[Agreement, ...]:
        """Return the agreements that await the signature of `department`, oldest first."""
        where = [
            tables.agreement.c.state == AgreementState.CONFIRMED.value,
            or_(tables.agreement.c.provider == department, tables.agreement.c.consumer == department),
        ]
        with self._database.snapshot() as connection:
            found = select_agreements(connection, where, limit=PAGE_ROWS_MAX)
        new = tuple(
            agreement
            for agreement in reversed(found)
            if all(done.department != department for done in agreement.signatures)
        )
        return new + self.amendments.to_sign(department)

    def may_sign(self, departments: Collection[DepartmentCode]) -> frozenset[DepartmentCode]:
        """Return those of some departments for which `to_sign` may name something."""
        with self._database.reading() as connection:
            return signing_parties(connection, departments)

    def unsigned(self, agreement_id: AgreementId) -> Agreement:
        """Return the version that the parties sign at present: a proposed one, else the agreement itself.

        Raises:
            NotFound: there is no such agreement.
        """
        agreement = self.get(agreement_id)
        amendment = self.amendments.open(agreement_id)
        return agreement if amendment is None else amendment.proposal

    def sign(self, agreement_id: AgreementId, *, key_id: str, signature: bytes, actor: Actor) -> Agreement:
        """Add a department's signature over `signing_bytes()` of the unsigned version; with both, it is in force.

        Raises:
            NotFound: there is no such agreement or key.
            Refused: the key is revoked, or belongs to no party, or not to the caller's department.
            Corrupt: the signature does not verify.
            Conflict: the agreement does not await signatures.
        """
        key = self._departments.key(key_id)
        _require_usable(key, actor)
        unsigned = self.unsigned(agreement_id)
        verify_signature(key.public_key, unsigned.signing_bytes(), signature)
        now = self._clock.now()
        signed = PartySignature(
            department=key.department, key_id=key_id, signature=base64.b64encode(signature).decode(), at=now
        )
        if unsigned.version != self.get(agreement_id).version:
            return self.amendments.sign(agreement_id, unsigned.version, signed, actor)
        return self.apply(agreement_id, "sign", actor, lambda agreement: agreement_rules.sign(agreement, signed, now))

    def suspend(
        self, agreement_id: AgreementId, actor: Actor, reason: str, cause: EndCause = EndCause.OTHER
    ) -> Agreement:
        """Suspend an agreement with reasons; data access stops at once.

        Raises:
            NotFound, Refused, Conflict, Invalid: see `agreement_rules.suspend`.
        """
        by, now = self.acting(actor), self._clock.now()
        return self.apply(
            agreement_id, "suspend", actor, lambda agreement: agreement_rules.suspend(agreement, by, reason, now, cause)
        )

    def resume(self, agreement_id: AgreementId, actor: Actor) -> Agreement:
        """Put a suspended agreement in force again.

        Raises:
            NotFound, Refused, Conflict: see `agreement_rules.resume`.
        """
        by, now = self.acting(actor), self._clock.now()
        return self.apply(agreement_id, "resume", actor, lambda agreement: agreement_rules.resume(agreement, by, now))

    def terminate(
        self, agreement_id: AgreementId, actor: Actor, reason: str, cause: EndCause = EndCause.OTHER
    ) -> Agreement:
        """End an agreement for good, with reasons.

        Raises:
            NotFound, Refused, Conflict, Invalid: see `agreement_rules.terminate`.
        """
        by = self.acting(actor)
        return self.apply(
            agreement_id, "terminate", actor, lambda agreement: agreement_rules.terminate(agreement, by, reason, cause)
        )

    def withdraw(self, agreement_id: AgreementId, actor: Actor, reason: str) -> Agreement:
        """Give an agreement up in the name of its consumer, with reasons.

        Raises:
            NotFound, Refused, Conflict, Invalid: see `agreement_rules.withdraw`.
        """
        by = self.acting(actor)
        return self.apply(
            agreement_id, "withdraw", actor, lambda agreement: agreement_rules.withdraw(agreement, by, reason)
        )

    def dispose(self, agreement_id: AgreementId, actor: Actor, statement: str) -> Agreement:
        """Put on record how the consumer disposed of what it received under an ended agreement (Art. 27).

        Raises:
            NotFound, Refused, Conflict, Invalid: see `agreement_rules.dispose`.
        """
        by, now = self.acting(actor), self._clock.now()
        return self.apply(
            agreement_id, "dispose", actor, lambda found: agreement_rules.dispose(found, by, statement, now)
        )

    def propose(self, agreement_id: AgreementId, change: TermsChange, actor: Actor, reason: str) -> Amendment:
        """Propose other terms or a longer term; see `Amendments.propose`. The hub signs for the authority."""
        amendment = self.amendments.propose(agreement_id, change, self.acting(actor), actor, reason)
        self._sign_for_authority(amendment.proposal)
        return amendment

    def act_on_amendment(
        self, agreement_id: AgreementId, version: int, action: AmendmentAction, actor: Actor, reason: str = ""
    ) -> Amendment:
        """Confirm, take back or decline proposed terms; see `Amendments`. The hub signs for the authority."""
        by = self.acting(actor)
        if action is not AmendmentAction.CONFIRM:
            return self.amendments.close(agreement_id, version, action, by, actor, reason)
        amendment = self.amendments.confirm(agreement_id, version, by, actor)
        self._sign_for_authority(amendment.proposal)
        return amendment

    def expire_due(self) -> int:
        """Mark every agreement whose term is over as expired; return how many. Access ends with the term regardless."""
        now = self._clock.now()
        table = tables.agreement
        where = [table.c.valid_until <= now, table.c.state.not_in([state.value for state in ENDED])]
        with self._database.snapshot() as connection:
            due = select_agreements(connection, where, limit=PAGE_ROWS_MAX)
        for agreement in due:
            self.apply(agreement.id, "expire", PLATFORM_ACTOR, lambda found: agreement_rules.expire(found, now))
        return len(due)

    def check(
        self,
        *,
        agreement_id: AgreementId,
        provider: DepartmentCode,
        consumer: DepartmentCode,
        resource_id: ResourceId,
        columns: tuple[str, ...],
        now: datetime,
    ) -> None:
        """Let a bulk transfer of `columns` pass, or refuse it (`exchange.TransferTerms`).

        Raises:
            NotFound: there is no such agreement.
            Refused: `sharing.transfer_refused`, with every reason of the policy.
        """
        agreement = self.get(agreement_id)
        access = DataAccess(
            resource_id=resource_id,
            provider=provider,
            items=frozenset(columns),
            mode=ShareMode.BULK,
            purpose=agreement.purpose.service_item,
        )
        self._require(agreement, access, consumer, now)

    def file_recipient(self, agreement_id: AgreementId, *, sender: DepartmentCode, now: datetime) -> DepartmentCode:
        """Return to whom `sender` may send files under an agreement (`exchange.FileTerms`).

        Files go from the provider to the consumer, under an agreement in force that allows file or bulk sharing.

        Raises:
            NotFound: there is no such agreement.
            Refused: `sharing.not_the_provider`; `sharing.transfer_refused`, with every reason of the policy.
        """
        agreement = self.get(agreement_id)
        if sender != agreement.provider:
            raise Refused(
                "sharing.not_the_provider",
                what=Text(
                    zh="只有协议的提供部门可以按该协议发送文件。",
                    en="Only the provider of an agreement may send files under it.",
                ),
                remedy=Text(zh="请核对协议编号。", en="Check the agreement."),
            )
        modes = agreement.purpose.modes
        access = DataAccess(
            resource_id=agreement.resource_id,
            provider=agreement.provider,
            items=agreement.columns,
            mode=ShareMode.FILE if ShareMode.FILE in modes else ShareMode.BULK,
            purpose=agreement.purpose.service_item,
        )
        self._require(agreement, access, agreement.consumer, now)
        return agreement.consumer

    def _require(self, agreement: Agreement, access: DataAccess, consumer: DepartmentCode, now: datetime) -> None:
        """Let a transfer to `consumer` pass, or refuse it with every reason of the policy."""
        principal = Principal(actor=Actor(kind=ActorKind.NODE, id=consumer, department=consumer))
        decision = self._policy.authorise_data(principal, Action.DATA_TRANSFER, access, agreement, now)
        if not decision.allowed:
            raise refusal("sharing.transfer_refused", decision, agreement_id=agreement.id)

    def acting(self, actor: Actor) -> ActingDepartment:
        """Return in whose name an actor acts.

        Raises:
            Refused: in nobody's.
        """
        if actor.department is None:
            raise Refused(
                "sharing.no_department",
                what=Text(zh="该账号不代表任何部门。", en="This account acts for no department."),
                remedy=Text(zh="请由部门的数据管理员办理。", en="Let a department's data officer do it."),
            )
        department = self._departments.get(actor.department)
        return ActingDepartment(code=department.code, is_authority=department.is_authority)

    def _sign_for_authority(self, agreement: Agreement) -> Agreement:
        """Sign with the hub's key for a party that is the authority, once both officers have confirmed."""
        for party in dict.fromkeys(agreement.parties):
            signed = any(done.department == party for done in agreement.signatures)
            if agreement.state is not AgreementState.CONFIRMED or signed:
                continue
            if not self._departments.get(party).is_authority:
                continue
            if all(key.key_id != self._signer.key_id for key in self._departments.keys(party)):
                self._departments.register_key(party, self._signer.public_key, None, PLATFORM_ACTOR)
            agreement = self.sign(
                agreement.id,
                key_id=self._signer.key_id,
                signature=self._signer.sign(agreement.signing_bytes()),
                actor=PLATFORM_ACTOR,
            )
        return agreement

    def apply(
        self, agreement_id: AgreementId, step: str, actor: Actor, rule: Callable[[Agreement], Agreement]
    ) -> Agreement:
        """Apply a rule to an agreement and store the outcome with its evidence, unless it changes nothing."""
        with self._database.transaction() as connection:
            before = load_agreement(connection, agreement_id)
            after = rule(before)
            if after == before:
                return before
            save_agreement(connection, before, after)
            if before.state is AgreementState.CONFIRMED and after.state is AgreementState.ACTIVE:
                self._uses.record_use_within(
                    connection, after.resource_id, UseKind.AGREEMENT, after.consumer, after.provider
                )
            self._record(connection, after, step, actor)
            if after.state in ENDED:
                self.amendments.lapse_within(connection, after, actor)
        return after

    def _record(self, connection: Connection, agreement: Agreement, step: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.AGREEMENT,
            subject=agreement.id,
            actor=actor,
            facts=agreement_facts(agreement, step),
        )


def decode_signature(text: str) -> bytes:
    """Return the bytes of a base64 signature.

    Raises:
        Invalid: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_field(
            "signature", Text(zh="签名须为 base64 编码。", en="The signature must be base64.")
        ) from error


def _require_usable(key: DepartmentKey, actor: Actor) -> None:
    if key.revoked_at is not None or (actor.kind is not ActorKind.PLATFORM and actor.department != key.department):
        raise Refused(
            "sharing.key_not_usable",
            what=Text(
                zh="该密钥已撤销，或不属于调用者所在部门。",
                en="The key is revoked, or does not belong to the caller's department.",
            ),
            remedy=Text(zh="请用本部门已登记的密钥签署。", en="Sign with a registered key of the department."),
            context={"key_id": key.key_id},
        )
