"""How Telnyx numbers its pages: `page[number]` from 1, `page[size]`, rows under `data`.

`meta` says `page_number`, `total_pages` and `total_results`. The next page is the same URL with the next
number, until the last one or an empty page; without `meta` a page that is not full is the last.

The rule of this file: the provider names no link here, so none is followed. A page's number is the one that
was asked for; rows that move between two pages change `total_results`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stream.poller.resources import rows
from stream.poller.resources.resource import Page

PAGE_SIZE = 250
"""The most that Telnyx gives at once."""

Parameters = list[tuple[str, str]]


def first(url: str, filters: Parameters) -> str:
    """The URL of the first page."""
    return f"{url}?{urlencode([*filters, ('page[number]', '1'), ('page[size]', str(PAGE_SIZE))])}"


def take(body: bytes, url: str) -> Page:
    members = rows.members(body)
    found = rows.elements(members, "data")
    meta = rows.value(members, "meta")
    parameters = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    number = _number(dict(parameters).get("page[number]")) or 1
    more = _is_more(found, meta if type(meta) is dict else {}, number, dict(parameters))
    total = meta.get("total_results") if type(meta) is dict else None
    return Page(found, _at(url, parameters, number + 1) if more else None, _number(total))


def _is_more(found: list[bytes], meta: dict[str, Any], number: int, parameters: dict[str, str]) -> bool:
    pages = _number(meta.get("total_pages"))
    if pages is not None:
        return bool(found) and max(number, _number(meta.get("page_number")) or 0) < pages
    size = _number(parameters.get("page[size]")) or PAGE_SIZE
    return len(found) >= size


def _at(url: str, parameters: Parameters, number: int) -> str:
    """The same URL with another page's number."""
    said = [(name, str(number) if name == "page[number]" else text) for name, text in parameters]
    return urlunsplit(urlsplit(url)._replace(query=urlencode(said)))


def _number(value: Any) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    return value if type(value) is int and value >= 0 else None
