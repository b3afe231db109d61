"""Replaces listed rows by their single forms, which say more.

Invariant: every row is written, as its single form or as listed. Its mark stays that of the listed row, by
which the next pass over the window recognises it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from stream.kafka.envelope_codec import read_envelope
from stream.poller.pages.paged_read import ReadResult, Write
from stream.poller.pages.records import PageRecords, PolledRow
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource

MAX_DETAILS = 100
"""Single forms of one window: ten seconds' requests of an account. Further rows stay as listed."""

Unknown = Callable[[Sequence[PolledRow]], list[PolledRow]]
ReadDetail = Callable[[Resource, str, Write], Awaitable[ReadResult]]


class RowDetails:
    """Of one read of a window.

    - `unknown(rows)`: the rows that were not written lately; the others need no single form.
    - `read(resource, url, write)`: reads a single form.
    """

    def __init__(self, resource: Resource, account: Account, unknown: Unknown, read: ReadDetail) -> None:
        self._resource = resource
        self._account = account
        self._unknown = unknown
        self._read = read
        self._left = MAX_DETAILS

    async def replace(self, page: PageRecords) -> PageRecords:
        """The page with single forms, where there are any. After a failure the other rows stay as listed."""
        if self._resource.detail_url is None:
            return page
        found: dict[int, PageRecords] = {}
        for row in self._unknown(page.rows):
            if self._left and (url := self._url(row)) is not None:
                self._left -= 1
                found[row.mark] = await self._detail(url)
        rows = []
        for row in page.rows:
            detail = found[row.mark].rows if row.mark in found else []
            rows.append(detail[0]._replace(mark=row.mark, identity=row.identity) if detail else row)
        letters = [letter for one in found.values() for letter in one.dead_letters]
        return PageRecords(rows, page.dead_letters + letters, page.known)

    def _url(self, row: PolledRow) -> str | None:
        assert self._resource.detail_url is not None
        return self._resource.detail_url(self._account, row.key.decode(), read_envelope(row.value).body)

    async def _detail(self, url: str) -> PageRecords:
        found = PageRecords([], [])

        async def keep(page: PageRecords) -> None:
            found.rows.extend(page.rows)
            found.dead_letters.extend(page.dead_letters)

        # That an alert has gone says nothing about the list.
        single = replace(self._resource, refused_by=frozenset())
        result = await self._read(single, url, keep)
        if result.outcome not in ("success", "not_found", "rubbish"):
            self._left = 0
        return found
