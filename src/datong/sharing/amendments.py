"""Amendments and renewals: proposed by a party, signed by both, and then the agreement's terms under the same id."""

from collections.abc import Callable

from sqlalchemy import Connection

from datong.kernel import Actor, AgreementId, Clock, Conflict, Database, DepartmentCode, JsonValue, PersonId, Text
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import amendment_rules
from datong.sharing.agreement_rules import ActingDepartment
from datong.sharing.agreement_store import load_agreement, replace_agreement
from datong.sharing.amendment_rules import Amendment, AmendmentAction, AmendmentState, TermsChange
from datong.sharing.amendment_store import (
    add_amendment,
    amendments_of,
    load_amendment,
    open_amendment,
    open_amendments,
    save_amendment,
)
from datong.sharing.evidence import agreement_facts, text_digest
from datong.sharing.paper_codes import new_code
from datong.sharing.terms import Agreement, AgreementState, PartySignature


class Amendments:
    """The versions of all agreements beside the one in force."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    def of(self, agreement_id: AgreementId) -> tuple[Amendment, ...]:
        """Return the versions of an agreement that were proposed or replaced, newest first."""
        with self._database.snapshot() as connection:
            return amendments_of(connection, agreement_id)

    def open(self, agreement_id: AgreementId) -> Amendment | None:
        """Return the amendment of an agreement that waits for the parties, if there is one."""
        with self._database.snapshot() as connection:
            return open_amendment(connection, agreement_id)

    def to_sign(self, department: DepartmentCode) -> tuple[Agreement, ...]:
        """Return the proposed versions that await the signature of `department`, oldest first."""
        return tuple(
            amendment.proposal
            for amendment in self._waiting(department)
            if amendment.proposal.state is AgreementState.CONFIRMED
            and all(done.department != department for done in amendment.proposal.signatures)
        )

    def to_confirm(self, department: DepartmentCode) -> tuple[Amendment, ...]:
        """Return the amendments that await the word of an officer of `department`, oldest first."""
        return tuple(
            amendment
            for amendment in self._waiting(department)
            if all(done.department != department for done in amendment.proposal.confirmations)
        )

    def propose(
        self, agreement_id: AgreementId, change: TermsChange, by: ActingDepartment, actor: Actor, reason: str
    ) -> Amendment:
        """Propose other terms, or a longer term; the proposing officer thereby confirms them.

        Raises:
            NotFound: there is no such agreement.
            Refused, Conflict, Invalid: see `amendment_rules.propose`; Conflict also while another is open.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            agreement = load_agreement(connection, agreement_id)
            if open_amendment(connection, agreement_id) is not None:
                raise Conflict(
                    "sharing.amendment_open",
                    what=Text(zh="该协议已有一份待签署的变更。", en="A change of this agreement waits already."),
                    remedy=Text(zh="请先办理或撤回那一份。", en="Settle it or take it back first."),
                )
            amendment = amendment_rules.propose(
                agreement, change, by=by, officer=PersonId(actor.id), reason=reason, code=new_code(), now=now
            )
            versions = amendments_of(connection, agreement_id)
            if versions:
                # What came to nothing keeps its number.
                number = versions[0].version + 1
                proposal = amendment.proposal.model_copy(update={"version": number})
                amendment = amendment.model_copy(update={"version": number, "proposal": proposal})
            else:
                add_amendment(connection, amendment_rules.original(agreement))
            add_amendment(connection, amendment)
            self._record(connection, agreement, amendment, "propose", actor)
        return amendment

    def confirm(self, agreement_id: AgreementId, version: int, by: ActingDepartment, actor: Actor) -> Amendment:
        """Record that an officer of a party confirms the new terms.

        Raises:
            NotFound, Refused, Conflict: see `amendment_rules.confirm`.
        """
        officer, now = PersonId(actor.id), self._clock.now()
        return self._change(
            agreement_id,
            version,
            "confirm_amendment",
            actor,
            lambda amendment: amendment_rules.confirm(amendment, by, officer, now),
        )

    def close(
        self,
        agreement_id: AgreementId,
        version: int,
        action: AmendmentAction,
        by: ActingDepartment,
        actor: Actor,
        reason: str,
    ) -> Amendment:
        """Take a proposal back, or decline it with reasons.

        Raises:
            NotFound, Refused, Conflict, Invalid: see `amendment_rules.close`.
        """
        step = f"{action.value}_amendment"
        return self._change(
            agreement_id, version, step, actor, lambda amendment: amendment_rules.close(amendment, action, by, reason)
        )

    def sign(self, agreement_id: AgreementId, version: int, signed: PartySignature, actor: Actor) -> Agreement:
        """Add a verified signature to a proposed version; with both its terms are the agreement's.

        Returns the agreement in force: the new version once both have signed.

        Raises:
            NotFound, Refused, Conflict: see `amendment_rules.sign`.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            agreement = load_agreement(connection, agreement_id)
            before = load_amendment(connection, agreement_id, version)
            after = amendment_rules.sign(before, signed, now)
            if after == before:
                return agreement
            save_amendment(connection, before, after)
            self._record(connection, agreement, after, "sign_amendment", actor)
            if after.state is not AmendmentState.IN_FORCE:
                return agreement
            present = amendment_rules.take_effect(agreement, after)
            held = next(one for one in amendments_of(connection, agreement_id) if one.version == agreement.version)
            save_amendment(connection, held, amendment_rules.supersede(held, agreement))
            replace_agreement(connection, agreement, present)
            self._record(connection, present, after, "amend", actor)
        return present

    def lapse_within(self, connection: Connection, agreement: Agreement, actor: Actor) -> None:
        """Let the open amendment of an agreement lapse, in the transaction that ended the agreement."""
        found = open_amendment(connection, agreement.id)
        if found is not None:
            lapsed = amendment_rules.lapse(found)
            save_amendment(connection, found, lapsed)
            self._record(connection, agreement, lapsed, "lapse_amendment", actor)

    def _waiting(self, department: DepartmentCode) -> tuple[Amendment, ...]:
        with self._database.snapshot() as connection:
            return open_amendments(connection, department, limit=PAGE_ROWS_MAX)

    def _change(
        self,
        agreement_id: AgreementId,
        version: int,
        step: str,
        actor: Actor,
        rule: Callable[[Amendment], Amendment],
    ) -> Amendment:
        with self._database.transaction() as connection:
            agreement = load_agreement(connection, agreement_id)
            before = load_amendment(connection, agreement_id, version)
            after = rule(before)
            if after != before:
                save_amendment(connection, before, after)
                self._record(connection, agreement, after, step, actor)
        return after

    def _record(
        self, connection: Connection, agreement: Agreement, amendment: Amendment, step: str, actor: Actor
    ) -> None:
        """Append the evidence: the facts of the agreement as it stands, and what is proposed."""
        proposal = amendment.proposal
        facts: dict[str, JsonValue] = {
            **agreement_facts(agreement, step),
            "amendment": amendment.version,
            "amendment_kind": amendment.kind.value,
            "amendment_state": amendment.state.value,
            "amendment_terms_sha256": proposal.terms_digest,
            "amendment_reason_sha256": text_digest(amendment.closed_reason or amendment.reason),
            "amendment_confirmed_by": sorted(done.department for done in proposal.confirmations),
            "amendment_signed_by": sorted(done.key_id for done in proposal.signatures),
        }
        self._ledger.append(connection, kind=EntryKind.AGREEMENT, subject=agreement.id, actor=actor, facts=facts)
