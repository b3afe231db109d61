"""All reads of the poller: a call on demand, a call of a backfill, a URL of a window.

Each read takes its permits from the rate limiter of its account, and its pages go to the writer. A read by
call is logged here: once per account and source when it starts to fail, once per new failure kind, once when
it works again. Windows and backfills log their own reads, so that no outage is logged twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from stream.core.fetches import ANSWERED, FetchRead, FetchRequest, read_priority
from stream.poller.limiter.rate_limiter import Impatient, NoPermitError, RateLimiter, RateLimiters
from stream.poller.pages.client import InsecureUrlError, PageClient
from stream.poller.pages.details import RowDetails
from stream.poller.pages.forbidden import ForbiddenResources
from stream.poller.pages.paged_read import (
    CALL_LIMITS,
    WINDOW_LIMITS,
    PagedRead,
    ReadLimits,
    ReadResult,
    Write,
)
from stream.poller.pages.polled_writer import PolledWriter
from stream.poller.pages.records import PageRecords, Written
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.poller.resources.resource import CallUrlError, Resource
from stream.service.log_once import LogOnce
from stream.service.metrics.poller import PollerMetrics

OnWritten = Callable[[Sequence[bytes]], None]
"""Called for each written page with its rows in their envelopes, also with those that were left out."""

log = logging.getLogger("callstream.poller")


class AccountReader:
    """All calls from the event loop's thread."""

    def __init__(
        self,
        client: PageClient,
        limiters: RateLimiters,
        writer: PolledWriter,
        metrics: PollerMetrics,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._limiters = limiters
        self._writer = writer
        self._now_s = now_s
        self._log_once = LogOnce()
        self.forbidden = ForbiddenResources()

    def state_of(self, account: Account) -> str:
        """One of POLL_STATES."""
        return self._limiters.of(account).state().state

    async def read_request(
        self, request: FetchRequest, read: FetchRead, account: Account, permits: Impatient
    ) -> ReadResult:
        """Read one resource that a fetch request asks for."""
        call_id, priority = request.key.partition(":")[2], read_priority(request, read)
        return await self.read_call(
            RESOURCES[read.source], account, call_id, read.edge, priority, permits=permits, known=read.content
        )

    async def read_call(
        self,
        resource: Resource,
        account: Account,
        call_id: str,
        edge: str | None,
        priority: str,
        *,
        permits: Impatient | None = None,
        known: str | None = None,
    ) -> ReadResult:
        """Read a call's resource, at one edge where there are edges.

        - `permits`: instead of the account's limiter, which waits until the account is open.
        - `known`: see `PagedRead`.
        """
        limiter = permits or self._limiters.of(account)
        try:
            url = resource.url_of_call(account, call_id, edge)
            result = await self._read(
                resource, account, url, priority, limiter, CALL_LIMITS, self._writer.write, known
            )
        except CallUrlError as error:
            return ReadResult("client_error", problem=str(error))
        except NoPermitError as error:
            return ReadResult(error.outcome, problem=str(error))
        what = (account.key, resource.source)  # not its name: several accounts may have one alias
        if result.outcome in ANSWERED and not result.forbidden:
            if self._log_once.succeeded(what, self._now_s()):
                log.info("%s of %s is read again", resource.source, account.name)
        elif self._log_once.failed(what, result.outcome, self._now_s()):
            log.warning(
                "%s of %s cannot be read (%s): %s",
                *(resource.source, account.name, result.outcome, result.problem),
            )
        return result

    async def read_window(
        self,
        resource: Resource,
        account: Account,
        url: str,
        priority: str,
        *,
        skip_known: bool = False,
        on_written: OnWritten | None = None,
    ) -> ReadResult:
        """Read a window from its first page. `skip_known`: leave out rows that were written lately."""
        limiter = self._limiters.of(account)

        async def read_detail(single: Resource, url: str, write: Write) -> ReadResult:
            return await self._read(single, account, url, priority, limiter, WINDOW_LIMITS, write)

        details = RowDetails(resource, account, self._writer.unknown if skip_known else list, read_detail)

        async def write(page: PageRecords) -> None:
            page = await details.replace(page)
            await self._writer.write(page, skip_known=skip_known)
            if on_written is not None:
                on_written([row.value for row in page.rows])

        # Who is told of every row needs those that were written before, too.
        written = self._writer.written if skip_known and on_written is None else None
        return await self._read(
            resource, account, url, priority, limiter, WINDOW_LIMITS, write, written=written
        )

    async def _read(
        self,
        resource: Resource,
        account: Account,
        url: str,
        priority: str,
        limiter: RateLimiter | Impatient,
        limits: ReadLimits,
        write: Write,
        known: str | None = None,
        written: Written | None = None,
    ) -> ReadResult:
        number = self.forbidden.try_read(account, resource.source, self._now_s())
        if number is None:
            outcome = self.forbidden.outcome(account, resource.source)
            return ReadResult(outcome, problem="the account may not read this", forbidden=True)
        result: ReadResult | None = None
        try:
            result = await PagedRead(
                resource=resource,
                account=account,
                first_url=url,
                client=self._client,
                metrics=self._metrics,
                limiter=limiter,
                priority=priority,
                limits=limits,
                write=write,
                known=known,
                written=written,
            ).run()
        except InsecureUrlError as error:
            result = ReadResult("client_error", problem=str(error))
        finally:
            self.forbidden.report(
                account,
                resource.source,
                number,
                result and result.outcome,
                self._now_s(),
                forbidden=result is not None and result.forbidden,
            )
        return result
