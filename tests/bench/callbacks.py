"""The callbacks that every candidate gets: the simulator's, written once.

Status callbacks of answered, busy and failed calls, some of them twice and some behind their successor, three
or four a call: of calls that are followed from their start, not of those whose owner wants the end alone.
They are received as they are sent, so a call's reads fall due after its end, as they do in production.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import orjson
from confluent_kafka import Producer

from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import Options
from stream.simulator.traffic import Traffic

SOURCE = frozenset({"twilio_status_callback"})
OPEN_S = 13.0
"""About so many calls are open at a time for each callback that is received in a second."""
SLOTS = 4.1
"""About so many of the simulator's deliveries become one callback: it makes room for polled rows."""

SHORT_S = 2
"""What is a short call by the rules."""

Progress = Callable[[int], None]


class Written(msgspec.Struct):
    """What was written, and what must come of it."""

    records: int = 0
    value_bytes: int = 0
    events: int = 0
    """Different ones: what is left when repetitions are dropped."""
    calls: int = 0
    alerts: int = 0
    """Different calls that failed or were short: so many alerts of the full job."""
    failed_events: int = 0
    """Different events that say so: so many of the small job, which does not look back."""


def callbacks(
    records: int, open_calls: int, seed: int = 1, failed: float = 0.05, start_s: float | None = None
) -> Iterator[SourceRecord]:
    """`records` callbacks in the order of their delivery, the first received at `start_s`; None: now.

    `failed` is the share of the calls that fail.
    """
    options = Options(
        calls=None,
        rate=open_calls / OPEN_S * SLOTS,
        sources=SOURCE,
        telnyx=0.0,
        failed=failed,
        duplicates=0.05,
        reorder=0.02,
        # Of usual size: what is planted would be most of the bytes.
        planted=False,
        seed=seed,
        start_us=int((time.time() if start_s is None else start_s) * 1_000_000),
    )
    followed: dict[bytes, bool] = {}
    kept = 0
    for record in Traffic(options, with_expected=False):
        if record.key not in followed:
            followed[record.key] = b'"CallStatus":"initiated"' in record.value
        if followed[record.key]:
            yield record
            kept += 1
            if kept == records:
                return


class Tally:
    """Counts what a run must come to, from the callbacks themselves."""

    def __init__(self) -> None:
        self.written = Written()
        self._events: set[int] = set()
        self._calls: set[bytes] = set()
        self._alerted: set[bytes] = set()
        self._failed_events: set[int] = set()

    def add(self, record: SourceRecord) -> None:
        written, body = self.written, orjson.loads(record.value)["body"]
        status, number = body["CallStatus"], body.get("SequenceNumber")
        written.records += 1
        written.value_bytes += len(record.value)
        self._calls.add(record.key)
        event = hash((record.key, status, body["Timestamp"] if number is None else number))
        self._events.add(event)
        if status == "failed":
            self._alerted.add(record.key)
            self._failed_events.add(event)
        if status == "completed" and int(body["CallDuration"]) <= SHORT_S:
            self._alerted.add(record.key)
        written.events, written.calls = len(self._events), len(self._calls)
        written.alerts, written.failed_events = len(self._alerted), len(self._failed_events)


def write(
    bootstrap: str, topics: dict[str, int], open_calls: int, progress: Progress | None = None
) -> dict[str, Written]:
    """Write the first so many callbacks to each of `topics`. Returns what each of them holds now.

    They are received in an hour: until then no tick finds anything due, however late a candidate's turn is.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 500_000,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 2,
        }
    )
    tallies = {topic: Tally() for topic in topics}
    most = max(topics.values())
    for number, record in enumerate(callbacks(most, open_calls, start_s=time.time() + 3600)):
        for topic, count in topics.items():
            if number < count:
                tallies[topic].add(record)
                while True:
                    try:
                        producer.produce(topic, record.value, record.key)
                        break
                    except BufferError:
                        producer.poll(0.1)
        if number % 2000 == 0:
            producer.poll(0)
            if progress is not None:
                progress(number)
    if producer.flush(120):
        raise RuntimeError("the broker did not take all callbacks")
    return {topic: tally.written for topic, tally in tallies.items()}
