"""An HTTP load generator for long runs: several servers, several kinds of calls, a bounded memory of what came back.

Read a load from stdin as JSON, run it, write the outcome to stdout as JSON. Latencies are counted in steps of 2 %, so
that an hour of calls takes no more memory than a second.
"""

import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

STEP = math.log(1.02)
SMALLEST_MS = 0.01


class MixedLoad(NamedTuple):
    """What to send to which ports: of each kind its share, path and bodies; each connection keeps to one port."""

    ports: Sequence[int]
    token: str
    kinds: Mapping[str, tuple[float, str, Sequence[str]]]
    connections: int
    seconds: float
    seed: int


class MixedOutcome(NamedTuple):
    """Latencies by kind, as counts of steps; answers other than 200 by status, and connections that broke."""

    seconds: float
    counts: Mapping[str, Mapping[str, int]]
    failed: Mapping[str, int]


def milliseconds(counts: Mapping[str, int], share: float) -> float:
    """Return the latency that `share` of the calls did not exceed, to 2 %."""
    left = share * sum(counts.values())
    for step, count in sorted((int(step), count) for step, count in counts.items()):
        left -= count
        if left <= 0:
            return float(SMALLEST_MS * math.exp(STEP * (step + 1)))
    return 0.0


class _Client:
    def __init__(self, load: MixedLoad) -> None:
        self._load = load
        self._dice = random.Random(load.seed)
        self._names = list(load.kinds)
        self._shares = [share for share, _, _ in load.kinds.values()]
        self._counts: dict[str, Counter[int]] = {name: Counter() for name in load.kinds}
        self._failed: Counter[str] = Counter()
        self._until = 0.0

    async def run(self) -> MixedOutcome:
        began = time.perf_counter()
        self._until = began + self._load.seconds
        ports = self._load.ports
        await asyncio.gather(*[self._connection(ports[n % len(ports)]) for n in range(self._load.connections)])
        counts = {name: {str(step): count for step, count in counted.items()} for name, counted in self._counts.items()}
        return MixedOutcome(time.perf_counter() - began, counts, self._failed)

    async def _connection(self, port: int) -> None:
        while time.perf_counter() < self._until:
            try:
                await self._calls(port)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._failed[type(error).__name__] += 1
                await asyncio.sleep(0.1)

    async def _calls(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.perf_counter() < self._until:
                (name,) = self._dice.choices(self._names, self._shares)
                _, path, bodies = self._load.kinds[name]
                began = time.perf_counter()
                writer.write(self._request(path, self._dice.choice(bodies).encode()))
                status = await _answer(reader)
                took = (time.perf_counter() - began) * 1000
                self._counts[name][int(math.log(max(took, SMALLEST_MS) / SMALLEST_MS) / STEP)] += 1
                if status != "200":
                    self._failed[status] += 1
        finally:
            writer.close()

    def _request(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._load.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> str:
    """Read one answer; return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    return head.split(b" ", 2)[1].decode()


def main() -> None:
    """Run the load."""
    outcome = asyncio.run(_Client(MixedLoad(**json.load(sys.stdin))).run())
    json.dump(outcome._asdict(), sys.stdout)


if __name__ == "__main__":
    main()
