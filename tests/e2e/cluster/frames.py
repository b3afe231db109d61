"""Parses Kafka's frames (a length, and that many bytes) from a stream.

It never fails on unknown content; a long frame is skipped.
Source: Kafka protocol guide, request header v1 and response header v0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

KEPT = 1 << 16
"""Bytes that are kept of a frame. The frames of interest are shorter."""


class Frame(NamedTuple):
    """The content of one frame, its first KEPT bytes."""

    content: bytes

    def as_request(self) -> tuple[int, int, int, bytes]:
        """(api key, version, correlation id, body)."""
        key, version, number, client = struct.unpack_from(">hhih", self.content)
        return key, version, number, self.content[10 + max(0, client) :]

    def as_answer(self) -> tuple[int, bytes]:
        """(correlation id, body)."""
        (number,) = struct.unpack_from(">i", self.content)
        return number, self.content[4:]


class Frames:
    """The frames of one direction of one connection."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields frames that are complete, or whose first KEPT bytes are."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        self._held += data
        while len(self._held) >= 4:
            (size,) = struct.unpack_from(">i", self._held)
            kept = min(size, KEPT)
            if len(self._held) < 4 + kept:
                return
            yield Frame(bytes(self._held[4 : 4 + kept]))
            self._skip = max(0, 4 + size - len(self._held))
            del self._held[: 4 + size]
