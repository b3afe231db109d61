"""One call as the page shows it: facts, ladder, each row with the record behind it, texts to copy."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import quote

import msgspec

from stream.api.ui.drawings.ladder import NARROW, WIDE, cut, drawn_rows, ladder, tone_of
from stream.api.ui.wording import UNKNOWN, clock, duration, moment, offset, words
from stream.core.verdicts.table import HELP
from stream.service.untrusted import escaped
from stream.timeline.call_timeline import APPLICATION, CALLSTREAM, PROVIDER, CallTimeline, TimelineRow
from stream.timeline.timeline_of import timeline_of

LONGEST_HINT = 600
"""Characters of a record that are shown when the pointer rests on it."""

LONGEST_RAW, LONGEST_RECORD = 10_000, 200_000
"""Characters of an event or alert, and of the call record, as they are stored. The API has all of them."""

TICKET_ROWS = 60
PARTIES = {PROVIDER: "provider", CALLSTREAM: "callstream", APPLICATION: "your application"}
ARRIVALS = {
    "received": "received",
    "late": "received late",
    "read": "read from the provider",
    "never_came": "never came",
}

Said = dict[str, Any]


class RawRecord(msgspec.Struct):
    """The record behind a row, as it is stored. `short`: as much as fits into a hint."""

    text: str
    short: str


NOTHING = RawRecord("", "")


def call_context(
    record: Said | None, events: list[Said], alerts: list[Said], *, address: str
) -> dict[str, Any]:
    """The context of the template. `address`: scheme and host under which the page was asked for."""
    call = timeline_of(record, events, alerts)
    raws = raw_records(call, events, alerts)
    wide, narrow = ladder(call, WIDE), ladder(call, NARROW)
    api_path = f"/v1/calls/{quote(call.key, safe='')}"
    return {
        "title": call.call_id,
        "alerts": alerts,
        "api_path": api_path,
        "arrival": lambda row: "" if row.kind == "alert" else ARRIVALS[row.arrival],
        "audit": (record or {}).get("delivery_audit") or [],
        "call": call,
        "curl": curl(address + api_path),
        "facts": facts(call),
        "gaps": (record or {}).get("gaps") or [],
        "help": HELP.get(call.verdict.fault) if call.verdict else None,
        "narrow": narrow,
        "of_call": True,
        "party": party,
        "raws": raws,
        "record": _pretty(record, LONGEST_RECORD) if record else "",
        "rows": drawn_rows(call.rows),
        "ticket": ticket(call, f"{address}/ui/calls/{quote(call.key, safe='')}"),
        "tone_of": tone_of,
        "wide": wide,
    }


def raw_records(call: CallTimeline, events: list[Said], alerts: list[Said]) -> dict[int, RawRecord]:
    """The record behind each row that is shown, by the row's number."""
    by_id = {one.get("id"): one for one in events} | {one.get("episode_id"): one for one in alerts}
    found = {}
    for number, row in drawn_rows(call.rows):
        name = row.alert.episode_id if row.alert is not None else row.event_id
        told = by_id.get(name) if name is not None else None
        found[number] = NOTHING if told is None else RawRecord(_pretty(told, LONGEST_RAW), _compact(told))
    return found


def facts(call: CallTimeline) -> list[tuple[str, str, str]]:
    """Name, value and note of each fact that is known."""
    found: list[tuple[str, str | None, str]] = [
        ("From", call.from_, ""),
        ("To", call.to, ""),
    ]
    if call.started_at is not None:
        name = "Forgotten" if call.forgotten else "Started"
        found.append((name, f"{moment(call.started_at)} UTC", _quality(call.started_at_quality)))
    ended = next((one for one in call.phases if one.name == "ended"), None)
    if ended is not None and ended.at is not None:
        found.append(("Ended", f"{moment(ended.at)} UTC", _quality(ended.quality)))
    for one in call.durations:
        note = "" if one.reported else "derived"
        found.append((one.name.capitalize(), duration(one.seconds), note))
    found += [
        ("Status", call.status, ""),
        ("SIP response", None if call.sip_response_code is None else str(call.sip_response_code), ""),
        ("Error codes", ", ".join(call.error_codes) or None, ""),
        ("Answered by", words(call.answered_by) if call.answered_by else None, ""),
        ("Price", f"{call.price} {call.price_unit or ''}".strip() if call.price else None, ""),
        ("Account", call.account, ""),
        ("Session", call.session_id, ""),
        ("Leg", call.leg_id, ""),
    ]
    return [(name, value, note) for name, value, note in found if value]


def _quality(quality: str) -> str:
    """A time that is as exact as a second needs no note."""
    return "" if quality in ("exact", "second") else quality


def party(name: str) -> str:
    """A sender or receiver, for a person."""
    return PARTIES.get(name) or words(name)


def curl(url: str) -> str:
    """A command that reads the same from the API."""
    return (
        f'curl --fail-with-body -sS -H "Authorization: Bearer $CALLSTREAM_API_TOKEN" \\\n  {shlex.quote(url)}'
    )


def ticket(call: CallTimeline, link: str) -> str:
    """The call as text for a ticket: to a colleague, or to the provider."""
    lines = [f"Call {call.call_id} ({call.provider})"]
    if call.account:
        lines.append(f"Account: {call.account}")
    if not call.forgotten:
        outcome = words(call.outcome) if call.ended else "not ended"
        lines.append(f"Outcome: {outcome}, status {call.status or UNKNOWN}")
    lines += [
        f"{name}: {value}{f' ({note})' if note else ''}"
        for name, value, note in facts(call)
        if name not in ("Account", "Status")
    ]
    if call.verdict is not None:
        sure = f", confidence {call.verdict.confidence}" if call.verdict.confidence else ""
        lines.append(f"Verdict: {words(call.verdict.fault)}{sure}. {call.verdict.reason}")
        lines += [
            f"  - {words(one.fact)} {one.value}" + (f" at {clock(one.at)}" if one.at else "")
            for one in call.verdict.evidence
        ]
    lines += [
        f"Conflict: {one.field} is {' or '.join(one.values)}; chosen: {one.chosen}" for one in call.conflicts
    ]
    lines += ["", "Timeline (UTC, offsets from the start):"]
    for row in call.rows[:TICKET_ROWS]:
        lines.append(f"  {offset(row.offset_s):>8}  {clock(row.occurred_at):<15}  {_told(row)}")
    if len(call.rows) > TICKET_ROWS:
        lines.append(f"  ... and {len(call.rows) - TICKET_ROWS} more rows")
    lines += ["", link]
    return "\n".join(map(escaped, lines))


def _told(row: TimelineRow) -> str:
    ends = (
        party(row.sender) if row.sender == row.receiver else f"{party(row.sender)} -> {party(row.receiver)}"
    )
    late = " (late)" if row.arrival == "late" else ""
    return f"{ends}: {row.text or row.name}{late}"


def _pretty(said: Said, longest: int) -> str:
    text = json.dumps(said, indent=2, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[:longest]}\n… cut here: the API has all of it"


def _compact(said: Said) -> str:
    text = json.dumps(said, ensure_ascii=False)
    return cut(text, LONGEST_HINT)
