"""What the providers hold at each moment, counted from what they are told and from nothing that was sent."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.calls.scenario import SECOND_US, CallLeg, legs
from stream.simulator.rest.http_types import ProviderResources
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.reader import START_US, Clock, S

LIVE = Options(calls=None, rate=10, served=True, start_us=START_US)
FAST = Options(calls=None, rate=10, served=True, start_us=START_US, time_factor=60)


def leg(wanted: Callable[[CallLeg], bool]) -> CallLeg:
    """The first leg that is such a one, beginning at START_US."""
    rng = random.Random(5)
    while True:
        found = legs(rng, START_US, 0.2)[0]
        if wanted(found):
            return found


def answered(found: CallLeg) -> bool:
    return found.ringing_us is not None and 5 < found.talk_s < 60


def twilio(
    wanted: Callable[[CallLeg], bool] = answered, options: Options = LIVE, *, tardy: bool = False
) -> TwilioCall:
    rng = random.Random(7)
    while True:
        call = TwilioCall(rng, "AC1", leg(wanted), None, options)
        if call.has_late_insights is tardy:
            return call


def telnyx(*, failing: float = 0.0, options: Options = LIVE) -> TelnyxCall:
    found = Options(calls=None, rate=10, served=True, failing_webhooks=failing, sources=options.sources)
    return TelnyxCall(random.Random(7), "account", leg(answered), "session", found)


def living(call: TwilioCall | TelnyxCall, options: Options = LIVE) -> ProviderState:
    """A world in which the call has taken place when its own time says so."""
    clock = Clock(call.leg.began_us)
    world = ProviderState(options, clock)
    world.begun(call)
    clock.now_us = call.leg.ended_us
    world.ended(call)
    return world


def test_a_world_is_a_shelf() -> None:
    shelf: ProviderResources = ProviderState(LIVE)
    assert (shelf.twilio_account, shelf.telnyx_account) == (
        ProviderState(LIVE).twilio_account,
        Traffic(LIVE)._accounts.telnyx,
    )


def test_a_calls_row_goes_through_its_states_and_shows_its_end_a_little_late() -> None:
    call = twilio()
    clock = Clock(call.leg.began_us)
    world = ProviderState(LIVE, clock)
    world.begun(call)
    leg = call.leg
    assert leg.ringing_us is not None
    assert leg.answered_us is not None

    def look(at_us: int) -> tuple[str, bool, bool, bool]:
        row = world.call(call.id, at_us)
        assert row is not None
        assert world.calls(at_us)[0] is row
        return row["status"], *(row[name] is not None for name in ("start_time", "end_time", "price"))

    queued, ringing = ("queued", False, False, False), ("ringing", False, False, False)
    talking, over = ("in-progress", True, False, False), ("completed", True, True, False)
    during = [leg.began_us, leg.ringing_us - 1, leg.ringing_us, leg.answered_us, leg.ended_us - 1]
    assert [look(at_us) for at_us in during] == [queued, queued, ringing, talking, talking]
    clock.now_us = leg.ended_us
    world.ended(call)
    afterwards = [0, 199_999, 200_000, 600 * S - 1, 600 * S, 6000 * S]
    priced = ("completed", True, True, True)
    assert [look(leg.ended_us + us) for us in afterwards] == [talking, talking, over, over, priced, priced]


def test_a_price_is_there_sooner_and_an_end_is_not_where_time_is_faster() -> None:
    call = twilio(options=FAST)
    world, end_us = living(call, FAST), call.leg.ended_us
    found = []
    for after_us in (199_999, 200_000, 10 * S - 1, 10 * S):
        row = world.call(call.id, end_us + after_us)
        found.append((row["status"], row["price"] is not None) if row is not None else None)
    assert found == [("in-progress", False), *[("completed", False)] * 2, ("completed", True)]


def test_what_is_told_ahead_of_its_time_is_there_at_its_time() -> None:
    """A live run whose callbacks are lost tells at once of all that is to come."""
    call, other = twilio(), telnyx()
    world = ProviderState(LIVE, Clock(START_US - 60 * S))
    for told in (call, other):
        world.begun(told)
        world.ended(told)
    assert world.call(call.id, START_US - 1) is None
    assert world.call_events(call.id, START_US - 1) is None
    assert len(world.calls(START_US - 1)) == 0
    assert call.leg.answered_us is not None
    talking = world.call(call.id, call.leg.answered_us)
    assert talking is not None
    assert talking["status"] == "in-progress"
    end_us = call.leg.ended_us
    assert world.insights(call.id, end_us + 90 * S - 1) == []
    assert world.insights(call.id, end_us + 90 * S) != []
    assert len(world.telnyx_leg(other.id, end_us + 90 * S)) == len(other.log)


def test_the_row_of_a_price_is_a_newer_one() -> None:
    call = twilio()
    world = living(call)
    before, after = (world.call(call.id, call.leg.ended_us + us) for us in (S, 601 * S))
    assert before is not None
    assert after is not None
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"price", "date_updated"}


def test_a_call_that_nobody_answered_has_no_price_ever() -> None:
    call = twilio(lambda found: found.ending.status == "busy")
    row = living(call).call(call.id, call.leg.ended_us + 5000 * S)
    assert row is not None
    assert (row["status"], row["price"], row["duration"]) == ("busy", None, None)


@pytest.mark.parametrize(("options", "factor"), [(LIVE, 1), (FAST, 60)], ids=["as ever", "60 times"])
def test_the_request_log_is_there_after_fifteen_minutes(options: Options, factor: int) -> None:
    call = twilio(options=options)
    world = living(call, options)
    there_us = call.leg.ended_us + 900 * S // factor
    assert world.call_events(call.id, there_us - 1) == []
    rows = world.call_events(call.id, there_us)
    assert rows is not None
    assert len(rows) == len(call.requests) > 2


def test_voice_insights_are_there_after_ninety_seconds_but_for_a_last_row_that_may_be_late() -> None:
    for tardy in (False, True):
        call = twilio(tardy=tardy)
        world, end_us, count = living(call), call.leg.ended_us, len(call.insights)
        found = [world.insights(call.id, end_us + us) for us in (90 * S - 1, 90 * S, 150 * S - 1, 150 * S)]
        expected = [0, count - tardy, count - tardy, count]
        assert [len(rows) for rows in found if rows is not None] == expected


def test_about_one_call_in_twenty_has_late_insights() -> None:
    rng = random.Random(1)
    tardy = sum(TwilioCall(rng, "AC1", leg(answered), None, LIVE).has_late_insights for _ in range(2000))
    assert 60 < tardy < 140


def test_a_summary_is_partial_after_five_minutes_and_complete_after_thirty() -> None:
    call = twilio()
    world, end_us = living(call), call.leg.ended_us
    found = [world.summary(call.id, end_us + us) for us in (300 * S - 1, 300 * S, 1800 * S - 1, 1800 * S)]
    assert [row["processing_state"] if row is not None else None for row in found] == [
        None,
        "partial",
        "partial",
        "complete",
    ]


def test_of_a_call_that_lasts_nothing_is_told_but_its_row() -> None:
    call = twilio()
    world = ProviderState(LIVE, Clock())
    world.begun(call)
    later_us = START_US + 10_000 * S
    assert world.call_events(call.id, later_us) == []
    assert world.insights(call.id, later_us) == []
    assert world.summary(call.id, later_us) is None
    row = world.call(call.id, later_us)
    assert row is not None
    assert row["status"] == "in-progress"


def test_of_an_unknown_call_there_is_nothing() -> None:
    world = living(telnyx())
    for sid in ("CA1", telnyx().id):
        assert world.call(sid, START_US + S) is None
        assert world.call_events(sid, START_US + S) is None
        assert world.insights(sid, START_US + S) is None
        assert world.summary(sid, START_US + S) is None
    assert world.telnyx_leg("another", START_US + S) == []


def test_a_row_of_telnyx_log_is_there_a_second_after_its_event() -> None:
    call = telnyx()
    world = living(call)
    log = sorted(call.log, key=lambda row: row.at_us)
    for n, row in enumerate(log):
        before, after = (world.telnyx_leg(call.id, row.at_us + S + us) for us in (-1, 0))
        assert (len(before), len(after)) == (n, n + 1)
        assert after[0]["name"] == row.name
        assert after[0]["metadata"].get("status") == ("delivered" if row.event is not None else None)
    later = world.telnyx_leg(call.id, START_US + 5000 * S)
    assert [row["name"] for row in later] == [row.name for row in reversed(log)]


def test_a_webhook_that_fails_shows_its_attempts_as_they_are_made() -> None:
    call = telnyx(failing=1.0)
    world = living(call)
    first = next(row for row in call.log if row.event == 0)
    seen = []
    for after_s in (1, 2.9, 3, 5.9, 6, 100):
        rows = world.telnyx_leg(call.id, first.at_us + int(after_s * S))
        metadata = next(row["metadata"] for row in rows if row["name"] == first.name)
        seen.append((metadata["attempt"], metadata["status"]))
    assert seen == [(n, "failed") for n in (1, 1, 2, 2, 3, 3)]


def test_a_delivery_is_listed_when_it_is_over() -> None:
    for failing in (0.0, 1.0):
        call = telnyx(failing=failing)
        world = living(call)
        first = call.deliveries[0]
        assert first.finished_us - first.began_us == (7 * S if failing else first.answer_us)
        assert len(world.webhook_deliveries(first.finished_us - 1)) == 0
        (row,) = world.webhook_deliveries(first.finished_us)
        assert row["id"] == first.id
        assert row["status"] == ("failed" if failing else "delivered")
        assert len(world.webhook_deliveries(START_US + 5000 * S)) == len(call.events)


def test_what_took_place_long_ago_counts_from_when_it_is_told_of() -> None:
    """A finite run tells in seconds of calls that took minutes, ten minutes before."""
    call, other = twilio(), telnyx()
    now_us = START_US + 600 * S
    clock = Clock(now_us)
    world = ProviderState(LIVE, clock)
    for told in (call, other):
        world.begun(told)
    first = world.call(call.id, now_us)
    clock.now_us = now_us + S
    for told in (call, other):
        world.ended(told)
    then = world.call(call.id, now_us + S)
    last = world.call(call.id, now_us + S + 200_000)
    assert [row["status"] for row in (first, then, last) if row is not None] == [
        "queued",
        "in-progress",
        "completed",
    ]
    over = [row for row in other.log if row.at_us < other.leg.ended_us]
    assert len(world.telnyx_leg(other.id, now_us + 2 * S)) == len(over)
    assert len(world.call_events(call.id, now_us + S + 900 * S) or []) == len(call.requests)


def test_lists_are_newest_first_by_the_rows_own_time() -> None:
    clock = Clock()
    options = Options(calls=80, served=True, start_us=START_US, telnyx=0.5, failing_webhooks=0.3)
    traffic = Traffic(options, now_us=clock)
    for sending in traffic.outgoing():
        clock.now_us = sending.at_us
    world, truth = traffic.providers, traffic.expected
    assert world is not None
    assert truth is not None
    now_us = clock.now_us + 100 * S
    for rows, field in (
        (world.telnyx_events(now_us), "event_timestamp"),
        (world.webhook_deliveries(now_us), "started_at"),
    ):
        stamps = [row[field] for row in rows]
        assert stamps == sorted(stamps, reverse=True)
        assert len(stamps) > 100
    begun = {call.id: call.leg.began_us for call in truth.calls if isinstance(call, TwilioCall)}
    listed = [begun[row["sid"]] for row in world.calls(now_us)]
    assert listed == sorted(begun.values(), reverse=True)


def test_a_row_that_does_not_change_is_made_once() -> None:
    call, other = twilio(), telnyx()
    world = living(call)
    world.begun(other)
    world.ended(other)
    end_us = START_US + 3000 * S
    kept = [world.calls(end_us)[0], world.telnyx_events(end_us)[0], world.webhook_deliveries(end_us)[0]]
    again = [world.calls(end_us + S)[0], world.telnyx_events(end_us)[0], world.webhook_deliveries(end_us)[0]]
    assert all(one is other for one, other in zip(kept, again, strict=True))


def test_a_call_that_ended_long_ago_is_forgotten_and_one_that_lasts_is_not() -> None:
    call, other, lasting = twilio(), telnyx(), twilio(tardy=True)
    clock = Clock()
    world = ProviderState(LIVE, clock, keep_s=100)
    for told in (call, other, lasting):
        world.begun(told)
    clock.now_us = call.leg.ended_us
    world.ended(call)
    world.ended(other)
    gone_us = call.leg.ended_us + 100 * S
    assert len(world.calls(gone_us - 1)) == 2
    assert len(world.calls(gone_us)) == 1
    assert len(world.telnyx_events(gone_us)) == len(world.webhook_deliveries(gone_us)) == 0
    assert world.call(call.id, gone_us) is None
    assert world.call(lasting.id, gone_us + 9000 * S) is not None


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
    world, later_us = traffic.providers, START_US + 3000 * S
    assert world is not None
    rows = world.calls(later_us)
    assert rows
    for row in rows:
        assert world.call_events(row["sid"], later_us) == world.insights(row["sid"], later_us) == []
        assert world.summary(row["sid"], later_us) is None
    assert len(world.telnyx_events(later_us)) == 0
    assert len(world.webhook_deliveries(later_us)) > 0


def test_what_is_owed_ends_when_the_last_call_has_its_summary() -> None:
    call = twilio(options=FAST)
    clock = Clock(call.leg.began_us)
    world = ProviderState(FAST, clock)
    world.begun(call)
    assert world.owed_s() == 0
    clock.now_us = call.leg.ended_us
    world.ended(call)
    assert world.owed_s() == 30
    assert world.owed_s(300) == 35
    clock.now_us += 40 * SECOND_US
    assert world.owed_s(300) == 0
