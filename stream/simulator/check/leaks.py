"""Finds in a run's outputs what must not be there: numbers, names and secrets of simulated calls.

It knows how simulated ones look, and nothing of how they are masked. A cheap test first rules out most
records. A finding names its position and kind and never repeats what was found.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import aiohttp
import orjson

from stream.simulator.calls.planted import DIGITS_MARK, NAME_MARK, SECRET_MARK

_SEPARATOR = rb"(?:[-. ()/]|\xc2\xa0){0,3}"


def _parted(*digits: bytes) -> bytes:
    return _SEPARATOR.join(digits)


_NORTH_AMERICA = _parted(rb"(?:212|415|512|312|604)", rb"555", rb"01\d\d")
_COUNTRY = rb"(?:\+|00|011)?"
_NUMBER = re.compile(
    # Not within the hex digits of an id, nor among the decimals of a number.
    rb"(?<![0-9a-f])(?<!\d\.)(?:"
    rb"(?:" + _COUNTRY + rb"1" + _SEPARATOR + rb")?(?:" + _NORTH_AMERICA + rb")"
    rb"|" + _parted(rb"555", rb"01\d\d") + rb"|(?:" + _COUNTRY + rb"44" + _SEPARATOR + rb"|0)?"
    rb"(?:" + _parted(rb"20", rb"7946", rb"0\d{3}") + rb"|" + _parted(rb"1632", rb"960", rb"\d{3}") + rb")"
    rb")(?![0-9a-f])"
)
"""The numbers of `scenario` and `planted` as people spell them; for lower-case text."""

_IN_EVERY_NUMBER = (b"555", b"7946", b"1632")
_AROUND = 24
"""Bytes that a number may have before and after those."""

_NAME_MARK, _SECRET_MARK, _DIGITS_MARK = (mark.encode() for mark in (NAME_MARK, SECRET_MARK, DIGITS_MARK))
_ENDPOINT = (re.compile(rb"agent_\d"), re.compile(rb"desk\d+(?:@|%40)"))
_DIGITS = re.compile(rb"(?<![0-9a-f])" + _DIGITS_MARK + rb"\d{9}(?![0-9a-f])")

Headers = Iterable[tuple[str, bytes | None]]


def kinds(text: bytes, *, only_secrets: bool) -> list[str]:
    """The kinds of leaks in a text (number, name, secret), percent-encoded or not."""
    if b"%" in text:
        text = text + b"\n" + unquote_to_bytes(unquote_to_bytes(text))
    text = text.lower()
    found = []
    if _SECRET_MARK in text or (_DIGITS_MARK in text and _DIGITS.search(text)):
        found.append("secret")
    if not only_secrets and _has_number(text):
        found.append("number")
    if not only_secrets and (_NAME_MARK in text or any(one.search(text) for one in _ENDPOINT)):
        found.append("name")
    return found


def _has_number(text: bytes) -> bool:
    for part in _IN_EVERY_NUMBER:
        at = text.find(part)
        while at >= 0:
            # Searching the whole text would try the expression at each byte.
            if _NUMBER.search(text, max(0, at - _AROUND), at + _AROUND):
                return True
            at = text.find(part, at + 1)
    return False


def in_record(
    key: bytes | None, value: bytes | None, headers: Headers, *, only_secrets: bool
) -> Iterator[str]:
    """The leaks in a record, each by its position (a field's path, the key, a header) and its kind."""
    if key is not None:
        yield from (f"key: a {kind}" for kind in kinds(key, only_secrets=only_secrets))
    for name, content in headers:
        for kind in kinds(name.encode() + b"\n" + (content or b""), only_secrets=only_secrets):
            yield f"header {_shown(name)}: a {kind}"
    if value is not None:
        for kind in kinds(value, only_secrets=only_secrets):
            yield from _in_value(value, kind, only_secrets=only_secrets)


def in_text(text: bytes, *, only_secrets: bool) -> Iterator[str]:
    """The leaks in the lines of a log or of an exposition."""
    if not kinds(text, only_secrets=only_secrets):
        return
    for number, line in enumerate(text.splitlines(), 1):
        for kind in kinds(line, only_secrets=only_secrets):
            yield f"line {number}: a {kind}"


def _in_value(value: bytes, kind: str, *, only_secrets: bool) -> Iterator[str]:
    """The fields of a JSON value in which the leak is; the whole value if they cannot be told."""
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        body = None
    paths = [path for path, text in _leaves(body, "") if kind in kinds(text, only_secrets=only_secrets)]
    yield from (f"value {path}".rstrip() + f": a {kind}" for path in dict.fromkeys(paths or [""]))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """(path, text) of every value and every name in it."""
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
    """A name in a path; a name that is itself a leak is not repeated."""
    return "*" if kinds(name.encode("utf-8", "surrogatepass"), only_secrets=False) else name


LOCATED = 1000
"""Leaking records and texts whose leaks are located. By then it is known where they are."""


class LeakSearch:
    """Searches records and texts and remembers what leaked.

    - `only_secrets`: numbers and names are allowed.
    - `found`: the number of records and texts with a leak; `examples`: the first of each position and kind.
    """

    def __init__(self, *, only_secrets: bool = False) -> None:
        self.found = 0
        self.examples: list[str] = []
        self.records = 0
        self.texts: list[str] = []
        self._only_secrets = only_secrets
        self._known: set[tuple[str, str]] = set()

    def record(
        self,
        topic: str,
        at: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        """A record; `at` is its position in the topic."""
        self.records += 1
        parts = [key or b"", value or b""]
        for name, content in headers:
            parts += [name.encode(), content or b""]
        if kinds(b"\n".join(parts), only_secrets=self._only_secrets):
            self._note(topic, at, in_record(key, value, headers, only_secrets=self._only_secrets))

    def text(self, name: str, text: bytes) -> None:
        """Lines of a log or of an exposition; of a long one, some at a time."""
        if name not in self.texts:
            self.texts.append(name)
        if kinds(text, only_secrets=self._only_secrets):
            self._note(name, "", in_text(text, only_secrets=self._only_secrets))

    def _note(self, topic: str, at: str, leaks: Iterator[str]) -> None:
        self.found += 1
        if self.found > LOCATED:
            return
        for leak in leaks:
            if (topic, leak) not in self._known:
                self._known.add((topic, leak))
                self.examples.append(f"{topic}{at} {leak}")


ANSWER_S = 5.0
AT_ONCE_BYTES = 16 * 1024 * 1024
"""A log may be of any length."""


class MetricsAndLogs:
    """The roles' metrics and logs, for a search of them. `metrics`: URLs by role; `logs`: files.

    Metrics that cannot be read are skipped. A log counts from its size when the run began.
    """

    def __init__(self, metrics: Mapping[str, str], logs: Sequence[Path] = ()) -> None:
        self._metrics = dict(metrics)
        self._logs = {path: _size(path) for path in logs}

    async def search_with(self, search: LeakSearch) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_S)) as http:
            for role, url in self._metrics.items():
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with http.get(url, allow_redirects=False, ssl=False) as answer:
                        if answer.status == 200:
                            search.text(f"the {role}'s metrics", await answer.read())
        for path, began in self._logs.items():
            lines = _written(path, began)
            while (some := await asyncio.to_thread(next, lines, None)) is not None:
                search.text(path.name, some)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _written(path: Path, began: int) -> Iterator[bytes]:
    """What was written to a log since, some lines at a time and at least none. A log that is shorter than
    before was started anew.
    """
    yield b""
    if not path.exists():
        return
    with path.open("rb") as log:
        log.seek(began if _size(path) >= began else 0)
        while some := log.read(AT_ONCE_BYTES):
            yield some + log.readline()
