"""A small city on one hub, built through the services: every page of the console has something to show."""

import base64
import contextlib
import io
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from datong.adapters.connections import open_connector
from datong.adapters.file_keys import load_or_create_signer
from datong.app.composition import compose
from datong.app.schema import migrate
from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    Binding,
    CrawlOptions,
    Department,
    FoundTable,
    InventoryStart,
    Item,
    Resource,
    ResourceAction,
    ResourceContent,
    SourcePlan,
    recipient_key_message,
)
from datong.demo.cast import (
    AUDITOR,
    AUTHORITY,
    BUREAU,
    CITIZEN,
    CLERK,
    EDUCATION,
    EVERYBODY,
    HEADS,
    OFFICERS,
    OPERATOR,
    OWNER_OF,
    Account,
    Member,
    listings,
)
from datong.demo.city import CityPlan
from datong.demo.databases import TABLES, Departments
from datong.demo.records import Source
from datong.exchange import (
    Column,
    ColumnMap,
    Confirmed,
    ContentKey,
    FileId,
    FileManifest,
    FileRecord,
    Manifest,
    Receipt,
    SealedWriter,
    SignedManifest,
    SignedReceipt,
    Task,
    TaskDraft,
    TransferMode,
    schema_fingerprint,
    signed_file,
    write_payload,
)
from datong.kernel import (
    CHINA,
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    AgreementId,
    BatchId,
    Clock,
    Database,
    DepartmentCode,
    NodeId,
    NotFound,
    OffsetClock,
    PersonId,
    Refused,
    Settings,
    new_id,
    sha256_hex,
)
from datong.ledger import Ed25519Signer
from datong.library import Claim, Correction, CorrectionAction, CorrectionSide
from datong.node import Crawler, InventoryJournal
from datong.norms import Grade, ShareMode, ShareType, UpdateCycle
from datong.sharing import (
    Agreement,
    AgreementState,
    BudgetOrder,
    Generaliser,
    Principal,
    PurposeDraft,
    QuasiColumn,
    Question,
    ReleasePlan,
    Request,
    RequestAction,
    RequestLine,
    RequestState,
    Role,
    StatisticKind,
)
from datong.web.services import Services
from tests.integration.console.collecting import collect
from tests.integration.console.teaching import teach
from tests.quick_passwords import HASHER

PEOPLE = 200
PASSWORD = "console-tests-2026"
BATCH_ROWS = 80
SCHOOL_SCENE = "义务教育入学资格审核"
SCHOOL_ITEM = "义务教育入学审核"
ALL_MODES = (ShareMode.INTERFACE, ShareMode.BULK)


class Node:
    """A department's node as far as the hub can tell: an id, a key, and what they sign."""

    def __init__(self, city: "ConsoleCity", member: Member) -> None:
        self.city = city
        self.member = member
        self.signer = Ed25519Signer.generate()
        token = city.hub.identity.create_enrolment(department=member.code, actor=PLATFORM_ACTOR)
        enrolled = city.hub.identity.redeem_enrolment(
            token=token, public_key=self.signer.public_key, name=f"{member.key}-node"
        )
        self.id: NodeId = enrolled.id
        self.actor = Actor(kind=ActorKind.NODE, id=self.id, department=member.code, name=enrolled.name)

    def sign(self, message: bytes) -> str:
        """Return the department's signature in base64."""
        return base64.b64encode(self.signer.sign(message)).decode()


class ConsoleCity:
    """The hub's services, its people by user name, and what grew in it."""

    def __init__(self, home: Path, database: Database | None = None) -> None:
        self.home = home
        self.clock_file = home / "clock"
        self.settings = Settings(home=home, clock_offset_file=self.clock_file, log_origin="console.test/log")
        home.mkdir(parents=True, exist_ok=True)
        self.clock: Clock = OffsetClock(self.clock_file)
        self.database = database or Database(self.settings.effective_database_url)
        migrate(self.database)
        self.signer = load_or_create_signer(home / "keys" / "hub.key")
        self.hub: Services = compose(
            self.settings, clock=self.clock, signer=self.signer, database=self.database, hasher=HASHER
        )
        self.people: dict[str, Principal] = {}
        self.nodes: dict[str, Node] = {}
        self.resources: dict[Source, Resource] = {}
        self.requests: list[Request] = []
        self.tasks: list[Task] = []
        self.files: list[FileRecord] = []
        self.corrections: list[Correction] = []

    def build(self) -> None:
        """Play what a city does in its first weeks."""
        self._register()
        data = Departments(self.home / "data", plan=CityPlan(people=PEOPLE, seed=7))
        data.write()
        self._publish(data)
        self._inventory(data)
        self._ask()
        self._agree()
        self._transfer(data)
        self._send_files()
        self._build_libraries()
        self._use(data)
        self._correct()
        teach(self.database, self.hub.library, self.account(AUTHORITY).actor)
        collect(self)
        self._pass(days=24)
        self._lend()
        self.hub.monitor.run()
        self.settle()

    def _lend(self) -> None:
        """Let an officer ask the department's head to stand in next month."""
        away, instead = (self.people[name].actor for name in ("civil.officer", "civil.head"))
        day = self.clock.now().astimezone(CHINA).date() + timedelta(days=30)
        self.hub.delegations.appoint(substitute=PersonId(instead.id), first_day=day, last_day=day, actor=away)

    def settle(self) -> None:
        """Integrate everything into the log."""
        while self.hub.ledger.integrate():
            pass

    def account(self, account: Account) -> Principal:
        """Return who an account of the cast is."""
        return self.people[account.username]

    def officer(self, member: Member) -> Principal:
        """Return a department's data officer."""
        return self.people["authority" if member is BUREAU else f"{member.key}.officer"]

    def _register(self) -> None:
        hub = self.hub
        for member in EVERYBODY:
            department = Department(
                code=member.code, name=member.name, short_name=member.short_name, is_authority=member is BUREAU
            )
            hub.departments.register(department, PLATFORM_ACTOR)
        hub.departments.register_key(BUREAU.code, self.signer.public_key, None, PLATFORM_ACTOR)
        for account in (OPERATOR, AUTHORITY, *OFFICERS, *HEADS, CLERK, AUDITOR):
            self._open(account, None)
        for member in EVERYBODY:
            if member is not BUREAU:
                self.nodes[member.key] = Node(self, member)
                hub.identity.heartbeat(self.nodes[member.key].id, "ok")

    def _open(self, account: Account, citizen_id: str | None) -> None:
        roles = frozenset(Role(role) for role in account.roles)
        made = self.hub.identity.create_account(
            username=account.username,
            password=PASSWORD,
            name=account.name.zh,
            roles=roles,
            actor=PLATFORM_ACTOR,
            department=account.department.code if account.department else None,
            citizen_id=citizen_id,
        )
        kind = ActorKind.CITIZEN if citizen_id else ActorKind.PERSON
        actor = Actor(kind=kind, id=made.id, department=made.department, name=made.name)
        self.people[account.username] = Principal(actor=actor, roles=roles, subject_id=citizen_id)

    def _publish(self, data: Departments) -> None:
        catalogue, authority = self.hub.catalogue, self.account(AUTHORITY).actor
        for source, listing in listings().items():
            member = OWNER_OF[source]
            officer = self.officer(member).actor
            columns = self._columns(data, source)
            names = [column.name for column in columns if column.name in listing.columns]
            share_type = ShareType(listing.share_type)
            items = tuple(
                Item(
                    name=listing.columns[name].name,
                    column=name,
                    element=listing.columns[name].element,
                    length=40,
                    grade=self._grade(listing.columns[name].element),
                    share_type=share_type,
                    share_condition=listing.share_condition,
                    share_modes=(*ALL_MODES, ShareMode.FILE),
                    open=listing.open,
                    key=name == names[0],
                    mapping_confidence=100 if listing.columns[name].element else 0,
                )
                for name in names
            )
            content = ResourceContent(
                title=listing.title,
                summary=listing.summary,
                classification=listing.classification,
                items=items,
                share_type=share_type,
                share_condition=listing.share_condition,
                share_modes=(*ALL_MODES, ShareMode.FILE),
                open=listing.open,
                update_cycle=UpdateCycle(listing.update_cycle),
                binding=Binding(
                    node_id=self.nodes[member.key].id,
                    source=next(iter(member.sources)),
                    table=TABLES[source].table,
                    cursor_column=names[-1],
                    key_columns=(names[0],),
                ),
                theme=listing.theme,
                keywords=listing.keywords,
                use_condition="限于依法履职",
                data_category="public_geography" if listing.open else "personal",
                assessment=Assessment(
                    secrecy="经保密审查，不涉及国家秘密",
                    personal_information="已评估，风险可控",
                    conclusion=AssessmentConclusion.PASSED,
                    assessed_by="保密办",
                    assessed_on=date(2026, 11, 2),
                ),
            )
            draft = catalogue.draft(member.code, content, officer)
            catalogue.act(draft.id, ResourceAction.SIGN_OFF, self.people[f"{member.key}.head"].actor)
            catalogue.act(draft.id, ResourceAction.SUBMIT, officer)
            if source is not Source.APPLICANTS:
                catalogue.act(draft.id, ResourceAction.APPROVE, authority)
                catalogue.act(draft.id, ResourceAction.PUBLISH, authority)
            self.resources[source] = catalogue.get(draft.id)

    def _inventory(self, data: Departments) -> None:
        """Let every node take the inventory of its department; then the estate's table changes, and it looks again."""
        for member in EVERYBODY:
            if member is BUREAU:
                continue
            plan = self._plan(data, member)
            found = tuple(table.found for table in plan.tables)
            self._report(member, plan.source, found)
            if member is OWNER_OF[Source.PROPERTY]:
                first = found[0]
                column = first.columns[-1]
                renamed = column.model_copy(update={"item": column.item.model_copy(update={"column": "xin_lie"})})
                changed = first.model_copy(update={"columns": (*first.columns[:-1], renamed)})
                self._report(member, plan.source, (changed, *found[1:]))

    def _plan(self, data: Departments, member: Member) -> SourcePlan:
        department = self.hub.departments.get(member.code)
        crawler = Crawler(
            pack=self.hub.pack,
            clock=self.clock,
            department=department,
            node_id=self.nodes[member.key].id,
            options=CrawlOptions(sample_rows=500),
            progress=lambda _: None,
        )
        source = next(iter(member.sources))
        url = self._url(data, next(one for one, owner in OWNER_OF.items() if owner is member))
        journal = InventoryJournal(self.home / "inventory", f"{member.key}/{source}")
        with contextlib.closing(open_connector(url)) as connector:
            return crawler.plan(source, url.split(":", 1)[0], connector, journal)

    def _report(self, member: Member, source: str, found: tuple[FoundTable, ...]) -> None:
        inventories, node = self.hub.inventories, self.nodes[member.key]
        actor = Actor(kind=ActorKind.NODE, id=node.id, department=member.code)
        made = inventories.start(member.code, InventoryStart(source=source, engine="sqlite"), actor)
        inventories.add(made.id, found)
        inventories.finish(made.id, actor)

    def _grade(self, element: str | None) -> Grade:
        pack = self.hub.pack
        return pack.element(element).grade if element and pack.has_element(element) else Grade.L2

    def _columns(self, data: Departments, source: Source) -> tuple[Column, ...]:
        with contextlib.closing(open_connector(f"{self._url(data, source)}")) as connector:
            found = [table for table in connector.inspect() if table.table.startswith(TABLES[source].table)]
            return found[0].columns

    def _url(self, data: Departments, source: Source) -> str:
        path = data.path(source)
        return f"sqlite:///{path}" if TABLES[source].encoding is None else f"files:///{path.parent}"

    def _ask(self) -> None:
        now = self.clock.now().astimezone(CHINA)
        base = {
            "legal_basis": "《中华人民共和国义务教育法》第十二条",
            "scope": "市教育局招生科，本年度入学报名儿童及其监护人",
            "modes": ALL_MODES,
            "valid_from": now,
            "valid_until": now + timedelta(days=365),
        }
        school = PurposeDraft.model_validate({**base, "scene": SCHOOL_SCENE, "service_item": SCHOOL_ITEM})
        library = PurposeDraft.model_validate(
            {
                **base,
                "legal_basis": "《政务数据共享条例》第三十条",
                "scene": "建设人口基础库",
                "service_item": "人口库建设",
            }
        )
        wanted = (Source.RESIDENTS, Source.MARRIAGES, Source.INSURED, Source.PROPERTY)
        self.requests += self._submit(EDUCATION, wanted, school)
        sources = [source for source in Source if source is not Source.APPLICANTS]
        self.requests += self._submit(BUREAU, tuple(sources), library)

    def _submit(self, member: Member, sources: tuple[Source, ...], purpose: PurposeDraft) -> tuple[Request, ...]:
        lines = [
            RequestLine(
                resource_id=self.resources[source].id,
                items=tuple(item.column for item in self.resources[source].content.items),
            )
            for source in sources
        ]
        actor = (self.account(CLERK) if member is EDUCATION else self.officer(member)).actor
        return self.hub.requests.submit(consumer=member.code, lines=lines, purpose=purpose, actor=actor)

    def _agree(self) -> None:
        """Approve what waits, except the property for the schools; then confirm and sign every agreement."""
        requests, agreements = self.hub.requests, self.hub.agreements
        silent = self.resources[Source.PROPERTY].id
        for request in self.requests:
            present = requests.get(request.id)
            ignored = present.consumer == EDUCATION.code and present.resource_id == silent
            if present.state is RequestState.SUBMITTED and not ignored:
                officer = self.officer(self._member(present.provider)).actor
                requests.act(present.id, RequestAction.APPROVE, officer)
        for request in self.requests:
            agreement = agreements.of_request(request.id)
            if agreement is None or (
                agreement.consumer == EDUCATION.code and agreement.resource_id == self.resources[Source.MARRIAGES].id
            ):
                continue
            for party in agreement.parties:
                agreements.confirm(agreement.id, party, self.officer(self._member(party)).actor)
            for party in agreement.parties:
                self._sign(agreement.id, party)

    def _sign(self, agreement_id: AgreementId, party: DepartmentCode) -> None:
        agreement = self.hub.agreements.get(agreement_id)
        if party == BUREAU.code or agreement.state is not AgreementState.CONFIRMED:
            return
        node = self.nodes[self._member(party).key]
        signature = node.signer.sign(agreement.signing_bytes())
        self.hub.agreements.sign(agreement.id, key_id=node.signer.key_id, signature=signature, actor=node.actor)

    def _member(self, code: DepartmentCode) -> Member:
        return next(member for member in EVERYBODY if member.code == code)

    def _transfer(self, data: Departments) -> None:
        for request in self.requests:
            agreement = self.hub.agreements.of_request(request.id)
            if agreement is not None and agreement.state is AgreementState.ACTIVE:
                self._run_task(data, agreement)

    def _correct(self) -> None:
        """Let the authority report two cells of one person; one report is answered, the other becomes overdue."""
        hub, reporter = self.hub, self.account(AUTHORITY).actor
        entity = hub.library.find_entities("population", "陈", limit=1)[0].entity_id
        for element, believed in (("person_name", "陈志刚"), ("birth_date", None)):
            cell = hub.corrections.cells.cell_of_entity("population", entity, element)
            claim = Claim(believed=believed, statement="与户口簿不一致，见附件复印件第 2 页。")
            made = hub.corrections.report(cell, claim, actor=reporter, consumer=BUREAU.code)
            self.corrections.append(made)
        officer = self.officer(self._member(self.corrections[0].provider)).actor
        hub.corrections.act(
            self.corrections[0].id,
            CorrectionAction.REJECT,
            actor=officer,
            sides=(CorrectionSide.SOURCE,),
            statement="经核对原始档案，登记无误。",
        )

    def _send_files(self) -> None:
        """Send a file that waits, one that is sealed, and the beginning of a third, all to the education office."""
        request = next(one for one in self.requests if one.consumer == EDUCATION.code and one.agreement_id)
        agreement = self.hub.agreements.get(AgreementId(str(request.agreement_id)))
        sender, receiver = (self.nodes[self._member(code).key] for code in agreement.parties)
        secret = X25519PrivateKey.generate().public_key().public_bytes_raw()
        vouched = receiver.signer.sign(recipient_key_message(str(receiver.member.code), receiver.id, secret))
        recipient = self.hub.recipient_keys.register(receiver.actor, secret, vouched)
        for name, whole in (("学区不动产登记档案扫描件.zip", True), ("", True), ("入学审核附件 2026 秋.tar", False)):
            content = name.encode() * 20_000
            manifest = FileManifest(
                file_id=FileId(new_id()),
                agreement_id=agreement.id,
                sender=agreement.provider,
                sender_node=sender.id,
                recipient=agreement.consumer,
                name=name,
                sm3=sha256_hex(b"sm3 " + content) if name else "",
                payload_digest=sha256_hex(content),
                payload_bytes=len(content),
                sent_at=self.clock.now(),
            )
            if not name:
                sealed, key = io.BytesIO(), ContentKey.generate(manifest.sealing_context)
                with SealedWriter(sealed, key) as writer:
                    writer.write(b"sealed" * 20_000)
                content = sealed.getvalue()
                facts = {"payload_digest": sha256_hex(content), "payload_bytes": len(content)}
                manifest = manifest.model_copy(update={**facts, "sealing": key.sealing([recipient])})
            self._send(sender, manifest, content if whole else content[: len(content) // 3], whole=whole)

    def _send(self, sender: Node, manifest: FileManifest, content: bytes, *, whole: bool) -> None:
        files = self.hub.files
        files.open(signed_file(manifest, sender.signer), node=sender.id)
        files.put_chunk(manifest.file_id, 0, content, sha256_hex(content), node=sender.id)
        if whole:
            files.commit(manifest.file_id, actor=sender.actor)
        self.files.append(files.record(manifest.file_id))

    def _run_task(self, data: Departments, agreement: Agreement) -> None:
        source = next(key for key, resource in self.resources.items() if resource.id == agreement.resource_id)
        owner = OWNER_OF[source]
        to_library = agreement.consumer == BUREAU.code
        resource = self.resources[source]
        binding = resource.content.binding
        assert binding is not None
        columns = agreement.items
        officer = self.officer(self._member(agreement.consumer)).actor
        task = self.hub.exchange.create_task(
            TaskDraft(
                agreement_id=agreement.id,
                resource_id=agreement.resource_id,
                resource_version=agreement.resource_version,
                provider=agreement.provider,
                consumer=agreement.consumer,
                producer_node=self.nodes[owner.key].id,
                consumer_node=None if to_library else self.nodes["education"].id,
                source=binding.source,
                table=binding.table,
                columns=tuple(ColumnMap(column=item.column, item=item.name.zh) for item in columns),
                key_columns=binding.key_columns,
                target_table="" if to_library else f"from_{owner.key}",
                batch_rows=50_000 if source is Source.DIVISIONS else BATCH_ROWS,
            ),
            actor=officer,
        )
        self.hub.exchange.request_run(task.id, actor=officer)
        self._produce(data, source, task, self.nodes[owner.key])
        self.tasks.append(self.hub.exchange.task(task.id))

    def _produce(self, data: Departments, source: Source, task: Task, node: Node) -> None:
        by_name = {column.name: column for column in self._columns(data, source)}
        columns = tuple(by_name[pair.column] for pair in task.columns)
        with contextlib.closing(open_connector(self._url(data, source))) as connector:
            reader = connector.read(task.query(None).model_copy(update={"table": self._table(data, source)}))
            batches = list(reader)
        confirmed = Confirmed()
        sequence, previous = confirmed.sequence, confirmed.digest
        for part, batch in enumerate(batches, start=1):
            sequence += 1
            manifest, payload = self._cut(task, node, batch, columns, sequence, previous, part, part == len(batches))
            self._upload(node, manifest, payload)
            previous = manifest.digest
            self._receive(task, manifest)
        self.hub.exchange.finish_run(task.id, 1, actor=node.actor)

    def _table(self, data: Departments, source: Source) -> str:
        with contextlib.closing(open_connector(self._url(data, source))) as connector:
            return next(t.table for t in connector.inspect() if t.table.startswith(TABLES[source].table))

    def _cut(
        self,
        task: Task,
        node: Node,
        batch: pa.RecordBatch,
        columns: tuple[Column, ...],
        sequence: int,
        previous: str,
        part: int,
        last: bool,
    ) -> tuple[Manifest, bytes]:
        path = self.home / "payload.arrow"
        facts = write_payload(path, [batch], columns)
        manifest = Manifest(
            batch_id=BatchId(new_id()),
            task_id=task.id,
            agreement_id=task.agreement_id,
            sequence=sequence,
            previous_digest=previous,
            resource_id=task.resource_id,
            resource_version=task.resource_version,
            schema_fingerprint=schema_fingerprint(columns),
            columns=columns,
            cursor_from=None,
            cursor_to=None,
            rows=batch.num_rows,
            content_digest=facts.content.sum,
            payload_digest=facts.digest,
            payload_bytes=facts.bytes,
            produced_at=self.clock.now(),
            department=node.member.code,
            mode=TransferMode.SNAPSHOT,
            run=1,
            part=part,
            last=last,
        )
        return manifest, path.read_bytes()

    def _upload(self, node: Node, manifest: Manifest, payload: bytes) -> None:
        exchange = self.hub.exchange
        signed = SignedManifest(
            manifest=manifest, key_id=node.signer.key_id, signature=node.sign(manifest.signing_bytes())
        )
        exchange.open_upload(signed, node=node.id)
        exchange.put_chunk(manifest.batch_id, 0, payload, sha256_hex(payload), node=node.id)
        exchange.commit(manifest.batch_id, actor=node.actor)

    def _receive(self, task: Task, manifest: Manifest) -> None:
        if task.consumer_node is None:
            self.hub.exchange.library.record_receipt(manifest.batch_id)
            return
        node = self.nodes["education"]
        receipt = Receipt(
            batch_id=manifest.batch_id,
            task_id=task.id,
            sequence=manifest.sequence,
            manifest_digest=manifest.digest,
            consumer=node.member.code,
            rows_applied=manifest.rows,
            rows_rejected=0,
            table_digest=None,
            applied_at=self.clock.now(),
        )
        signed = SignedReceipt(receipt=receipt, key_id=node.signer.key_id, signature=node.sign(receipt.signing_bytes()))
        self.hub.exchange.record_receipt(signed, actor=node.actor)

    def _build_libraries(self) -> None:
        for name in ("population", "geography", "low_income_family", "relations"):
            build = self.hub.library.request_build(name, actor=self.account(AUTHORITY).actor)
            self.hub.library.run_build(build.id)
        self._release()

    def _release(self) -> None:
        """Release a coarse table of people, and answer a statistic."""
        actor = self.account(AUTHORITY).actor
        sexes = QuasiColumn(column="sex", kind=Generaliser.CATEGORY, level=1)
        self.hub.open_releases.release(ReleasePlan(dataset="population", quasi=(sexes,)), actor)
        self.hub.statistics.grant("population", BudgetOrder(granted_milli=1000, statement="年度统计公报"), actor)
        self.hub.statistics.ask(Question(dataset="population", kind=StatisticKind.COUNT), actor)

    def _use(self, data: Departments) -> None:
        """Let the schools look people up; one of them is the citizen who signs in later."""
        rows = data.contents[Source.RESIDENTS].rows
        resource = self.resources[Source.RESIDENTS]
        made = self.hub.identity.create_application(
            name="入学审核系统", department=EDUCATION.code, actor=PLATFORM_ACTOR
        )
        token = self.hub.identity.token_for_application(made.application.client_id, made.client_secret)
        caller = self.hub.identity.verify_token(token.access_token)
        citizen_id = next(str(row[2]) for row in rows if len(str(row[2])) == 18)
        for number, purpose in enumerate((SCHOOL_ITEM, SCHOOL_ITEM, "其他用途")):
            with contextlib.suppress(Refused, NotFound):
                self.hub.gateway.query(
                    caller,
                    resource.id,
                    key={"citizen_id": citizen_id},
                    items=("xm", "hjdz"),
                    purpose=purpose,
                    case_number=f"RX2026-{number:04}",
                )
        self._open(CITIZEN, citizen_id)

    def _pass(self, *, days: int) -> None:
        self.clock_file.write_text(str(timedelta(days=days).total_seconds()))
