"""An HTTP load generator: keep-alive connections in one process, each sending its next request on the last's answer.

It is its own small HTTP/1.1 client, because general clients cost more than what is measured here.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple


class Load(NamedTuple):
    """What to send where: bodies in turn over all connections; `rate` in requests/s, 0 for as fast as answered.

    With a rate, a latency counts from the moment the request was due, so that waiting for the server is not left out.
    """

    port: int
    path: str
    token: str
    bodies: Sequence[str]
    connections: int
    seconds: float
    rate: float = 0.0


class Outcome(NamedTuple):
    """What came back within the time; latencies in milliseconds."""

    requests: int
    failed: int
    seconds: float
    latencies_ms: list[float]


class _Client:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._next = 0
        self._latencies: list[float] = []
        self._failed = 0
        self._until = 0.0

    async def run(self) -> Outcome:
        started = time.perf_counter()
        self._until = started + self._load.seconds
        await asyncio.gather(*[self._connection(number) for number in range(self._load.connections)])
        seconds = time.perf_counter() - started
        return Outcome(len(self._latencies), self._failed, seconds, self._latencies)

    async def _connection(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._load.port)
        interval = self._load.connections / self._load.rate if self._load.rate else 0.0
        due = time.perf_counter() + interval * number / self._load.connections
        while max(due, time.perf_counter()) < self._until:
            if interval:
                await asyncio.sleep(max(due - time.perf_counter(), 0))
            else:
                due = time.perf_counter()
            writer.write(self._request())
            if not await _answer(reader):
                self._failed += 1
            self._latencies.append((time.perf_counter() - due) * 1000)
            due += interval
        writer.close()
        await writer.wait_closed()

    def _request(self) -> bytes:
        load = self._load
        body = load.bodies[self._next % len(load.bodies)].encode()
        self._next += 1
        head = (
            f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {load.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bool:
    """Read one answer; return whether it is a 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    return head.split(b" ", 2)[1] == b"200"


def main() -> None:
    """Read a load from stdin as JSON, run it, write the outcome to stdout as JSON."""
    outcome = asyncio.run(_Client(Load(**json.load(sys.stdin))).run())
    json.dump(outcome._asdict(), sys.stdout)


if __name__ == "__main__":
    main()
