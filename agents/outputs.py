"""What records come to: which effects are written to which topic, and how they are counted.

The rule of this file: it decides nothing. Outputs are made before anything is kept, so that what cannot be
written costs only its record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agents.batch_state import Work
from agents.emit import alert_outputs
from stream.core.call.alerts import Alert
from stream.core.call.fold import Folded
from stream.core.call.record import CallRecord
from stream.core.events import Envelope, Event, Reading
from stream.core.fetches import FetchRequest
from stream.core.timestamps import instant
from stream.engine.batch import Output
from stream.kafka.topics import Topics
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts

_encode = msgspec.json.Encoder().encode


def outputs_of(key: bytes, effects: list[Any], topics: Topics, deployment: str) -> list[tuple[str, Output]]:
    """What is to be written, and to which topic."""
    outputs: list[tuple[str, Output]] = []
    for effect in effects:
        kind = type(effect)
        if kind is Event:
            outputs.append((topics.events, Output(key, _encode(effect))))
        elif kind is CallRecord:
            outputs.append((topics.ended, Output(key, _encode(effect))))
        elif kind is Alert:
            said, active = alert_outputs(effect, deployment)
            outputs += ((topics.alerts, said), (topics.alerts_active, active))
        elif kind is FetchRequest:
            outputs.append((topics.fetches, Output(key, _encode(effect))))
    return outputs


def carry_out(work: Work, outputs: list[tuple[str, Output]], effects: list[Any]) -> None:
    """Write and count."""
    for topic, output in outputs:
        work.write(topic, output)
    for effect in effects:
        kind = type(effect)
        if kind is Alert:
            count_alert(work.counts, effect)
        elif kind is not Event and kind is not CallRecord:
            work.counts.count_effect(effect)


def count(counts: BatchCounts, folded: Folded, first: Reading, envelope: Envelope) -> None:
    """Count a delivery that was folded; `first` is its own event."""
    source = envelope.source
    counts[f.EVENTS_PROCESSED, source, folded.result] += 1
    if folded.match is not None:
        counts[f.EVENTS_DEDUPLICATED, source, folded.match] += 1
        return
    if folded.result == "late":
        counts[f.EVENTS_OUT_OF_ORDER, source] += 1
    if first.occurred_us is not None:
        counts.occurred_us[source].append(first.occurred_us)
        counts.received_after_us[source].append(envelope.received_us - first.occurred_us)


def count_alert(counts: BatchCounts, alert: Alert) -> None:
    """An alert is published, and how long after its event it will have been."""
    counts[f.ALERTS_PUBLISHED, alert.rule.id, alert.severity, alert.state] += 1
    evidence = alert.evidence[0]
    occurred_us = instant(evidence.occurred_at) if evidence.occurred_at is not None else None
    if occurred_us is not None:
        counts.alerted_us[evidence.source].append(occurred_us)


def count_error(work: Work, agent: str, error: Exception) -> None:
    """An error of our own, by the agent whose record it was."""
    work.counts[f.PROCESSING_ERRORS, agent, type(error).__name__] += 1
