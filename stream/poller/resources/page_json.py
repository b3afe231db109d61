"""Splits a page's JSON into members and rows, byte for byte, without decoding the rows.

Invariant: one broken row never loses its page. A parser refuses the whole page for half a surrogate pair, a
wrong escape or deep nesting inside one row. Then the page is split by its brackets and quotes alone, and the
broken row fails later, on its own. A page with more commas than real rows have is split in this way too, step
by step: it may consist of millions of tiny rows, each of which would cost kilobytes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stream.core.events import UNDECODABLE
from stream.poller.resources.resource import PageError

MAX_ROWS = 10_000
"""Of a page, also of its members: ten times the largest page size that is requested."""

MAX_COMMAS = 1_000_000
"""Of a page that is parsed in one call: a thousand for each row of the largest page."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BLANK = re.compile(rb"[ \t\r\n]*")
_NAME = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^][{},:\"\x00-\x20]++", re.DOTALL)
_NESTED = re.compile(rb"[^][{}\"]++|" + _STRING + rb"|[][{}]", re.DOTALL)
_CLOSES = {b"}": b"{", b"]": b"["}


def members(body: bytes) -> dict[str, bytes]:
    """The page's own members. Of a repeated name the last one counts. Raises PageError."""
    return dict(_parts(body, named=True))


def elements(members: dict[str, bytes], name: str) -> list[bytes]:
    """The rows in the array `name`. Raises PageError where it is missing, not an array, or too long."""
    raw = members.get(name)
    if raw is None or raw[:1] != b"[":
        raise PageError("invalid_field", f"the page has no array {name}")
    return [row for _, row in _parts(raw, named=False)]


def value(members: dict[str, bytes], name: str) -> Any:
    """The decoded value of a member. None if it is missing or cannot be decoded."""
    return decode(members.get(name, b"null"))


def decode(raw: bytes) -> Any:
    """None if it cannot be decoded."""
    try:
        return msgspec.json.decode(raw)
    except UNDECODABLE:
        return None


def link(value: Any) -> str | None:
    """The link to the next page. None (the end) for null, empty and anything that is not text."""
    return value if type(value) is str and value else None


def _parts(raw: bytes, *, named: bool) -> list[tuple[str, bytes]]:
    """(name, value) of an object's members, or ("", value) of an array's elements."""
    if raw.count(b",") > MAX_COMMAS:
        return _split(raw, named=named)
    try:
        found = list(_members(raw).items()) if named else [("", row) for row in _elements(raw)]
    except msgspec.ValidationError:
        raise PageError("not_an_object", "the page is JSON but not an object") from None
    except UNDECODABLE:
        return _split(raw, named=named)
    if len(found) > MAX_ROWS:
        raise _too_many()
    return [(name, bytes(value)) for name, value in found]


def _split(raw: bytes, *, named: bool) -> list[tuple[str, bytes]]:
    """As `_parts`, by brackets and quotes alone."""
    start, end = (b"{", b"}") if named else (b"[", b"]")
    found: list[tuple[str, bytes]] = []
    at = _after_blank(raw, 0)
    if raw[at : at + 1] != start:
        raise _not_json(at)
    at = _after_blank(raw, at + 1)
    while raw[at : at + 1] != end:
        if len(found) == MAX_ROWS:
            raise _too_many()
        if found:
            if raw[at : at + 1] != b",":
                raise _not_json(at)
            at = _after_blank(raw, at + 1)
        name = ""
        if named:
            name, at = _name(raw, at)
        value_end = _end_of_value(raw, at)
        found.append((name, raw[at:value_end]))
        at = _after_blank(raw, value_end)
    if _after_blank(raw, at + 1) != len(raw):
        raise _not_json(at + 1)
    return found


def _name(raw: bytes, at: int) -> tuple[str, int]:
    """A member's name, and where its value starts. An undecodable name becomes empty: it matches nothing."""
    if (match := _NAME.match(raw, at)) is None:
        raise _not_json(at)
    name = decode(match[1])
    return name if type(name) is str else "", match.end()


def _end_of_value(raw: bytes, at: int) -> int:
    """Where the value that starts at `at` ends. Its brackets must match; the rest of it is not checked."""
    if raw[at : at + 1] not in (b"{", b"["):
        if (match := _SCALAR.match(raw, at)) is None:
            raise _not_json(at)
        return match.end()
    opened = bytearray()
    while (match := _NESTED.match(raw, at)) is not None:
        at, token = match.end(), match[0]
        if token in (b"{", b"["):
            opened += token
        elif token in _CLOSES:
            if opened.pop() != ord(_CLOSES[token]):
                break
            if not opened:
                return at
    raise _not_json(at)


def _after_blank(raw: bytes, at: int) -> int:
    match = _BLANK.match(raw, at)
    return match.end() if match else at


def _not_json(at: int) -> PageError:
    return PageError("not_json", f"not JSON, or truncated (byte {at})")


def _too_many() -> PageError:
    return PageError("too_large", f"more than {MAX_ROWS} rows")
