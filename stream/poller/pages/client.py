"""One GET of a provider's page, with the account's credentials.

The rule of this file: credentials go to the account's own base URLs and nowhere else, not through a redirect
and not over plain HTTP. What is read has a bound in bytes and in time. No error says more than what happened:
an exception's own text may hold the URL, the headers and whatever was answered, so that none is passed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from stream.poller.pages.decompression import ACCEPTED, DecompressionError, Decompressor, TooLarge
from stream.poller.pages.paging import origin
from stream.poller.resources.account import Account
from stream.service.http.client import retry_after_s, session

MAX_PAGE_BYTES = 32 << 20
MAX_REFUSAL_BYTES = 65_536
"""Of an answer other than 200: only its status is looked at, and a short one leaves the connection usable."""

WORTH_A_THREAD_BYTES = 8 << 10
"""Of what came at once, packed."""

TIMEOUT_S = 30.0
CONNECT_S = 10.0


class PageResponse(NamedTuple):
    """`retry_after_s`: how long the provider wants to be left alone; `seconds`: how long it took."""

    status: int
    retry_after_s: float | None
    body: bytes
    seconds: float


class NoResponse(Exception):
    """No whole answer. `kind`: `network_error` or `too_large`; `beginning`: of a page that is too large."""

    def __init__(self, kind: str, detail: str, seconds: float, beginning: bytes = b"") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.seconds = seconds
        self.beginning = beginning


class InsecureUrlError(Exception):
    """A base URL without TLS that leads away from this machine."""


class PageClient:
    """`async with PageClient() as client:`; all calls from the event loop's thread."""

    def __init__(
        self,
        *,
        max_page_bytes: int = MAX_PAGE_BYTES,
        timeout_s: float = TIMEOUT_S,
        connect_s: float = CONNECT_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._max_page_bytes = max_page_bytes
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._now_s = now_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = session(timeout_s=self._timeout_s, connect_s=self._connect_s, encodings=ACCEPTED)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, account: Account, url: str) -> PageResponse:
        """The answer to exactly one request, whatever its status. Raises NoResponse.

        Raises InsecureUrlError for a base URL without TLS on another machine, and ValueError for a URL that
        is none of the account's: a fault of the program.
        """
        check(account, url)
        assert self._session is not None, "the client is used within `async with`"
        began = time.monotonic()
        try:
            return await self._got(self._session, account, url, began)
        except TooLarge as large:
            failed = ("too_large", f"more than {self._max_page_bytes} bytes", large.beginning)
        except DecompressionError as error:
            failed = ("network_error", str(error), b"")
        except TimeoutError:
            failed = ("network_error", f"no whole answer within {self._timeout_s:g} s", b"")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = ("network_error", type(error).__name__, b"")
        # Outside of the handlers: the cause would go along, with the URL and the headers in it.
        kind, detail, beginning = failed
        raise NoResponse(kind, detail, time.monotonic() - began, beginning)

    async def _got(
        self, client: aiohttp.ClientSession, account: Account, url: str, began: float
    ) -> PageResponse:
        headers = {"Authorization": account.authorization}
        async with client.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
            if answer.status == 200:
                body = await _unpacked(answer, self._max_page_bytes)
            else:
                body = await _refusal(answer)
            return PageResponse(
                answer.status, self._retry_after_s(account, answer), body, time.monotonic() - began
            )

    def _retry_after_s(self, account: Account, answer: aiohttp.ClientResponse) -> float | None:
        said = answer.headers.get("Retry-After")
        if said is None and account.provider == "telnyx" and answer.status == 429:
            said = answer.headers.get("x-ratelimit-reset")
        return None if said is None else retry_after_s(said, answer.headers.get("Date"), self._now_s())


def check(account: Account, url: str) -> None:
    """Whether the account's credentials may go to a URL. Raises as `PageClient.get` does."""
    known = {origin(base) for base in (account.api_url, account.insights_url) if base}
    if (asked := origin(url)) not in known:
        raise ValueError("the URL is none of the account's base URLs'")
    scheme, host, _ = asked
    if scheme == "http" and not _is_loopback(host):
        raise InsecureUrlError(
            f"{account.name}: its base URL has no TLS and {host} is not this machine: "
            "credentials would go over the network in clear"
        )


async def _unpacked(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    unpacking = Decompressor(answer.headers.get("Content-Encoding", ""), limit)
    async for chunk in answer.content.iter_any():
        if len(chunk) < WORTH_A_THREAD_BYTES:
            unpacking.take(chunk)
        else:  # a thousand times as much may come out of it
            await asyncio.to_thread(unpacking.take, chunk)
    return unpacking.end()


async def _refusal(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of a refusal's body. Whatever becomes of the rest, the status was said."""
    body = bytearray()
    try:
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > MAX_REFUSAL_BYTES:
                break
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    return bytes(body[:MAX_REFUSAL_BYTES])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
