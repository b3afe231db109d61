"""What windows and backfills ask of the poller: one read to its end, through the account's budget, landed.

The rule of this file: interfaces, so that who decides what is read knows neither HTTP nor Kafka. A read
raises NoRoomError or NotLandedError where its rows did not land.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource

COMPLETE = frozenset({"success", "empty"})
"""Outcomes of a read by window of which every page is landed."""

Seen = Callable[[Sequence[bytes]], None]
"""Told of each page that is landed: its rows in their envelopes."""


class Done(Protocol):
    """What a read came to: `outcome` is one of `core.fetches.OUTCOMES`; `rows` landed, `problem` to say."""

    @property
    def outcome(self) -> str: ...

    @property
    def rows(self) -> int: ...

    @property
    def problem(self) -> str: ...


class ReadUrl(Protocol):
    """Reads and lands all pages from `url` on."""

    def __call__(
        self, resource: Resource, account: Account, url: str, priority: str, seen: Seen | None = None, /
    ) -> Awaitable[Done]: ...


class ReadCall(Protocol):
    """Reads and lands all of `resource` about one call, at one edge where there are edges."""

    def __call__(
        self, resource: Resource, account: Account, call_id: str, edge: str | None, priority: str, /
    ) -> Awaitable[Done]: ...
