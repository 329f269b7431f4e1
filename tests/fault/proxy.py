"""A TCP proxy that behaves as badly as a network can: cut, slow, lossy, half open, or altering what passes.

It stands in for `netem` where the kernel has none. A lost segment shows to the two ends as TCP shows it: a pause before
the same bytes come (retransmission), or, now and then, a connection that dies.
"""

import asyncio
import random
import threading
from contextlib import suppress
from dataclasses import dataclass

READ_BYTES = 16_384
RETRANSMISSION_SECONDS = 0.2
LOST_FOR_GOOD = 0.02
"""Of the lost segments, the share whose connection never recovers."""


@dataclass(frozen=True)
class Weather:
    """What befalls connections; the default is a good network."""

    cut: bool = False
    """Connections are refused, those that exist are reset."""
    half_open: bool = False
    """Connections are taken and stay open, and nothing passes."""
    delay_seconds: float = 0.0
    """Every piece of bytes waits this long."""
    loss: float = 0.0
    """The share of pieces that get lost."""
    alter: float = 0.0
    """The share of long pieces towards the server in which one byte changes."""
    truncate: float = 0.0
    """The share of pieces from the server after half of which the connection ends."""


class FaultProxy:
    """Forwards `port` to `upstream` on the loopback address, under a weather that may change at any time."""

    def __init__(self, port: int, upstream: int, *, seed: int) -> None:
        self.port = port
        self._upstream = upstream
        self._random = random.Random(seed)
        self._weather = Weather()
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.StreamWriter] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name=f"proxy-{port}", daemon=True)
        self._thread.start()
        started.wait()

    @property
    def url(self) -> str:
        """The address under which clients reach the server."""
        return f"http://127.0.0.1:{self.port}"

    def set(self, weather: Weather) -> None:
        """Change the weather, for connections that exist too."""
        self._weather = weather
        if weather.cut:
            self._loop.call_soon_threadsafe(self._reset_all)

    def calm(self) -> None:
        """Return to a good network; connections that got stuck are reset, as keep-alive does in the end."""
        stuck = self._weather.half_open
        self._weather = Weather()
        if stuck:
            self._loop.call_soon_threadsafe(self._reset_all)

    def close(self) -> None:
        """End every connection and stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        # An aborted connection is only closed in the loop's next turn.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _reset_all(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.cut:
            writer.transport.abort()
            return
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, onward}
        self._connections |= ends
        try:
            await asyncio.gather(
                self._pump(reader, onward, towards_server=True),
                self._pump(onward_reader, writer, towards_server=False),
            )
        finally:
            self._connections -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, towards_server: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(READ_BYTES):
                passed = await self._pass(piece, towards_server=towards_server)
                writer.write(passed)
                await writer.drain()
                if len(passed) < len(piece):
                    break
        writer.close()

    async def _pass(self, piece: bytes, *, towards_server: bool) -> bytes:
        """Return what of `piece` arrives, when it arrives."""
        while self._weather.half_open:
            await asyncio.sleep(RETRANSMISSION_SECONDS)
        weather = self._weather
        if weather.delay_seconds:
            await asyncio.sleep(weather.delay_seconds)
        lost = 0
        while self._random.random() < weather.loss:
            if self._random.random() < LOST_FOR_GOOD:
                raise ConnectionResetError
            await asyncio.sleep(RETRANSMISSION_SECONDS * 2**lost)
            lost += 1
        if towards_server and len(piece) == READ_BYTES and self._random.random() < weather.alter:
            place = self._random.randrange(READ_BYTES)
            return piece[:place] + bytes([piece[place] ^ 0x20]) + piece[place + 1 :]
        if not towards_server and self._random.random() < weather.truncate:
            return piece[: len(piece) // 2]
        return piece
