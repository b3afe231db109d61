"""A row of a timeline as a sentence, the same in a terminal and on a page."""

from __future__ import annotations

from stream.core.call.timeline_entry import LEVELS
from stream.timeline.call_timeline import HttpExchange, TimelineRow

_MISSING = {
    "open": "it may still come",
    "expired": "nothing closed the gap",
    "poll_heal": "only the provider's records have it",
    "missing": "the provider sent it, and it did not come",
    "refused_by_us": "callstream refused it",
    "refused_by_application": "its endpoint refused it",
}


def sentence_of(row: TimelineRow) -> str:
    """What happened, without its time, its sources and its arrival, which have columns of their own."""
    if row.alert is not None:
        return f"{row.alert.state} {row.alert.rule}: {row.alert.text}"
    if row.kind == "missing":
        number = "" if row.sequence_number is None else f" {row.sequence_number}"
        name = f" ({row.name})" if row.name != "callback" else ""
        return f"callback{number}{name} never came: {_MISSING.get(row.missing_because or '', 'a gap')}"
    parts = [_subject_of(row), *row.details]
    if row.exchange is not None:
        parts.append(request_of(row.exchange))
    if row.level in LEVELS[2:]:
        parts.append(row.level or "")
    if row.error_code is not None:
        parts.append(f"code {row.error_code}")
    if row.sip_response_code is not None and row.sip_response_code != 200:
        parts.append(f"SIP {row.sip_response_code}")
    if row.duration_s is not None:
        parts.append(f"{row.duration_s:g} s")
    if row.kind == "event" and row.arrival == "never_came":
        parts.append(f"callback never came: {_MISSING.get(row.missing_because or '', 'a gap')}")
    parts += [f"{one.result.replace('_', ' ')}: {one.endpoint}" for one in row.audit if one.result != "late"]
    return ", ".join(parts)


def request_of(exchange: HttpExchange) -> str:
    """`POST https://app.example.test/answer: 502 in 0.038 s`."""
    where = " ".join(part for part in (exchange.method, exchange.url) if part) or "request"
    came = str(exchange.status) if exchange.status is not None else _RESULTS.get(exchange.result or "", "")
    took = "" if exchange.duration_s is None else f" in {exchange.duration_s:g} s"
    tries = f" after {exchange.attempts} attempts" if (exchange.attempts or 0) > 1 else ""
    return f"{where}: {came}{took}{tries}" if came else where + tries


_RESULTS = {"2xx": "delivered", "none": "no usable response", "timeout": "timeout"}

_SUBJECTS = {
    ("resource", "call"): "the call's resource",
    ("request_log", "api_request"): "request to the provider's API",
    ("request_log", "webhook"): "webhook",
    ("other", "error_logged"): "error logged",
}


def _subject_of(row: TimelineRow) -> str:
    if row.family == "progress":
        return row.name if row.status in (None, row.name) or row.name == "answered" else str(row.status)
    known = _SUBJECTS.get((row.family, row.name))
    if known is None:
        known = (
            row.name if row.family in ("other", row.name) else f"{row.family.replace('_', ' ')} {row.name}"
        )
    if row.edge is not None:
        known = f"{row.edge} {row.group + ' ' if row.group else ''}{row.name}"
    return f"{known} {row.status}" if row.status is not None else known
