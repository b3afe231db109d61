"""One GET of a provider's page, with the account's credentials.

Invariants: credentials go to the account's own base URLs only, never through a redirect or over plain HTTP.
What is read is bounded in bytes, compressed or not, and in time. No error passes on an exception's own text:
that may hold the URL, the headers or the response.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from stream.poller.pages.paging import origin
from stream.poller.resources.account import Account
from stream.service.http.client import date_s, retry_after_s, session
from stream.service.http.listening import is_this_machine

MAX_PAGE_BYTES = 32 << 20
MAX_DRAINED_BYTES = 65_536

THREAD_BYTES = 8 << 10
"""A compressed chunk of this size is decompressed in a thread: it may hold a thousand times as much."""

TIMEOUT_S = 30.0
CONNECT_S = 10.0

ENCODINGS = "gzip, deflate"
"""The value of `Accept-Encoding`."""

_GZIP_BITS = 16 + zlib.MAX_WBITS
_WINDOW_BITS = {"gzip": _GZIP_BITS, "x-gzip": _GZIP_BITS, "deflate": zlib.MAX_WBITS}


class PageResponse(NamedTuple):
    """A whole response; of a status other than 200 without its body.

    - `retry_after_s`: how long the provider asks to wait; `date_s`: its `Date` (Unix time). None if absent.
    """

    status: int
    retry_after_s: float | None
    body: bytes
    date_s: float | None = None


class NoResponse(Exception):
    """No whole response. `kind`: `network_error` or `too_large`; `beginning`: of a page that is too large."""

    def __init__(self, kind: str, detail: str, beginning: bytes = b"") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.beginning = beginning


class InsecureUrlError(Exception):
    """A base URL without TLS on another machine."""


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
        self._session = session(timeout_s=self._timeout_s, connect_s=self._connect_s, encodings=ENCODINGS)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, account: Account, url: str) -> PageResponse:
        """The response to exactly one request, whatever its status. Raises NoResponse.

        Raises InsecureUrlError for a base URL without TLS on another machine, and ValueError (a bug) for a
        URL outside the account's base URLs.
        """
        check_url(account, url)
        assert self._session is not None, "the client is used within `async with`"
        headers = {"Authorization": account.authorization}
        try:
            async with self._session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as response:
                if response.status == 200:
                    body = await _decompressed(response, self._max_page_bytes)
                else:
                    body = b""
                    await _drain(response)
                retry_after_s = self._retry_after_s(account, response)
                date = date_s(response.headers.get("Date"))
                return PageResponse(response.status, retry_after_s, body, date)
        except TimeoutError:
            detail = f"no whole response within {self._timeout_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            detail = type(error).__name__
        # Raised outside of the handlers: the cause would be attached, with the URL and the headers in it.
        raise NoResponse("network_error", detail)

    def _retry_after_s(self, account: Account, response: aiohttp.ClientResponse) -> float | None:
        value = response.headers.get("Retry-After")
        if value is None and account.provider == "telnyx" and response.status == 429:
            value = response.headers.get("x-ratelimit-reset")
        return None if value is None else retry_after_s(value, response.headers.get("Date"), self._now_s())


def check_url(account: Account, url: str) -> None:
    """Check that the account's credentials may be sent to a URL. Raises as `PageClient.get` does."""
    bases = (account.api_url, account.insights_url, account.monitor_url)
    known = {origin(base) for base in bases if base}
    if (requested := origin(url)) not in known:
        raise ValueError("the URL is not below one of the account's base URLs")
    scheme, host, _ = requested
    if scheme == "http" and not is_this_machine(host):
        raise InsecureUrlError(
            f"{account.name}: its base URL has no TLS and {host} is not this machine: "
            "credentials would go over the network in clear"
        )


async def _decompressed(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    decompressor = Decompressor(response.headers.get("Content-Encoding", ""), max_bytes)
    async for chunk in response.content.iter_any():
        if len(chunk) < THREAD_BYTES:
            decompressor.feed(chunk)
        else:
            await asyncio.to_thread(decompressor.feed, chunk)
    return decompressor.finish()


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short body: the connection stays usable. The status counts even if the rest never comes."""
    size = 0
    with suppress(aiohttp.ClientError, OSError):
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_DRAINED_BYTES:
                break


class Decompressor:
    """Decompresses a body step by step, and never beyond `max_bytes`: a few bytes may expand to gigabytes.

    `encoding`: of the header `Content-Encoding`. With an unknown one the bytes are taken as they are.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._body = bytearray()
        self._started = False
        self._first = b""
        self._bits = _WINDOW_BITS.get(encoding.strip().lower())
        self._inflater = None if self._bits is None else zlib.decompressobj(self._bits)

    def feed(self, chunk: bytes) -> None:
        """Raises NoResponse."""
        room = self._max_bytes + 1 - len(self._body)
        self._started = True
        self._body += chunk[:room] if self._inflater is None else self._inflate(chunk, room)
        if len(self._body) > self._max_bytes:
            beginning = bytes(self._body[: self._max_bytes])
            raise NoResponse("too_large", f"more than {self._max_bytes} bytes", beginning)

    def finish(self) -> bytes:
        """The whole body. Raises NoResponse if it is truncated."""
        if self._inflater is not None and self._started and not self._inflater.eof:
            raise NoResponse("network_error", "the compressed response is truncated")
        return bytes(self._body)

    def _inflate(self, chunk: bytes, room: int) -> bytes:
        assert self._inflater is not None
        try:
            inflated = self._inflater.decompress(chunk, room)
        except zlib.error:
            inflated = None
        if inflated is not None:
            if self._inflater.unused_data:
                raise NoResponse("network_error", "the compressed response has data after its end")
            self._first += chunk[: 1 - len(self._first)]  # a header of zlib has two bytes
            return inflated
        if self._bits != zlib.MAX_WBITS or self._body:
            raise NoResponse("network_error", "the response is not compressed as it says")
        # Some servers mean by `deflate` the bare stream, without the header that RFC 9110 8.4.1.2 requires.
        self._bits = -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(self._bits)
        return self._inflate(self._first + chunk, room)
