"""The overview: how much there is, what waits, what is late."""

from datong.catalogue import CatalogueCounts
from datong.governance import CaseStage
from datong.kernel import Value
from datong.sharing import Action, AgreementState, RequestState
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="dashboard")


class DatasetCount(Value):
    """A published dataset and its size."""

    name: str
    rows: int
    version: int


class Dashboard(Value):
    """Numbers of the whole platform."""

    catalogue: CatalogueCounts
    requests_waiting: int
    requests_overdue: int
    requests_total: int
    agreements_active: int
    agreements_total: int
    tasks: int
    datasets: tuple[DatasetCount, ...]
    findings_open: int
    findings_total: int
    cases_open: int
    ledger_entries: int
    simulated_time: bool


@router.get("/dashboard")
def read_dashboard(caller: Caller, hub: Hub) -> Dashboard:
    """Return the numbers of the whole platform."""
    hub.policy.require(caller, Action.DASHBOARD_READ)
    return overview(hub)


def overview(hub: Services) -> Dashboard:
    """Count what the dashboard shows."""
    requests, agreements, findings, cases = hub.requests, hub.agreements, hub.monitor, hub.cases
    return Dashboard(
        catalogue=hub.catalogue.counts(),
        requests_waiting=requests.find(state=RequestState.SUBMITTED, limit=1).total,
        requests_overdue=requests.find(overdue=True, limit=1).total,
        requests_total=requests.find(limit=1).total,
        agreements_active=agreements.find(state=AgreementState.ACTIVE, limit=1).total,
        agreements_total=agreements.find(limit=1).total,
        tasks=hub.exchange.tasks(limit=1).total,
        datasets=tuple(
            DatasetCount(name=dataset.name, rows=dataset.rows, version=dataset.version)
            for dataset in hub.library.datasets()
        ),
        findings_open=findings.findings(settled=False, limit=1).total,
        findings_total=findings.findings(limit=1).total,
        cases_open=sum(cases.find(stage=stage, limit=1).total for stage in CaseStage if stage is not CaseStage.CLOSED),
        ledger_entries=hub.ledger.size() + hub.ledger.waiting(),
        simulated_time=hub.clock.simulated,
    )
