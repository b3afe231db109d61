"""Shapes of what the product writes as plain objects, or not as one type: for the schemas only.

A closed schema refuses what a shape does not have, so the tests of real records hold the two together.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class RecordedAudio(msgspec.Struct):
    """A recording of a call."""

    id: str
    status: str
    duration_s: float | int | None


class RecordCounts(msgspec.Struct):
    """How many events a call has."""

    events: int
    by_family: dict[str, int]


class SequenceGap(msgspec.Struct):
    """A callback that was missing before one that came."""

    sequence_number: int | None
    name: str | None
    state: Literal["open", "closed"]
    closed_by: Literal["late_arrival", "poll_heal", "expired"] | None


class FieldConflict(msgspec.Struct):
    """A field on which sources disagree."""

    field: str
    values: list[str]
    chosen: str


class ReadCompleteness(msgspec.Struct):
    """Which sources should report a call, and which did."""

    expected: list[str]
    seen: list[str]
    complete: list[str]


class Arrival(msgspec.Struct):
    """How a call's deliveries arrived."""

    deliveries: int
    duplicates: int
    late: int
    first_received_at: str
    last_received_at: str


class RawDelivery(msgspec.Struct):
    """How a delivery came. Of a row that a poller has read: only `verified`."""

    token: str | None
    attempt: int | None
    query: str | None
    verified: bool
    variant: str | None
    remote: str | None
    original: str


class RawEnvelope(msgspec.Struct):
    """One delivery of a provider, as it was received."""

    v: int
    source: str
    received_at: str
    account: str | None
    endpoint: str | None
    delivery: RawDelivery
    body: dict[str, Any]
    ordinal: int


SHAPES: dict[str, Any] = {
    "CallRecord.recordings": list[RecordedAudio],
    "CallRecord.counts": RecordCounts,
    "CallRecord.gaps": list[SequenceGap],
    "CallRecord.conflicts": list[FieldConflict],
    "CallRecord.completeness": ReadCompleteness,
    "CallRecord.arrival": Arrival,
}
"""By type and field: the shape of a field that is typed as a plain object."""
