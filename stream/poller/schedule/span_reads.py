"""Reads a time range of a resource, in halves where the provider does not return all of it at once.

Invariant: what one read does not return is read by others, or logged as lost.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from stream.core.timestamps import SECOND_US, utc
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.planning import Span

log = logging.getLogger("callstream.poller.windows")


async def read_span(
    resource: Resource,
    account: Account,
    since_us: int,
    until_us: int | None,
    now_us: int,
    read: Callable[[str], Awaitable[ReadResult]],
) -> ReadResult:
    """Read the range by `read(url)`; `until_us` None: up to now.

    The first read that fails ends it: its result is returned. Otherwise the result has the rows of all reads,
    and the earliest of the provider's times.
    """
    assert resource.window_urls is not None
    spans: list[tuple[int, int | None]] = [(since_us, until_us)]
    found = ReadResult("empty")
    while spans:
        span = spans.pop()
        for url in resource.window_urls(account, *span):
            result = await read(url)
            if not result.reached_end:
                return result
            if resource.max_rows is not None and result.received >= resource.max_rows:
                first, second = _halves(span[0], now_us if span[1] is None else span[1])
                if second is not None:
                    spans += [second, first]
                    break
                log.warning(
                    "%s of %s has more than %d rows in the second %s: the provider returns no more of them",
                    *(resource.source, account.name, resource.max_rows, utc(span[0])),
                )
            found = _both(found, result)
    return found


def _halves(since_us: int, until_us: int) -> tuple[Span, Span | None]:
    """The halves of a range, which meet at a whole second. No second one where it is one second or less."""
    middle_us = (since_us + until_us) // 2 // SECOND_US * SECOND_US
    if not since_us < middle_us < until_us:
        return Span(since_us, until_us), None
    return Span(since_us, middle_us), Span(middle_us, until_us)


def _both(one: ReadResult, other: ReadResult) -> ReadResult:
    dates_us = [us for us in (one.provider_us, other.provider_us) if us is not None]
    return ReadResult(
        "success" if "success" in (one.outcome, other.outcome) else "empty",
        one.rows + other.rows,
        provider_us=min(dates_us, default=None),
    )
