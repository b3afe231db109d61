"""One GET with a time-out; and this machine's clock compared with the clocks of those who answered.

A body is read only on request, and no redirect is followed. An exception's text is never shown, because it
may hold the URL with all that is in it.
(HTTP's `Date`: RFC 9110 6.6.1.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp
from yarl import URL

from stream.cli.checkup.check import Check
from stream.service.http.client import date_s

TIMEOUT_S = 5.0
BODY_LIMIT_BYTES = 65_536
SLACK_S = 2.0


class ProbeAnswer(NamedTuple):
    """`date_s`: its `Date` in Unix time; `sent_s`, `got_s`: by our clock; `body`: the beginning of it."""

    status: int
    date_s: float | None
    sent_s: float
    got_s: float
    body: bytes = b""


class NoAnswer(NamedTuple):
    """`there`: the connection was accepted, but not by an HTTP server."""

    why: str
    there: bool = False


async def probe(
    client: aiohttp.ClientSession,
    url: URL,
    *,
    headers: dict[str, str] | None = None,
    with_body: bool = False,
) -> ProbeAnswer | NoAnswer:
    sent_s = time.time()
    try:
        async with client.get(
            url,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        ) as answer:
            got_s = time.time()
            body = await answer.content.read(BODY_LIMIT_BYTES) if with_body else b""
            return ProbeAnswer(answer.status, date_s(answer.headers.get("Date")), sent_s, got_s, body)
    except aiohttp.ClientSSLError:
        return NoAnswer("TLS failed, or its certificate is not accepted", there=True)
    except aiohttp.ClientConnectorDNSError:
        return NoAnswer("the host name does not resolve")
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno
        return NoAnswer(os.strerror(number).lower() if number and number > 0 else "no connection")
    except TimeoutError:
        return NoAnswer(f"no answer within {TIMEOUT_S:g} s")
    except (aiohttp.ClientError, ValueError, OSError) as error:
        return NoAnswer(f"no answer in HTTP ({type(error).__name__})", there=True)


class Dated(NamedTuple):
    """An answer with a `Date`. `sent_s`, `got_s`: by our clock; `own`: this machine answered."""

    host: str
    own: bool
    said_s: float
    sent_s: float
    got_s: float

    @property
    def ahead_s(self) -> float:
        """How far our clock is ahead of theirs."""
        return (self.sent_s + self.got_s) / 2 - (self.said_s + 0.5)

    @property
    def error_s(self) -> float:
        """`Date` has whole seconds, and the answer took a while."""
        return 0.5 + (self.got_s - self.sent_s) / 2


def clock(answers: Sequence[Dated], tolerance_s: float) -> Check:
    """Whether our clock differs by more than the error. Pure; an answer of this machine does not count.

    `tolerance_s`: the age at which a signature of Telnyx is refused.
    """
    away = sorted((one for one in answers if not one.own), key=lambda one: one.error_s)
    if not away:
        return Check("clock", "unknown", "no other machine told its time")
    best = away[0]
    apart_s = max(abs(one.ahead_s - best.ahead_s) - one.error_s - best.error_s for one in away)
    if apart_s > SLACK_S:
        return Check("clock", "unknown", "those that were asked do not agree on the time")
    off_s = abs(best.ahead_s)
    if off_s <= best.error_s + SLACK_S:
        return Check("clock", "ok", f"agrees with {best.host} to {best.error_s + SLACK_S:.0f} s")
    says = f"{off_s:.0f} s {'before' if best.ahead_s > 0 else 'behind'} that of {best.host}"
    mend = "let the machine keep its time by NTP"
    if off_s > tolerance_s:
        return Check("clock", "failed", f"{says}: signatures of Telnyx are refused", mend)
    return Check("clock", "warning", says, mend)
