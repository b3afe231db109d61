"""What cannot be applied, set aside with the bytes that it came with.

The rule of this file: nothing is dropped and nothing is added but headers that say why and where from.
"""

from __future__ import annotations

from agents.batch_state import Work
from stream.core.call.state import dump
from stream.engine.batch import Output, Record
from stream.kafka.envelope_codec import dead_letter_headers
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.metrics.label_values import UNKNOWN


def bury(work: Work, topic: str, record: Record, source: str, stage: str, reason: str, detail: str) -> None:
    """A record that cannot be applied, for `topic`. `source` as far as it is known."""
    headers = dead_letter_headers(
        reason, stage, detail, record.topic, record.partition, record.offset, record.headers
    )
    work.write(topic, Output(record.key, record.value, headers))
    work.counts[f.EVENTS_PROCESSED, source, "dead_lettered"] += 1
    work.counts[DEAD_LETTERS, source, reason] += 1


def set_aside(work: Work, topic: str, tick: Record, key: bytes, error: Exception) -> None:
    """A call that cannot be looked at. No record is at fault: the bytes are a copy of its state as the table
    keeps it, masked like all that leaves, and the source named is the tick.
    """
    call = work.calls.get(key)
    state = dump(call) if call is not None else work.get(key)
    headers = dead_letter_headers(
        "internal_error", "look", type(error).__name__, tick.topic, tick.partition, tick.offset, ()
    )
    work.write(topic, Output(key, state, headers))
    work.counts[DEAD_LETTERS, UNKNOWN, "internal_error"] += 1
