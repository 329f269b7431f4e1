"""The part of the composition root that puts governance together: monitor, indicators, coordination, notices."""

from dataclasses import dataclass
from datetime import datetime

from datong.adapters.smtp_post import SmtpPost
from datong.adapters.webhook_post import WebhookPost
from datong.app.bridges import ThingNames
from datong.catalogue import Catalogue, Departments
from datong.governance import (
    AlarmWatch,
    AnnualReports,
    BenefitFactors,
    Benefits,
    CaseDesk,
    CaseOrigins,
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
from datong.governance.notifications import (
    NEAR_WORKING_DAYS,
    Inbox,
    Matter,
    Rate,
    Sending,
    certificates_ending,
    reminders_of,
)
from datong.governance.satisfaction import Ratings
from datong.governance.staff import StaffRegister
from datong.kernel import Clock, Database, DepartmentCode, Settings, WorkingCalendar
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.norms import NormPack
from datong.sharing import Agreements, Delegations, Identity, PolicyEngine
from datong.sharing.wishes import SUPPORTED, Wishes, WishOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """The services of the package `governance` in one hub process."""

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


def compose_governance(
    settings: Settings,
    *,
    clock: Clock,
    calendar: WorkingCalendar,
    database: Database,
    ledger: Ledger,
    pack: NormPack,
    catalogue: Catalogue,
    departments: Departments,
    agreements: Agreements,
    identity: Identity,
    delegations: Delegations,
    policy: PolicyEngine,
    wishes: Wishes,
    origins: CaseOrigins,
    webhooks: WebhookPost,
    secret: bytes,
) -> Governance:
    """Return the services of governance over those of the catalogue and of sharing; `secret` signs what is sent."""

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
    staff = StaffRegister(database=database, clock=clock, ledger=ledger)

    def reminders(now: datetime) -> tuple[Matter, ...]:
        near = assignments.due_before(calendar.deadline(now, NEAR_WORKING_DAYS))
        return (*reminders_of(near, now=now, calendar=calendar), *certificates_ending(staff.expiring(now)))

    inbox = Inbox(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        people=identity,
        policy=policy,
        names=ThingNames(catalogue=catalogue, departments=departments),
        authorities=authorities,
        duties=lambda now: monitor.due_soon(since=now, until=calendar.deadline(now, NEAR_WORKING_DAYS + 1)),
        reminders=reminders,
        substitutes=delegations.standing_in,
    )
    sending = Sending(
        database=database,
        clock=clock,
        calendar=calendar,
        ledger=ledger,
        people=identity,
        mailer=SmtpPost(settings),
        sender=webhooks,
        secret=secret,
        base_url=settings.base_url,
        rate=Rate(hourly_max=settings.notice_messages_per_hour, daily_max=settings.notice_messages_per_day),
    )
    return Governance(
        monitor=monitor,
        alarms=AlarmWatch(database=database, clock=clock, calendar=calendar, ledger=ledger),
        cases=cases,
        case_desk=CaseDesk(cases=cases, monitor=monitor, origins=origins),
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
        staff=staff,
        ratings=Ratings(database=database, clock=clock, ledger=ledger, agreements=agreements),
        sending=sending,
        request_flows=flows,
        benefits=benefits,
        demand_mining=DemandMining(
            clock=clock,
            ledger=ledger,
            needs=lambda: catalogue.discovery.demands(limit=PAGE_ROWS_MAX).rows,
            wishes=lambda: wishes.find(states=SUPPORTED, order=WishOrder.SUPPORT, limit=PAGE_ROWS_MAX).rows,
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
    )
