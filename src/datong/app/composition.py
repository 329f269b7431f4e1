"""The composition root: settings in, services out.

With `governance_composition` the only place where a hub's parts are put together.
"""

from datetime import timedelta

from datong import __version__
from datong.adapters.webhook_post import WebhookPost
from datong.app.bridges import (
    BatchArrivals,
    ExchangeLanding,
    LibraryRecords,
    LibraryTables,
    ResourceColumns,
    quorum_watch,
)
from datong.app.case_origins import HubOrigins
from datong.app.governance_composition import compose_governance
from datong.app.links import compose_exchanges, compose_relay
from datong.app.opening import open_calendar, open_shelf, open_table_engine, open_tiles
from datong.app.sign_in_composition import compose_sign_in
from datong.app.task_offers import AgreementOffers
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
from datong.federation import Cascade, Harvests, Peers
from datong.governance.tracing import WrongValues
from datong.kernel import (
    CHINA,
    Clock,
    Database,
    Settings,
)
from datong.ledger import Ed25519Signer, Ledger, LogKeyBook, ShardedStore
from datong.library import (
    Corrections,
    Library,
    RetentionRule,
    Reviews,
    StoredDecisions,
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
    Delegations,
    DeltaEvidence,
    DeltaShares,
    DisclosureHolds,
    FileSigner,
    Gateway,
    HubSecrets,
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
    SignInRules,
    Simulator,
    SubscriptionDesk,
    Subscriptions,
    Usage,
)
from datong.sharing.applications import CallMeter, Registrations, Sandbox, sandbox_secret
from datong.sharing.tours import Tours
from datong.sharing.views import SavedViews
from datong.sharing.wishes import Wishes
from datong.web import Bell, Services

MIB, GIB = 1024**2, 1024**3


def compose(
    settings: Settings,
    *,
    clock: Clock,
    signer: Ed25519Signer,
    database: Database,
    hasher: PasswordHasher | None = None,
    secrets: HubSecrets | None = None,
) -> Services:
    """Return the services of a hub over an open, migrated control database.

    `hasher` of passwords may be a quicker one where no attacker reads the database. `secrets` are those of the hub's
    first key, where `signer` is a later one.
    """
    secrets = secrets or HubSecrets.derived(signer)
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
        hub_keys=LogKeyBook(database=database, clock=clock, ledger=ledger).in_use,
    )
    delegations = Delegations(database=database, clock=clock, ledger=ledger)
    openid, identity_links, passkeys = compose_sign_in(
        settings, clock=clock, secret=secrets.index, database=database, ledger=ledger, people=identity
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
        shelf=open_shelf(settings),
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
    index_key = secrets.index
    registrations = Registrations(
        database=database, clock=clock, ledger=ledger, departments=departments, agreements=agreements
    )
    consents = Consents(database=database, clock=clock, ledger=ledger, agreements=agreements, index_key=index_key)
    live = LiveServices(database=database, clock=clock, ledger=ledger, catalogue=catalogue, departments=departments)
    mask_keys = MaskKeys(database=database, clock=clock, ledger=ledger, secret=secrets.mask)
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

    relay = compose_relay(
        settings,
        clock=clock,
        signer=signer,
        requests=requests,
        agreements=agreements,
        catalogue=catalogue,
        departments=departments,
        cascade=cascade,
        peers=peers,
        live=live,
        gateway=gateway,
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

    open_catalogue = OpenCatalogue(database=database, pack=pack, index=index)
    wishes = Wishes(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        open_resource=open_catalogue.get,
        department=departments.get,
        assign_working_days=pack.time_limit("wish_assign"),
        answer_working_days=pack.time_limit("wish_answer"),
    )
    governance = compose_governance(
        settings,
        clock=clock,
        calendar=calendar,
        database=database,
        ledger=ledger,
        pack=pack,
        catalogue=catalogue,
        departments=departments,
        agreements=agreements,
        identity=identity,
        delegations=delegations,
        policy=policy,
        webhooks=webhooks,
        secret=index_key,
        wishes=wishes,
        origins=HubOrigins(
            requests=requests,
            agreements=agreements,
            corrections=corrections,
            sources=sources,
            catalogue=catalogue,
            wishes=wishes,
            pack=pack,
        ),
    )
    usage = Usage(database=database, ledger=ledger, index_key=index_key, releases=releases)
    disclosure_holds = DisclosureHolds(database=database, clock=clock, ledger=ledger, agreements=agreements)
    own_uses = OwnUses(usage=usage, holds=disclosure_holds, clock=clock)
    service_cases = ServiceCases(
        database=database,
        clock=clock,
        ledger=ledger,
        register=service_items,
        agreements=agreements,
        catalogue=catalogue,
        query=gateway.query,
        index_key=index_key,
        pack=pack,
    )
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
        service_cases=service_cases,
        quality=CatalogueQuality(database=database, clock=clock, pack=pack),
        harvests=harvests,
        import_jobs=ImportJobs(database=database, clock=clock),
        inventories=inventories,
        open_catalogue=open_catalogue,
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
        delegations=delegations,
        openid=openid,
        sign_in_rules=SignInRules(database=database, clock=clock, ledger=ledger),
        identity_links=identity_links,
        passkeys=passkeys,
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
        relay=relay,
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
        wishes=wishes,
        views=SavedViews(database=database, clock=clock),
        tours=Tours(database=database, clock=clock),
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
            mask_keys=MaskKeys(database=database, clock=clock, ledger=ledger, secret=sandbox_secret(secrets.mask)),
            pack=pack,
        ),
        monitor=governance.monitor,
        alarms=governance.alarms,
        cases=governance.cases,
        case_desk=governance.case_desk,
        indicators=governance.indicators,
        publications=governance.publications,
        inbox=governance.inbox,
        assignments=governance.assignments,
        meetings=governance.meetings,
        incidents=governance.incidents,
        ratings=governance.ratings,
        staff=governance.staff,
        sending=governance.sending,
        request_flows=governance.request_flows,
        benefits=governance.benefits,
        demand_mining=governance.demand_mining,
        annual_reports=governance.annual_reports,
        wrong_values=WrongValues(
            clock=clock,
            ledger=ledger,
            library=library,
            exchange=exchange,
            departments=departments,
            usage=usage,
            holds=disclosure_holds,
            cases=service_cases,
            monitor=governance.monitor,
            columns=ResourceColumns(catalogue),
        ),
        bell=Bell(database.change_mark),
        call_bell=Bell(database.change_mark),
    )
    live.listen(services.call_bell.ring)
    return services
