"""What a sink is: it takes a notification, refuses it for ever, or does not take it now.

Only the status of an answer and the kind of an error are kept: texts of errors quote URLs, and a URL may be a
secret.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import aiohttp

from stream.notify.grouping import Notification
from stream.service.http.client import date_s, retry_after_s

TAKEN, REFUSED, FAILED = "taken", "refused", "failed"
TIMEOUT_S = 15.0
LONGEST_RETRY_AFTER_S = 3600.0
ANSWER_BYTES = 4096
"""Of an answer, how much is read at most."""

NEVER_TAKEN = frozenset({400, 413, 422})
"""The sink has read this notification and will never take it. All else may pass: a wrong URL or key is
corrected by an operator, and no alert is lost until then."""


class SinkRequest(NamedTuple):
    """A POST. Its repr may hold secrets: never log it.

    `wrong_key`: what an answer 400 says, in small letters, where the key is wrong and not the notification.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = {}
    wrong_key: tuple[str, ...] = ()


class SinkAnswer(NamedTuple):
    """`outcome`: TAKEN, REFUSED or FAILED. `why`: for logs. `retry_s`: how long to wait at least."""

    outcome: str
    why: str = ""
    retry_s: float = 0.0


class Sink(Protocol):
    """Where notifications go. `closes`: it is told of facts that were settled, too."""

    closes: bool

    async def send(self, told: Notification) -> SinkAnswer: ...


async def post(
    client: aiohttp.ClientSession, request: SinkRequest, dated: Callable[[float], object] = lambda _: None
) -> SinkAnswer:
    """What the server answers. Redirects are not followed: only configured URLs get alerts.

    `dated` is told the answer's `Date` (Unix time), if it has one.
    """
    headers = {"Content-Type": "application/json", **request.headers}
    try:
        async with client.post(
            request.url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            said = response.headers.get("Retry-After", "")
            status, date = response.status, response.headers.get("Date")
            wrong_key = status == 400 and await _names_key(response, request.wrong_key)
    except (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError, ValueError) as error:
        return SinkAnswer(FAILED, type(error).__name__)
    if (answered_s := date_s(date)) is not None:
        dated(answered_s)
    if 200 <= status < 300:
        return SinkAnswer(TAKEN)
    if wrong_key:
        return SinkAnswer(FAILED, "status 400, the key is wrong")
    wait_s = min(retry_after_s(said, date, time.time()) or 0.0, LONGEST_RETRY_AFTER_S)
    return SinkAnswer(REFUSED if status in NEVER_TAKEN else FAILED, f"status {status}", wait_s)


async def _names_key(response: aiohttp.ClientResponse, words: tuple[str, ...]) -> bool:
    """Whether an answer says that the key is wrong."""
    if not words:
        return False
    said = b""
    while len(said) < ANSWER_BYTES and (part := await response.content.read(ANSWER_BYTES - len(said))):
        said += part  # it may come in pieces
    text = said.decode(errors="replace").lower()
    return any(word in text for word in words)
