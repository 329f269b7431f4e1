"""Going out of service: first noticed, then closed; asked twice, closed at once."""

import signal

import uvicorn
from fastapi import FastAPI

from datong.web.draining import Draining
from datong.web.serving import DrainingServer
from tests.unit.web.asking import run_apart


def server(draining: Draining) -> DrainingServer:
    return DrainingServer(uvicorn.Config(FastAPI()), draining, 5.0)


def test_the_port_closes_when_balancers_had_the_time_to_notice() -> None:
    now = [100.0]
    draining = Draining(lambda: now[0])
    serving = server(draining)
    assert not run_apart(lambda: serving.on_tick(1))
    serving.handle_exit(signal.SIGTERM, None)
    assert draining.begun
    assert not run_apart(lambda: serving.on_tick(1))
    now[0] += 5
    assert run_apart(lambda: serving.on_tick(1))


def test_asked_again_it_ends_at_once() -> None:
    serving = server(Draining())
    for _ in range(2):
        serving.handle_exit(signal.SIGTERM, None)
    assert run_apart(lambda: serving.on_tick(1))
