"""Twilio's paging: a page begins after a row, whatever rows are added before that row.

A page token names a row, never a number of rows to skip. So a walk along the links meets each row that was
there at its start exactly once.
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


class Cursor(NamedTuple):
    """The position of a page: after the row of this name, or (`back`) before it. `near`: where to search."""

    row: str
    near: int
    back: bool = False

    @property
    def token(self) -> str:
        """The token in a link."""
        text = base64.urlsafe_b64encode(f"{self.near}.{self.row}".encode()).decode().rstrip("=")
        return ("PB" if self.back else "PA") + text


def cursor(token: str) -> Cursor:
    """The cursor of a link's token. Raises ValueError."""
    way, text = token[:2], token[2:]
    if way not in ("PA", "PB"):
        raise ValueError("not a page token")
    try:
        near, dot, row = (
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            .decode()
            .partition(".")
        )
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("not a page token") from None
    if not (dot and row):
        raise ValueError("not a page token")
    return Cursor(row, int(near), back=way == "PB")


class Listing(Protocol):
    """Ordered rows, and how a row is named and found again."""

    rows: Sequence[Row]

    def named(self, index: int) -> tuple[str, int]:
        """A row's name, and a number that helps to find it."""

    def found(self, at: Cursor) -> tuple[int, bool]:
        """The index of a cursor's row and True; if the row is gone, of the first row after its position and
        False.
        """


class ListPage(NamedTuple):
    """Rows, and the cursors of the previous and the next page, None if there is none."""

    rows: list[Row]
    before: Cursor | None
    after: Cursor | None


def page(
    listing: Listing, among: range, shows: Callable[[Row], bool], at: Cursor | None, size: int
) -> ListPage:
    """The next `size` rows with an index in `among` for which `shows` is true.

    Looks at no more rows than it must: up to the first one that does not fit.
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
    """The indexes to look at, in order."""
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


class LogListing:
    """Rows without an id, named by their content and their position among identical ones."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._names = _names(rows)

    def named(self, index: int) -> tuple[str, int]:
        """See Listing: the number is its index."""
        return self._names[index], index

    def found(self, at: Cursor) -> tuple[int, bool]:
        """See Listing. A row whose content has changed is taken to be where it was."""
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
