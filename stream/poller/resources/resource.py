"""What a REST resource is to the poller: where its first page is, and how a page is taken apart.

The rule of this file: one shape for every provider's resource, so that reading, budget and landing are
written once. A resource is pure: it makes URLs and takes bytes apart. Rows stay the bytes that they came as.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stream.poller.resources.account import Account


class PageError(Exception):
    """A page that is not what the resource answers. `reason` is one of the dead letters' reasons."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Page(NamedTuple):
    """A page taken apart.

    - `rows`: each row's JSON, byte for byte.
    - `next_url`: as the provider wrote it, relative or absolute, or the next numbered page; None at the end.
    - `total`: how many rows there are in all, where the provider says so: if it changes between two pages,
      rows have moved meanwhile.
    - `left_out`: rows that are none of `rows`, because they are about no call.
    """

    rows: list[bytes]
    next_url: str | None = None
    total: int | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One of the providers' resources.

    - `source`: the raw envelope's `source` of its rows.
    - `of_call(account, call_id, edge)`: absolute URL of the first page about one call; None where the
      resource is not asked about a call.
    - `of_window(account, since_us, until_us)`: absolute URLs of the first pages about a time (`until_us`
      None: to now). More than one where one filter does not see all (Twilio's start and end times). None
      where there are no windows. What is outside the window may come too.
    - `take(body, url)`: a page's bytes apart; `url` is the one that was asked. Raises PageError.
    - `is_complete(rows)`: whether the rows of one call say by themselves that nothing will follow.
    - `farthest_s`: how far back a window, or a call by its end, is answered at all; None for any.
    """

    source: str
    of_call: Callable[[Account, str, str | None], str] | None = None
    of_window: Callable[[Account, int, int | None], list[str]] | None = None
    take: Callable[[bytes, str], Page]
    is_complete: Callable[[Sequence[bytes]], bool] = lambda _: False
    farthest_s: float | None = None
