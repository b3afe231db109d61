"""The label of a customer's endpoint: its name in the settings, else host and path of the busiest ones.

A path may contain ids and numbers, so a part with digits is a `*`, and everything that looks personal is
masked, whatever the privacy mode. There are at most MOST labels beside `other`, and one that exists stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from stream.core.privacy.masking import Privacy
from stream.service.metrics.label_values import OTHER

MOST = 20
LEAST_REQUESTS = 10
"""With so many requests an endpoint gets its own label while there is room: the busiest come first."""

CANDIDATES = 500
"""Endpoints whose requests are counted; beyond that the quieter half is forgotten."""

LONGEST_PART = 40
LONGEST = 120

_MASKED = Privacy()
_WORD = r"(?:[A-Z]{0,4}[a-z]{2,20}(?:[A-Z]{1,4}[a-z]{2,20}){0,4}[A-Z]{0,3}|[A-Z]{1,8}|[a-z])"
"""As people write it, which a random token of letters hardly ever is."""

_PLAIN_PART = re.compile(
    rf"{_WORD}(?:[._-]+{_WORD})*[._-]*(?:[vV]\d{{1,2}})?|[vV]\d{{1,2}}|\d{{4}}-\d{{2}}-\d{{2}}"
)
"""A part that names a resource or a version. One that has digits elsewhere may be an id."""


class EndpointNames:
    """`named`: (pattern of a URL, name); the first that fits counts. Empty: the busiest are shown."""

    def __init__(self, named: Sequence[tuple[str, str]] = ()) -> None:
        self._named = tuple((_pattern(url), name) for url, name in named)
        self._busiest: set[str] = set()
        self._requests: Counter[str] = Counter()
        self.known = (*dict.fromkeys(name for _, name in named), OTHER)
        """The labels that are known before the first request."""

    def label(self, url: str, requests: int) -> str:
        """The label of an endpoint with so many more requests; OTHER if it has none of its own (yet)."""
        if self._named:
            return next((name for pattern, name in self._named if pattern.fullmatch(url)), OTHER)
        place = host_and_path(url)
        if place in self._busiest:
            return place
        if len(self._busiest) < MOST:
            self._requests[place] += requests
            if self._requests[place] >= LEAST_REQUESTS:
                self._busiest.add(place)
                del self._requests[place]
                return place
            if len(self._requests) > CANDIDATES:
                self._requests = Counter(dict(self._requests.most_common(CANDIDATES // 2)))
        return OTHER

    def stays_other(self, url: str) -> bool:
        """Whether an endpoint that is OTHER gets no label of its own, however many requests it has."""
        return bool(self._named) or len(self._busiest) >= MOST or host_and_path(url) == OTHER


def _pattern(url: str) -> re.Pattern[str]:
    """`*` stands for any characters."""
    return re.compile(".*".join(map(re.escape, url.split("*"))), re.DOTALL)


@lru_cache(maxsize=2048)
def host_and_path(url: str) -> str:
    """Host and path of a URL, with `*` for each part that may be an id or a person."""
    try:
        parts = urlsplit(_MASKED.url(url))
        host = parts.hostname or ""
    except ValueError:
        return OTHER
    path = "/".join(
        part if not part or (len(part) <= LONGEST_PART and _PLAIN_PART.fullmatch(part)) else "*"
        for part in parts.path.split("/")
    )
    return f"{host}{path}"[:LONGEST] if host else OTHER
