"""Reads one resource page by page: each request with a permit, each page written before the next request.

Invariants: a read always ends, with one outcome. The pages before a failure stay written. An error that may
pass is retried at the same page. A response that is not a page of this resource becomes a dead letter; it is
never skipped silently.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from stream.core.timestamps import SECOND_US
from stream.poller.limiter.rate_limiter import Impatient, RateLimiter
from stream.poller.pages.client import NoResponse, PageClient, PageResponse, check_url
from stream.poller.pages.paging import MAX_REPEATED_PAGES, PageTrail, PagingError
from stream.poller.pages.records import PageRecords, RecordBuilder, Written
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, PageError, Resource
from stream.service.metrics.poller import PollerMetrics

ATTEMPTS = 5
BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0

MAX_WAIT_S = 300.0
"""If the provider asks for a longer wait, the read ends as throttled: it is requested again later."""

THREAD_BYTES = 128 << 10
"""A page of this size is processed in a thread. A smaller one takes at most 15 ms of the event loop."""

_RETRYABLE = frozenset({"throttled", "server_error", "network_error"})
_ABOUT_ACCOUNT = frozenset({"success", "empty", "throttled"})
"""The outcomes of a resource on a host of its own that also say something about its account."""

T = TypeVar("T")


class ReadLimits(NamedTuple):
    """`not_found`: the outcome of a 404; `max_pages`: the read fails after this many."""

    not_found: str
    max_pages: int


CALL_LIMITS = ReadLimits("not_ready", 200)
"""Of one call: a resource of a recent call may not exist yet."""

WINDOW_LIMITS = ReadLimits("not_found", 20_000)


class ReadResult(NamedTuple):
    """The result of a read.

    - `outcome`: one of `core.fetches.OUTCOMES`; `problem`: what went wrong, for a log, else empty.
    - `rows`, `pages`: how many were written, now or lately; `received`: the rows that the provider returned.
    - `complete`: the rows show that none will follow.
    - `content`: 16 hex digits of all rows but those left out as known, whatever their order. None if the read
      did not reach the end.
    - `forbidden`: the account may not read this resource, but others.
    - `provider_us`: the provider's clock at the first page. None without a page or a `Date`.
    """

    outcome: str
    rows: int = 0
    complete: bool = False
    content: str | None = None
    pages: int = 0
    problem: str = ""
    forbidden: bool = False
    provider_us: int | None = None
    received: int = 0

    @property
    def reached_end(self) -> bool:
        """Whether every page of a window was written."""
        return self.outcome in ("success", "empty")


Write = Callable[[PageRecords], Awaitable[None]]


class _Response(NamedTuple):
    """A request's result. Without a `page` the read fails; with a `reason` the body becomes a dead letter."""

    outcome: str
    page: Page | None = None
    body: bytes = b""
    reason: str = ""
    problem: str = ""
    retry_after_s: float | None = None
    forbidden: bool = False
    date_s: float | None = None


@dataclass(kw_only=True)
class PagedRead:
    """One read, from `first_url` to the last page. `write` is awaited for each page before the next request.

    - `known`: the content of a read whose rows are written. A single page that is equal is not written again.
    - `written`: see `RecordBuilder`.

    Raises what `PageClient.get` raises for a URL that must not be requested, and what `write` raises.
    """

    resource: Resource
    account: Account
    first_url: str
    client: PageClient
    metrics: PollerMetrics
    limiter: RateLimiter | Impatient
    priority: str
    limits: ReadLimits
    write: Write
    known: str | None = None
    written: Written | None = None
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def __post_init__(self) -> None:
        check_url(self.account, self.first_url)
        self._trail = PageTrail(self.first_url, self.limits.max_pages)
        endpoint = urlsplit(self.first_url).path
        self._builder = RecordBuilder(self.resource.source, self.account, endpoint, self.written)
        self._held: list[Page] = []
        self._has_rows = False
        self._complete = True
        self._rows = self._pages = self._received = 0
        self._provider_us: int | None = None

    async def run(self) -> ReadResult:
        url: str | None = self.first_url
        while url is not None:
            response = await self._request(url)
            if response.page is None:
                return await self._failed(response)
            if url == self.first_url and response.date_s is not None:
                self._provider_us = round(response.date_s * SECOND_US)
            try:
                url = await self._accept(url, response.page)
            except PagingError as error:
                return await self._failed(
                    response._replace(outcome="rubbish", reason="invalid_field", problem=str(error))
                )
        return ReadResult(
            "success" if self._has_rows else "empty",
            self._rows,
            self._has_rows and self._complete,
            self._builder.content,
            self._pages,
            provider_us=self._provider_us,
            received=self._received,
        )

    async def _failed(self, response: _Response) -> ReadResult:
        if response.reason:
            await self.write(self._builder.broken_page(response.body, response.reason, response.problem))
        return ReadResult(
            response.outcome,
            self._rows,
            pages=self._pages,
            problem=response.problem,
            forbidden=response.forbidden,
        )

    # -- requests

    async def _request(self, url: str) -> _Response:
        """The page, or the last failed attempt. Other reads get permits between two attempts."""
        for attempt in range(ATTEMPTS):
            response = await self._request_once(url)
            if response.outcome not in _RETRYABLE:
                break
            wait_s = response.retry_after_s or 0.0
            if wait_s > MAX_WAIT_S:
                problem = f"{response.problem}: the provider asks to wait {wait_s:.0f} s"
                return response._replace(outcome="throttled", problem=problem)
            if attempt < ATTEMPTS - 1:
                await self._pause(response.outcome, wait_s, attempt)
        return response

    async def _request_once(self, url: str) -> _Response:
        source = self.resource.source
        async with self.limiter.permit(self.priority, source) as permit:
            started_s = time.monotonic()
            got: PageResponse | NoResponse
            try:
                got = await self.client.get(self.account, url)
            except NoResponse as error:
                got = error
            seconds = time.monotonic() - started_s
            response = await self._judge(got, url)
            if not self.resource.on_own_host or response.outcome in _ABOUT_ACCOUNT:
                # The refusal of one resource says nothing about the account.
                outcome = "client_error" if response.forbidden else response.outcome
                permit.answered(outcome, response.retry_after_s)
        self.metrics.requested(source, response.outcome, seconds)
        if response.page is not None and response.page.left_out:
            self.metrics.left_out(source, response.page.left_out)
        return response

    async def _judge(self, got: PageResponse | NoResponse, url: str) -> _Response:
        if isinstance(got, NoResponse):
            if got.kind == "too_large":
                return _Response("rubbish", None, got.beginning, got.kind, got.detail)
            return _Response(got.kind, problem=got.detail)
        if got.status != 200:
            outcome, detail = _ERRORS.get(got.status, ("client_error", ""))
            forbidden = got.status in self.resource.refused_by
            if forbidden and outcome != "auth_error":
                outcome, detail = "not_found", ": the account does not have this"
            elif got.status == 404:
                outcome = self.limits.not_found
            elif got.status >= 500:
                outcome = "server_error"
            elif 300 <= got.status < 400:
                detail = ": a redirect, which is not followed"
            problem = f"answered {got.status}{detail}"
            return _Response(outcome, problem=problem, retry_after_s=got.retry_after_s, forbidden=forbidden)
        try:
            page = await _in_thread_if_large(len(got.body), partial(self.resource.parse, got.body, url))
        except PageError as error:
            return _Response("rubbish", None, got.body, error.reason, error.detail)
        return _Response("success" if page.rows else "empty", page, got.body, date_s=got.date_s)

    async def _pause(self, outcome: str, wait_s: float, attempt: int) -> None:
        """As long as the provider asks, plus a random backoff: not all reads come back at once."""
        pause_s = wait_s + self.random() * min(MAX_BACKOFF_S, BACKOFF_S * 2**attempt)
        if outcome == "throttled":
            self.metrics.waited(self.resource.source, pause_s)
        await self.sleep(pause_s)

    # -- pages

    async def _accept(self, url: str, page: Page) -> str | None:
        """Write a page; the URL of the next one. Raises PagingError if that is not to be requested.

        A page with the rows of an earlier one is held until another page, or the end, shows that the rows
        are not a loop: the rows of a loop must not become events.
        """
        repeated = await _in_thread_if_large(_size(page), partial(self._trail.count_repeated, page.rows))
        if repeated > MAX_REPEATED_PAGES:
            raise PagingError("the pages repeat the same rows")
        self._held.append(page)
        if not repeated or page.next_url is None:
            await self._write_held()
        return None if page.next_url is None else self._trail.follow(url, page.next_url)

    async def _write_held(self) -> None:
        held, self._held = self._held, []
        for page in held:
            build = partial(self._build, page, self.now_us())
            records, complete = await _in_thread_if_large(_size(page), build)
            is_whole = not self._pages and page.next_url is None
            if not is_whole or self._builder.content != self.known:
                await self.write(records)
                self._rows += len(records.rows) + len(records.known)
            self._has_rows = self._has_rows or bool(page.rows)
            self._complete = self._complete and complete
            self._received += len(page.rows) + page.left_out
            self._pages += 1

    def _build(self, page: Page, received_us: int) -> tuple[PageRecords, bool]:
        """The page's records, and whether its rows show that none will follow."""
        records = self._builder.page(page.rows, total=page.total, received_us=received_us)
        return records, all(map(self.resource.is_final, page.rows))


async def _in_thread_if_large(size: int, work: Callable[[], T]) -> T:
    """Large pages are processed outside the event loop.

    Their rows can take a second, malformed ones longer, and the group's heartbeats must not wait for that.
    """
    return work() if size < THREAD_BYTES else await asyncio.to_thread(work)


def _size(page: Page) -> int:
    return sum(map(len, page.rows))


_ERRORS = {
    401: ("auth_error", ": the credentials are not accepted"),
    403: ("auth_error", ": the credentials may not read this"),
    429: ("throttled", ": too many requests"),
}
