"""What the providers hold at each moment, from what they are told and from nothing that was sent."""

from __future__ import annotations

from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US
from stream.simulator.calls.seeded_random import run_accounts, seeded
from stream.simulator.rest.provider_resources import ProviderResources
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock, S
from tests.simulator.rest.fake_calls import (
    FAST,
    LIVE,
    state_of,
    telnyx_call,
    twilio_call,
)


def test_a_provider_state_serves_the_accounts_of_its_run() -> None:
    resources: ProviderResources = ProviderState(LIVE)
    accounts = run_accounts(LIVE, seeded(LIVE))
    assert (resources.twilio_account, resources.telnyx_account) == (accounts.twilio, accounts.telnyx)


def test_lists_are_newest_first_by_the_rows_own_time() -> None:
    clock = Clock()
    options = Options(calls=80, served=True, start_us=START_US, telnyx=0.5, failing_webhooks=0.3)
    traffic = Traffic(options, now_us=clock)
    for delivery in traffic.outgoing():
        clock.now_us = delivery.at_us
    state, expected = traffic.providers, traffic.expected
    assert state is not None
    assert expected is not None
    now_us = clock.now_us + 100 * S
    for rows, field in (
        (state.telnyx_events(now_us), "event_timestamp"),
        (state.webhook_deliveries(now_us), "started_at"),
    ):
        stamps = [row[field] for row in rows]
        assert stamps == sorted(stamps, reverse=True)
        assert len(stamps) > 100
    begun = {call.id: call.leg.began_us for call in expected.calls if isinstance(call, TwilioCall)}
    listed = [begun[row["sid"]] for row in state.calls(now_us)]
    assert listed == sorted(begun.values(), reverse=True)


def test_a_row_that_does_not_change_is_made_once() -> None:
    call, other = twilio_call(), telnyx_call()
    state = state_of(call)
    state.begun(other)
    state.ended(other)
    end_us = START_US + 3000 * S
    kept = [
        state.calls(end_us)[0],
        state.telnyx_events(end_us)[0],
        state.webhook_deliveries(end_us)[0],
    ]
    again = [
        state.calls(end_us + S)[0],
        state.telnyx_events(end_us)[0],
        state.webhook_deliveries(end_us)[0],
    ]
    assert all(one is other for one, other in zip(kept, again, strict=True))


def test_a_call_that_ended_long_ago_is_forgotten_and_one_that_lasts_is_not() -> None:
    call, other, lasting = twilio_call(), telnyx_call(), twilio_call(late_insights=True)
    clock = Clock()
    state = ProviderState(LIVE, clock, keep_s=100)
    for told in (call, other, lasting):
        state.begun(told)
    clock.now_us = call.leg.ended_us
    state.ended(call)
    state.ended(other)
    gone_us = call.leg.ended_us + 100 * S
    assert len(state.calls(gone_us - 1)) == 2
    assert len(state.calls(gone_us)) == 1
    assert len(state.telnyx_events(gone_us)) == len(state.webhook_deliveries(gone_us)) == 0
    assert state.call(call.id, gone_us) is None
    assert state.call(lasting.id, gone_us + 9000 * S) is not None


def test_calls_whose_callbacks_are_all_lost_are_held_all_the_same() -> None:
    clock = Clock()
    traffic = Traffic(Options(calls=50, served=True, drop=1.0, start_us=START_US), now_us=clock)
    assert list(traffic) == []
    assert traffic.providers is not None
    rows = traffic.providers.calls(START_US + S)
    assert {row["status"] for row in rows} >= {"completed", "busy"}
    assert all(row["end_time"] is not None for row in rows)
    legs = {row["call_leg_id"] for row in traffic.providers.telnyx_events(START_US + 30 * S)}
    assert len(rows) + len(legs) == 50


def test_only_the_sources_that_were_asked_for_are_held() -> None:
    wanted = frozenset({*CALLBACK_SOURCES, "twilio_call", "telnyx_webhook_delivery"})
    options = Options(calls=60, served=True, start_us=START_US, sources=wanted)
    clock = Clock()
    traffic = Traffic(options, now_us=clock)
    for _ in traffic.outgoing():
        pass
    state, later_us = traffic.providers, START_US + 3000 * S
    assert state is not None
    rows = state.calls(later_us)
    assert rows
    for row in rows:
        assert state.call_events(row["sid"], later_us) == state.insights(row["sid"], later_us) == []
        assert state.summary(row["sid"], later_us) is None
    assert len(state.telnyx_events(later_us)) == 0
    assert len(state.webhook_deliveries(later_us)) > 0


def test_what_is_owed_ends_when_the_last_call_has_its_summary() -> None:
    call = twilio_call(options=FAST)
    clock = Clock(call.leg.began_us)
    state = ProviderState(FAST, clock)
    state.begun(call)
    assert state.owed_s() == 0
    clock.now_us = call.leg.ended_us
    state.ended(call)
    assert state.owed_s() == 30
    assert state.owed_s(300) == 35
    clock.now_us += 40 * SECOND_US
    assert state.owed_s(300) == 0
