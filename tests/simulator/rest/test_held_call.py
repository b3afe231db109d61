"""When each row of a call appears in its provider's lists."""

from __future__ import annotations

import random

import pytest

from stream.simulator.calls.options import Options
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock, S
from tests.simulator.rest.fake_calls import (
    FAST,
    LIVE,
    answered,
    first_leg,
    state_of,
    telnyx_call,
    twilio_call,
)


def test_a_calls_row_goes_through_its_states_and_shows_its_end_a_little_late() -> None:
    call = twilio_call()
    clock = Clock(call.leg.began_us)
    state = ProviderState(LIVE, clock)
    state.begun(call)
    leg = call.leg
    assert leg.ringing_us is not None
    assert leg.answered_us is not None

    def look(at_us: int) -> tuple[str, bool, bool, bool]:
        row = state.call(call.id, at_us)
        assert row is not None
        assert state.calls(at_us)[0] is row
        return row["status"], *(row[name] is not None for name in ("start_time", "end_time", "price"))

    queued, ringing = ("queued", False, False, False), ("ringing", False, False, False)
    talking, over = ("in-progress", True, False, False), ("completed", True, True, False)
    during = [leg.began_us, leg.ringing_us - 1, leg.ringing_us, leg.answered_us, leg.ended_us - 1]
    assert [look(at_us) for at_us in during] == [queued, queued, ringing, talking, talking]
    clock.now_us = leg.ended_us
    state.ended(call)
    afterwards = [0, 199_999, 200_000, 600 * S - 1, 600 * S, 6000 * S]
    priced = ("completed", True, True, True)
    assert [look(leg.ended_us + us) for us in afterwards] == [talking, talking, over, over, priced, priced]


def test_a_price_is_there_sooner_and_an_end_is_not_where_time_is_faster() -> None:
    call = twilio_call(options=FAST)
    state, end_us = state_of(call, FAST), call.leg.ended_us
    found = []
    for after_us in (199_999, 200_000, 10 * S - 1, 10 * S):
        row = state.call(call.id, end_us + after_us)
        found.append((row["status"], row["price"] is not None) if row is not None else None)
    assert found == [("in-progress", False), *[("completed", False)] * 2, ("completed", True)]


def test_what_is_told_ahead_of_its_time_is_there_at_its_time() -> None:
    """A live run whose callbacks are lost tells at once of all that is to come."""
    call, other = twilio_call(), telnyx_call()
    state = ProviderState(LIVE, Clock(START_US - 60 * S))
    for told in (call, other):
        state.begun(told)
        state.ended(told)
    assert state.call(call.id, START_US - 1) is None
    assert state.call_events(call.id, START_US - 1) is None
    assert len(state.calls(START_US - 1)) == 0
    assert call.leg.answered_us is not None
    talking = state.call(call.id, call.leg.answered_us)
    assert talking is not None
    assert talking["status"] == "in-progress"
    end_us = call.leg.ended_us
    assert state.insights(call.id, end_us + 90 * S - 1) == []
    assert state.insights(call.id, end_us + 90 * S) != []
    assert len(state.telnyx_leg(other.id, end_us + 90 * S)) == len(other.log)


def test_the_row_of_a_price_is_a_newer_one() -> None:
    call = twilio_call()
    state = state_of(call)
    before, after = (state.call(call.id, call.leg.ended_us + us) for us in (S, 601 * S))
    assert before is not None
    assert after is not None
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"price", "date_updated"}


def test_a_call_that_nobody_answered_has_no_price_ever() -> None:
    call = twilio_call(lambda found: found.ending.status == "busy")
    row = state_of(call).call(call.id, call.leg.ended_us + 5000 * S)
    assert row is not None
    assert (row["status"], row["price"], row["duration"]) == ("busy", None, None)


@pytest.mark.parametrize(("options", "factor"), [(LIVE, 1), (FAST, 60)], ids=["as ever", "60 times"])
def test_the_request_log_is_there_after_fifteen_minutes(options: Options, factor: int) -> None:
    call = twilio_call(options=options)
    state = state_of(call, options)
    there_us = call.leg.ended_us + 900 * S // factor
    assert state.call_events(call.id, there_us - 1) == []
    rows = state.call_events(call.id, there_us)
    assert rows is not None
    assert len(rows) == len(call.requests) > 2


def test_voice_insights_are_there_after_ninety_seconds_but_for_a_last_row_that_may_be_late() -> None:
    for tardy in (False, True):
        call = twilio_call(late_insights=tardy)
        state, end_us, count = state_of(call), call.leg.ended_us, len(call.insights)
        found = [state.insights(call.id, end_us + us) for us in (90 * S - 1, 90 * S, 150 * S - 1, 150 * S)]
        expected = [0, count - tardy, count - tardy, count]
        assert [len(rows) for rows in found if rows is not None] == expected


def test_about_one_call_in_twenty_has_late_insights() -> None:
    rng = random.Random(1)
    tardy = sum(
        TwilioCall(rng, "AC1", first_leg(answered), None, LIVE).has_late_insights for _ in range(2000)
    )
    assert 60 < tardy < 140


def test_a_summary_is_partial_after_five_minutes_and_complete_after_thirty() -> None:
    call = twilio_call()
    state, end_us = state_of(call), call.leg.ended_us
    found = [state.summary(call.id, end_us + us) for us in (300 * S - 1, 300 * S, 1800 * S - 1, 1800 * S)]
    assert [row["processing_state"] if row is not None else None for row in found] == [
        None,
        "partial",
        "partial",
        "complete",
    ]


def test_of_a_call_that_lasts_nothing_is_told_but_its_row() -> None:
    call = twilio_call()
    state = ProviderState(LIVE, Clock())
    state.begun(call)
    later_us = START_US + 10_000 * S
    assert state.call_events(call.id, later_us) == []
    assert state.insights(call.id, later_us) == []
    assert state.summary(call.id, later_us) is None
    row = state.call(call.id, later_us)
    assert row is not None
    assert row["status"] == "in-progress"


def test_of_an_unknown_call_there_is_nothing() -> None:
    state = state_of(telnyx_call())
    for sid in ("CA1", telnyx_call().id):
        assert state.call(sid, START_US + S) is None
        assert state.call_events(sid, START_US + S) is None
        assert state.insights(sid, START_US + S) is None
        assert state.summary(sid, START_US + S) is None
    assert state.telnyx_leg("another", START_US + S) == []


def test_a_row_of_telnyx_log_is_there_a_second_after_its_event() -> None:
    call = telnyx_call()
    state = state_of(call)
    log = sorted(call.log, key=lambda row: row.at_us)
    for n, row in enumerate(log):
        before, after = (state.telnyx_leg(call.id, row.at_us + S + us) for us in (-1, 0))
        assert (len(before), len(after)) == (n, n + 1)
        assert after[0]["name"] == row.name
        assert after[0]["metadata"].get("status") == ("delivered" if row.event is not None else None)
    later = state.telnyx_leg(call.id, START_US + 5000 * S)
    assert [row["name"] for row in later] == [row.name for row in reversed(log)]


def test_a_webhook_that_fails_shows_its_attempts_as_they_are_made() -> None:
    call = telnyx_call(failing=1.0)
    state = state_of(call)
    first = next(row for row in call.log if row.event == 0)
    seen = []
    for after_s in (1, 2.9, 3, 5.9, 6, 100):
        rows = state.telnyx_leg(call.id, first.at_us + int(after_s * S))
        metadata = next(row["metadata"] for row in rows if row["name"] == first.name)
        seen.append((metadata["attempt"], metadata["status"]))
    assert seen == [(n, "failed") for n in (1, 1, 2, 2, 3, 3)]


def test_a_delivery_is_listed_when_it_is_over() -> None:
    for failing in (0.0, 1.0):
        call = telnyx_call(failing=failing)
        state = state_of(call)
        first = call.deliveries[0]
        assert first.finished_us - first.began_us == (7 * S if failing else first.answer_us)
        assert len(state.webhook_deliveries(first.finished_us - 1)) == 0
        (row,) = state.webhook_deliveries(first.finished_us)
        assert row["id"] == first.id
        assert row["status"] == ("failed" if failing else "delivered")
        assert len(state.webhook_deliveries(START_US + 5000 * S)) == len(call.events)


def test_what_took_place_long_ago_counts_from_when_it_is_told_of() -> None:
    """A finite run tells in seconds of calls that took minutes, ten minutes before."""
    call, other = twilio_call(), telnyx_call()
    now_us = START_US + 600 * S
    clock = Clock(now_us)
    state = ProviderState(LIVE, clock)
    for told in (call, other):
        state.begun(told)
    first = state.call(call.id, now_us)
    clock.now_us = now_us + S
    for told in (call, other):
        state.ended(told)
    then = state.call(call.id, now_us + S)
    last = state.call(call.id, now_us + S + 200_000)
    assert [row["status"] for row in (first, then, last) if row is not None] == [
        "queued",
        "in-progress",
        "completed",
    ]
    over = [row for row in other.log if row.at_us < other.leg.ended_us]
    assert len(state.telnyx_leg(other.id, now_us + 2 * S)) == len(over)
    assert len(state.call_events(call.id, now_us + S + 900 * S) or []) == len(call.requests)
