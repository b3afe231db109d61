"""Twilio's paging: a page begins behind a row, whatever has come before that row meanwhile.

The rule of this file: a page token names a row, never a number of rows to skip. So a walk along the links
meets each row that was there at its begin exactly once.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

import orjson

from stream.simulator.rest.http_types import Row
from stream.simulator.rest.sorted_search import newer
from stream.simulator.rest.timestamps import seconds


class Cursor(NamedTuple):
    """Where a page is: behind the row of this name, or (`back`) before it. `near` says where to look."""

    row: str
    near: int
    back: bool = False

    @property
    def token(self) -> str:
        """As it stands in a link."""
        text = base64.urlsafe_b64encode(f"{self.near}.{self.row}".encode()).decode().rstrip("=")
        return ("PB" if self.back else "PA") + text


def cursor(token: str) -> Cursor:
    """The cursor of a link's token. Raises ValueError."""
    way, text = token[:2], token[2:]
    if way not in ("PA", "PB"):
        raise ValueError("no page token")
    try:
        near, dot, row = (
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            .decode()
            .partition(".")
        )
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("no page token") from None
    if not (dot and row):
        raise ValueError("no page token")
    return Cursor(row, int(near), back=way == "PB")


class Listing(Protocol):
    """Rows in their order, and how one of them is named and found again."""

    rows: Sequence[Row]

    def named(self, index: int) -> tuple[str, int]:
        """A row's name, and a number that helps to find it."""

    def found(self, at: Cursor) -> tuple[int, bool]:
        """The index of a cursor's row, and whether it is there; if not, of the first row behind its place."""


class ListPage(NamedTuple):
    """Rows, and where the pages before and behind them are, None where there is none."""

    rows: list[Row]
    before: Cursor | None
    after: Cursor | None


def page(
    listing: Listing, among: range, shows: Callable[[Row], bool], at: Cursor | None, size: int
) -> ListPage:
    """The next `size` rows of those with an index in `among` that `shows` takes.

    Looks at rows one by one and no further than it must: up to the first one that has no more room.
    """
    found, more = _walk(listing.rows, _way(listing, among, at), shows, size)
    if not found:
        return ListPage([], None, None)
    back = at is not None and at.back
    if back:
        found.reverse()
    before = Cursor(*listing.named(found[0][0]), back=True) if (more if back else at is not None) else None
    after = Cursor(*listing.named(found[-1][0])) if more or back else None
    return ListPage([row for _, row in found], before, after)


def _way(listing: Listing, among: range, at: Cursor | None) -> range:
    """The indexes to look at, in this order."""
    if at is None:
        return among
    index, there = listing.found(at)
    if at.back:
        return range(min(index, among.stop) - 1, among.start - 1, -1)
    return range(max(index + there, among.start), among.stop)


def _walk(
    rows: Sequence[Row], way: range, shows: Callable[[Row], bool], size: int
) -> tuple[list[tuple[int, Row]], bool]:
    found: list[tuple[int, Row]] = []
    for index in way:
        row = rows[index]
        if shows(row):
            if len(found) == size:
                return found, True
            found.append((index, row))
    return found, False


class CallListing:
    """The Calls resource, newest first by `date_created`; a row is named by its sid."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def named(self, index: int) -> tuple[str, int]:
        """See Listing: the number is when it was created."""
        row = self.rows[index]
        return row["sid"], created_s(row)

    def found(self, at: Cursor) -> tuple[int, bool]:
        """See Listing."""
        begin = self.created_after(at.near)
        for index in range(begin, len(self.rows)):
            row = self.rows[index]
            if row["sid"] == at.row:
                return index, True
            if created_s(row) < at.near:
                break
        return begin, False

    def created_after(self, second: int) -> int:
        """How many calls were created after this second (since 1970)."""
        return newer(self.rows, lambda row: created_s(row) > second)


def created_s(row: Row) -> int:
    """When a call was created, in seconds since 1970."""
    return seconds(row["date_created"]) or 0


class LogListing:
    """Rows without an id: one is named by what it says, and which one of several equal ones it is."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._names = _names(rows)

    def named(self, index: int) -> tuple[str, int]:
        """See Listing: the number is its index."""
        return self._names[index], index

    def found(self, at: Cursor) -> tuple[int, bool]:
        """See Listing. A row that says something else by now is taken to be where it was."""
        try:
            return self._names.index(at.row), True
        except ValueError:
            return min(at.near, len(self.rows)), at.near < len(self.rows)


def _names(rows: Sequence[Row]) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for row in rows:
        name = blake2b(orjson.dumps(row, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
        names.append(f"{name}-{seen[name]}")
        seen[name] += 1
    return names
