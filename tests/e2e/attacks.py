"""Attacks on a gateway of this machine, bounded in time and connections.

A separate process (`python -m tests.e2e.attacks TASK`). It connects to 127.0.0.1 only, from its own address,
and ends by itself. A connection that is cut is opened again after a moment, as an attacker would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.signed_load import ACCOUNT, signed

PATH = "/callbacks/twilio"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
RECONNECT_S = 0.02
"""Between the end of a connection and its replacement."""

MEBIBYTE = 1 << 20

TELNYX_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Telnyx' signing key in these tests."""

CAPTURED = b'{"data":{"event_type":"call.initiated","id":"e1","payload":{"call_leg_id":"seen"}}}'

HOSTILE = "\x1b[2J\x1b]0;owned\x07[/bold][link=x]\x9b31m\u202egnp.exe\u2066\r\n"
"""Escape sequences, a C1 control, bidirectional overrides, another library's markup, a new line."""


class Attack(msgspec.Struct, kw_only=True):
    """`kind` is one of `KINDS`; `health_port` is where the gateway's own HTTP is."""

    kind: str
    port: int
    health_port: int
    seconds: float
    connections: int
    source: str = "127.0.0.3"


class Attacker:
    """One kind of attack over all of its connections. `seen`: connections, and answers by status."""

    def __init__(self, attack: Attack) -> None:
        self.attack = attack
        self.seen: Counter[str] = Counter()
        self._until = time.monotonic() + attack.seconds
        self._bomb = bomb() if attack.kind == "gzip_bomb" else b""

    async def run(self) -> None:
        once = KINDS[self.attack.kind]
        async with asyncio.TaskGroup() as attacking:
            for number in range(self.attack.connections):
                attacking.create_task(self._attack_repeatedly(once, number))

    async def _attack_repeatedly(self, once: Once, number: int) -> None:
        await asyncio.sleep(number * 0.001)
        while time.monotonic() < self._until:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                port = self.attack.health_port if self.attack.kind == "unread_metrics" else self.attack.port
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(self.attack.source, 0)
                )
                self.seen["connections"] += 1
                try:
                    async with asyncio.timeout(max(0.1, self._until - time.monotonic())):
                        await once(self, reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(RECONNECT_S)

    async def answered(self, reader: asyncio.StreamReader) -> bool:
        """Reads and counts one answer without a body. Returns whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen[head[9:12].decode()] += 1
        return b"connection: close" not in head.lower()

    async def gzip_bomb(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(FORM + "Content-Encoding: gzip\r\n", len(self._bomb)) + self._bomb)
        await self.answered(reader)

    async def stalled_bodies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(FORM, 10))
        await self.answered(reader)

    async def slow_bodies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(FORM, 100_000))
        answer = asyncio.ensure_future(self.answered(reader))
        try:
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=1)
            await answer
        finally:
            answer.cancel()

    async def kept_connections(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.answered(reader)
        await reader.read()

    async def bad_signatures(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As expensive as a forged form can be: no account, large, every character escaped."""
        body = b"a=" + b"%41" * 30_000 + b"&b=" + b"x" * 100_000
        signature = "X-Twilio-Signature: MDEyMzQ1Njc4OTAxMjM0NTY3ODk=\r\n"
        while True:
            writer.write(_head(FORM + signature, len(body)) + body)
            if not await self.answered(reader):
                return

    async def forged_query(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A captured signed body of Telnyx with a forged query, which no signature covers."""
        timestamp = str(int(time.time()))
        signature = base64.b64encode(TELNYX_KEY.sign(timestamp.encode() + b"|" + CAPTURED)).decode()
        number = 0
        while True:
            number += 1
            writer.write(
                f"GET {PATH}?CallSid=CAforged{number}&CallStatus=failed&AccountSid={ACCOUNT} HTTP/1.1\r\n"
                f"Host: h\r\nTelnyx-Timestamp: {timestamp}\r\nTelnyx-Signature-Ed25519: {signature}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(CAPTURED)}\r\n\r\n".encode()
                + CAPTURED
            )
            if not await self.answered(reader):
                return

    async def hostile_text(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Signed callbacks whose values target the terminal of the operator who reads them."""
        number = 0
        while True:
            number += 1
            body = {
                "AccountSid": ACCOUNT,
                "CallSid": f"CA{HOSTILE}{number}",
                "CallStatus": "failed",
                "ErrorCode": "[/x]",
                "ErrorMessage": HOSTILE,
                HOSTILE: HOSTILE,
            }
            writer.write(signed(self.attack.port, body))
            if not await self.answered(reader):
                return
            await asyncio.sleep(0.05)

    async def unread_answers(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pipelined requests whose answers are never read."""
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        many = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n" * 500
        while True:
            writer.write(many)
            await writer.drain()

    async def tiny_chunks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A body of 40 000 chunks with a byte in each, all of it sent at once."""
        head = f"POST {PATH} HTTP/1.1\r\nHost: h\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n")
        await self.answered(reader)

    async def pipelined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ten thousand small requests at once."""
        writer.write(b"GET / HTTP/1.1\r\nHost:h\r\n\r\n" * 10_000)
        await self.answered(reader)

    async def unread_metrics(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        many = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 500
        while True:
            writer.write(many)
            await writer.drain()


Once = Callable[[Attacker, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""An attack over one connection."""

KINDS: dict[str, Once] = {
    "gzip_bomb": Attacker.gzip_bomb,
    "stalled_bodies": Attacker.stalled_bodies,
    "slow_bodies": Attacker.slow_bodies,
    "kept_connections": Attacker.kept_connections,
    "bad_signatures": Attacker.bad_signatures,
    "forged_query": Attacker.forged_query,
    "hostile_text": Attacker.hostile_text,
    "unread_answers": Attacker.unread_answers,
    "tiny_chunks": Attacker.tiny_chunks,
    "pipelined": Attacker.pipelined,
    "unread_metrics": Attacker.unread_metrics,
}


def _head(headers: str, length: int) -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {length}\r\n\r\n".encode()


def bomb(times: int = 64) -> bytes:
    """About one mebibyte of gzip that unpacks to a gibibyte: one compressed piece, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"x" * 16 * MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b"x" * 16 * MEBIBYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + piece * times


def main() -> None:
    attacker = Attacker(msgspec.json.decode(sys.argv[1], type=Attack))
    asyncio.run(attacker.run())
    print(json.dumps(dict(attacker.seen)))


if __name__ == "__main__":
    main()
