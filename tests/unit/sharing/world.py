"""Everything a sharing test needs, put together once."""

from collections.abc import Callable, Mapping, Sequence

from datong.kernel import AgreementId, Database, DepartmentCode, FixedClock, NodeId, ResourceId, WorkingCalendar
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.norms import load_pack
from datong.sharing.agreements import Agreements
from datong.sharing.applications import Registrations
from datong.sharing.citizens import DisclosureHolds, Objections, OwnUses
from datong.sharing.consent import Consents
from datong.sharing.documents import AgreementDocuments
from datong.sharing.gateway import Gateway
from datong.sharing.identity import Identity
from datong.sharing.mask_keys import MaskKeys, mask_secret
from datong.sharing.policy import PolicyEngine
from datong.sharing.ports import DepartmentBook, MemoryDepartments, MemoryResources, MemoryUses
from datong.sharing.records import Record
from datong.sharing.requests import Requests
from datong.sharing.row_filters import RowCondition
from datong.sharing.subjects import subject_index_key
from datong.sharing.terms import Agreement, PurposeDraft, Request, RequestLine
from datong.sharing.usage import Usage
from tests.quick_passwords import HASHER
from tests.unit.sharing.samples import DEPARTMENTS, EDUCATION, NOW, PURPOSE, RESOURCE, node, person, resource

ISSUER = "http://hub.example"
PACK = load_pack()
POLICY = PolicyEngine()


class Records:
    """Records that a test may replace while the gateway reads them."""

    def __init__(self) -> None:
        self.rows: dict[ResourceId, tuple[Mapping[str, str | None], ...]] = {}
        self.lookups = 0

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        self.lookups += len(key_values)
        rows = self.rows.get(resource_id, ())
        return [
            tuple(Record(values=values) for values in rows if values.get(key_element) == key_value)
            for key_value in key_values
        ]


class World:
    """The services of a hub, and the keys of its departments' nodes."""

    def __init__(
        self,
        database: Database,
        register: Callable[["World"], DepartmentBook] = lambda _: MemoryDepartments(DEPARTMENTS),
    ) -> None:
        self.database = database
        self.clock = FixedClock(NOW)
        self.calendar = WorkingCalendar()
        self.signer = Ed25519Signer.generate()
        self.ledger = Ledger(
            database=database, clock=self.clock, signer=self.signer, origin="test.datong/log", tiles=MemoryTileStore()
        )
        self.departments = register(self)
        self.resources = MemoryResources([resource()])
        self.uses = MemoryUses()
        self.keys = {department.code: Ed25519Signer.generate() for department in DEPARTMENTS}
        self.identity = Identity(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            departments=self.departments,
            signer=self.signer,
            issuer=ISSUER,
            hasher=HASHER,
        )
        self.agreements = Agreements(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            pack=PACK,
            departments=self.departments,
            policy=POLICY,
            signer=self.signer,
            uses=self.uses,
        )
        self.documents = AgreementDocuments(
            database=database, ledger=self.ledger, departments=self.departments, base_url=ISSUER
        )
        self.requests = Requests(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            pack=PACK,
            catalogue=self.resources,
            departments=self.departments,
            agreements=self.agreements,
            uses=self.uses,
        )
        self.records = Records()
        index_key = subject_index_key(self.signer)
        self.mask_keys = MaskKeys(
            database=database, clock=self.clock, ledger=self.ledger, secret=mask_secret(self.signer)
        )
        self.consents = Consents(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            agreements=self.agreements,
            index_key=index_key,
        )
        self.registrations = Registrations(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            departments=self.departments,
            agreements=self.agreements,
        )
        self.gateway = Gateway(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            catalogue=self.resources,
            agreements=self.agreements,
            policy=POLICY,
            records=self.records,
            index_key=index_key,
            mask_keys=self.mask_keys,
            consents=self.consents,
            registrations=self.registrations,
            callers=self.identity,
        )
        self.usage = Usage(database=database, ledger=self.ledger, index_key=index_key)
        self.holds = DisclosureHolds(
            database=database, clock=self.clock, ledger=self.ledger, agreements=self.agreements
        )
        self.own_uses = OwnUses(usage=self.usage, holds=self.holds, clock=self.clock)
        self.objections = Objections(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            own_uses=self.own_uses,
            index_key=index_key,
            limit_working_days=10,
        )

    def submit(
        self,
        items: Sequence[str],
        *,
        consumer: DepartmentCode = EDUCATION,
        resource_id: ResourceId = RESOURCE,
        rows: tuple[RowCondition, ...] = (),
        **change: object,
    ) -> tuple[Request, ...]:
        """Submit a request for items of one resource, of some rows; `change` alters the purpose."""
        draft = PurposeDraft.model_validate(PURPOSE.model_dump()).model_copy(update=change)
        lines = [RequestLine(resource_id=resource_id, items=tuple(items), rows=rows)]
        return self.requests.submit(consumer=consumer, lines=lines, purpose=draft, actor=person(consumer))

    def enrol_key(self, code: DepartmentCode) -> str:
        """Register the department's test key; return its id."""
        signer = self.keys[code]
        self.departments.register_key(code, signer.public_key, NodeId(f"node-{code}"), node(code).actor)
        return signer.key_id

    def revoke(self, key_id: str) -> None:
        """Revoke a key held in memory."""
        assert isinstance(self.departments, MemoryDepartments)
        self.departments.revoke(key_id)

    def sign(self, agreement: Agreement, code: DepartmentCode) -> Agreement:
        """Sign as the department's node does."""
        key_id = self.enrol_key(code)
        signature = self.keys[code].sign(agreement.signing_bytes())
        return self.agreements.sign(agreement.id, key_id=key_id, signature=signature, actor=node(code).actor)

    def put_in_force(self, agreement_id: AgreementId | None) -> Agreement:
        """Confirm and sign an agreement for both sides."""
        assert agreement_id is not None
        agreement = self.agreements.get(agreement_id)
        for code in agreement.parties:
            agreement = self.agreements.confirm(agreement_id, code, person(code))
        for code in agreement.parties:
            if all(done.department != code for done in agreement.signatures):
                agreement = self.sign(agreement, code)
        return agreement
