"""Good signed requests at a steady rate from an address of their own: what a provider sees of a gateway.

A separate process (`python -m tests.e2e.signed_load TASK`), so that it does not measure the attacker's CPU
use. Each request has a scheduled time, whatever happened to those before it. Half of them use kept
connections and half new ones, as from a provider with many machines. A kept connection that was closed
between two requests is opened again, as every HTTP client does.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
import time
from collections import Counter
from urllib.parse import urlencode

import msgspec

TOKEN = "a-token-that-only-the-provider-knows"
ACCOUNT = "AC0f000000000000000000000000000009"
PATH = "/callbacks/twilio"
ANSWER_LIMIT_S = 10.0
KEPT_AT_MOST = 8


class Load(msgspec.Struct, kw_only=True):
    """What to send. `source`: the local address to connect from."""

    port: int
    seconds: float
    rate: float = 50.0
    source: str = "127.0.0.2"


class Sender:
    """Sends the requests of one load and keeps (seconds, status) of each answer."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.answers: list[tuple[float, int]] = []

    async def run(self) -> None:
        load = self._load
        began = time.perf_counter()
        async with asyncio.TaskGroup() as sending:
            for number in range(round(load.rate * load.seconds)):
                due = began + number / load.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sending.create_task(self._send(number, due))
        for _, writer in self._kept:
            writer.close()

    async def _send(self, number: int, due: float) -> None:
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                status = await self._sent(request(self._load.port, number), fresh=number % 2 == 0)
        except (TimeoutError, OSError, EOFError, ValueError):
            status = 0
        self.answers.append((time.perf_counter() - due, status))

    async def _sent(self, raw: bytes, *, fresh: bool) -> int:
        if not fresh and self._kept:
            kept = self._kept.pop()
            try:
                return await self._on(kept, raw)
            except (OSError, EOFError):
                kept[1].close()
        load = self._load
        return await self._on(
            await asyncio.open_connection("127.0.0.1", load.port, local_addr=(load.source, 0)), raw
        )

    async def _on(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], raw: bytes) -> int:
        reader, writer = connection
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        if len(self._kept) < KEPT_AT_MOST and b"close" not in head.lower():
            self._kept.append(connection)
        else:
            writer.close()
        return int(head[9:12])


def request(port: int, number: int, token: str = TOKEN, account: str = ACCOUNT) -> bytes:
    """A status callback with Twilio's signature."""
    body = {
        "AccountSid": account,
        "CallSid": f"CA{number:032x}",
        "CallStatus": "ringing",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "1",
        "Timestamp": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
    }
    return signed(port, body, token)


def signed(port: int, body: dict[str, str], token: str = TOKEN) -> bytes:
    """A form POST with Twilio's signature."""
    text = f"http://127.0.0.1:{port}{PATH}" + "".join(
        name + body[name] for name in sorted(body, key=str.encode)
    )
    signature = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    form = urlencode(body).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: TwilioProxy/1.1\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    return head.encode() + form


def summary(answers: list[tuple[float, int]]) -> dict[str, object]:
    """Answers by status (0: none), and how long they took in milliseconds."""
    seconds = sorted(one for one, _ in answers)
    return {
        "requests": len(answers),
        "answers": dict(Counter(str(status) for _, status in answers)),
        "p50_ms": seconds[len(seconds) // 2] * 1e3,
        "p99_ms": seconds[len(seconds) * 99 // 100] * 1e3,
        "max_ms": seconds[-1] * 1e3,
    }


def main() -> None:
    sender = Sender(msgspec.json.decode(sys.argv[1], type=Load))
    asyncio.run(sender.run())
    print(json.dumps(summary(sender.answers)))


if __name__ == "__main__":
    main()
