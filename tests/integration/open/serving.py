"""A hub with a filled catalogue behind a real server on a free port."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import uvicorn

from datong.app.composition import compose
from datong.catalogue import Department
from datong.kernel import PLATFORM_ACTOR, Clock, Database, DepartmentCode, Settings, SystemClock, Text
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer
from datong.library import Library
from datong.sharing import HubSecrets
from datong.web import Services, create_app
from tests.quick_passwords import HASHER

BUREAU = DepartmentCode("114406000000000193")
START_SECONDS_MAX = 120


@dataclass
class OpenHub:
    """A hub that answers at `url`."""

    services: Services
    url: str

    def visitor(self, **headers: str) -> httpx.Client:
        """Return a client without credentials."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, verify=tls_context(self.url))


@contextmanager
def served(
    database: Database,
    home: Path,
    *,
    clock: Clock | None = None,
    public_url: str = "",
    signer: Ed25519Signer | None = None,
    log_origin: str = "datong.local/log",
    library: Callable[[Services], Library] | None = None,
    secrets: HubSecrets | None = None,
) -> Iterator[OpenHub]:
    """Serve a hub over a control database; its authority is registered, nothing else.

    `library` may make another library than that over the exchange's landing.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        home.mkdir(exist_ok=True)
        settings = Settings(
            home=home,
            port=port,
            public_url=public_url,
            log_origin=log_origin,
            # Nodes of these hubs are enrolled and never run; what that is like is another test's matter.
            witness_patience_seconds=31_622_400,
        )
        services = compose(
            settings,
            clock=clock or SystemClock(),
            signer=signer or Ed25519Signer.generate(),
            database=database,
            hasher=HASHER,
            secrets=secrets,
        )
        if library is not None:
            services = replace(services, library=library(services))
        name = Text(zh="政务服务和数据管理局", en="Data bureau")
        services.departments.register(
            Department(code=BUREAU, name=name, short_name=name, is_authority=True), PLATFORM_ACTOR
        )
        server = uvicorn.Server(
            uvicorn.Config(create_app(services), log_level="warning", lifespan="on", timeout_keep_alive=60)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started
        yield OpenHub(services, f"http://127.0.0.1:{port}")
        server.should_exit = True
        thread.join()
