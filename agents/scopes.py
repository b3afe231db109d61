"""The second step: what calls tell about scopes is written in one batch, and counted where the scope is.

Scopes share the lanes, the table and the transactions of the calls: the key of a scope's state is one that no
call can have.
"""

from __future__ import annotations

import msgspec

from agents.batch_state import BatchState
from agents.outputs import write
from stream.core.alerting.conditions import forget_call, take, tick
from stream.core.alerting.scopes import held_back, read_told, scope_key
from stream.core.effects import CallForgotten
from stream.core.events import DecodeError
from stream.core.policy import CallPolicy
from stream.core.timestamps import instant
from stream.engine.batch import KEYED, Output, Record
from stream.kafka.topics import Topics
from stream.service.metrics import worker_families as f

TOLD_PER_BATCH = 50
"""The maximum number of records about scopes in a batch. Each evaluates all counts of its scope, which may
take some milliseconds, and the event loop waits meanwhile.
"""

_encode = msgspec.json.Encoder().encode
_read_forgotten = msgspec.json.Decoder(CallForgotten).decode


def write_told(batch: BatchState, topics: Topics) -> None:
    """Write what the batch tells about scopes: one record for each, however many calls tell of it."""
    for scope, told in batch.told.items():
        batch.outputs[topics.scopes].append(Output(scope.encode(), _encode(told), (), KEYED))


def apply_told(
    batch: BatchState, record: Record, topics: Topics, policy: CallPolicy, deployment: str
) -> None:
    """Count what a batch of calls tells about a scope. Raises DecodeError."""
    batch.told_taken += 1
    told = read_told(record.key, record.value)
    key = scope_key(told.scope)
    before = batch.scope(key)
    was_s = before.due_s if before is not None else None
    if record.timestamp > 0:
        timely = held_back(told, before, record.timestamp * 1000)
        if timely is not told:
            batch.counts[f.SCOPE_REPORTS_AHEAD,] += 1
            told = timely
    scope, alerts = take(before, told, policy)
    write(batch, key, alerts, topics, deployment)
    batch.keep_scope(key, was_s, scope)


def forget_in_scopes(
    batch: BatchState, record: Record, topics: Topics, policy: CallPolicy, deployment: str
) -> None:
    """Take a forgotten call, of whatever partition, out of the samples of this partition's scopes.

    The states are searched, not read: a thousand scopes take some milliseconds. Raises DecodeError.
    """
    batch.told_taken += 1
    try:
        forgotten = _read_forgotten(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise DecodeError("invalid_field", "the record of a forgotten call cannot be read") from None
    now_us = instant(forgotten.received_at)
    if now_us is None:
        raise DecodeError("invalid_field", "received_at is not an RFC 3339 time")
    for key in batch.scopes_with(forgotten.key.encode()):
        scope = batch.scope(key)
        assert scope is not None
        write(batch, key, forget_call(scope, forgotten.key, now_us, policy), topics, deployment)
        batch.keep_scope(key, scope.due_s, scope)


def tick_scope(
    batch: BatchState,
    second: int,
    key: bytes,
    now_us: int,
    topics: Topics,
    policy: CallPolicy,
    deployment: str,
) -> None:
    """Apply a tick to a scope that the index has at `second`."""
    scope = batch.scope(key)
    if scope is not None:
        scope, alerts = tick(scope, now_us, policy)
        write(batch, key, alerts, topics, deployment)
    batch.keep_scope(key, second, scope)
