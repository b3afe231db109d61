"""What windows and backfills ask of the poller: one complete read, through the account's budget, landed.

The rule of this file: interfaces, so that who decides what is read knows neither HTTP nor Kafka.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from stream.polling.account import Account
from stream.polling.resource import Resource

COMPLETE = frozenset({"success", "empty"})
"""Outcomes of a read of which every page is landed."""


class Done(Protocol):
    """What a read came to: `outcome` is one of `core.fetches.OUTCOMES`."""

    @property
    def outcome(self) -> str: ...

    @property
    def rows(self) -> int: ...


ReadUrl = Callable[[Resource, Account, str, str], Awaitable[Done]]
"""Reads and lands all pages from a URL on: (resource, account, url, priority)."""

ReadCall = Callable[[Resource, Account, str, str | None, str], Awaitable[Done]]
"""The same about one call: (resource, account, call id, edge, priority)."""

Rows = Sequence[bytes]


class ReadRows(Protocol):
    """As ReadUrl; `seen` is told the rows of each page, after they are landed."""

    def __call__(
        self, resource: Resource, account: Account, url: str, priority: str, *, seen: Callable[[Rows], None]
    ) -> Awaitable[Done]: ...
