"""The filters of Telnyx' logs, and their pages, which have numbers.

A new row shifts the rows after it; the total shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stream.provider_api.http_types import Row
from stream.provider_api.sorted_search import count_since
from stream.provider_api.time_formats import iso_us

Filters = Mapping[str, Callable[[Row, str], bool]]
"""By the name of a filter, whether a row has its value."""


def payload_of(row: Row) -> dict[str, Any]:
    """What the event in a row tells; empty of a command."""
    event = (row.get("metadata") or {}).get("event") or {}
    return event.get("payload") or {}


def _failed(row: Row) -> str:
    """Whether the delivery failed, not the call. A command is not delivered, so it did not fail."""
    return "true" if (row.get("metadata") or {}).get("status") == "failed" else "false"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


EVENT_FILTERS: Filters = {
    "leg_id": lambda row, value: row["call_leg_id"] == value,
    "application_session_id": lambda row, value: row["call_session_id"] == value,
    "name": lambda row, value: row["name"] == value,
    "type": lambda row, value: row["type"] == value,
    "failed": lambda row, value: _failed(row) == value,
    "product": lambda row, value: payload_of(row).get("product", "call_control") == value,
    "connection_id": lambda row, value: payload_of(row).get("connection_id") == value,
    "from": lambda row, value: payload_of(row).get("from") == value,
    "to": lambda row, value: payload_of(row).get("to") == value,
    "application_name][contains": lambda row, value: (
        value.lower() in str(payload_of(row).get("application_name") or "").lower()
    ),
    "outbound.outbound_voice_profile_id": lambda row, value: (
        payload_of(row).get("outbound_voice_profile_id") == value
    ),
}
DELIVERY_FILTERS: Filters = {
    "status][eq": lambda row, value: row["status"] == value,
    "event_type": lambda row, value: row["webhook"]["event_type"] in map(str.strip, value.split(",")),
    "webhook][contains": lambda row, value: value in _json(row["webhook"]),
    "attempts][contains": lambda row, value: value in _json(row["attempts"]),
    "finished_at][gte": lambda row, value: (row["finished_at"] or "") >= value,
    "finished_at][lte": lambda row, value: "" < (row["finished_at"] or "") <= value,
}
KNOWN_VALUES = {
    "type": ("command", "webhook"),
    "failed": ("true", "false"),
    "product": ("call_control", "fax", "texml"),
    "status][eq": ("delivered", "failed"),
}


_LAST_US = 253_402_300_799_999_999
"""The end of the year 9999."""


class LogFilters(NamedTuple):
    """The rows whose own time is from `first_us` to `last_us`, both included (None: open), and which have the
    given values; `values` are by the names of `known`.
    """

    known: Filters
    values: Mapping[str, str]
    first_us: int | None = None
    last_us: int | None = None

    def show(self, row: Row) -> bool:
        """Whether a row has the values."""
        return all(self.known[name](row, value) for name, value in self.values.items())

    def among(self, rows: Sequence[Row], field: str) -> range:
        """The rows of the time, which is in `field`, newest first."""
        return range(
            0 if self.last_us is None else count_since(rows, field, _text(self.last_us + 1)),
            len(rows) if self.first_us is None else count_since(rows, field, _text(self.first_us)),
        )


def _text(us: int) -> str:
    """A time as rows have it; one that no text can tell is the nearest that one can."""
    return iso_us(min(max(us, 0), _LAST_US))


class NumberedPage(NamedTuple):
    """The rows of a page, and how many rows all pages have together."""

    rows: list[Row]
    total: int


def numbered_page(
    rows: Sequence[Row], field: str, wanted: LogFilters, number: int, size: int
) -> NumberedPage:
    """A page by its number. Without values, only the rows of the page are looked at."""
    among = wanted.among(rows, field)
    skip = slice((number - 1) * size, number * size)
    if wanted.values:
        found = [row for row in map(rows.__getitem__, among) if wanted.show(row)]
        return NumberedPage(found[skip], len(found))
    return NumberedPage([rows[index] for index in among[skip]], len(among))
