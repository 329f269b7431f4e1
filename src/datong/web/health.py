"""Health: `/healthz` says that the process runs, `/readyz` that it can serve."""

from fastapi import Request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from datong import __version__
from datong.kernel import Text, Unavailable, Value
from datong.web.authentication import Hub
from datong.web.routing import machine_routes

router = machine_routes(tag="health")


class Health(Value):
    """The process answers; `simulated_time` says that its clock is not the real one."""

    status: str
    version: str
    simulated_time: bool
    now: str


@router.get("/healthz")
def health(hub: Hub) -> Health:
    """Say that the process runs, which version, and whether on simulated time."""
    return Health(
        status="ok",
        version=__version__,
        simulated_time=hub.clock.simulated,
        now=hub.clock.now().isoformat(),
    )


@router.get("/readyz")
def ready(hub: Hub, request: Request) -> dict[str, str]:
    """Say whether the control database answers and the lake is there; 503 while not, or when the process ends.

    `unwitnessed`: it can serve, but too few departments witness its log (`/log/quorum` says which are missing).
    """
    if request.app.state.draining.begun:
        raise _not_ready(Text(zh="该进程正在退出服务。", en="This process is going out of service."))
    try:
        with hub.database.snapshot() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        raise _not_ready(Text(zh="控制数据库没有应答。", en="The control database does not answer.")) from error
    if not hub.settings.home.is_dir():
        raise _not_ready(Text(zh="数据目录不可用。", en="The data folder is not available."))
    # Without a quorum it serves on (docs/adr/0182), and does not look healthy.
    return {"status": "ready" if hub.quorum.state().holds else "unwitnessed"}


def _not_ready(what: Text) -> Unavailable:
    return Unavailable(
        "web.not_ready",
        what=what,
        remedy=Text(
            zh="请稍后重试；持续出现时请告知运维人员。", en="Try again later; if it lasts, tell the operators."
        ),
    )
