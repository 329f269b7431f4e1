"""The documents of an agreement: data contract, usage policy, paper; and the check of a paper against the ledger."""

from datetime import datetime
from importlib import import_module

from datong.kernel import AgreementId, Database, DepartmentCode, EntryId, JsonValue, NotFound, Text, Value
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.agreement_store import load_agreement, select_agreements
from datong.sharing.amendment_rules import AmendmentState
from datong.sharing.amendment_store import version_with_code
from datong.sharing.contract import contract_yaml
from datong.sharing.odrl import usage_policy
from datong.sharing.paper_codes import read_code
from datong.sharing.ports import DepartmentBook
from datong.sharing.terms import Agreement, AgreementState

CHECK_PATH = "/open/agreements"
"""Where anybody can check a code."""


class PaperEntry(Value):
    """One entry of the ledger about the agreement; `index` is None until a checkpoint covers it."""

    step: str
    at: datetime
    entry_id: EntryId
    index: int | None
    same_terms: bool
    """Whether the entry names the terms of this paper."""


class PaperFacts(Value):
    """What whoever holds a printed agreement may compare it with. `on_record`: the ledger names these very terms."""

    agreement_id: AgreementId
    version: int
    provider: DepartmentCode
    provider_name: Text
    consumer: DepartmentCode
    consumer_name: Text
    resource_title: Text
    items: int
    service_item: str
    valid_from: datetime
    valid_until: datetime
    state: AgreementState
    version_state: AmendmentState
    """Whether this very version is the present one."""
    terms_digest: str
    signed_by: tuple[str, ...]
    on_record: bool
    entries: tuple[PaperEntry, ...]


class AgreementDocuments:
    """Writes agreements down for people and programs; `base_url` is where others reach the hub."""

    def __init__(self, *, database: Database, ledger: Ledger, departments: DepartmentBook, base_url: str) -> None:
        self._database = database
        self._ledger = ledger
        self._departments = departments
        self._base_url = base_url

    @property
    def check_address(self) -> str:
        """The public page on which a code is checked."""
        return self._base_url + CHECK_PATH

    def contract(self, agreement_id: AgreementId) -> str:
        """Return the agreement as a data contract (Open Data Contract Standard 3.1.0, YAML).

        Raises:
            NotFound: there is no such agreement.
        """
        agreement = self._get(agreement_id)
        return contract_yaml(
            agreement,
            provider=self._departments.get(agreement.provider),
            consumer=self._departments.get(agreement.consumer),
            gateway=f"{self._base_url}/gateway/v1/{agreement.resource_id}",
        )

    def policy(self, agreement_id: AgreementId) -> dict[str, JsonValue]:
        """Return the agreement's usage policy (ODRL 2.2, JSON-LD).

        Raises:
            NotFound: there is no such agreement.
        """
        return usage_policy(self._get(agreement_id))

    def pdf(self, agreement_id: AgreementId) -> bytes:
        """Return the agreement on paper.

        Raises:
            NotFound: there is no such agreement.
        """
        # The typesetting library is a tenth of what a hub imports, and few hubs' days see a PDF.
        paper = import_module("datong.sharing.paper")
        agreement = self._get(agreement_id)
        made: bytes = paper.agreement_pdf(
            agreement,
            provider=self._departments.get(agreement.provider),
            consumer=self._departments.get(agreement.consumer),
            check_address=self.check_address,
        )
        return made

    def check(self, typed: str) -> PaperFacts:
        """Return what is on record about the agreement that bears the code `typed`.

        Raises:
            NotFound: `sharing.code_unknown`: it is no code, or no agreement bears it.
        """
        code = read_code(typed)
        if code is None:
            raise _unknown()
        with self._database.snapshot() as connection:
            found = select_agreements(connection, [tables.agreement.c.code == code], limit=1)
            version = None if found else version_with_code(connection, code)
        if found:
            return self._facts(found[0], AmendmentState.IN_FORCE)
        if version is None:
            raise _unknown()
        return self._facts(version.proposal, version.state)

    def _facts(self, agreement: Agreement, version_state: AmendmentState) -> PaperFacts:
        recorded = self._ledger.entries(kind=EntryKind.AGREEMENT, subject=agreement.id, limit=PAGE_ROWS_MAX).rows
        entries = tuple(
            PaperEntry(
                step=str(entry.facts.get("step")),
                at=entry.at,
                entry_id=entry.entry_id,
                index=entry.index,
                same_terms=agreement.terms_digest
                in {entry.facts.get("terms_sha256"), entry.facts.get("amendment_terms_sha256")},
            )
            for entry in reversed(recorded)
        )
        return PaperFacts(
            agreement_id=agreement.id,
            version=agreement.version,
            provider=agreement.provider,
            provider_name=self._departments.get(agreement.provider).name,
            consumer=agreement.consumer,
            consumer_name=self._departments.get(agreement.consumer).name,
            resource_title=agreement.resource_title,
            items=len(agreement.items),
            service_item=agreement.purpose.service_item,
            valid_from=agreement.valid_from,
            valid_until=agreement.valid_until,
            state=agreement.state,
            version_state=version_state,
            terms_digest=agreement.terms_digest,
            signed_by=tuple(done.key_id for done in agreement.signatures),
            on_record=any(entry.same_terms for entry in entries),
            entries=entries,
        )

    def _get(self, agreement_id: AgreementId) -> Agreement:
        with self._database.snapshot() as connection:
            return load_agreement(connection, agreement_id)


def _unknown() -> NotFound:
    return NotFound(
        "sharing.code_unknown",
        what=Text(zh="没有协议使用这个验证码。", en="No agreement bears this code."),
        remedy=Text(
            zh="请核对纸面上的十六位验证码。如无误，这份文件不是本平台出具的。",
            en="Check the sixteen characters. If they are right, this paper did not come from this platform.",
        ),
        field="/code",
    )
