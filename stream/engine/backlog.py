"""The records that a lane has not folded yet, and the order in which it will.

The order is a function of the records alone, so that a repetition interleaves them the same way. Of the
topics' next records the one with the lowest (timestamp, precedence of its topic) comes first; each topic's
own order is always kept, whatever its timestamps say. Records that arrived a moment ago wait for records that
other topics may still bring.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class BatchSlice(NamedTuple):
    """The records of one batch, and the next offset of each topic in it."""

    records: list[Any]
    ends: dict[str, int]

    def split(self, taken: int) -> tuple[BatchSlice, BatchSlice]:
        """(the first `taken` records as a batch of their own, the others)."""
        first, others = self.records[:taken], self.records[taken:]
        open_ended = {record.topic for record in others}
        ends = {topic: end for topic, end in self.ends.items() if topic not in open_ended}
        ends |= {record.topic: record.offset + 1 for record in first if record.topic in open_ended}
        return BatchSlice(first, ends), BatchSlice(
            others, {topic: self.ends[topic] for topic in self.ends if topic in open_ended}
        )


@dataclass(slots=True)
class QueuedChunk:
    """Consecutive records of one topic.

    `end` is the offset after them, `arrived` in seconds of any one clock, `taken` how many are in batches.
    """

    records: Sequence[Any]
    end: int
    arrived: float
    taken: int = 0


class Backlog:
    """The queued records of a lane, by topic. `topics` are in their order of precedence.

    `size`: how many records are queued; `sizes`: by topic.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self._queues: dict[str, deque[QueuedChunk]] = {topic: deque() for topic in topics}
        self.sizes = dict.fromkeys(topics, 0)
        self.size = 0

    def add(self, topic: str, records: Sequence[Any], end: int, arrived: float) -> None:
        """Queue `records`, which follow those already queued of `topic`."""
        if records:
            self._queues[topic].append(QueuedChunk(records, end, arrived))
            self.sizes[topic] += len(records)
            self.size += len(records)

    def oldest_arrival(self) -> float | None:
        """When the chunk that has waited longest arrived."""
        return min((queue[0].arrived for queue in self._queues.values() if queue), default=None)

    def take(
        self, limit: int, ripe_before: float, has_more: Callable[[str], object] = lambda _: False
    ) -> BatchSlice:
        """Up to `limit` records, in order, ending with the last that arrived before `ripe_before`.

        Younger ones are taken only if an older one comes after them. The slice ends where a topic runs out
        that has more to be fetched: its next record may come before the others' next.
        """
        waiting = {topic: queue for topic, queue in self._queues.items() if queue}
        ripe = sum(chunk.arrived <= ripe_before for queue in waiting.values() for chunk in queue)
        records: list[Any] = []
        ends: dict[str, int] = {}
        while ripe and len(records) < limit:
            if len(waiting) == 1:
                ((topic, queue),) = waiting.items()
                count = limit - len(records)
            else:
                topic, queue, count = _next_run(waiting, limit - len(records))
            chunk = queue[0]
            run = chunk.records[chunk.taken : chunk.taken + count]
            chunk.taken += len(run)
            records += run
            self.sizes[topic] -= len(run)
            if chunk.taken < len(chunk.records):
                ends[topic] = run[-1].offset + 1
                continue
            ends[topic] = chunk.end
            queue.popleft()
            ripe -= chunk.arrived <= ripe_before
            if not queue:
                del waiting[topic]
                if waiting and has_more(topic):
                    break
        self.size -= len(records)
        return BatchSlice(records, ends)


def _next_run(waiting: dict[str, deque[QueuedChunk]], limit: int) -> tuple[str, deque[QueuedChunk], int]:
    """The topic whose next record is first, and how many of its records precede any other topic's next."""
    heads = sorted(
        (queue[0].records[queue[0].taken].timestamp, precedence, topic)
        for precedence, (topic, queue) in enumerate(waiting.items())
    )
    (_, precedence, topic), (other_at, other_precedence, _) = heads[0], heads[1]
    chunk = waiting[topic][0]
    stop = min(len(chunk.records), chunk.taken + limit)
    at = chunk.taken + 1
    while at < stop:
        timestamp = chunk.records[at].timestamp
        if timestamp > other_at or (timestamp == other_at and precedence > other_precedence):
            break
        at += 1
    return topic, waiting[topic], at - chunk.taken
