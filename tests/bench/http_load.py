"""Load for a gateway: the simulator's callbacks as signed HTTP requests, over connections that are kept.

A process of its own (`python -m tests.bench.http_load TASK`), so that what it costs is not the
gateway's cost.
With a rate each request has its time, and what waits for a connection waits on the clock (no coordinated
omission); without one, each connection sends as soon as it was answered. It talks to this machine only, and
stops by itself.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import orjson

from tests.bench.callbacks import callbacks

TOKEN = "bench-token"
HOST = "127.0.0.1"
PATH = "/callbacks/twilio"
ANSWER_LIMIT_S = 20.0


class Load(msgspec.Struct, kw_only=True):
    """What to send. `rate` 0: as fast as answers come; `out`: where the result goes."""

    port: int
    requests: int
    connections: int
    rate: float = 0.0
    open_calls: int = 1000
    failed: float = 0.05
    seed: int = 7
    out: str


class Knock(msgspec.Struct):
    """One request: its bytes, and the call whose end as failed it tells, else None."""

    raw: bytes
    failed_call: str | None


def knocks(load: Load) -> Iterator[Knock]:
    """Signed form posts, in the order of their delivery."""
    url = f"http://{HOST}:{load.port}{PATH}"
    for record in callbacks(load.requests, load.open_calls, load.seed, load.failed, age_s=0):
        body = {
            name: value for name, value in orjson.loads(record.value)["body"].items() if value is not None
        }
        signed = url + "".join(name + body[name] for name in sorted(body))
        signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()
        form = urlencode(body).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {HOST}:{load.port}\r\nUser-Agent: TwilioProxy/1.1\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(form)}\r\n\r\n"
        )
        yield Knock(head.encode() + form, body["CallSid"] if body.get("CallStatus") == "failed" else None)


class Answer(msgspec.Struct):
    """When it was to be sent and was answered (`perf_counter`), with which status (0 for none), to what."""

    due: float
    at: float
    status: int
    failed_call: str | None


class Door(asyncio.Protocol):
    """One kept connection with at most one request on it."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._due: float | None = None
        self._failed_call: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, knock: Knock, due: float) -> None:
        assert self._transport is not None
        self._due, self._failed_call = due, knock.failed_call
        self._transport.write(knock.raw)

    def data_received(self, data: bytes) -> None:
        due, self._due = self._due, None
        if due is not None:
            answer = Answer(due, time.perf_counter(), int(data[9:12]), self._failed_call)
            self._crowd.answered(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._crowd.answered(self, Answer(self._due, time.perf_counter(), 0, None), lost=True)


class Crowd:
    """All connections of one load."""

    def __init__(self, load: Load, waiting: list[Knock]) -> None:
        self._load = load
        self._waiting = deque(waiting)
        self._free: deque[Door] = deque()
        self._due: deque[float] = deque()
        self._left = len(waiting)
        self._ended = asyncio.Event()
        self.answers: list[Answer] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            _, door = await loop.create_connection(lambda: Door(self), HOST, self._load.port)
            self._free.append(door)
        began = time.perf_counter()
        if not self._load.rate:
            self._due.extend([began] * self._left)
            self._match()
        else:
            for number in range(self._left):
                due = began + number / self._load.rate
                wait_s = due - time.perf_counter()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                self._due.append(due)
                self._match()
        await asyncio.wait_for(self._ended.wait(), ANSWER_LIMIT_S + self._left / 200)

    def _match(self) -> None:
        while self._due and self._free and self._waiting:
            due = self._due.popleft() if self._load.rate else time.perf_counter()
            self._free.popleft().send(self._waiting.popleft(), due)

    def answered(self, door: Door, answer: Answer, *, lost: bool = False) -> None:
        self.answers.append(answer)
        self._left -= 1
        if not self._left:
            self._ended.set()
        if not lost:
            self._free.append(door)
            self._match()


def percentiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    seconds.sort()
    if not seconds:
        return {}
    found = {f"p{share}": seconds[len(seconds) * share // 100] * 1e3 for share in (50, 90, 99)}
    return {**found, "max": seconds[-1] * 1e3}


def main() -> None:
    load = msgspec.json.decode(sys.argv[1], type=Load)
    waiting = list(knocks(load))
    crowd = Crowd(load, waiting)
    asyncio.run(crowd.run())
    answers = crowd.answers
    statuses = Counter(str(answer.status) for answer in answers)
    sent = sorted(answer.due for answer in answers)
    seconds = max(answer.at for answer in answers) - sent[0]
    Path(load.out).write_text(
        json.dumps(
            {
                "requests": len(answers),
                "seconds": seconds,
                "per_s": len(answers) / seconds,
                "statuses": statuses,
                "ms": {
                    status: percentiles([a.at - a.due for a in answers if str(a.status) == status])
                    for status in statuses
                },
                "failed_calls": {
                    answer.failed_call: answer.at
                    for answer in sorted(answers, key=lambda answer: answer.at, reverse=True)
                    if answer.failed_call is not None and answer.status == 204
                },
            }
        )
    )


if __name__ == "__main__":
    main()
