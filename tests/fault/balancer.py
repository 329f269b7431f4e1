"""A small TCP balancer: sends each new connection to a server whose `/readyz` says yes, and looks every moment."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

READ_BYTES = 65_536
LOOK_SECONDS = 0.1
ANSWER_SECONDS_MAX = 10.0
ASKED = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Balancer:
    """Forwards connections to `port` of the loopback address to those of `servers` that are ready, in turn."""

    def __init__(self, port: int, servers: Sequence[int]) -> None:
        self.port = port
        self.ready: frozenset[int] = frozenset()
        self._servers = tuple(servers)
        self._turn = count()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name=f"balancer-{port}", daemon=True)
        self._thread.start()
        started.wait()

    def close(self) -> None:
        """End every connection and stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        looks = [self._loop.create_task(self._look(port)) for port in self._servers]
        started.set()
        self._loop.run_forever()
        server.close()
        tasks = [*asyncio.all_tasks(self._loop), *looks]
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        # An aborted connection is only closed in the loop's next turn.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _look(self, port: int) -> None:
        while True:
            ready = False
            with suppress(OSError, TimeoutError):
                ready = await asyncio.wait_for(self._asked(port), ANSWER_SECONDS_MAX)
            self.ready = self.ready | {port} if ready else self.ready - {port}
            await asyncio.sleep(LOOK_SECONDS)

    @staticmethod
    async def _asked(port: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(ASKED)
            return b" 200 " in await reader.readline()
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        try:
            for port in self._in_turn():
                with suppress(OSError):
                    onward_reader, onward = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            ends.add(onward)
            with suppress(asyncio.CancelledError):
                await asyncio.gather(_pump(reader, onward), _pump(onward_reader, writer))
        finally:
            for end in ends:
                end.transport.abort()

    def _in_turn(self) -> list[int]:
        """Return the servers that are ready, another one first than the time before."""
        ready = sorted(self.ready)
        first = next(self._turn) % len(ready) if ready else 0
        return ready[first:] + ready[:first]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes; where one end is over, both are."""
    with suppress(OSError):
        while piece := await reader.read(READ_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()
