"""Records of many calls as a worker writes them, fast: those of replayed calls, with other ids and times."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stream.archive.writing.decoded_batch import TopicRecord
from stream.archive.writing.writer import OffsetRange
from stream.core.timestamps import SECOND_US, utc
from tests.archive.kept import Told, replayed, values

MIXTURE = {"recording-after-end": 40, "amd": 40, "busy": 12, "canceled-while-queued": 6, "gap-expired": 2}
"""Shares of the traces of tests/replay, in percent."""

NUMBER = b"CA00000000000000000000000000000001"
MINUTE_US = 60 * SECOND_US
START_US = 1_772_445_600_000_000
MINUTES = 300
"""More than the longest of the traces."""


class GeneratedBatch(NamedTuple):
    records: list[TopicRecord]
    spans: dict[tuple[str, int], OffsetRange]


class _Template(NamedTuple):
    """A record, and how often ids and minutes stand in it decides what is replaced."""

    role: str
    value: bytes
    ids: tuple[bytes, ...]
    minutes: tuple[int, ...]


class CallGenerator:
    """Calls from a seed, evenly over a time. `topics`: the names by role."""

    def __init__(self, seed: int = 1, *, end_us: int = START_US, every_us: int = SECOND_US) -> None:
        self._random = random.Random(seed)
        self._templates = {trace: _templates(replayed(trace)) for trace in MIXTURE}
        self._offsets = dict.fromkeys(("events", "ended", "alerts"), 0)
        self.at_us = end_us
        self._every_us = every_us
        self.keys: list[str] = []
        self.events = 0

    def batches(self, events: int, size: int = 10_000) -> Iterator[GeneratedBatch]:
        """Batches of about `size` records, until there are so many events."""
        records: list[TopicRecord] = []
        first = dict(self._offsets)
        until = self.events + events
        while self.events < until:
            records += self._call()
            if len(records) >= size or self.events >= until:
                ends = self._offsets.items()
                spans = {(f"calls.{role}.v1", 0): OffsetRange(first[role], end) for role, end in ends}
                yield GeneratedBatch(records, spans)
                records, first = [], dict(self._offsets)

    def _call(self) -> Iterator[TopicRecord]:
        [trace] = self._random.choices([*MIXTURE], [*MIXTURE.values()])
        call_id = b"CA" + self._random.randbytes(16).hex().encode()
        own = self._random.randbytes(4).hex().encode()
        key = b"twilio:" + call_id
        minute_us = self.at_us // MINUTE_US * MINUTE_US
        self.at_us += self._every_us
        self.keys.append(key.decode())
        for role, value, ids, minutes in self._templates[trace]:
            value = value.replace(NUMBER, call_id)
            for id_ in ids:
                value = value.replace(id_, own + id_[8:])
            for minute in minutes:
                value = value.replace(_minute(START_US, minute), _minute(minute_us, minute))
            self.events += role == "events"
            offset = self._offsets[role]
            self._offsets[role] = offset + 1
            yield TopicRecord(role, f"calls.{role}.v1", 0, offset, key, value)


def _minute(from_us: int, minute: int) -> bytes:
    return utc(from_us + minute * MINUTE_US)[:17].encode()


def _templates(records: Sequence[Told]) -> list[_Template]:
    ids = {one["id"].encode() for role in ("events", "ended", "alerts") for one in values(records, role)}
    ids |= {one["episode_id"].encode() for one in values(records, "alerts")}
    return [
        _Template(
            role,
            value,
            tuple(id_ for id_ in ids if id_ in value),
            tuple(
                minute for minute in reversed(range(-MINUTES, MINUTES)) if _minute(START_US, minute) in value
            ),
        )
        for role, _, value in records
        if value is not None
    ]
