"""One resource read to its end: page after page within the budget, each landed before the next is asked for.

The rule of this file: a read always ends, with one outcome that says what became of it. What earlier pages
brought stays landed; what may work later is tried again at the same page; what is no answer of this resource
is kept and said, never passed over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.pages.client import NoResponse, PageClient, PageResponse, check
from stream.poller.pages.paging import (
    MAX_PAGES_OF_A_CALL,
    MAX_PAGES_OF_A_WINDOW,
    MOST_REPEATS,
    PagingError,
    VisitedPages,
)
from stream.poller.pages.records import PageRecords, RecordBuilder
from stream.poller.resources.account import Account
from stream.poller.resources.resource import CallUrlError, Page, PageError, Resource

TRIES = 5
BACKOFF_S = 0.5
BACKOFF_CAP_S = 30.0

LONGEST_WAIT_S = 300.0
"""Who is asked to wait longer than this gives the read up: it is asked for again later."""

WORTH_A_THREAD_BYTES = 128 << 10
"""Of a page: a smaller one takes some 15 ms, which is less than the loop's other work may take."""

T = TypeVar("T")

FORBIDDEN = 403
_TRIED_AGAIN = frozenset({"throttled", "server_error", "network_error"})


class Permit(Protocol):
    """A place at the provider's door, for one request."""

    def answered(self, outcome: str, retry_after_s: float | None) -> None:
        """What became of it; exactly once."""


class RateLimiter(Protocol):
    """The account's budget. A turn is left before the next one is asked for."""

    def permit(self, priority: str, source: str) -> AbstractAsyncContextManager[Permit]: ...


class ReadLimits(NamedTuple):
    """`missing`: the outcome that a 404 is; `max_pages`: after so many a read is given up."""

    missing: str
    max_pages: int


CALL = ReadLimits("not_ready", MAX_PAGES_OF_A_CALL)
"""Of one call: a young one is not there yet."""

WINDOW = ReadLimits("not_found", MAX_PAGES_OF_A_WINDOW)


class ReadResult(NamedTuple):
    """What a read came to.

    - `outcome`: one of `core.fetches.OUTCOMES`; `problem`: what went wrong, for a log; empty where nothing.
    - `rows`, `pages`: how many were landed.
    - `complete`: the rows say by themselves that nothing will follow.
    - `forbidden`: these credentials may not read this resource; the account's others they may.
    - `content`: 16 hex digits over all rows, in whatever order; None where it was not read to its end.
    """

    outcome: str
    rows: int = 0
    complete: bool = False
    content: str | None = None
    pages: int = 0
    problem: str = ""
    forbidden: bool = False


Land = Callable[[PageRecords], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDeps:
    """What reading is done with, besides the client and the limiter; replaced in tests."""

    chance: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000


def url_of_call(resource: Resource, account: Account, call_id: str, edge: str | None) -> str | ReadResult:
    """Where a read about one call begins; what becomes of it where nothing can be asked about such a call."""
    if resource.call_url is None:
        return ReadResult("client_error", problem=f"{resource.source} cannot be read by call")
    try:
        return resource.call_url(account, call_id, edge)
    except CallUrlError as error:
        return ReadResult("client_error", problem=str(error))


async def read(
    resource: Resource,
    account: Account,
    first_url: str,
    *,
    client: PageClient,
    limiter: RateLimiter,
    priority: str,
    land: Land,
    metrics: PollMetrics,
    reach: ReadLimits = CALL,
    means: ReadDeps = ReadDeps(),
) -> ReadResult:
    """Reads from `first_url` to the last page. `land` is awaited for each page before the next is requested.

    Raises what `PageClient.get` raises for a URL that must not be asked, and what `land` raises.
    """
    check(account, first_url)
    asking = _Asking(resource, account, client, limiter, priority, metrics, reach, means)
    return await _Reading(asking, first_url, land).done()


class _Attempt(NamedTuple):
    """What one request came to. Without a `page` it was not answered; with a `reason` the answer is kept."""

    outcome: str
    seconds: float
    page: Page | None = None
    body: bytes = b""
    reason: str = ""
    problem: str = ""
    retry_after_s: float | None = None
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    """How the pages of one read are asked for."""

    resource: Resource
    account: Account
    client: PageClient
    limiter: RateLimiter
    priority: str
    metrics: PollMetrics
    reach: ReadLimits
    means: ReadDeps

    async def page(self, url: str) -> _Attempt:
        """The page, or the last attempt at it. Between two attempts others have their turn."""
        for tried in range(1, TRIES + 1):
            attempt = await self._once(url)
            if attempt.outcome not in _TRIED_AGAIN:
                break
            asked_s = attempt.retry_after_s or 0.0
            if asked_s > LONGEST_WAIT_S:
                wait = f"{attempt.problem}: it wants to be left alone for {asked_s:.0f} s"
                return attempt._replace(outcome="throttled", problem=wait)
            if tried < TRIES:
                await self._pause(attempt, asked_s, tried)
        return attempt

    async def _once(self, url: str) -> _Attempt:
        async with self.limiter.permit(self.priority, self.resource.source) as permit:
            try:
                attempt = await self._judged(await self.client.get(self.account, url), url)
            except NoResponse as error:
                attempt = _unanswered(error)
            # One resource's 403 says nothing of the account.
            outcome = "client_error" if attempt.forbidden else attempt.outcome
            permit.answered(outcome, attempt.retry_after_s)
        self.metrics.requested(self.resource.source, attempt.outcome, attempt.seconds)
        if attempt.page is not None and attempt.page.left_out:
            self.metrics.left_out(self.resource.source, attempt.page.left_out)
        return attempt

    async def _judged(self, answer: PageResponse, url: str) -> _Attempt:
        if answer.status != 200:
            outcome, problem = _refusal(answer.status, self.reach.missing)
            return _Attempt(
                outcome,
                answer.seconds,
                problem=problem,
                retry_after_s=answer.retry_after_s,
                forbidden=answer.status == FORBIDDEN,
            )
        try:
            page = await self._taken(answer.body, url)
        except PageError as error:
            return _Attempt(
                "rubbish", answer.seconds, body=answer.body, reason=error.reason, problem=error.detail
            )
        return _Attempt("success" if page.rows else "empty", answer.seconds, page, answer.body)

    async def _taken(self, body: bytes, url: str) -> Page:
        return await _beside(len(body), lambda: self.resource.parse(body, url))

    async def _pause(self, attempt: _Attempt, asked_s: float, tried: int) -> None:
        """As long as was asked for, and by chance some more: not all come back at once."""
        pause_s = asked_s + self.means.chance() * min(BACKOFF_CAP_S, BACKOFF_S * 2 ** (tried - 1))
        if attempt.outcome == "throttled":
            self.metrics.waited(self.resource.source, pause_s)
        await self.means.sleep(pause_s)


class _Reading:
    """One read under way: which pages were seen, and what they came to."""

    def __init__(self, asking: _Asking, first_url: str, land: Land) -> None:
        self._asking = asking
        self._first_url = first_url
        self._land = land
        self._trail = VisitedPages(first_url, asking.reach.max_pages)
        self._landing = RecordBuilder(asking.resource.source, asking.account, urlsplit(first_url).path)
        self._held: list[Page] = []
        self._any_row = False
        self._complete = True
        self._rows = self._pages = 0

    async def done(self) -> ReadResult:
        url: str | None = self._first_url
        while url is not None:
            attempt = await self._asking.page(url)
            if attempt.page is None:
                return await self._given_up(attempt)
            url, problem = await self._seen(url, attempt.page)
            if problem:
                attempt = attempt._replace(outcome="rubbish", reason="invalid_field", problem=problem)
                return await self._given_up(attempt)
        outcome = "success" if self._any_row else "empty"
        complete = self._any_row and self._complete
        return ReadResult(outcome, self._rows, complete, self._landing.content, self._pages)

    async def _seen(self, url: str, page: Page) -> tuple[str | None, str]:
        """Land a page; (where the next one is, why it is not asked).

        A page that repeats an earlier one is held until another one, or the end, shows that they are twins
        and no loop: a loop's rows must not become events.
        """
        repeats = await _beside(_size(page), lambda: self._trail.saw(page.rows))
        if repeats > MOST_REPEATS:
            return None, "the pages repeat the same rows"
        self._held.append(page)
        onwards, problem = None, ""
        if page.next_url is not None:
            try:
                onwards = self._trail.next(url, page.next_url)
            except PagingError as error:
                problem = str(error)
        if not repeats or page.next_url is None:
            await self._land_held()
        return onwards, problem

    async def _land_held(self) -> None:
        held, self._held = self._held, []
        for page in held:
            received_us = self._asking.means.now_us()
            landed, complete = await _beside(_size(page), partial(self._made, page, received_us))
            await self._land(landed)
            self._any_row = self._any_row or bool(page.rows)
            self._complete = self._complete and complete
            self._rows += len(landed.records)
            self._pages += 1

    def _made(self, page: Page, received_us: int) -> tuple[PageRecords, bool]:
        """What a page comes to, and whether nothing will follow it."""
        landed = self._landing.page(page.rows, total=page.total, received_us=received_us)
        return landed, self._asking.resource.is_complete(page.rows)

    async def _given_up(self, attempt: _Attempt) -> ReadResult:
        """What a read came to that did not get to its end."""
        if attempt.reason:
            await self._land(self._landing.broken_page(attempt.body, attempt.reason, attempt.problem))
        return ReadResult(
            attempt.outcome,
            self._rows,
            pages=self._pages,
            problem=attempt.problem,
            forbidden=attempt.forbidden,
        )


async def _beside(size: int, work: Callable[[], T]) -> T:
    """What `work` on so many bytes of a page comes to. On many it is done beside the event loop: a page's
    rows take a second, what is odd in them many, and the group's heartbeats do not wait for either.
    """
    return work() if size < WORTH_A_THREAD_BYTES else await asyncio.to_thread(work)


def _size(page: Page) -> int:
    return sum(map(len, page.rows))


def _refusal(status: int, missing: str) -> tuple[str, str]:
    """(outcome, what is wrong) of a status that is not 200."""
    answered = f"answered {status}"
    if status == 401:
        return "auth_error", f"{answered}: the credentials are not accepted"
    if status == FORBIDDEN:
        return "auth_error", f"{answered}: the credentials may not read this"
    if status == 404:
        return missing, answered
    if status == 429:
        return "throttled", f"{answered}: too many requests"
    if status >= 500:
        return "server_error", answered
    if 300 <= status < 400:
        return "client_error", f"{answered}: redirects, which is not followed"
    return "client_error", answered


def _unanswered(error: NoResponse) -> _Attempt:
    if error.kind == "too_large":
        return _Attempt(
            "rubbish", error.seconds, body=error.beginning, reason=error.kind, problem=error.detail
        )
    return _Attempt(error.kind, error.seconds, problem=error.detail)
