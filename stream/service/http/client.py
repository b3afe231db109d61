"""The HTTP client: one kind of session for all outgoing requests, and how time headers are parsed.

A request carries only what it is given. No cookies are kept, and no proxy and no `.netrc` of the environment
is used. A date without a zone is UTC, whatever the zone of this machine.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import aiohttp

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")


def session(
    *, timeout_s: float = 30.0, connect_s: float | None = None, encodings: str = "identity"
) -> aiohttp.ClientSession:
    """A session, in a running loop. `encodings`: of bodies, which the caller decompresses."""
    made = aiohttp.ClientSession(
        headers={
            "Accept": "application/json",
            "Accept-Encoding": encodings,
            "User-Agent": f"callstream/{version('callstream')}",
        },
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_s),
        trust_env=False,
    )
    # aiohttp would repeat a request by itself when its connection is closed, outside of any rate budget.
    made._retry_connection = False
    return made


def date_s(text: str | None) -> float | None:
    """Unix time of an HTTP date (RFC 9110 5.6.7); None if it is not one."""
    try:
        date = parsedate_to_datetime(text or "")
        # One of HTTP's own formats names no zone. It is UTC, not this machine's.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def retry_after_s(said: str, date: str | None, now_s: float) -> float | None:
    """Seconds of a `Retry-After`, which contains seconds or a date; None if it is neither.

    A date is compared with the answer's own `Date` where there is one: the server's clock is not ours.
    """
    said = said.strip()
    if _SECONDS.match(said):
        return float(said)
    until_s, from_s = date_s(said), date_s(date)
    if until_s is None:
        return None
    return max(0.0, until_s - (now_s if from_s is None else from_s))
