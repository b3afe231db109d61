"""One GET with a time-out, and in a few words why there was no answer.

The rule of this file: an answer's body is not read unless it is asked for, no redirect is followed, and what
an exception says is not shown: it may hold the URL with all that is in it.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import aiohttp
from yarl import URL

from stream.service.http.client import date_s

TIMEOUT_S = 5.0
BODY_LIMIT_BYTES = 65_536


class ProbeAnswer(NamedTuple):
    """`date_s`: what its `Date` says, in Unix time; `sent_s`, `got_s`: ours; `body`: the beginning of it."""

    status: int
    date_s: float | None
    sent_s: float
    got_s: float
    body: bytes = b""


class NoAnswer(NamedTuple):
    """`there`: somebody took the connection and did not speak HTTP."""

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
        return NoAnswer("there is no such host")
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno
        return NoAnswer(os.strerror(number).lower() if number and number > 0 else "no connection")
    except TimeoutError:
        return NoAnswer(f"no answer within {TIMEOUT_S:g} s")
    except (aiohttp.ClientError, ValueError, OSError) as error:
        return NoAnswer(f"no answer in HTTP ({type(error).__name__})", there=True)
