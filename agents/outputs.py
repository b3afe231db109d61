"""What a batch writes: effects as records for the output topics, dead letters, and the counts of both.

Every byte is a function of the effect or of the record. Outputs are encoded before any state is kept, so an
effect that cannot be encoded costs only its record. A dead letter is the record's own key and value with
headers that name the reason and the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from agents.batch_state import BatchState
from stream.core.alerting.alert import Alert
from stream.core.call.fold import Folded
from stream.core.call.record import CallRecord
from stream.core.call.state import dump
from stream.core.delivery.subscriptions import learn
from stream.core.effects import (
    CallForgotten,
    ChildFound,
    Observed,
    SiblingAnswered,
    SubscriptionDisproved,
    SubscriptionShown,
)
from stream.core.events import Envelope, Event, Reading
from stream.core.fetches import FetchRequest, account_key
from stream.core.timestamps import instant
from stream.engine.batch import EACH, KEYED, Output, Record
from stream.kafka.envelope_codec import Headers, dead_letter_headers
from stream.kafka.topics import Topics
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.metrics.label_values import UNKNOWN

SCHEMAS = "https://callstream.io/schemas/"

_HAVE_TOPICS = frozenset({CallRecord, Alert, ChildFound, SiblingAnswered, CallForgotten, FetchRequest})
"""The effects that are written, beside events, which most deliveries have."""

_encode = msgspec.json.Encoder().encode
_encode_into = msgspec.json.Encoder().encode_into


def write(batch: BatchState, key: bytes, effects: list[Any], topics: Topics, deployment: str) -> None:
    """Write the effects that have a topic, count the others. All or, if one cannot be encoded, none."""
    written: list[tuple[str, Any]] = []
    counted: list[Any] = []
    for effect in effects:
        kind = type(effect)
        if kind is Event:
            # Without `ce_time`: each header shows in the cost of a status callback.
            shared = _event_headers(deployment, effect.provider, effect.account_alias, effect.family)
            _encode_into(effect, batch.event_buffer)
            value = bytes(batch.event_buffer)
            written.append((topics.events, (key, value, (("ce_id", effect.id.encode()), *shared), None)))
        elif kind not in _HAVE_TOPICS:
            counted.append(effect)
        elif kind is CallRecord:
            _encode_into(effect, batch.record_buffer)
            value = bytes(batch.record_buffer)
            written.append((topics.ended, (key, value, record_headers(effect, deployment), None)))
        elif kind is FetchRequest:
            # One poller gets all requests of an account, and so keeps to its rate limit.
            account = account_key(effect.key.partition(":")[0], effect.account)
            written.append((topics.fetches, (key, _encode(effect), (), account)))
            counted.append(effect)
        elif kind is Alert:
            alert, active = alert_outputs(effect, deployment)
            written += ((topics.alerts, alert), (topics.alerts_active, active))
            counted.append(effect)
        elif kind is ChildFound or kind is SiblingAnswered:
            whom = effect.parent_key if kind is ChildFound else effect.key
            written.append((topics.scopes, (whom.encode(), _encode(effect), (), KEYED)))
        else:
            assert kind is CallForgotten
            written.append((topics.ended, (key, None, (), None)))
            written.append((topics.scopes, (key, _encode(effect), (), EACH)))
    for topic, output in written:
        batch.outputs[topic].append(output)
    for effect in counted:
        apply = _APPLIED.get(type(effect))
        if apply is None:
            batch.counts.count_effect(effect)
        else:
            apply(batch, effect)


def alert_outputs(alert: Alert, deployment: str) -> tuple[Output, Output]:
    """(for `alerts`, for `alerts.active`): the same value, keyed by scope and by fingerprint.

    The second is a tombstone of what is resolved.

    A call's alerts go to the lane's own partition number, so that a transaction uses few others. Any lane may
    write an endpoint's alerts, so their keys select the partition.
    """
    value = _encode(alert)
    headers = (
        ("ce_id", alert.id.encode()),
        ("ce_time", alert.updated_at.encode()),
        ("ce_subject", alert.scope.id.encode()),
        *_shared_headers(deployment, f"alert.{alert.state}", "alert", alert.provider, alert.account_alias),
        ("callstream-rule", alert.rule.id.encode()),
        ("callstream-severity", alert.severity.encode()),
    )
    partition = None if alert.scope.type == "call" else KEYED
    return (
        Output(alert.scope.id.encode(), value, headers, partition),
        Output(
            alert.fingerprint.encode(),
            value if alert.state == "firing" else None,
            headers if alert.state == "firing" else (),
            partition,
        ),
    )


# -- headers: CloudEvents 1.0 in binary content mode, and what a router filters by without parsing the value


@lru_cache(maxsize=4096)
def _event_headers(deployment: str, provider: str, alias: str | None, family: str) -> Headers:
    return _shared_headers(deployment, "event", "event", provider, alias, "family", family)


def record_headers(record: CallRecord, deployment: str) -> Headers:
    """Those of a call record."""
    assert record.updated_at is not None
    return (
        ("ce_id", record.id.encode()),
        ("ce_time", record.updated_at.encode()),
        *_shared_headers(
            deployment,
            "call.ended",
            "call_record",
            record.provider,
            record.account_alias,
            *("outcome", record.outcome or "unknown"),
        ),
    )


@lru_cache(maxsize=4096)
def _shared_headers(
    deployment: str, kind: str, schema: str, provider: str, alias: str | None, *filtered: str
) -> Headers:
    """The headers that many records have in common. `filtered`: a name and a value."""
    named = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_type": f"io.callstream.{kind}",
        "ce_source": f"/callstream/{deployment}" + (f"/{quote(alias)}" if alias is not None else ""),
        "ce_dataschema": f"{SCHEMAS}{schema}.json",
        "callstream-provider": provider,
    }
    if alias is not None:
        named["callstream-account"] = alias
    if filtered:
        named[f"callstream-{filtered[0]}"] = filtered[1]
    return tuple((name, said.encode()) for name, said in named.items())


# -- dead letters


def dead_letter(
    batch: BatchState, topic: str, record: Record, source: str, stage: str, reason: str, detail: str
) -> None:
    """Write a record that cannot be applied to `topic`. `source`: as far as it is known."""
    headers = dead_letter_headers(
        reason, stage, detail, record.topic, record.partition, record.offset, record.headers
    )
    batch.outputs[topic].append(Output(record.key, record.value, headers))
    batch.counts[f.EVENTS_PROCESSED, source, "dead_lettered"] += 1
    batch.counts[DEAD_LETTERS, source, reason] += 1


def dead_letter_call(batch: BatchState, topic: str, tick: Record, key: bytes, error: Exception) -> None:
    """Write a copy of the state of a call on which ticks keep failing. Its origin is the tick.

    The state is masked like everything that leaves.
    """
    call = batch.calls.get(key)
    state = dump(call) if call is not None else batch.get(key)
    headers = dead_letter_headers(
        "internal_error", "look", type(error).__name__, tick.topic, tick.partition, tick.offset, ()
    )
    batch.outputs[topic].append(Output(key, state, headers))
    batch.counts[DEAD_LETTERS, UNKNOWN, "internal_error"] += 1


# -- counts


def count_delivery(counts: BatchCounts, folded: Folded, first: Reading, envelope: Envelope) -> None:
    """Count a folded delivery; `first` is its own event."""
    source = envelope.source
    counts[f.EVENTS_PROCESSED, source, folded.result] += 1
    if folded.match is not None:
        counts[f.EVENTS_DEDUPLICATED, source, folded.match] += 1
        return
    if folded.result == "late":
        counts[f.EVENTS_OUT_OF_ORDER, source] += 1
    if first.identity_rule == "1b" and "SequenceNumber" in first.event.attributes:  # one that was not read
        counts[f.SEQUENCE_NUMBERS_UNREADABLE, source] += 1
    if first.occurred_us is not None:
        counts.times_us[source] += (first.occurred_us, envelope.received_us)


def _count_alert(batch: BatchState, alert: Alert) -> None:
    """Count an alert, and note when the event occurred that opened it: the latency is known at the commit."""
    counts = batch.counts
    counts[f.ALERTS_PUBLISHED, alert.rule.id, alert.severity, alert.state] += 1
    if alert.revision > 1 or not alert.evidence:
        return
    evidence = alert.evidence[0]
    occurred_us = instant(evidence.occurred_at) if evidence.occurred_at is not None else None
    if occurred_us is not None:
        counts.alerted_us[evidence.source].append(occurred_us)


def _learn(batch: BatchState, said: SubscriptionShown | SubscriptionDisproved) -> None:
    batch.subscriptions = learn(batch.subscriptions, said)


_APPLIED: dict[type[Any], Callable[[BatchState, Any], None]] = {
    Observed: BatchState.observe,
    Alert: _count_alert,
    SubscriptionShown: _learn,
    SubscriptionDisproved: _learn,
}
"""What becomes of the effects that the batch takes in. All others are counted by their kind."""
