"""The periodic work of a hub: what each sweep does, and how often."""

from datetime import timedelta

from datong.app.bridges import AuthorityKey, LibraryReceipts, RetiredItems, SharedInstead
from datong.app.lineage_posting import LineagePosting
from datong.app.worker import Sweep
from datong.catalogue import recount
from datong.federation import Harvester
from datong.kernel import Clock, Database
from datong.ledger import Ed25519Signer
from datong.library import CorrectionDisposal
from datong.sharing import AgreementWatch, forget_gateway_state
from datong.web import Services

AUTHORITY_KEY_INTERVAL_SECONDS = 1.0
RECEIPT_INTERVAL_SECONDS = 0.3
LIVE_INTERVAL_SECONDS = 30.0
RELAY_INTERVAL_SECONDS = 2.0
"""How often it is looked whether there is a higher hub to ask for calls; one that there is, is asked all the time."""
CORRECTIONS_INTERVAL_SECONDS = 1.0
VERSIONS_INTERVAL_SECONDS = 60.0
"""How often it is looked whether versions and settled reports have been kept long enough."""
RECONCILIATION_INTERVAL_SECONDS = 2.0
TASKS_INTERVAL_SECONDS = 1.0
EVENTS_INTERVAL_SECONDS = 2.0
WEBHOOKS_INTERVAL_SECONDS = 1.0
GATEWAY_INTERVAL_SECONDS = 60.0
"""How often answers kept for repeated calls, and counts of calls, are cleared away when their time is over."""
LINEAGE_INTERVAL_SECONDS = 5.0
OVERLAP_INTERVAL_SECONDS = 2.0
HARVEST_INTERVAL_SECONDS = 1.0
QUALITY_INTERVAL_SECONDS = 15.0
HOLDERS_INTERVAL_SECONDS = 3600.0
SEARCH_INTERVAL_SECONDS = 5.0
FILES_INTERVAL_SECONDS = 30.0
RELEASES_INTERVAL_SECONDS = 600.0
NOTICES_INTERVAL_SECONDS = 2.0
RELIED_INTERVAL_SECONDS = 5.0
MESSAGES_INTERVAL_SECONDS = 5.0
REMINDERS_INTERVAL_SECONDS = 300.0
"""How often deadlines are looked at: a person is reminded within so long."""


def sweeps_of(
    services: Services, *, database: Database, clock: Clock, signer: Ed25519Signer, harvester: Harvester
) -> list[Sweep]:
    """Return every sweep of a hub with these services."""
    settings = services.settings
    receipts = LibraryReceipts(services.exchange)
    authority_key = AuthorityKey(departments=services.departments, signer=signer)

    def watch_duties() -> bool:
        services.monitor.run()
        services.publications.publish_due()
        return False

    shared_instead = SharedInstead(
        service_items=services.service_items, requests=services.requests, agreements=services.agreements
    )

    watch = AgreementWatch(database=database, clock=clock, ledger=services.ledger, agreements=services.agreements)
    retired_items = RetiredItems(services.service_items)

    def watch_agreements() -> bool:
        watch.run(retired_items.new())
        return False

    def harvest() -> bool:
        services.harvests.start_due()
        return harvester.perform_next() is not None

    def clear_releases() -> bool:
        services.releases.sweep(unused_seconds=3600.0 * settings.share_cache_hours)
        return services.shared_files.sweep()

    def forget_calls() -> bool:
        return forget_gateway_state(database, clock.now())

    def follow_requests() -> bool:
        services.request_flows.catch_up()
        return False

    lineage = LineagePosting(services.exchange, settings)
    reports = CorrectionDisposal(
        database=database,
        clock=clock,
        ledger=services.ledger,
        keep=timedelta(days=settings.correction_retention_days),
    )

    def tell_who_relied() -> bool:
        return services.inbox.follow_relied(lambda one: services.wrong_values.relied(services.corrections.get(one)))

    def clear_notices() -> bool:
        return services.inbox.sweep() or services.sending.sweep()

    def send_messages() -> bool:
        made = services.sending.make()
        return services.sending.deliver() or made

    return [
        Sweep(name="notices", interval_seconds=NOTICES_INTERVAL_SECONDS, run=services.inbox.follow),
        Sweep(name="wrong-values", interval_seconds=RELIED_INTERVAL_SECONDS, run=tell_who_relied),
        Sweep(name="reminders", interval_seconds=REMINDERS_INTERVAL_SECONDS, run=services.inbox.remind),
        Sweep(name="messages", interval_seconds=MESSAGES_INTERVAL_SECONDS, run=send_messages, everywhere=True),
        Sweep(name="old-notices", interval_seconds=RELEASES_INTERVAL_SECONDS, run=clear_notices),
        Sweep(name="lineage", interval_seconds=LINEAGE_INTERVAL_SECONDS, run=lineage.post),
        Sweep(
            name="search",
            interval_seconds=SEARCH_INTERVAL_SECONDS,
            run=services.catalogue.discovery.keep_up,
            everywhere=True,
        ),
        Sweep(name="log", interval_seconds=settings.sequence_interval_seconds, run=services.ledger.integrate),
        Sweep(
            name="reconciliations",
            interval_seconds=RECONCILIATION_INTERVAL_SECONDS,
            run=services.exchange.reconciliations.keep_up,
        ),
        Sweep(name="payloads", interval_seconds=FILES_INTERVAL_SECONDS, run=services.exchange.retention.sweep),
        Sweep(name="versions", interval_seconds=VERSIONS_INTERVAL_SECONDS, run=services.library.versions.sweep),
        Sweep(name="reports", interval_seconds=VERSIONS_INTERVAL_SECONDS, run=reports.sweep),
        Sweep(name="leftovers", interval_seconds=FILES_INTERVAL_SECONDS, run=services.exchange.leftovers.sweep),
        Sweep(name="files", interval_seconds=FILES_INTERVAL_SECONDS, run=services.files.sweep),
        Sweep(name="matchings", interval_seconds=RELEASES_INTERVAL_SECONDS, run=services.matchings.sweep),
        Sweep(name="releases", interval_seconds=RELEASES_INTERVAL_SECONDS, run=clear_releases, everywhere=True),
        Sweep(name="events", interval_seconds=EVENTS_INTERVAL_SECONDS, run=services.subscriptions.follow),
        Sweep(
            name="webhooks",
            interval_seconds=WEBHOOKS_INTERVAL_SECONDS,
            run=services.subscriptions.deliver,
            everywhere=True,
        ),
        Sweep(name="gateway", interval_seconds=GATEWAY_INTERVAL_SECONDS, run=forget_calls),
        # Each process counts for itself what it could not write down.
        Sweep(
            name="call-failures",
            interval_seconds=GATEWAY_INTERVAL_SECONDS,
            run=services.gateway.failures.record,
            everywhere=True,
        ),
        Sweep(name="tasks", interval_seconds=TASKS_INTERVAL_SECONDS, run=services.exchange.runs.start_due),
        Sweep(name="receipts", interval_seconds=RECEIPT_INTERVAL_SECONDS, run=receipts.acknowledge),
        Sweep(name="corrections", interval_seconds=CORRECTIONS_INTERVAL_SECONDS, run=services.corrections.follow),
        Sweep(name="live-calls", interval_seconds=LIVE_INTERVAL_SECONDS, run=services.live.sweep),
        Sweep(name="terms", interval_seconds=settings.monitor_interval_seconds, run=watch_agreements),
        Sweep(name="duties", interval_seconds=settings.monitor_interval_seconds, run=watch_duties),
        # Each process keeps a table of its own.
        Sweep(
            name="indicators",
            interval_seconds=settings.monitor_interval_seconds,
            run=services.indicators.keep_up,
            everywhere=True,
        ),
        Sweep(name="request-flows", interval_seconds=settings.monitor_interval_seconds, run=follow_requests),
        Sweep(name="alarms", interval_seconds=settings.monitor_interval_seconds, run=services.alarms.run),
        Sweep(name="overlaps", interval_seconds=OVERLAP_INTERVAL_SECONDS, run=services.overlaps.compare),
        Sweep(
            name="cascade",
            interval_seconds=settings.cascade_interval_seconds,
            run=services.exchanges.exchange_all,
        ),
        Sweep(name="relay", interval_seconds=settings.cascade_interval_seconds, run=services.relay.follower.follow_all),
        Sweep(name="relayed-calls", interval_seconds=RELAY_INTERVAL_SECONDS, run=services.relay.answerer.take_all),
        Sweep(name="holders", interval_seconds=HOLDERS_INTERVAL_SECONDS, run=lambda: recount(database)),
        Sweep(name="quality", interval_seconds=QUALITY_INTERVAL_SECONDS, run=services.quality.refresh),
        Sweep(name="harvest", interval_seconds=HARVEST_INTERVAL_SECONDS, run=harvest, everywhere=True),
        Sweep(name="service-items", interval_seconds=settings.monitor_interval_seconds, run=shared_instead.follow),
        Sweep(name="authority-key", interval_seconds=AUTHORITY_KEY_INTERVAL_SECONDS, run=authority_key.register),
    ]
