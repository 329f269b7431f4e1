"""The services that the web shell calls; the composition root fills this in, handlers only read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datong.web.waiting import Bell

if TYPE_CHECKING:
    from datong.catalogue import (
        Catalogue,
        CatalogueQuality,
        Departments,
        ImportJobs,
        Inventories,
        OpenCatalogue,
        Overlaps,
        RecipientKeys,
        ServiceItems,
        SketchKeys,
        Sources,
    )
    from datong.exchange import Exchange, FileExchange, Planning
    from datong.federation import Cascade, Exchanges, Harvests, Peers
    from datong.governance import (
        AlarmWatch,
        AnnualReports,
        Benefits,
        CaseDesk,
        Cases,
        DemandMining,
        Indicators,
        Monitor,
        Publications,
        RequestFlows,
    )
    from datong.governance.coordination import Assignments, Incidents, Meetings
    from datong.governance.notifications import Inbox, Sending
    from datong.governance.satisfaction import Ratings
    from datong.governance.staff import StaffRegister
    from datong.governance.tracing import WrongValues
    from datong.kernel import Clock, Database, Settings, WorkingCalendar
    from datong.ledger import Ledger, QuorumWatch
    from datong.library import Corrections, Library, Reviews
    from datong.norms import NormPack
    from datong.sharing import (
        AgreementDocuments,
        Agreements,
        Blocks,
        Consents,
        Delegations,
        DeltaShares,
        DisclosureHolds,
        Gateway,
        Identity,
        LiveServices,
        MaskKeys,
        Matchings,
        Objections,
        OpenReleases,
        OwnUses,
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
    )
    from datong.sharing.applications import CallMeter, Registrations, Sandbox
    from datong.sharing.oidc import IdentityLinks, OpenIdSignIn
    from datong.sharing.passkeys import Passkeys
    from datong.sharing.relay import RelayAnswerer, RelayDesk, RelayFollower
    from datong.sharing.tours import Tours
    from datong.sharing.views import SavedViews
    from datong.sharing.wishes import Wishes


@dataclass(frozen=True, kw_only=True)
class Relay:
    """What has requests and calls go on over links: for lower hubs (`desk`), and towards higher ones."""

    desk: RelayDesk
    follower: RelayFollower
    answerer: RelayAnswerer


@dataclass(frozen=True, kw_only=True)
class Services:
    """Every service of one hub process; `hub_key` is the public key with which it signs its log and its receipts."""

    settings: Settings
    hub_key: bytes
    clock: Clock
    calendar: WorkingCalendar
    database: Database
    pack: NormPack
    ledger: Ledger
    quorum: QuorumWatch
    departments: Departments
    recipient_keys: RecipientKeys
    catalogue: Catalogue
    open_catalogue: OpenCatalogue
    sketch_keys: SketchKeys
    overlaps: Overlaps
    sources: Sources
    service_items: ServiceItems
    service_cases: ServiceCases
    quality: CatalogueQuality
    harvests: Harvests
    import_jobs: ImportJobs
    inventories: Inventories
    peers: Peers
    cascade: Cascade
    exchanges: Exchanges
    exchange: Exchange
    files: FileExchange
    planning: Planning
    library: Library
    corrections: Corrections
    reviews: Reviews
    identity: Identity
    delegations: Delegations
    openid: OpenIdSignIn
    sign_in_rules: SignInRules
    identity_links: IdentityLinks
    passkeys: Passkeys
    policy: PolicyEngine
    requests: Requests
    agreements: Agreements
    documents: AgreementDocuments
    simulator: Simulator
    gateway: Gateway
    signed_calls: SignedCalls
    record_pages: RecordPages
    shared_files: SharedFiles
    events: ResourceEvents
    subscriptions: Subscriptions
    webhook_desk: SubscriptionDesk
    quota_watch: QuotaWatch
    mask_keys: MaskKeys
    matchings: Matchings
    profiles: Profiles
    delta_shares: DeltaShares
    releases: Releases
    open_releases: OpenReleases
    statistics: PrivateStatistics
    live: LiveServices
    relay: Relay
    own_uses: OwnUses
    disclosure_holds: DisclosureHolds
    objections: Objections
    wishes: Wishes
    views: SavedViews
    tours: Tours
    consents: Consents
    registrations: Registrations
    sandbox: Sandbox
    call_meter: CallMeter
    blocks: Blocks
    monitor: Monitor
    alarms: AlarmWatch
    cases: Cases
    case_desk: CaseDesk
    indicators: Indicators
    publications: Publications
    inbox: Inbox
    assignments: Assignments
    meetings: Meetings
    incidents: Incidents
    ratings: Ratings
    staff: StaffRegister
    sending: Sending
    request_flows: RequestFlows
    benefits: Benefits
    demand_mining: DemandMining
    annual_reports: AnnualReports
    wrong_values: WrongValues
    bell: Bell = field(default_factory=Bell)
    """Rung when a node may have something new to do."""
    call_bell: Bell = field(default_factory=Bell)
    """Rung when a live call begins."""
