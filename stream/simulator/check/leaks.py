"""Finds in what came out what must not have: numbers, names and secrets of simulated calls.

The rule of this file: it knows what simulated ones look like and nothing of how they are masked. A record is
first asked whether it could have one at all, which is all that most of them cost; what is found is told by
its place and kind and never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from stream.simulator.calls.planted import DIGITS_MARK, NAME_MARK, SECRET_MARK

_SEPARATOR = rb"(?:[-. ()/]|\xc2\xa0){0,3}"


def _parted(*digits: bytes) -> bytes:
    return _SEPARATOR.join(digits)


_NORTH_AMERICA = _parted(rb"(?:212|415|512|312|604)", rb"555", rb"01\d\d")
_COUNTRY = rb"(?:\+|00|011)?"
_NUMBER = re.compile(
    # Neither within an id's hex digits nor among a number's decimals.
    rb"(?<![0-9a-f])(?<!\d\.)(?:"
    rb"(?:" + _COUNTRY + rb"1" + _SEPARATOR + rb")?(?:" + _NORTH_AMERICA + rb")"
    rb"|" + _parted(rb"555", rb"01\d\d") + rb"|(?:" + _COUNTRY + rb"44" + _SEPARATOR + rb"|0)?"
    rb"(?:" + _parted(rb"20", rb"7946", rb"0\d{3}") + rb"|" + _parted(rb"1632", rb"960", rb"\d{3}") + rb")"
    rb")(?![0-9a-f])"
)
"""The numbers of `places` and `planted`, in the spellings that people write; of lower-case text."""

_IN_EVERY_NUMBER = (b"555", b"7946", b"1632")
_AROUND = 24
"""Bytes before and behind those that a number may have."""

_NAME_MARK, _SECRET_MARK, _DIGITS_MARK = (mark.encode() for mark in (NAME_MARK, SECRET_MARK, DIGITS_MARK))
_ENDPOINT = (re.compile(rb"agent_\d"), re.compile(rb"desk\d+(?:@|%40)"))
_DIGITS = re.compile(_DIGITS_MARK + rb"\d{9}(?![0-9a-f])")
_HEX = frozenset(b"0123456789abcdef")

Headers = Iterable[tuple[str, bytes | None]]


class Leak(NamedTuple):
    """`where`: a part of the record (a field's path, the key, a header); `kind`: number, name or secret."""

    where: str
    kind: str

    def __str__(self) -> str:
        return f"{self.where}: a {self.kind}"


def kinds(text: bytes, *, only_secrets: bool) -> list[str]:
    """Which kinds of planted things are in a text, percent-encoded or not."""
    if b"%" in text:
        text = text + b"\n" + unquote_to_bytes(unquote_to_bytes(text))
    text = text.lower()
    found = ["secret"] if _has_secret(text) else []
    if not only_secrets:
        found += ["number"] if _has_number(text) else []
        found += ["name"] if _has_name(text) else []
    return found


def _has_secret(text: bytes) -> bool:
    if _SECRET_MARK in text:
        return True
    if _DIGITS_MARK not in text:
        return False
    return any(not at.start() or text[at.start() - 1] not in _HEX for at in _DIGITS.finditer(text))


def _has_number(text: bytes) -> bool:
    for part in _IN_EVERY_NUMBER:
        at = text.find(part)
        while at >= 0:
            # A search over the whole text would try each of its bytes.
            if _NUMBER.search(text, max(0, at - _AROUND), at + _AROUND):
                return True
            at = text.find(part, at + 1)
    return False


def _has_name(text: bytes) -> bool:
    return _NAME_MARK in text or any(one.search(text) for one in _ENDPOINT)


def in_record(
    key: bytes | None, value: bytes | None, headers: Headers, *, only_secrets: bool
) -> Iterator[Leak]:
    """What leaked in a record."""
    if key is not None:
        yield from (Leak("key", kind) for kind in kinds(key, only_secrets=only_secrets))
    for name, content in headers:
        for kind in kinds(name.encode() + b"\n" + (content or b""), only_secrets=only_secrets):
            yield Leak(f"header {_shown(name)}", kind)
    if value is not None:
        for kind in kinds(value, only_secrets=only_secrets):
            yield from _in_value(value, kind, only_secrets=only_secrets)


def in_text(text: bytes, *, only_secrets: bool) -> Iterator[Leak]:
    """What leaked in lines of a log or of an exposition."""
    if not kinds(text, only_secrets=only_secrets):
        return
    for number, line in enumerate(text.splitlines(), 1):
        for kind in kinds(line, only_secrets=only_secrets):
            yield Leak(f"line {number}", kind)


def _in_value(value: bytes, kind: str, *, only_secrets: bool) -> Iterator[Leak]:
    """Where in a JSON value; the whole of it where that cannot be said."""
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        body = None
    paths = [path for path, text in _leaves(body, "") if kind in kinds(text, only_secrets=only_secrets)]
    yield from (Leak(f"value {path}".rstrip(), kind) for path in dict.fromkeys(paths or [""]))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """(path, text) of every value and every name within."""
    if isinstance(value, dict):
        for name, inner in value.items():
            below = f"{path}.{_shown(name)}" if path else _shown(name)
            yield f"{path} (a name in it)".lstrip(), name.encode("utf-8", "surrogatepass")
            yield from _leaves(inner, below)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    elif isinstance(value, str):
        yield path, value.encode("utf-8", "surrogatepass")
    elif value is not None:
        yield path, orjson.dumps(value)


def _shown(name: str) -> str:
    """A name in a path; one that has a planted thing in it is not repeated."""
    return "*" if kinds(name.encode("utf-8", "surrogatepass"), only_secrets=False) else name


LOCATED = 1000
"""Records and texts in which the place of a leak is looked for; after so many it is known where they are."""


class LeakSearch:
    """Looks at one thing after the other and remembers what leaked.

    `only_secrets`: where all else may leave. `found` counts the records and texts in which there is a leak;
    `examples` has the first of each place and kind.
    """

    def __init__(self, *, only_secrets: bool = False) -> None:
        self.found = 0
        self.examples: list[str] = []
        self.records = 0
        self.texts: list[str] = []
        self._only_secrets = only_secrets
        self._known: set[tuple[str, Leak]] = set()

    def record(
        self,
        topic: str,
        at: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        """A record; `at` is its place in the topic."""
        self.records += 1
        parts = [key or b"", value or b""]
        for name, content in headers:
            parts += [name.encode(), content or b""]
        if kinds(b"\n".join(parts), only_secrets=self._only_secrets):
            self._note(topic, at, in_record(key, value, headers, only_secrets=self._only_secrets))

    def text(self, name: str, text: bytes) -> None:
        """A log's or an exposition's lines."""
        self.texts.append(name)
        if kinds(text, only_secrets=self._only_secrets):
            self._note(name, "", in_text(text, only_secrets=self._only_secrets))

    def _note(self, topic: str, at: str, leaks: Iterator[Leak]) -> None:
        self.found += 1
        if self.found > LOCATED:
            return
        for leak in leaks:
            if (topic, leak) not in self._known:
                self._known.add((topic, leak))
                self.examples.append(f"{topic}{at} {leak}")
