"""One call's records become its timeline. This is a function of the records alone: it reads no clock."""

from __future__ import annotations

from typing import Any

import msgspec

from stream.core.call.timeline_entry import QUALITIES
from stream.core.sources import RETRY_SCHEDULES
from stream.core.statuses import DIRECTIONS, RANK
from stream.core.timestamps import SECOND_US, utc
from stream.core.verdicts.decision import Verdict
from stream.timeline.call_timeline import (
    CallPhase,
    CallTimeline,
    Disagreement,
    ExpectedReport,
    PhaseDuration,
    ReportedSources,
    TimelineRow,
)
from stream.timeline.pairing import Said
from stream.timeline.rows import moment_us, rows_of

_PHASES = ("initiated", "ringing", "answered", "ended")
_DURATIONS = (
    ("setup", "setup_s", "initiated", "ringing"),
    ("ring", "ring_s", "ringing", "answered"),
    ("talk", "duration_s", "answered", "ended"),
)


def timeline_of(
    record: dict[str, Any] | None, events: list[dict[str, Any]], alerts: list[dict[str, Any]]
) -> CallTimeline:
    """The timeline of one call.

    `record`: the latest revision, None of a call that has not ended; `events`: as on `calls.events.v1`, in
    any order; `alerts`: the latest revision of each episode. Raises ValueError if all are empty.
    """
    known = record or _facts_of(events, alerts)
    started_at, quality = _start(known, events)
    start_us = moment_us(started_at)
    rows = rows_of(record, events, alerts, start_us)
    settled = bool(known.get("settled"))
    return CallTimeline(
        key=known["key"],
        provider=known["provider"],
        call_id=known.get("call_id") or known["key"].partition(":")[2],
        account=known.get("account"),
        account_alias=known.get("account_alias"),
        parent_call_id=known.get("parent_call_id"),
        child_call_ids=known.get("child_call_ids") or [],
        session_id=known.get("session_id"),
        leg_id=known.get("leg_id"),
        direction=known.get("direction"),
        direction_detail=known.get("direction_detail"),
        from_=known.get("from"),
        to=known.get("to"),
        status=known.get("status"),
        outcome=known.get("outcome"),
        ended=record is not None,
        settled=settled,
        revision=known.get("revision"),
        truncated=bool(known.get("truncated")),
        started_at=started_at,
        started_at_quality=quality,
        phases=[_phase(known, name, start_us) for name in _PHASES],
        durations=_durations(known, rows),
        sip_response_code=known.get("sip_response_code"),
        error_codes=known.get("error_codes") or [],
        answered_by=known.get("answered_by"),
        price=known.get("price"),
        price_unit=known.get("price_unit"),
        verdict=msgspec.convert(known.get("verdict"), Verdict | None),
        conflicts=msgspec.convert(known.get("conflicts") or [], list[Disagreement]),
        completeness=_completeness(known, events, settled=settled),
        rows=rows,
    )


def _start(known: Said, events: list[Said]) -> tuple[str | None, str]:
    """When the call was initiated, else the earliest time that is known, with its quality."""
    if known.get("initiated_at"):
        return known["initiated_at"], known.get("initiated_at_quality") or "unknown"
    said = [*(known.get("timeline") or []), *events]
    times = [(one["occurred_at"], one["occurred_at_quality"]) for one in said if one.get("occurred_at")]
    times = times or [(one["received_at"], "received") for one in events if one.get("received_at")]
    return min(times, default=(None, "unknown"))


def _phase(known: Said, name: str, start_us: int | None) -> CallPhase:
    at = known.get(f"{name}_at")
    at_us = moment_us(at)
    offset_s = None if at_us is None or start_us is None else (at_us - start_us) / SECOND_US
    return CallPhase(name, at, known.get(f"{name}_at_quality") or "unknown", offset_s)


def _durations(known: Said, rows: list[TimelineRow]) -> list[PhaseDuration]:
    durations = []
    for name, field, begin, end in _DURATIONS:
        seconds = known.get(field)
        if seconds is None:
            continue
        if name == "ring" and known.get("answered_at") is None:
            end = "ended"
        ends = [known.get(f"{phase}_at_quality") or "unknown" for phase in (begin, end)]
        # Where no source says when it was answered, that is the end less what a source says of the talk.
        reported = name == "talk" and (
            known.get("answered_at_quality") == "derived"
            or any(
                row.family in ("progress", "resource") and row.duration_s == seconds and row.status
                for row in rows
            )
        )
        worst = max(
            ends, key=lambda quality: QUALITIES.index(quality) if quality in QUALITIES else len(QUALITIES)
        )
        durations.append(PhaseDuration(name, seconds, worst, reported))
    return durations


def _completeness(known: Said, events: list[Said], *, settled: bool) -> ReportedSources:
    said = known.get("completeness") or {}
    # Events may be newer than the record.
    seen = sorted({*(said.get("seen") or []), *(one["source"] for one in events if one.get("source"))})
    missing = [source for source in said.get("expected") or [] if source not in seen]
    return ReportedSources(
        seen=seen,
        still_expected=[] if settled else [_expected(source, known.get("ended_at")) for source in missing],
        never_came=missing if settled else [],
        complete=said.get("complete") or [],
    )


def _expected(source: str, ended_at: str | None) -> ExpectedReport:
    schedule, ended_us = RETRY_SCHEDULES.get(source), moment_us(ended_at)
    if schedule is None or ended_us is None:
        return ExpectedReport(source, None, None)
    first, last = (
        utc(ended_us + int(after_s * SECOND_US)) for after_s in schedule.after_s[:: len(schedule.after_s) - 1]
    )
    return ExpectedReport(source, first, last)


# -- a call that has not ended


def _facts_of(events: list[Said], alerts: list[Said]) -> Said:
    """What the events alone say of the call, in the fields of a record. What none of them says stays out."""
    if not events:
        if not alerts:
            raise ValueError("a call without a record, events and alerts")
        key = alerts[0]["scope"]["id"]
        return {"key": key, "provider": alerts[0]["provider"], "account": alerts[0].get("account")}
    facts: Said = {"key": events[0]["key"], "provider": events[0]["provider"]}
    for field in ("account", "account_alias", "call_id", "parent_call_id", "session_id", "leg_id"):
        facts[field] = next((one[field] for one in events if one.get(field)), None)
    for name in ("from", "to", "direction"):
        facts[name] = next(filter(None, (_attribute(one, name) for one in events)), None)
    facts["direction_detail"] = facts["direction"]
    facts["direction"] = DIRECTIONS.get(facts["direction"])
    statuses = [one["status"] for one in events if one.get("status") in RANK]
    facts["status"] = max(statuses, key=RANK.__getitem__, default=None)
    for phase in _PHASES[:3]:
        times = [
            (one["occurred_at"], one["occurred_at_quality"])
            for one in events
            if one.get("family") == "progress" and one.get("name") == phase and one.get("occurred_at")
        ]
        facts[f"{phase}_at"], facts[f"{phase}_at_quality"] = min(times, default=(None, "unknown"))
    codes = {one["error_code"] for one in events if one.get("error_code")}
    facts["error_codes"] = sorted(codes)
    return facts


def _attribute(event: Said, name: str) -> str | None:
    attributes = event.get("attributes") or {}
    value = attributes.get(name.capitalize(), attributes.get(name))
    return value if type(value) is str and value else None
