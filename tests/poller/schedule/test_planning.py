"""Which times are read: no moment is left out unless it is reported as lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.poller.schedule.planning import Span, WindowPass, next_pass, next_slice, pause_s, refusal

S_US = 1_000_000
HOUR_S, DAY_S = 3600, 86_400
HOUR_US, DAY_US = HOUR_S * S_US, DAY_S * S_US
NOW_US = 1_772_452_800_000_000


def test_the_first_pass_starts_at_the_lookback() -> None:
    assert next_pass(None, NOW_US, HOUR_S, None) == WindowPass(NOW_US - HOUR_US, NOW_US, None)
    assert next_pass(None, NOW_US, HOUR_S, DAY_S) == WindowPass(NOW_US - HOUR_US, NOW_US, None)


def test_the_next_pass_overlaps_the_last_one() -> None:
    assert next_pass(NOW_US - 60 * S_US, NOW_US, HOUR_S, DAY_S) == WindowPass(
        NOW_US - 60 * S_US - HOUR_US, NOW_US, None
    )


def test_after_an_outage_the_pass_starts_at_the_watermark_less_the_lookback() -> None:
    assert next_pass(NOW_US - 5 * DAY_US, NOW_US, HOUR_S, None) == WindowPass(
        NOW_US - 5 * DAY_US - HOUR_US, NOW_US, None
    )
    assert next_pass(NOW_US - 5 * HOUR_US, NOW_US, HOUR_S, DAY_S) == WindowPass(
        NOW_US - 6 * HOUR_US, NOW_US, None
    )


def test_the_time_beyond_the_providers_limit_is_lost() -> None:
    assert next_pass(NOW_US - 30 * HOUR_US, NOW_US, HOUR_S, DAY_S) == WindowPass(
        NOW_US - DAY_US, NOW_US, Span(NOW_US - 30 * HOUR_US, NOW_US - DAY_US)
    )


def test_an_overlap_beyond_the_providers_limit_is_not_a_loss() -> None:
    assert next_pass(NOW_US - 24 * HOUR_US, NOW_US, HOUR_S, DAY_S) == WindowPass(
        NOW_US - DAY_US, NOW_US, None
    )
    assert next_pass(None, NOW_US, 2 * DAY_S, DAY_S) == WindowPass(NOW_US - DAY_US, NOW_US, None)


def test_a_watermark_ahead_of_the_clock_keeps_the_overlap() -> None:
    assert next_pass(NOW_US + DAY_US, NOW_US, HOUR_S, None) == WindowPass(NOW_US - HOUR_US, NOW_US, None)


@given(st.lists(st.integers(1, 3 * DAY_US), max_size=20), st.sampled_from([None, HOUR_S, DAY_S]))
def test_successive_passes_leave_out_only_what_they_report_as_lost(
    steps: list[int], max_lookback_s: int | None
) -> None:
    now_us, watermark_us = NOW_US, NOW_US
    for step in steps:
        now_us += step
        window = next_pass(watermark_us, now_us, 60, max_lookback_s)
        known_us = window.lost.until_us if window.lost else watermark_us
        assert window.lost is None or window.lost.since_us == watermark_us
        assert window.since_us <= known_us <= now_us
        assert window.started_us == now_us
        watermark_us = window.started_us


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
