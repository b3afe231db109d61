"""What is read next: no moment is left out unless it is reported as lost, and a repeated job continues."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.timestamps import utc
from stream.poller.schedule.planning import (
    BackfillRefusedError,
    Span,
    cancelled,
    ended_calls,
    next_job,
    next_pass,
    next_slice,
    pause_s,
    refusal,
)
from stream.poller.schedule.progress import BackfillJob, new_job

S_US = 1_000_000
HOUR_S, DAY_S = 3600, 86_400
HOUR_US, DAY_US = HOUR_S * S_US, DAY_S * S_US
NOW_US = 1_772_452_800_000_000
"""2026-03-02T12:00:00Z"""

WANTED = new_job("twilio_call", "AC1", NOW_US - 3 * HOUR_US, NOW_US, NOW_US)
HALF = {"done_until": utc(NOW_US - HOUR_US), "rows": 7}
SPAN = Span(NOW_US, NOW_US + HOUR_US)


def test_the_first_pass_starts_at_the_lookback() -> None:
    assert next_pass(None, NOW_US, HOUR_S, None) == (NOW_US - HOUR_US, None)
    assert next_pass(None, NOW_US, HOUR_S, DAY_S) == (NOW_US - HOUR_US, None)


def test_the_next_pass_overlaps_the_last_one() -> None:
    assert next_pass(NOW_US - 60 * S_US, NOW_US, HOUR_S, DAY_S) == (NOW_US - 60 * S_US - HOUR_US, None)


def test_after_an_outage_the_pass_starts_at_the_watermark_less_the_lookback() -> None:
    assert next_pass(NOW_US - 5 * DAY_US, NOW_US, HOUR_S, None) == (NOW_US - 5 * DAY_US - HOUR_US, None)
    assert next_pass(NOW_US - 5 * HOUR_US, NOW_US, HOUR_S, DAY_S) == (NOW_US - 6 * HOUR_US, None)


def test_the_time_beyond_the_providers_limit_is_lost() -> None:
    assert next_pass(NOW_US - 30 * HOUR_US, NOW_US, HOUR_S, DAY_S) == (
        NOW_US - DAY_US,
        Span(NOW_US - 30 * HOUR_US, NOW_US - DAY_US),
    )


def test_an_overlap_beyond_the_providers_limit_is_not_a_loss() -> None:
    assert next_pass(NOW_US - 24 * HOUR_US, NOW_US, HOUR_S, DAY_S) == (NOW_US - DAY_US, None)
    assert next_pass(None, NOW_US, 2 * DAY_S, DAY_S) == (NOW_US - DAY_US, None)


def test_a_watermark_ahead_of_the_clock_keeps_the_overlap() -> None:
    assert next_pass(NOW_US + DAY_US, NOW_US, HOUR_S, None) == (NOW_US - HOUR_US, None)


@given(st.lists(st.integers(1, 3 * DAY_US), max_size=20), st.sampled_from([None, HOUR_S, DAY_S]))
def test_successive_passes_leave_out_only_what_they_report_as_lost(
    steps: list[int], max_lookback_s: int | None
) -> None:
    now_us, watermark_us = NOW_US, NOW_US
    for step in steps:
        now_us += step
        since_us, lost = next_pass(watermark_us, now_us, 60, max_lookback_s)
        known_us = lost.until_us if lost else watermark_us
        assert lost is None or lost.since_us == watermark_us
        assert since_us <= known_us <= now_us
        watermark_us = now_us


@pytest.mark.parametrize(
    ("interval_s", "pauses"),
    [
        (60, [60, 120, 240, 480, 600, 600]),
        (5, [5, 10, 20, 40, 50, 50]),
        (120, [120, 240, 480, 600, 600, 600]),
        (900, [900, 900, 900, 900, 900, 900]),
    ],
)
def test_the_pause_after_failures_grows_up_to_a_limit(interval_s: int, pauses: list[int]) -> None:
    assert [pause_s(interval_s, failures) for failures in range(6)] == pauses
    assert pause_s(interval_s, 10_000) == pauses[-1]


@given(st.integers(0, 10 * DAY_US), st.sampled_from([0.5, 60, HOUR_S]).filter(bool))
def test_the_slices_of_a_backfill_cover_its_span(length_us: int, slice_s: float) -> None:
    length_us = min(length_us, round(slice_s * 200 * S_US))
    at_us, until_us = NOW_US, NOW_US + length_us
    while (span := next_slice(at_us, until_us, slice_s)) is not None:
        assert span.since_us == at_us < span.until_us <= at_us + slice_s * S_US
        at_us = span.until_us
    assert at_us == until_us


def test_without_a_slice_length_everything_is_one_slice() -> None:
    assert next_slice(1, DAY_US, None) == Span(1, DAY_US)
    assert next_slice(DAY_US, DAY_US, None) is None


@pytest.mark.parametrize(
    ("source", "since_s", "until_s", "expected"),
    [
        ("twilio_call", 400 * DAY_S, 0, None),
        ("telnyx_webhook_delivery", 400 * DAY_S, 0, None),
        ("twilio_call", 0, 0, "the beginning must lie before the end"),
        ("twilio_call", 1, 2, "the beginning must lie before the end"),
        ("twilio_call", 1, -1, "the end lies in the future"),
        ("telnyx_call_event", DAY_S, 0, None),
        ("telnyx_call_event", DAY_S + 1, 0, "Telnyx returns telnyx_call_event by time for the last 24 hours"),
        ("twilio_call_event", 30 * DAY_S, 0, None),
        ("twilio_call_event", 30 * DAY_S + 1, 0, "Twilio keeps twilio_call_event for 30 days only"),
        ("twilio_insights_event", 31 * DAY_S, 0, "Twilio keeps twilio_insights_event for 30 days only"),
        ("twilio_call_summary", 31 * DAY_S, 0, "Twilio keeps twilio_call_summary for 30 days only"),
    ],
)
def test_a_time_that_the_provider_does_not_return_is_refused(
    source: str, since_s: int, until_s: int, expected: str | None
) -> None:
    why = refusal(source, Span(NOW_US - since_s * S_US, NOW_US - until_s * S_US), NOW_US)
    assert why is None if expected is None else (why or "").startswith(expected)


def test_a_job_requested_in_time_is_not_refused_for_the_seconds_since() -> None:
    span = Span(NOW_US - DAY_US - 59 * S_US, NOW_US)
    assert refusal("telnyx_call_event", span, NOW_US, 60) is None
    assert refusal("telnyx_call_event", span, NOW_US, 58) is not None


# -- jobs


def known(**fields: Any) -> BackfillJob:
    return msgspec.structs.replace(WANTED, updated_at=utc(NOW_US - HOUR_US), **fields)


def wanted(**fields: Any) -> BackfillJob:
    return msgspec.structs.replace(WANTED, **fields)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, wanted()),
        (known(), None),
        (known(state="running", **HALF), None),
        (known(state="done", done_until=WANTED.until), None),
        (known(state="failed", error="it broke", **HALF), wanted(asked=2, **HALF)),
        (known(state="cancelled", asked=4, **HALF), wanted(asked=5, **HALF)),
        (known(state="failed", unread=3, **HALF), wanted(asked=2)),
        (known(state="cancelled", done_until=WANTED.until), wanted(asked=2, done_until=WANTED.until)),
    ],
)
def test_an_unfinished_job_continues_and_a_finished_one_stays_finished(
    before: BackfillJob | None, expected: BackfillJob | None
) -> None:
    assert next_job(before, WANTED, NOW_US) == expected


@pytest.mark.parametrize("state", ["waiting", "running", "failed", "cancelled", "done"])
def test_with_again_a_job_starts_over_in_any_state(state: str) -> None:
    assert next_job(known(state=state, asked=2, **HALF), WANTED, NOW_US, again=True) == wanted(asked=3)


def test_a_time_beyond_the_providers_limit_is_refused_but_a_result_is_still_shown() -> None:
    old = new_job("telnyx_call_event", "T1", NOW_US - 25 * HOUR_US, NOW_US - HOUR_US, NOW_US)
    with pytest.raises(BackfillRefusedError, match="for the last 24 hours only: begin later"):
        next_job(None, old, NOW_US)
    done = msgspec.structs.replace(old, state="done", done_until=old.until)
    assert next_job(done, old, NOW_US) is None
    rest = msgspec.structs.replace(old, state="failed", done_until=utc(NOW_US - 2 * HOUR_US))
    assert next_job(rest, old, NOW_US) is not None, "the rest of it is still within the limit"


def test_only_an_unfinished_job_can_be_cancelled() -> None:
    expected = wanted(state="cancelled", **HALF)
    failing = {"error": "server_error", "failing_since": utc(NOW_US)}
    assert cancelled(known(state="running", **HALF, **failing), NOW_US) == expected
    with pytest.raises(BackfillRefusedError, match="the backfill does not exist"):
        cancelled(None, NOW_US)
    with pytest.raises(BackfillRefusedError, match="it is done already"):
        cancelled(known(state="done"), NOW_US)


# -- the calls of a slice


def envelope_of(**row: Any) -> bytes:
    """A row of Calls in its envelope; it ended at 12:30 unless it says otherwise."""
    whole = {
        "sid": "CA1",
        "status": "completed",
        "direction": "inbound",
        "from": "+15005550006",
        "to": "+15005550009",
        "start_time": "Mon, 02 Mar 2026 12:20:00 +0000",
        "end_time": "Mon, 02 Mar 2026 12:30:00 +0000",
    } | row
    envelope = {"v": 1, "source": "twilio_call", "received_at": "2026-03-02T13:00:00Z", "body": whole}
    return orjson.dumps(envelope)


def sids(*rows: bytes) -> list[str]:
    return list(ended_calls(rows, SPAN, "twilio_call_event"))


def test_calls_that_ended_in_the_span_are_found_with_their_edges() -> None:
    assert ended_calls(
        [envelope_of(), envelope_of(sid="CA2", to="client:agent")], SPAN, "twilio_insights_event"
    ) == {
        "CA1": ("carrier_edge",),
        "CA2": ("carrier_edge", "sdk_edge", "client_edge"),
    }


def test_an_end_belongs_to_one_span_only() -> None:
    on_the_hour = [
        envelope_of(sid="CA1", end_time="Mon, 02 Mar 2026 12:00:00 +0000"),
        envelope_of(sid="CA2", end_time="Mon, 02 Mar 2026 13:00:00 +0000"),
        envelope_of(sid="CA3", end_time="Mon, 02 Mar 2026 11:59:59 +0000"),
    ]
    assert sids(*on_the_hour) == ["CA1"]
    after = Span(SPAN.until_us, SPAN.until_us + 1)
    assert list(ended_calls(on_the_hour, after, "twilio_call_event")) == ["CA2"]


def test_the_start_of_a_call_without_an_end_counts_as_its_end() -> None:
    start = "Mon, 02 Mar 2026 12:10:00 +0000"
    assert sids(envelope_of(status="failed", end_time=None, start_time=start)) == ["CA1"]
    assert sids(envelope_of(status="failed", end_time=None, start_time=None)) == []


def test_an_ongoing_call_is_not_read() -> None:
    assert sids(envelope_of(status="in-progress", end_time=None), envelope_of(status="dancing")) == []


def test_a_broken_row_is_skipped_alone() -> None:
    broken = [
        b"",
        b"[]",
        b'{"v": 1}',
        envelope_of(sid=None),
        envelope_of(sid=7),
        envelope_of(end_time="32 Aug", status=7),
    ]
    assert sids(*broken, envelope_of(sid="CA9", direction=None)) == ["CA9"]
    assert sids(envelope_of(**{"from": None, "to": 5, "end_time": 7})) == ["CA1"]
