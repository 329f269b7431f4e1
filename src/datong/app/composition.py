"""The composition root: settings in, services out. The only place where a hub's parts are put together."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from socket import gethostname

import yaml
from pydantic import ConfigDict, TypeAdapter

from datong import __version__, adapters
from datong.adapters.directory_store import DirectoryStore
from datong.adapters.file_keys import load_or_create_signer
from datong.adapters.hub_link import HubLink, join_superior
from datong.adapters.polite_web import PoliteWeb
from datong.adapters.smtp_post import SmtpPost
from datong.adapters.webhook_post import WebhookPost
from datong.app.bridges import (
    BatchArrivals,
    ExchangeLanding,
    LibraryRecords,
    LibraryTables,
    ThingNames,
    quorum_watch,
)
from datong.app.schema import migrate
from datong.app.sweeps import sweeps_of
from datong.app.task_offers import AgreementOffers
from datong.app.waiting import wait_for_database
from datong.app.worker import Sweep
from datong.catalogue import (
    Catalogue,
    CatalogueQuality,
    Departments,
    ForeignEntries,
    ImportJobs,
    Inventories,
    OpenCatalogue,
    Overlaps,
    RecipientKeys,
    SearchIndex,
    ServiceItems,
    SketchKeys,
    Sources,
)
from datong.exchange import DiskReserve, Exchange, FileExchange, FilePolicy, Planning
from datong.federation import Cascade, Exchanges, Harvester, Harvests, Joined, Peers, ReaderTerms, Superior, WebReader
from datong.governance import (
    AlarmWatch,
    AnnualReports,
    BenefitFactors,
    Benefits,
    Cases,
    DemandMining,
    Indicators,
    LedgerEvidence,
    Monitor,
    Publications,
    RequestFlows,
    StageLimits,
)
from datong.governance.coordination import Assignments, Incidents, Meetings
from datong.governance.notifications import NEAR_WORKING_DAYS, Inbox, Rate, Sending, reminders_of
from datong.kernel import (
    CHINA,
    Clock,
    Database,
    DepartmentCode,
    Misconfigured,
    OffsetClock,
    Settings,
    SystemClock,
    Text,
    WorkingCalendar,
    new_id,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ed25519Signer, Ledger, ShardedStore, TileStore
from datong.library import (
    Corrections,
    Library,
    RetentionRule,
    Reviews,
    StoredDecisions,
    TableEngine,
)
from datong.norms import load_pack
from datong.sharing import (
    DELTA_SHARING_PATH,
    AgreementDocuments,
    Agreements,
    BlockEvidence,
    Blocks,
    CallQuota,
    Consents,
    DeltaEvidence,
    DeltaShares,
    DisclosureHolds,
    FileSigner,
    Gateway,
    Identity,
    LiveServices,
    MaskKeys,
    Matchings,
    Objections,
    OpenReleases,
    OwnUses,
    PasswordHasher,
    PolicyEngine,
    PrivateStatistics,
    Profiles,
    QuotaWatch,
    RecordPages,
    Releases,
    Requests,
    ResourceEvents,
    ServiceCases,
    SharedFiles,
    SignedCalls,
    Simulator,
    SubscriptionDesk,
    Subscriptions,
    Usage,
    mask_secret,
    subject_index_key,
)
from datong.sharing.applications import CallMeter, Registrations, Sandbox, sandbox_secret
from datong.web import Bell, Services

MIB, GIB = 1024**2, 1024**3
ONLY_WORKER = "hub"
"""The worker of a hub on an embedded database."""
RESTORING = "restoring"
"""File in a hub's folder whose restore did not come to its end."""
_OVERRIDES = TypeAdapter(dict[date, bool], config=ConfigDict(strict=True))


class Hub:
    """An open hub: its services, and the sweeps that its background work consists of."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = open_clock(settings)
        if (settings.home / RESTORING).exists():
            raise Misconfigured(
                "app.restore_interrupted",
                what=Text(
                    zh=f"{settings.home} 的恢复被中断，没有完成。",
                    en=f"The restore of {settings.home} was interrupted.",
                ),
                remedy=Text(
                    zh="请清空数据库，再运行一次 datong hub restore。",
                    en="Empty the database and run datong hub restore once more.",
                ),
            )
        # Keys, people's data, the embedded database: nobody else on the machine has any business there.
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.signer: Ed25519Signer = load_or_create_signer(settings.home / "keys" / "hub.key")
        self.database = Database(settings.effective_database_url)
        wait_for_database(self.database)
        migrate(self.database)
        self.services = compose(settings, clock=self.clock, signer=self.signer, database=self.database)
        self.worker_name = settings.worker_name or (ONLY_WORKER if self.database.is_sqlite else _own_name())

    def sweeps(self) -> list[Sweep]:
        """Return the periodic work of a hub; library builds come on top, as durable jobs."""
        return sweeps_of(
            self.services, database=self.database, clock=self.clock, signer=self.signer, harvester=self.harvester()
        )

    def harvester(self) -> Harvester:
        """Return what performs harvest runs in this process."""
        services, settings = self.services, self.settings
        agent = f"Datong/{__version__} (+{settings.base_url})"

        def open_reader(terms: ReaderTerms) -> WebReader:
            return PoliteWeb(user_agent=agent, terms=terms, networks=settings.intranets)

        return Harvester(
            database=self.database,
            clock=self.clock,
            ledger=services.ledger,
            departments=services.departments,
            foreign=ForeignEntries(clock=self.clock, ledger=services.ledger),
            pack=services.pack,
            open_reader=open_reader,
            worker=self.worker_name,
        )

    def close(self) -> None:
        """Close what was opened."""
        self.database.close()


def _own_name() -> str:
    """Return a name that no other process has: this machine's, and something by chance."""
    return f"{gethostname()[:24]}-{new_id()[-8:]}"


def open_clock(settings: Settings) -> Clock:
    """Return the machine's clock, or the simulated one of the settings."""
    return OffsetClock(settings.clock_offset_file) if settings.clock_offset_file else SystemClock()


def open_calendar(holidays_file: Path | None, of_pack: Mapping[date, bool] | None = None) -> WorkingCalendar:
    """Return the statutory calendar with the overrides of the norm pack and, over them, of a YAML file.

    The file has one date a line (`2027-01-01: false`).

    Raises:
        Misconfigured: the file is missing or holds something else.
    """
    if holidays_file is None:
        return WorkingCalendar(of_pack)
    try:
        of_file = _OVERRIDES.validate_python(yaml.safe_load(holidays_file.read_text()) or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Misconfigured(
            "app.holidays_file_invalid",
            what=Text(
                zh=f"节假日文件 {holidays_file} 不可用。", en=f"The holidays file {holidays_file} is not usable."
            ),
            remedy=Text(
                zh="请每行写“日期: true 或 false”，如 2027-01-01: false。",
                en="Write one date and true or false per line, such as 2027-01-01: false.",
            ),
            field="DATONG_HOLIDAYS_FILE",
        ) from error
    return WorkingCalendar({**(of_pack or {}), **of_file})


def open_tiles(settings: Settings) -> TileStore:
    """Return where the log's files lie: the bucket that `settings` name, or a folder of the home.

    Raises:
        Misconfigured: the extra for object stores is not installed.
    """
    if not settings.object_store:
        return DirectoryStore(settings.home / "log")
    access = adapters.ObjectStoreAccess(
        address=settings.object_store,
        endpoint=settings.object_store_endpoint,
        region=settings.object_store_region,
        key_id=settings.object_store_key_id,
        secret=settings.object_store_secret,
    )
    return adapters.ObjectStore(access, "log")


def compose_exchanges(
    settings: Settings, cascade: Cascade, peers: Peers, *, clock: Clock, signer: Ed25519Signer
) -> Exchanges:
    """Return what exchanges with higher hubs over HTTP, in the name and with the key of this hub."""
    hub, networks = settings.log_origin, settings.intranets

    def join(address: str, token: str, own_name: str) -> Joined:
        return join_superior(address, token, name=own_name, hub=hub, signer=signer, clock=clock, networks=networks)

    def open_superior(address: str, node_id: str) -> Superior:
        return HubLink(address=address, node_id=node_id, signer=signer, clock=clock, networks=networks)

    return Exchanges(cascade=cascade, peers=peers, join=join, open_superior=open_superior)


def open_table_engine(settings: Settings) -> TableEngine | None:
    """Return the table engine that `settings` name, None for the embedded one; it starts when a build needs it."""
    if settings.table_engine == "duckdb":
        return None
    options = dict(option.split("=", 1) for option in settings.spark_options)
    return adapters.SparkEngine(master=settings.spark_master, memory=settings.spark_memory, options=options)


def compose(
    settings: Settings,
    *,
    clock: Clock,
    signer: Ed25519Signer,
    database: Database,
    hasher: PasswordHasher | None = None,
) -> Services:
    """Return the services of a hub over an open, migrated control database.

    `hasher` of passwords may be a quicker one where no attacker reads the database.
    """
    # The pack reads as of the day on which the process starts: a change of norms is a planned restart.
    pack = load_pack(*settings.norms_pack, on=clock.now().astimezone(CHINA).date())
    calendar = open_calendar(settings.holidays_file, pack.calendar)
    tiles = ShardedStore(open_tiles(settings), settings.effective_log_shards)
    ledger = Ledger(database=database, clock=clock, signer=signer, origin=settings.log_origin, tiles=tiles)
    departments = Departments(database=database, clock=clock, ledger=ledger)
    recipient_keys = RecipientKeys(database=database, clock=clock, ledger=ledger)
    index = SearchIndex(settings.home / "search")
    catalogue = Catalogue(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        departments=departments,
        pack=pack,
        index=index,
    )
    foreign = ForeignEntries(clock=clock, ledger=ledger)
    harvests = Harvests(database=database, clock=clock, ledger=ledger, departments=departments, foreign=foreign)
    peers = Peers(database=database, clock=clock, ledger=ledger, departments=departments, foreign=foreign)
    cascade = Cascade(
        database=database,
        clock=clock,
        departments=departments,
        foreign=foreign,
        peers=peers,
        signer=signer,
        hub=settings.log_origin,
    )
    inventories = Inventories(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        departments=departments,
        catalogue=catalogue,
        pack=pack,
    )
    exchanges = compose_exchanges(settings, cascade, peers, clock=clock, signer=signer)
    overlaps = Overlaps(database=database, clock=clock, ledger=ledger, pack=pack)
    sources = Sources(
        database=database, clock=clock, ledger=ledger, departments=departments, overlaps=overlaps, pack=pack
    )
    service_items = ServiceItems(
        database=database, clock=clock, ledger=ledger, departments=departments, sources=sources, pack=pack
    )
    policy = PolicyEngine()
    identity = Identity(
        database=database,
        clock=clock,
        ledger=ledger,
        departments=departments,
        signer=signer,
        issuer=settings.base_url,
        session_hours=settings.session_hours,
        token_seconds=settings.token_seconds,
        logins_at_once_max=settings.logins_at_once_max,
        hasher=hasher,
    )
    agreements = Agreements(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        pack=pack,
        departments=departments,
        policy=policy,
        signer=signer,
        uses=catalogue.discovery,
    )
    requests = Requests(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        pack=pack,
        catalogue=catalogue,
        departments=departments,
        agreements=agreements,
        uses=catalogue.discovery,
    )
    disk = DiskReserve(settings.lake, settings.disk_reserve_mb * MIB)
    exchange = Exchange(
        database=database,
        clock=clock,
        ledger=ledger,
        keys=departments,
        terms=agreements,
        lake=settings.lake,
        hub_signer=signer,
        recipients=recipient_keys,
        calendar=calendar,
        hub_name=settings.log_origin,
        disk=disk,
        retention=timedelta(days=settings.payload_retention_days),
    )
    files = FileExchange(
        database=database,
        clock=clock,
        ledger=ledger,
        keys=departments,
        recipients=recipient_keys,
        terms=agreements,
        lake=settings.lake,
        disk=disk,
        policy=FilePolicy(
            quota_bytes=settings.file_quota_gb * GIB,
            retention=timedelta(days=settings.file_retention_days),
            expiry=timedelta(days=settings.file_expiry_days),
        ),
    )
    library = Library(
        database=database,
        clock=clock,
        ledger=ledger,
        pack=pack,
        lake=settings.lake,
        landing=ExchangeLanding(exchange=exchange, catalogue=catalogue),
        decisions=StoredDecisions(database),
        retention=RetentionRule(days=settings.library_retention_days),
        table_engine=open_table_engine(settings),
    )
    corrections = Corrections(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        library=library,
        limit_working_days=pack.time_limit("correction"),
        arrived_at=BatchArrivals(exchange),
    )
    index_key = subject_index_key(signer)
    registrations = Registrations(
        database=database, clock=clock, ledger=ledger, departments=departments, agreements=agreements
    )
    consents = Consents(database=database, clock=clock, ledger=ledger, agreements=agreements, index_key=index_key)
    live = LiveServices(database=database, clock=clock, ledger=ledger, catalogue=catalogue, departments=departments)
    mask_keys = MaskKeys(database=database, clock=clock, ledger=ledger, secret=mask_secret(signer))
    application_quota = CallQuota(
        per_minute=settings.application_calls_per_minute or None, per_day=settings.application_calls_per_day or None
    )
    gateway = Gateway(
        database=database,
        clock=clock,
        ledger=ledger,
        catalogue=catalogue,
        agreements=agreements,
        policy=policy,
        records=LibraryRecords(library),
        index_key=index_key,
        mask_keys=mask_keys,
        live=live,
        callers=identity,
        application_quota=application_quota,
        consents=consents,
        registrations=registrations,
    )

    endpoint = f"{settings.base_url}{DELTA_SHARING_PATH}"
    tables = LibraryTables(library=library, catalogue=catalogue)
    releases = Releases(folder=settings.home / "delta-sharing", tables=tables, subject_key=index_key)
    delta_shares = DeltaShares(
        clock=clock,
        agreements=agreements,
        departments=departments,
        catalogue=catalogue,
        policy=policy,
        mask_keys=mask_keys,
        tables=tables,
        releases=releases,
        evidence=DeltaEvidence(database=database, ledger=ledger),
        signer=FileSigner(key=index_key, lifetime=timedelta(seconds=settings.share_url_seconds)),
        address=endpoint,
        registrations=registrations,
    )

    events = ResourceEvents(shares=delta_shares, releases=releases, tables=tables, catalogue=catalogue)
    webhooks = WebhookPost(
        user_agent=f"Datong/{__version__} (+{settings.base_url})",
        allow_private=settings.webhooks_private,
        networks=settings.intranets,
    )

    def authorities() -> frozenset[DepartmentCode]:
        return frozenset(department.code for department in departments.all() if department.is_authority)

    cases = Cases(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        authorities=authorities,
        limits=StageLimits.of_pack(pack),
    )
    evidence = LedgerEvidence(
        ledger=ledger,
        calendar=calendar,
        authorities=authorities,
        title_of=lambda resource_id: catalogue.get(resource_id).content.title,
    )
    monitor = Monitor(database=database, clock=clock, calendar=calendar, ledger=ledger, evidence=evidence, cases=cases)
    indicators = Indicators(
        clock=clock,
        pack=pack,
        evidence=evidence,
        monitor=monitor,
        departments=lambda: {department.code: department.name for department in departments.all()},
    )
    publications = Publications(database=database, clock=clock, ledger=ledger, indicators=indicators)

    def registered() -> frozenset[DepartmentCode]:
        return frozenset(department.code for department in departments.all())

    assignments = Assignments(database=database, clock=clock, calendar=calendar, ledger=ledger)
    flows = RequestFlows(database=database, clock=clock, calendar=calendar, ledger=ledger)
    factors = BenefitFactors(
        hours_per_trip=settings.benefit_hours_per_trip,
        hours_per_document=settings.benefit_hours_per_document,
        yuan_per_hour=settings.benefit_yuan_per_hour,
        yuan_per_sheet=settings.benefit_yuan_per_sheet,
    )
    benefits = Benefits(database=database, clock=clock, ledger=ledger, factors=factors)
    inbox = Inbox(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        people=identity,
        policy=policy,
        names=ThingNames(catalogue=catalogue, departments=departments),
        authorities=authorities,
        duties=lambda now: evidence.duties(until=now),
        reminders=lambda now: reminders_of(
            assignments.due_before(calendar.deadline(now, NEAR_WORKING_DAYS)), now=now, calendar=calendar
        ),
    )
    sending = Sending(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        people=identity,
        mailer=SmtpPost(settings),
        sender=webhooks,
        secret=index_key,
        base_url=settings.base_url,
        rate=Rate(hourly_max=settings.notice_messages_per_hour, daily_max=settings.notice_messages_per_day),
    )
    usage = Usage(database=database, ledger=ledger, index_key=index_key, releases=releases)
    disclosure_holds = DisclosureHolds(database=database, clock=clock, ledger=ledger, agreements=agreements)
    own_uses = OwnUses(usage=usage, holds=disclosure_holds, clock=clock)
    services = Services(
        settings=settings,
        hub_key=signer.public_key,
        clock=clock,
        calendar=calendar,
        database=database,
        pack=pack,
        ledger=ledger,
        quorum=quorum_watch(settings, clock, database, identity),
        departments=departments,
        recipient_keys=recipient_keys,
        catalogue=catalogue,
        sketch_keys=SketchKeys(database=database, clock=clock, ledger=ledger),
        overlaps=overlaps,
        sources=sources,
        service_items=service_items,
        service_cases=ServiceCases(
            database=database,
            clock=clock,
            ledger=ledger,
            register=service_items,
            agreements=agreements,
            catalogue=catalogue,
            query=gateway.query,
            index_key=index_key,
            pack=pack,
        ),
        quality=CatalogueQuality(database=database, clock=clock, pack=pack),
        harvests=harvests,
        import_jobs=ImportJobs(database=database, clock=clock),
        inventories=inventories,
        open_catalogue=OpenCatalogue(database=database, pack=pack, index=index),
        peers=peers,
        cascade=cascade,
        exchanges=exchanges,
        exchange=exchange,
        files=files,
        planning=Planning(
            database=database,
            exchange=exchange,
            offers=AgreementOffers(agreements=agreements, catalogue=catalogue, identity=identity),
        ),
        library=library,
        corrections=corrections,
        reviews=Reviews(database=database, clock=clock, ledger=ledger, library=library),
        identity=identity,
        policy=policy,
        requests=requests,
        agreements=agreements,
        simulator=Simulator(database=database, clock=clock, catalogue=catalogue, policy=policy, identity=identity),
        documents=AgreementDocuments(
            database=database, ledger=ledger, departments=departments, base_url=settings.base_url
        ),
        gateway=gateway,
        signed_calls=SignedCalls(clock=clock, machines=identity, secret=index_key),
        record_pages=RecordPages(gateway=gateway, tables=tables, clock=clock, key=index_key),
        shared_files=SharedFiles(
            shares=delta_shares,
            releases=releases,
            ledger=ledger,
            signer=signer,
            folder=settings.home / "downloads",
        ),
        events=events,
        subscriptions=Subscriptions(
            database=database,
            clock=clock,
            ledger=ledger,
            machines=identity,
            events=events,
            sender=webhooks,
            secret=index_key,
        ),
        quota_watch=QuotaWatch(database=database, clock=clock, each_application=application_quota),
        webhook_desk=SubscriptionDesk(database=database, clock=clock, ledger=ledger, sender=webhooks, secret=index_key),
        mask_keys=mask_keys,
        profiles=Profiles(database=database, clock=clock, ledger=ledger, endpoint=endpoint),
        delta_shares=delta_shares,
        releases=releases,
        open_releases=OpenReleases(
            database=database,
            clock=clock,
            ledger=ledger,
            pack=pack,
            library=library,
            folder=settings.lake / "releases",
        ),
        matchings=Matchings(
            database=database,
            clock=clock,
            ledger=ledger,
            catalogue=catalogue,
            departments=departments,
            folder=settings.lake / "matchings",
        ),
        statistics=PrivateStatistics(database=database, clock=clock, ledger=ledger, library=library),
        blocks=Blocks(
            library=library,
            policy=policy,
            pack=pack,
            evidence=BlockEvidence(database=database, clock=clock, ledger=ledger, index_key=index_key),
        ),
        live=live,
        own_uses=own_uses,
        disclosure_holds=disclosure_holds,
        objections=Objections(
            database=database,
            clock=clock,
            calendar=calendar,
            ledger=ledger,
            own_uses=own_uses,
            index_key=index_key,
            # The law sets no days for objections: they are answered as fast as corrections.
            limit_working_days=pack.time_limit("correction"),
        ),
        consents=consents,
        registrations=registrations,
        call_meter=CallMeter(database=database, clock=clock),
        sandbox=Sandbox(
            clock=clock,
            catalogue=catalogue,
            agreements=agreements,
            registrations=registrations,
            policy=policy,
            # Keys of its own: what the sandbox enciphers tells nothing of what the gateway does.
            mask_keys=MaskKeys(
                database=database, clock=clock, ledger=ledger, secret=sandbox_secret(mask_secret(signer))
            ),
            pack=pack,
        ),
        monitor=monitor,
        alarms=AlarmWatch(database=database, clock=clock, calendar=calendar, ledger=ledger),
        cases=cases,
        indicators=indicators,
        publications=publications,
        inbox=inbox,
        assignments=assignments,
        meetings=Meetings(
            database=database,
            clock=clock,
            ledger=ledger,
            cases=cases,
            assignments=assignments,
            departments=registered,
        ),
        incidents=Incidents(
            database=database, clock=clock, ledger=ledger, assignments=assignments, departments=registered
        ),
        sending=sending,
        request_flows=flows,
        benefits=benefits,
        demand_mining=DemandMining(
            clock=clock,
            ledger=ledger,
            needs=lambda: catalogue.discovery.demands(limit=PAGE_ROWS_MAX).rows,
            title_of=lambda resource_id: catalogue.published(resource_id).content.title,
        ),
        annual_reports=AnnualReports(
            clock=clock,
            indicators=indicators,
            publications=publications,
            monitor=monitor,
            flows=flows,
            benefits=benefits,
            title_of=lambda resource_id: catalogue.get(resource_id).content.title,
        ),
        bell=Bell(database.change_mark),
        call_bell=Bell(database.change_mark),
    )
    live.listen(services.call_bell.ring)
    return services
