"""A page's JSON taken apart without reading its rows: members and elements, byte for byte.

The rule of this file: one broken row never loses its page. A parser refuses a whole page for half a surrogate
pair, a wrong escape or deep nesting inside one row. Then the page is split by its brackets and quotes alone,
and whoever reads the rows one by one finds the broken one. So is a page with more commas than rows have, bit
by bit: it may be nothing but millions of tiny rows, each of which costs kilobytes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stream.poller.resources.resource import PageError

MOST_ROWS = 10_000
"""Of a page, and of members: ten times what any resource is asked for at once."""

MOST_COMMAS = 1_000_000
"""Of a page that is taken apart in one go: a thousand for each row of the largest."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BLANK = re.compile(rb"[ \t\r\n]*")
_NAME = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^][{},:\"\x00-\x20]++", re.DOTALL)
_NESTED = re.compile(rb"[^][{}\"]++|" + _STRING + rb"|[][{}]", re.DOTALL)
_CLOSES = {b"}": b"{", b"]": b"["}


def members(body: bytes) -> dict[str, bytes]:
    """A page's own members. Of a name that is there twice the last counts. Raises PageError."""
    if _is_crowded(body):
        return dict(_split(body, named=True))
    try:
        found = {name: bytes(raw) for name, raw in _members(body).items()}
    except msgspec.ValidationError:
        raise PageError("not_an_object", "the page is JSON but no object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return dict(_split(body, named=True))
    return found


def elements(members: dict[str, bytes], name: str) -> list[bytes]:
    """The rows in the array `name`. Raises PageError where it is missing, no array, or has too many."""
    raw = members.get(name)
    if raw is None or raw[:1] != b"[":
        raise PageError("invalid_field", f"the page has no array of {name}")
    if _is_crowded(raw):
        return [value for _, value in _split(raw, named=False)]
    try:
        found = [bytes(row) for row in _elements(raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [value for _, value in _split(raw, named=False)]
    if len(found) > MOST_ROWS:
        raise _too_many()
    return found


def value(members: dict[str, bytes], name: str) -> Any:
    """A member's value, None where it is missing or cannot be read."""
    return read(members.get(name, b"null"))


def read(raw: bytes) -> Any:
    """The value of some JSON, None where it cannot be read."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def link(value: Any) -> str | None:
    """A link to the next page; null, empty and what is no text are the end."""
    return value if type(value) is str and value else None


def _is_crowded(raw: bytes) -> bool:
    """Whether so much may be in it that it is looked at bit by bit."""
    return raw.count(b",") > MOST_COMMAS


def _split(raw: bytes, *, named: bool) -> list[tuple[str, bytes]]:
    """(name, value) of an object's members, or ("", value) of an array's elements."""
    start, end = (b"{", b"}") if named else (b"[", b"]")
    found: list[tuple[str, bytes]] = []
    at = _after_blank(raw, 0)
    if raw[at : at + 1] != start:
        raise _not_json(at)
    at = _after_blank(raw, at + 1)
    while raw[at : at + 1] != end:
        if len(found) == MOST_ROWS:
            raise _too_many()
        if found:
            at = _after_comma(raw, at)
        name = ""
        if named:
            name, at = _name(raw, at)
        till = _end_of_value(raw, at)
        found.append((name, raw[at:till]))
        at = _after_blank(raw, till)
    if _after_blank(raw, at + 1) != len(raw):
        raise _not_json(at + 1)
    return found


def _name(raw: bytes, at: int) -> tuple[str, int]:
    """A member's name, and where its value begins. One that cannot be read is none that is looked for."""
    if (match := _NAME.match(raw, at)) is None:
        raise _not_json(at)
    name = read(match[1])
    return name if type(name) is str else "", match.end()


def _after_comma(raw: bytes, at: int) -> int:
    if raw[at : at + 1] != b",":
        raise _not_json(at)
    return _after_blank(raw, at + 1)


def _end_of_value(raw: bytes, at: int) -> int:
    """Where the value that begins at `at` ends. Its brackets must match; its inside is not looked at."""
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
    return PageError("not_json", f"no JSON, or cut off (byte {at})")


def _too_many() -> PageError:
    return PageError("too_large", f"more than {MOST_ROWS} rows")
