"""Who reads for the poller's parts: a request's call, a URL of a window, a call of a backfill.

The rule of this file: it joins a read to its account's door and to the shore. Of reads about a call it says
in the log what goes wrong, for each account and source when it begins and when it is over. Windows and
backfills say themselves what their reads came to: a trouble makes one line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stream.core.fetches import ANSWERED, FetchRequest
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.limiter.rate_limiter import RateLimiters, RefusedError
from stream.poller.pages.client import InsecureUrlError, PageClient
from stream.poller.pages.forbidden import ForbiddenResources
from stream.poller.pages.paged_read import (
    CALL,
    WINDOW,
    Land,
    RateLimiter,
    ReadLimits,
    ReadResult,
    read,
    url_of_call,
)
from stream.poller.pages.polled_writer import PolledWriter
from stream.poller.pages.protocols import Seen
from stream.poller.pages.records import PageRecords
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfill_work import PRIORITY as BACKFILL
from stream.service.log_once import LogOnce

log = logging.getLogger("callstream.poller")


class AccountReader:
    """Reads of every kind, each through its account's door. All calls from the event loop's thread."""

    def __init__(
        self,
        client: PageClient,
        limiters: RateLimiters,
        shore: PolledWriter,
        metrics: PollMetrics,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._limiters = limiters
        self._shore = shore
        self._metrics = metrics
        self._now_s = now_s
        self._troubles = LogOnce()
        self.forbidden = ForbiddenResources()

    async def request(self, request: FetchRequest, account: Account) -> ReadResult:
        """What a fetch request asks for. It does not wait for credentials that are refused."""
        resource = RESOURCES[request.source]
        call_id = request.key.partition(":")[2]
        limiter = self._limiters.of(account).fail_fast()
        try:
            return await self._call(resource, account, call_id, request.edge, request.priority, limiter)
        except RefusedError:
            return ReadResult("auth_error", problem="the credentials are refused")

    async def call(
        self, resource: Resource, account: Account, call_id: str, edge: str | None, priority: str
    ) -> ReadResult:
        """A call's resource, however long its turn takes to come."""
        return await self._call(resource, account, call_id, edge, priority, self._limiters.of(account))

    async def url(
        self, resource: Resource, account: Account, url: str, priority: str, seen: Seen | None = None
    ) -> ReadResult:
        """A window from its first page on. Rows that were landed lately are not landed again, but for a
        backfill: who asks for a past time once more wants all of it.
        """

        async def land(page: PageRecords) -> None:
            await self._shore.land(page, remember=priority != BACKFILL)
            if seen is not None:
                seen([row.value for row in page.records])

        return await self._read(resource, account, url, priority, self._limiters.of(account), WINDOW, land)

    async def _call(
        self,
        resource: Resource,
        account: Account,
        call_id: str,
        edge: str | None,
        priority: str,
        limiter: RateLimiter,
    ) -> ReadResult:
        url = url_of_call(resource, account, call_id, edge)
        if isinstance(url, ReadResult):
            return url
        done = await self._read(resource, account, url, priority, limiter, CALL, self._shore.land)
        self._say(resource, account, done)
        return done

    async def _read(
        self,
        resource: Resource,
        account: Account,
        url: str,
        priority: str,
        limiter: RateLimiter,
        reach: ReadLimits,
        land: Land,
    ) -> ReadResult:
        number = self.forbidden.ask(account, resource.source, self._now_s())
        if number is None:
            return ReadResult("auth_error", problem="the credentials may not read this", forbidden=True)
        try:
            done = await read(
                resource,
                account,
                url,
                client=self._client,
                limiter=limiter,
                priority=priority,
                land=land,
                metrics=self._metrics,
                reach=reach,
            )
        except InsecureUrlError as error:
            done = ReadResult("client_error", problem=str(error))
        except BaseException:
            self.forbidden.given_back(account, resource.source, number)
            raise
        self.forbidden.answered(
            account, resource.source, number, done.outcome, self._now_s(), forbidden=done.forbidden
        )
        return done

    def _say(self, resource: Resource, account: Account, done: ReadResult) -> None:
        # By its id: several accounts may have one alias.
        what = (account.provider, account.id, resource.source)
        if done.outcome in ANSWERED:
            if self._troubles.succeeded(what, self._now_s()):
                log.info("%s of %s is read again", resource.source, account.name)
        elif self._troubles.failed(what, done.outcome, self._now_s()):
            log.warning(
                "%s of %s cannot be read (%s): %s",
                *(resource.source, account.name, done.outcome, done.problem),
            )
