"""Which series of gauges an entry of the table is part of, and what recovery reads of a call for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

import msgspec

from stream.core.alerting.episodes import CallAlerts
from stream.core.alerting.rules import RULE_IDS
from stream.core.alerting.scopes import CONDITIONS, Scope, is_scope, load_scope
from stream.core.call.state import Call
from stream.core.sources import PROVIDERS
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import Series


class Head(Protocol):
    """What recovery needs of each stored call; see `Call`."""

    due_s: int
    ended: bool
    overdue: bool
    gaps_open: int
    account: str | None
    direction: str | None
    alerts: CallAlerts | None


def _head_fields() -> Iterator[tuple[str, Any, Any]]:
    """The fields of a stored call, by position. Those that a state of an older version lacks are empty."""
    for one in msgspec.structs.fields(Call):
        needed = one.name in Head.__annotations__
        default = None if one.name == "alerts" else msgspec.NODEFAULT if one.required else msgspec.Raw()
        yield one.name, one.type if needed else msgspec.Raw, default


_decode_head = msgspec.msgpack.Decoder(
    msgspec.defstruct("StoredHead", _head_fields(), array_like=True)
).decode


def load_head(stored: bytes) -> Head:
    """The head of a stored call, in little more than half of the time that all of it takes.

    Raises msgspec.DecodeError, UnicodeDecodeError.
    """
    return cast(Head, _decode_head(stored))


def due_and_held(key: bytes, stored: bytes) -> tuple[int, tuple[Series, ...]]:
    """Of a call or scope in the store: the second from which a tick must look at it, and the series of gauges
    that it is part of, once for each that it counts. Raises msgspec.DecodeError, UnicodeDecodeError.
    """
    if is_scope(key):
        scope = load_scope(stored)
        return scope.due_s, scope_series(scope)
    head, provider = load_head(stored), key.partition(b":")[0].decode()
    held = held_series(provider, head)
    if head.gaps_open:
        held += ((f.SEQUENCE_GAPS_OPEN, PROVIDERS[provider].pushed),) * head.gaps_open
    return head.due_s, held


def held_series(provider: str, call: Head) -> tuple[Series, ...]:
    """The series of gauges that a call in the table is part of."""
    series: tuple[Series, ...] = ()
    if not call.ended:
        series = ((f.CALLS_ACTIVE, provider, call.account, call.direction),)
    if call.overdue:
        series += ((f.CALLS_OVERDUE, provider),)
    if call.alerts is not None:
        series += tuple(
            (f.ALERTS_ACTIVE, rule_id, one.severity)
            for rule_id, one in call.alerts.episodes.items()
            if one.firing
        )
    return series


def scope_series(scope: Scope | None) -> tuple[Series, ...]:
    """The series of gauges that a scope in the table is part of; of none that has left it."""
    if scope is None:
        return ()
    of_a_code = CONDITIONS[scope.parts[1]][0].rule_id
    return tuple(
        (f.ALERTS_ACTIVE, name if name in RULE_IDS else of_a_code, one.severity)
        for name, one in scope.episodes.items()
        if one.firing
    )
