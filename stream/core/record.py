"""The call record: what `calls.ended.v1` says of a call, derived from its state and from nothing else.

The rule of this file: it reads a call and changes nothing, so the same knowledge gives the same bytes,
whatever came first. Only `revision`, `id`, `arrival` and `updated_at` depend on arrival.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from stream.core.call import QUALITIES, Call, Entry
from stream.core.events import SCHEMA_VERSION, SOURCES
from stream.core.identity import name_id
from stream.core.instants import utc
from stream.core.statuses import OUTCOMES, RANK, TERMINAL, hangup

TWILIO_EXPECTED = ["twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_status_callback"]
TELNYX_EXPECTED = ["telnyx_call_event", "telnyx_webhook"]
POLLED = frozenset(
    {
        "twilio_call",
        "twilio_call_event",
        "twilio_insights_event",
        "twilio_call_summary",
        "telnyx_call_event",
        "telnyx_webhook_delivery",
    }
)
POLLED_MASK = sum(1 << bit for bit, source in enumerate(SOURCES) if source in POLLED)
GAP_NUMBERS = 256

UNKNOWN = QUALITIES.index("unknown")
DERIVED = QUALITIES.index("derived")

Phase = tuple[int | None, int]
"""When a phase began, in microseconds or None, and the index of its quality."""


class Item(msgspec.Struct):
    """One event in a record's timeline."""

    family: str
    name: str
    status: str | None
    sequence_number: int | None
    occurred_at: str | None
    occurred_at_quality: str
    level: str | None
    edge: str | None
    sources: list[str]


class CallRecord(msgspec.Struct, kw_only=True):
    """A call record. Times are RFC 3339 or None, each with its quality; durations are seconds or None.

    `setup_s` runs from initiated to ringing (post-dial delay, the proxy of RFC 6076's session request delay),
    `ring_s` from ringing to the answer or the end, `duration_s` is talk time and None unless the call was
    answered.
    """

    schema_version: int = SCHEMA_VERSION
    id: str = ""
    key: str
    provider: str
    account: str | None
    call_id: str
    parent_call_id: str | None
    child_call_ids: list[str]
    session_id: str | None
    leg_id: str | None
    direction: str | None
    from_: str | None = msgspec.field(name="from")
    to: str | None
    status: str | None
    outcome: str | None
    revision: int = 0
    settled: bool
    terminal_source: str | None
    initiated_at: str | None
    initiated_at_quality: str
    ringing_at: str | None
    ringing_at_quality: str
    answered_at: str | None
    answered_at_quality: str
    ended_at: str | None
    ended_at_quality: str
    setup_s: float | None
    ring_s: float | None
    duration_s: float | int | None
    sip_response_code: int | None
    error_codes: list[str]
    answered_by: str | None
    price: str | None
    price_unit: str | None
    recordings: list[dict[str, Any]]
    edges: list[str]
    insights_levels: dict[str, int]
    counts: dict[str, Any]
    gaps: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    verdict: None = None
    sources: list[str]
    completeness: dict[str, list[str]]
    timeline: list[Item]
    arrival: dict[str, Any] | None = None
    updated_at: str | None = None


class Ending(msgspec.Struct):
    """How a call ended: the winning event and what it means. `answered_us` is the first answer, if any was
    seen.
    """

    entry: Entry
    status: str
    outcome: str
    sip_response_code: int | None
    duration_s: float | int | None


def answered(call: Call) -> bool:
    """Was the call seen answered, by any source?"""
    return any(entry.status == "in-progress" for entry in call.lifecycle)


def meaning(call: Call, entry: Entry) -> tuple[str, str]:
    """(status, outcome) that a terminal entry means for this call; Telnyx' depends on whether it was
    answered.
    """
    if entry.hangup is not None:
        return hangup(entry.hangup, entry.sip_response_code, answered=answered(call))
    status = entry.status or ""
    return status, OUTCOMES[status]


def ending(call: Call) -> Ending | None:
    """How the call ended, None while no terminal event is known.

    The highest (authority, number, rank) wins. Its SIP code and duration come from the strongest event of
    the same status that has one.
    """
    terminal = [entry for entry in call.lifecycle if entry.status in TERMINAL]
    if not terminal:
        return None
    if len(terminal) > 1:
        terminal.sort(key=Entry.weight, reverse=True)
    winner = terminal[0]
    same = [entry for entry in terminal if entry.status == winner.status]
    sip = next((e.sip_response_code for e in same if e.sip_response_code is not None), None)
    duration = next((e.duration_s for e in same if e.duration_s is not None), None)
    status, outcome = meaning(call, winner)
    return Ending(winner, status, outcome, sip, duration)


def current_status(call: Call) -> str | None:
    """The furthest status seen of a call that has not ended."""
    statuses = [entry.status for entry in call.lifecycle if entry.status is not None]
    return max(statuses, key=RANK.__getitem__, default=None)


def _first(call: Call, statuses: tuple[str, ...]) -> Phase:
    best: Phase = (None, UNKNOWN)
    for entry in call.lifecycle:
        if entry.status in statuses and entry.family == "progress" and entry.at_us is not None:
            mine = (entry.at_us, entry.quality)
            if best[0] is None or mine < (best[0], best[1]):
                best = mine
    return best


class Phases(msgspec.Struct):
    """When each phase of a call began."""

    initiated: Phase
    ringing: Phase
    answered: Phase
    ended: Phase

    def between(self, start: str, end: str) -> float | None:
        """Seconds from one phase to another, None unless both are known and in that order."""
        a, b = getattr(self, start)[0], getattr(self, end)[0]
        if a is None or b is None or b < a:
            return None
        return float((b - a) / 1_000_000)


def phases(call: Call, end: Ending | None) -> Phases:
    """The times of a call. The answer is derived from end minus talk time where no answered event came."""
    initiated = _first(call, ("initiated",))
    if initiated[0] is None:
        initiated = _first(call, ("queued",))
    answer = _first(call, ("in-progress",))
    ended: Phase = (None, UNKNOWN)
    if end is not None:
        ended = _end_time(call, end)
        if (
            answer[0] is None
            and end.outcome == "answered"
            and ended[0] is not None
            and end.duration_s is not None
        ):
            answer = (ended[0] - int(end.duration_s * 1_000_000), DERIVED)
    return Phases(initiated, _first(call, ("ringing",)), answer, ended)


def _end_time(call: Call, end: Ending) -> Phase:
    if end.entry.at_us is not None:
        return end.entry.at_us, end.entry.quality
    others = [e for e in call.lifecycle if e.status in TERMINAL and e.at_us is not None]
    same = [e for e in others if e.status == end.entry.status] or others
    return min(((e.at_us, e.quality) for e in same if e.at_us is not None), default=(None, UNKNOWN))


def talk_s(end: Ending, times: Phases) -> float | int | None:
    """Talk time in seconds: as the provider says, else from answer to end; None unless the call was
    answered.
    """
    if end.outcome != "answered":
        return None
    if end.duration_s is not None:
        return end.duration_s
    return times.between("answered", "ended")


def missing_numbers(call: Call) -> list[int]:
    """Sequence numbers below the highest one seen (of 0 to 255) that no source has shown."""
    numbers = {e.number for e in call.lifecycle if e.number is not None and e.family == "progress"}
    if not numbers:
        return []
    top = min(max(numbers), GAP_NUMBERS)
    if len(numbers) > top:
        return []
    return [number for number in range(top) if number not in numbers]


def _gaps(call: Call) -> list[dict[str, Any]]:
    gaps: list[dict[str, Any]] = [
        {"sequence_number": n, "state": "open", "closed_by": None} for n in missing_numbers(call)
    ]
    gaps += [
        {"sequence_number": entry.number, "state": "closed", "closed_by": "poll_heal"}
        for entry in call.lifecycle
        if entry.number is not None and entry.family == "progress" and not entry.sources & ~POLLED_MASK
    ]
    gaps.sort(key=lambda gap: (gap["sequence_number"], gap["state"]))
    return gaps


def _conflicts(call: Call, end: Ending | None) -> list[dict[str, Any]]:
    conflicts: list[dict[str, Any]] = [
        {"field": name, "values": values, "chosen": call.facts[name]}
        for name, values in call.disputed.items()
    ]
    if end is not None:
        statuses = terminal_statuses(call)
        if len(statuses) > 1:
            conflicts.append({"field": "status", "values": sorted(statuses), "chosen": end.status})
    for number, values in sorted(_double_numbers(call).items()):
        conflicts.append({"field": f"sequence_number {number}", "values": values, "chosen": values[-1]})
    conflicts.sort(key=lambda conflict: str(conflict["field"]))
    return conflicts


def terminal_statuses(call: Call) -> set[str]:
    """The different terminal statuses that sources gave the call."""
    return {meaning(call, entry)[0] for entry in call.lifecycle if entry.status in TERMINAL}


def _double_numbers(call: Call) -> dict[int, list[str]]:
    by_number: dict[int, list[str]] = {}
    for entry in call.lifecycle:
        if entry.number is not None and entry.family == "progress" and entry.status is not None:
            by_number.setdefault(entry.number, []).append(entry.status)
    return {n: sorted(s, key=RANK.__getitem__) for n, s in by_number.items() if len(s) > 1}


def source_names(mask: int) -> list[str]:
    """The sources whose bits are set, sorted."""
    known = _SOURCE_NAMES.get(mask)
    if known is None:
        known = sorted(source for bit, source in enumerate(SOURCES) if mask >> bit & 1)
        _SOURCE_NAMES[mask] = known
    return known


_SOURCE_NAMES: dict[int, list[str]] = {}


def _timeline(call: Call) -> list[Item]:
    entries = sorted([*call.lifecycle, *call.others], key=Entry.place)
    return [
        Item(
            e.family,
            e.name,
            e.status,
            e.number,
            utc(e.at_us) if e.at_us is not None else None,
            QUALITIES[e.quality],
            e.level,
            e.edge,
            source_names(e.sources),
        )
        for e in entries
    ]


def describe(call: Call, *, settled: bool) -> CallRecord:
    """The record of a call as it is known now, but for what depends on arrival (see `stamp`)."""
    provider, _, call_id = call.key.partition(":")
    end = ending(call)
    times = phases(call, end)
    facts = call.facts.get
    told = [_moment(phase) for phase in (times.initiated, times.ringing, times.answered, times.ended)]
    return CallRecord(
        key=call.key,
        provider=provider,
        account=call.account,
        call_id=call_id,
        parent_call_id=facts("parent_call_id"),
        child_call_ids=[],
        session_id=facts("session_id"),
        leg_id=facts("leg_id"),
        direction=call.direction,
        from_=facts("from"),
        to=facts("to"),
        status=end.status if end else current_status(call),
        outcome=end.outcome if end else None,
        settled=settled,
        terminal_source=_terminal_source(end),
        initiated_at=told[0][0],
        initiated_at_quality=told[0][1],
        ringing_at=told[1][0],
        ringing_at_quality=told[1][1],
        answered_at=told[2][0],
        answered_at_quality=told[2][1],
        ended_at=told[3][0],
        ended_at_quality=told[3][1],
        setup_s=times.between("initiated", "ringing"),
        ring_s=times.between("ringing", "answered" if times.answered[0] is not None else "ended"),
        duration_s=talk_s(end, times) if end else None,
        sip_response_code=end.sip_response_code if end else None,
        error_codes=call.error_codes,
        answered_by=facts("answered_by"),
        price=facts("price"),
        price_unit=facts("price_unit"),
        recordings=[{"id": r.id, "status": r.status, "duration_s": r.duration_s} for r in call.recordings],
        edges=call.edges,
        insights_levels=dict(sorted(call.levels.items())),
        counts={"events": sum(call.families.values()), "by_family": dict(sorted(call.families.items()))},
        gaps=_gaps(call),
        conflicts=_conflicts(call, end),
        sources=source_names(call.sources),
        completeness={
            "expected": TWILIO_EXPECTED if provider == "twilio" else TELNYX_EXPECTED,
            "seen": source_names(call.sources),
        },
        timeline=_timeline(call),
    )


def _terminal_source(end: Ending | None) -> str | None:
    if end is None:
        return None
    names = source_names(end.entry.sources)
    return min(names, key=SOURCES.index)


def _moment(phase: Phase) -> tuple[str | None, str]:
    return (utc(phase[0]) if phase[0] is not None else None), QUALITIES[phase[1]]


_encode = msgspec.json.Encoder().encode


def content_of(record: CallRecord) -> int:
    """A 64-bit hash of what a record says, without what depends on arrival."""
    return int.from_bytes(hashlib.blake2b(_encode(record), digest_size=8).digest(), "big") >> 1


def stamp(record: CallRecord, call: Call, updated_at: str) -> CallRecord:
    """Complete a record with what depends on arrival. Its id is a function of all that it says."""
    arrival = call.arrival
    record.revision = arrival.revision
    record.arrival = {
        "deliveries": arrival.deliveries,
        "duplicates": arrival.duplicates,
        "late": arrival.late,
        "first_received_at": utc(arrival.first_us),
        "last_received_at": utc(arrival.last_us),
    }
    record.updated_at = updated_at
    record.id = name_id(call.key, arrival.revision, arrival.content, record.arrival, updated_at)
    return record
