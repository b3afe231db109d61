"""Telnyx' webhooks: which events a call has, and how an event is written."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls.scenario import CallLeg
from stream.simulator.calls.seeded_random import between_us, uuid_text

_QUALITY = {"mos": "4.50", "jitter_max_variance": "8.10", "packet_count": "1450", "skip_packet_count": "2"}


class TelnyxEvent(NamedTuple):
    """An event that a webhook carries. `extra`: its payload beyond the fields that all events share."""

    name: str
    id: str
    at_us: int
    extra: dict[str, Any]


def event_body(event: TelnyxEvent, common: dict[str, Any]) -> dict[str, Any]:
    """The event as webhooks and the log have it. `common`: the payload fields that all events share."""
    return {
        "record_type": "event",
        "event_type": event.name,
        "id": event.id,
        "occurred_at": iso_us(event.at_us),
        "payload": {**common, **event.extra},
    }


class _EventList:
    """Collects a call's events; each takes its id and its microseconds from `rng`."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.found: list[TelnyxEvent] = []

    def add(self, name: str, at_us: int, **extra: Any) -> None:
        self.found.append(TelnyxEvent(name, uuid_text(self.rng), at_us + self.rng.randrange(1000), extra))


def telnyx_events(rng: random.Random, leg: CallLeg) -> list[TelnyxEvent]:
    """The events of a leg, in the order in which their webhooks are sent."""
    events = _EventList(rng)
    direction = "incoming" if leg.direction == "inbound" else "outgoing"
    state = "parked" if direction == "incoming" else "bridging"
    events.add("call.initiated", leg.began_us, direction=direction, state=state)
    if leg.answered_us is not None:
        events.add("call.answered", leg.answered_us, state="answered")
        if leg.direction == "outbound-dial":
            events.add("call.bridged", leg.answered_us + 30_000, state="bridged")
    _add_hangup(events, leg)
    if leg.answered_us is not None:
        _add_recording_and_cost(events, leg, leg.answered_us)
    return events.found


def _add_hangup(events: _EventList, leg: CallLeg) -> None:
    ending = leg.ending
    extra: dict[str, Any] = {
        "state": "hangup",
        "hangup_cause": ending.cause,
        "hangup_source": "caller" if ending.status == "canceled" else "callee",
        "end_time": iso_us(leg.ended_us),
    }
    if ending.sip is not None:
        extra["sip_hangup_cause"] = str(ending.sip)
    if leg.answered_us is not None:
        extra["call_quality_stats"] = {"inbound": _QUALITY, "outbound": {"packet_count": "1448"}}
    events.add("call.hangup", leg.ended_us, **extra)


def _add_recording_and_cost(events: _EventList, leg: CallLeg, answered_us: int) -> None:
    rng = events.rng
    chance = rng.random()
    if chance < 0.02:
        events.add("call.recording.error", leg.ended_us + 400_000, reason="Failed to authorize with storage")
    elif chance < 0.25:
        events.add(
            "call.recording.saved",
            leg.ended_us + between_us(rng, 1, 4),
            recording_id=uuid_text(rng),
            channels="dual",
            format="mp3",
            recording_started_at=iso_us(answered_us),
            recording_ended_at=iso_us(leg.ended_us),
        )
    if rng.random() < 0.4:
        minutes = -(-leg.talk_s // 60)
        events.add(
            "call.cost",
            leg.ended_us + between_us(rng, 2, 8),
            status="success",
            total_cost=f"{minutes * 0.007:.4f}",
            billed_duration_secs=minutes * 60,
            billing_group_id=None,
        )
