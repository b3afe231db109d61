"""Twilio's paging: a page begins after a row, whatever rows are added before that row.

A page token names a row, never a number of rows to skip. So a walk along the links meets each row that was
there at its start exactly once. Rows of a log have no id but are only added at its end: an index names one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stream.provider_api.http_types import Row
from stream.provider_api.sorted_search import count_newer
from stream.provider_api.time_formats import microseconds, rfc2822_seconds

_LOG_ROW = "log"


class Cursor(NamedTuple):
    """The position of a page: after the call or alert with this id, or (`back`) before it.

    `near`: when that was created, in seconds since 1970; in a log, the index at which the page begins.
    """

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
    try:
        padded = text + "=" * (-len(text) % 4)
        near, _, row = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(".")
    except (binascii.Error, UnicodeDecodeError):
        row = ""
    if way not in ("PA", "PB") or not row:
        raise ValueError("not a page token")
    return Cursor(row, int(near), back=way == "PB")


class ListPage(NamedTuple):
    """Rows, and the cursors of the previous and the next page, None if there is none."""

    rows: list[Row]
    before: Cursor | None
    after: Cursor | None


def page_of_rows(
    rows: Sequence[Row], among: range, shows: Callable[[Row], bool], at: Cursor | None, size: int
) -> ListPage:
    """The next `size` calls or alerts with an index in `among` for which `shows` is true.

    Looks only at the rows that it must: up to the first one that does not fit.
    """
    back = at is not None and at.back
    found: list[Row] = []
    more = False
    for index in among if at is None else _way(rows, among, at):
        row = rows[index]
        if shows(row):
            if len(found) == size:
                more = True
                break
            found.append(row)
    if not found:
        return ListPage([], None, None)
    if back:
        found.reverse()
    before, after = more if back else at is not None, more or back
    return ListPage(
        found,
        Cursor(found[0]["sid"], created_s(found[0]), back=True) if before else None,
        Cursor(found[-1]["sid"], created_s(found[-1])) if after else None,
    )


def _way(rows: Sequence[Row], among: range, at: Cursor) -> range:
    """The indexes to look at, in order. If the cursor's row is gone, from where it would be."""
    index, there = created_after(rows, at.near), 0
    for candidate in range(index, len(rows)):
        row = rows[candidate]
        if row["sid"] == at.row:
            index, there = candidate, 1
        if there or created_s(row) < at.near:
            break
    if at.back:
        return range(min(index, among.stop) - 1, among.start - 1, -1)
    return range(max(index + there, among.start), among.stop)


def created_s(row: Row) -> int:
    """When a call or an alert was created, in seconds since 1970."""
    text: str = row["date_created"]
    return microseconds(text) // 1_000_000 if text.endswith("Z") else rfc2822_seconds(text) or 0


def created_after(rows: Sequence[Row], second: int) -> int:
    """How many calls or alerts were created after this second (since 1970)."""
    return count_newer(rows, lambda row: created_s(row) > second)


def page_of_log(rows: list[Row], at: Cursor | None, size: int) -> ListPage:
    """The next `size` rows of a log."""
    start = 0 if at is None else max(0, at.near)
    found = rows[start : start + size]
    before = Cursor(_LOG_ROW, max(0, start - size), back=True) if found and start else None
    after = Cursor(_LOG_ROW, start + size) if start + size < len(rows) else None
    return ListPage(found, before, after)
