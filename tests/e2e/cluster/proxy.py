"""The wires between nodes and clients: a process that forwards TCP, cuts a wire, and records requests.

Bytes pass unchanged or not at all, and it ends when its standard input does.
A wire cut `silently` keeps its connections and accepts new ones, and nothing passes, as if packets were
dropped: what was sent into it arrives when it is mended. One cut by `reset` closes them and every new one.
It takes one JSON object a line and answers each with one. `wires.py` is its other end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

from tests.e2e.cluster.frames import Frames

LIST_OFFSETS = 2
CHUNK = 1 << 16


class Wire:
    """Connections from one side to one address. `heard`: requests are counted, and ListOffsets kept."""

    def __init__(self, target: tuple[str, int], heard: bool) -> None:
        self._target = target
        self._heard = heard
        self._passes = asyncio.Event()
        self._passes.set()
        self._resets = False
        self._refused: frozenset[int] = frozenset()
        self._running: set[asyncio.Task[None]] = set()
        self.requests: Counter[int] = Counter()
        self.offsets_asked: list[tuple[float, int, str, str]] = []
        """(when, version, request, answer) in hexadecimal, without their headers."""

    def cut(self, how: str) -> None:
        if how == "reset":
            self._resets = True
            for task in self._running:
                task.cancel()
        else:
            self._passes.clear()

    def refuse(self, api_keys: list[int]) -> None:
        """A connection over which one of these is asked is closed, unanswered."""
        self._refused = frozenset(api_keys)

    def mend(self) -> None:
        self._resets = False
        self._refused = frozenset()
        self._passes.set()

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            if not self._resets:
                await self._passes.wait()
                await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()  # one side is gone, or the wire is reset: so is the other
        finally:
            self._running.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target, limit=CHUNK)
        asked: dict[int, tuple[int, bytes]] = {}
        requests, answers = Frames(), Frames()

        def hear_requests(data: bytes) -> None:
            for frame in requests.feed(data):
                key, version, number, body = frame.as_request()
                if key in self._refused:
                    raise ConnectionAbortedError
                self.requests[key] += 1
                if key == LIST_OFFSETS:
                    asked[number] = version, body

        def hear_answers(data: bytes) -> None:
            for frame in answers.feed(data):
                number, body = frame.as_answer()
                if number in asked:
                    version, request = asked.pop(number)
                    self.offsets_asked.append((time.time(), version, request.hex(), body.hex()))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, hear: Any) -> None:
            while data := await source.read(CHUNK):
                await self._passes.wait()
                if self._heard:
                    hear(data)
                sink.write(data)
                await sink.drain()

        ways = [
            asyncio.ensure_future(pump(reader, far_writer, hear_requests)),
            asyncio.ensure_future(pump(far_reader, writer, hear_answers)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            far_writer.transport.abort()
            raise
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.close()


class WireProxy:
    """All wires by name, and the commands for them."""

    def __init__(self) -> None:
        self._wires: dict[str, list[Wire]] = {}
        self._servers: list[asyncio.Server] = []

    async def lay(self, name: str, listen: list[Any], target: list[Any], heard: bool) -> None:
        wire = Wire((target[0], target[1]), heard)
        self._servers.append(await asyncio.start_server(wire.accepted, *listen, limit=CHUNK))
        self._wires.setdefault(name, []).append(wire)

    async def do(self, order: dict[str, Any]) -> Any:
        what, names = order["do"], order.get("wires", ())
        if what == "lay":
            return await self.lay(order["name"], order["listen"], order["target"], order["heard"])
        wires = [wire for name in names for wire in self._wires[name]]
        if what == "heard":
            return {
                "requests": sum((wire.requests for wire in wires), Counter()),
                "offsets_asked": [one for wire in wires for one in wire.offsets_asked],
            }
        for wire in wires:
            if what == "cut":
                wire.cut(order["how"])
            elif what == "refuse":
                wire.refuse(order["api_keys"])
            elif what == "mend":
                wire.mend()
            elif what == "forget":
                wire.requests.clear()
                wire.offsets_asked.clear()
        return None


async def main() -> None:
    board = WireProxy()
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = {"ok": await board.do(json.loads(line))}
        except (OSError, KeyError) as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
