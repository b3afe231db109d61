"""Load for a gateway: the simulator's callbacks as signed HTTP requests, over kept connections.

A separate process (`python -m tests.bench.http_load TASK`), so that its cost is not counted as the gateway's.
With a rate each request has a scheduled time, and the wait for a free connection counts (no coordinated
omission). Without one, each connection sends as soon as it was answered. It connects to this machine only,
and ends by itself.
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


class SignedRequest(msgspec.Struct):
    """One request: its bytes, and the call that it reports as failed, else None."""

    raw: bytes
    failed_call: str | None


def signed_requests(load: Load) -> Iterator[SignedRequest]:
    """Signed form posts, in the order of their delivery."""
    url = f"http://{HOST}:{load.port}{PATH}"
    for record in callbacks(load.requests, load.open_calls, load.seed, load.failed):
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
        yield SignedRequest(
            head.encode() + form, body["CallSid"] if body.get("CallStatus") == "failed" else None
        )


class Answer(msgspec.Struct):
    """When it was due and answered (`perf_counter`), the status (0: no answer), and the request's call."""

    due: float
    at: float
    status: int
    failed_call: str | None


class KeptConnection(asyncio.Protocol):
    """One connection with at most one request in flight."""

    def __init__(self, generator: LoadGenerator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._due: float | None = None
        self._failed_call: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, request: SignedRequest, due: float) -> None:
        assert self._transport is not None
        self._due, self._failed_call = due, request.failed_call
        self._transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
        due, self._due = self._due, None
        if due is not None:
            answer = Answer(due, time.perf_counter(), int(data[9:12]), self._failed_call)
            self._generator.answered(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._generator.answered(self, Answer(self._due, time.perf_counter(), 0, None), lost=True)


class LoadGenerator:
    """Sends one load over all of its connections."""

    def __init__(self, load: Load, waiting: list[SignedRequest]) -> None:
        self._load = load
        self._waiting = deque(waiting)
        self._free: deque[KeptConnection] = deque()
        self._due: deque[float] = deque()
        self._left = len(waiting)
        self._ended = asyncio.Event()
        self.answers: list[Answer] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(lambda: KeptConnection(self), HOST, self._load.port)
            self._free.append(connection)
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

    def answered(self, connection: KeptConnection, answer: Answer, *, lost: bool = False) -> None:
        self.answers.append(answer)
        self._left -= 1
        if not self._left:
            self._ended.set()
        if not lost:
            self._free.append(connection)
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
    waiting = list(signed_requests(load))
    generator = LoadGenerator(load, waiting)
    asyncio.run(generator.run())
    answers = generator.answers
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
