"""How far a partition is done, where its records are done in any order.

An offset is committed only when nothing before it is undone. Which of the offsets behind it are undone is
committed with it, as metadata: a next owner does not read again what was answered.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections import deque
from typing import Self

METADATA_LIMIT = 4000
"""Kafka takes 4096 characters (`offset.metadata.max.bytes`)."""

SPAN_LIMIT = 1 << 18
"""Offsets that metadata may cover: more than any poller takes, and 32 KiB of bits."""


class Offsets:
    """The offsets of one partition while it is assigned to us."""

    def __init__(self) -> None:
        self._undone: dict[int, None] = {}  # in ascending order, as they came
        self._end: int | None = None
        self._next = 0
        self._redelivered_to = -1
        self._awaited: deque[int] = deque()

    @property
    def undone(self) -> int:
        """How many are taken, by us or by an owner before us, and not done."""
        return len(self._undone)

    @property
    def awaited(self) -> int:
        """How many of them were taken by an owner before us, and not yet by us."""
        return len(self._awaited)

    def take(self, offset: int) -> bool:
        """A record was fetched. False: a former owner has answered it.

        Offsets come in ascending order. One that does not is of a topic that was made again: nothing is known
        of its records.
        """
        if offset < self._next:
            self._undone.clear()
            self._awaited.clear()
            self._redelivered_to = -1
        self._next = offset + 1
        while self._awaited and self._awaited[0] <= offset:
            awaited = self._awaited.popleft()
            if awaited < offset:
                self.done(awaited)  # its record has expired: it will not come
        if offset < self._redelivered_to:
            return offset in self._undone
        self._undone[offset] = None
        self._end = offset + 1
        return True

    def done(self, offset: int) -> None:
        """Nothing is left to do for it. A second time changes nothing."""
        self._undone.pop(offset, None)

    def position(self) -> int | None:
        """The lowest undone offset; without one, the one behind the last taken; None where none was taken."""
        return next(iter(self._undone), self._end)

    def metadata(self) -> str:
        """What `restored` needs besides the position; empty where nothing is to be said.

        Where it would be too long it covers fewer offsets: the next owner reads those behind them again.
        """
        position, end = self.position(), self._end
        if position is None or end is None or not self._undone:
            return ""
        span = min(end - position, SPAN_LIMIT)
        while len(text := self._metadata(position, span)) > METADATA_LIMIT:
            span = span * 3 // 4
        return text

    def _metadata(self, position: int, span: int) -> str:
        """The same for `span` offsets from `position`, however long."""
        bits = bytearray((span + 7) // 8)
        undone = [at for offset in self._undone if (at := offset - position) < span]
        if len(undone) == span:
            return ""  # all of them are undone
        for at in undone:
            bits[at >> 3] |= 1 << (at & 7)
        return f"{span}:{base64.b64encode(zlib.compress(bytes(bits))).decode()}"

    @classmethod
    def restored(cls, position: int, metadata: str) -> Self:
        """As the owner before us committed them. Metadata that cannot be read says nothing."""
        offsets = cls()
        offsets._next = position
        try:
            span_text, _, encoded = metadata.partition(":")
            span = int(span_text)
            bits = zlib.decompressobj().decompress(base64.b64decode(encoded, validate=True), SPAN_LIMIT // 8)
        except (ValueError, binascii.Error, zlib.error):
            return offsets
        if not 0 < span <= len(bits) * 8:
            return offsets
        undone = [position + at for at in range(span) if bits[at >> 3] >> (at & 7) & 1]
        offsets._undone = dict.fromkeys(undone)
        offsets._awaited = deque(undone)
        offsets._end = offsets._redelivered_to = position + span
        return offsets
