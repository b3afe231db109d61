"""A REST resource as the poller sees it: the URL of its first page, and how to parse a page.

Invariant: a resource is pure. It builds URLs and parses bytes; a row stays exactly the bytes that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from stream.poller.resources.account import Account

_CALL_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.:-]{1,128}\Z")


class PageError(Exception):
    """The page is not a page of this resource. `reason` is one of the dead letters' reasons."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class CallUrlError(ValueError):
    """The resource has no URL for this call. The text says why, without the id."""


class Page(NamedTuple):
    """A parsed page.

    - `rows`: the JSON of each row, byte for byte.
    - `next_url`: as the provider wrote it, relative or absolute, or the next page by number. None at the end.
    - `total`: the number of rows on all pages, where the provider states it. If it changes between two
      pages, rows have moved from one page to another.
    - `left_out`: number of rows that are not in `rows` because they are not about a call.
    """

    rows: list[bytes]
    next_url: str | None = None
    total: int | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One REST resource of a provider.

    - `call_url(account, call_id, edge)`: URL of the first page about one call, None if the resource cannot be
      read by call. Raises CallUrlError.
    - `window_urls(account, since_us, until_us)`: URLs of the first pages of a time range (`until_us` None: up
      to now), None if the resource cannot be read by time. There are several where one filter does not match
      all rows. Rows outside the range may come too.
    - `parse(body, url)`: parses the page that `url` returned. Raises PageError.
    - `is_final(row)`: whether this row of a call shows that it will not change.
    - `detail_url(account, key, row)`: URL of the single form of a listed row, which says more; `key` is that
      of its record. None for a row, or a resource, that needs none.
    - `max_rows`: the provider returns at most so many rows of a time range. None: all.
    - `max_lookback_s`: how far back the provider returns rows by time, and rows of an ended call. None: any.
    - `overlap_s`: how far passes over a window overlap at most. None: as far as the settings say.
    - `refused_by`: the statuses by which the provider refuses this resource alone to an account. It is off
      for the account then, and the other resources are not.
    - `on_own_host`: its failures say nothing about the account, which is read at another host.
    """

    source: str
    call_url: Callable[[Account, str, str | None], str] | None = None
    window_urls: Callable[[Account, int, int | None], list[str]] | None = None
    parse: Callable[[bytes, str], Page]
    is_final: Callable[[bytes], bool] = lambda _: False
    detail_url: Callable[[Account, str, dict[str, Any]], str | None] | None = None
    max_rows: int | None = None
    max_lookback_s: float | None = None
    overlap_s: float | None = None
    refused_by: frozenset[int] = frozenset({403})
    on_own_host: bool = False

    def url_of_call(self, account: Account, call_id: str, edge: str | None) -> str:
        """As `call_url`. Raises CallUrlError also where the resource cannot be read by call."""
        if self.call_url is None:
            raise CallUrlError(f"{self.source} cannot be read by call")
        return self.call_url(account, call_id, edge)


def checked_call_id(call_id: str) -> str:
    """The id, for a query parameter (not yet quoted). Raises CallUrlError.

    Ids come from records that others wrote: none may change which resource is requested.
    """
    if _CALL_ID.match(call_id) is None:
        raise CallUrlError("a call's id has 1 to 128 letters, digits and `_.:-`")
    return call_id


def call_id_in_path(call_id: str) -> str:
    """The id, quoted as a segment of a path. Raises CallUrlError."""
    return quote(checked_call_id(call_id), safe=":")
