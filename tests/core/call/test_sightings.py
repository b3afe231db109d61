"""Sightings beside the callbacks: what rows and streams add (case numbers: the provider reference's)."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core import effects
from stream.core.policy import CallPolicy
from stream.core.sources import source_names
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    ENDED,
    OWN_PARAMETERS,
    TWILIO_KEY,
    answered_call,
    at,
    callback,
    calls_row,
    delivery,
    insight,
    logged,
    parameters,
    streamed,
)
from tests.core.folding import picked, summary, tell
from tests.core.lives import live


def test_a_row_with_a_new_price_is_an_update_and_the_next_poll_of_it_is_nothing() -> None:
    """Case 23."""
    row = {"end_time": ENDED, "duration": "49"}
    deliveries = [
        *answered_call(),
        calls_row("completed", updated=60, **row),
        calls_row("completed", updated=300, price="-0.0075", received_s=400, **row),
        calls_row("completed", updated=300, price="-0.0075", received_s=500, **row),
    ]
    assert tell(deliveries).results[4:] == ["applied", "duplicate", "duplicate"]
    records = live(deliveries, policy=CallPolicy(), until_s=1000).records
    assert [(record.revision, record.price, record.updated_at) for record in records] == [
        (1, None, at(55.5)),
        (2, None, at(95)),
        (3, "-0.0075", at(405)),
    ]
    assert records[-1].conflicts == []


def test_a_row_that_is_behind_does_not_reopen_the_call() -> None:
    """Case 24."""
    told = tell([*answered_call(), calls_row("in-progress", updated=7)])
    assert summary(told) == ("completed", "answered")
    assert len(told.all_of(effects.CallEnded)) == 1


def test_identical_twins_of_one_read_are_two_events_and_the_same_two_in_the_next() -> None:
    """Cases 25, 26."""
    twins = [insight("high-jitter", level=None, edge=None, ordinal=n) for n in (0, 1)]
    told = tell([*twins, *twins])
    assert told.results == ["applied", "applied", "duplicate", "duplicate"]
    assert [(event.level, event.edge) for event in told.events] == [(None, None)] * 2


def test_a_callback_and_its_row_in_the_request_log_are_one_event_and_one_logged_request() -> None:
    """Case 29."""
    told = tell([callback("completed", "3", 55), logged(parameters("completed", "3", 55))])
    assert [(event.family, event.name) for event in told.events] == [
        ("progress", "completed"),
        ("request_log", "webhook"),
    ]
    (item,) = [item for item in told.record.timeline if item.family == "progress"]
    assert item.sources == ["twilio_call_event", "twilio_status_callback"]
    assert told.record.counts == {"events": 2, "by_family": {"progress": 1, "request_log": 1}}


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
@pytest.mark.parametrize("kind", OWN_PARAMETERS)
def test_a_callback_its_logged_request_and_its_event_stream_are_one_event(
    kind: str, order: tuple[int, ...]
) -> None:
    """Case 29."""
    source, own = OWN_PARAMETERS[kind]
    told = {"CallSid": CALL_ID, "AccountSid": ACCOUNT, **own}
    tellings = [delivery(source, TWILIO_KEY, dict(told), 60), logged(told), streamed(kind, told)]
    result = tell(tellings[n] for n in order)
    assert sorted(event.family == "request_log" for event in result.events) == [False, True]
    known = [*result.call.lifecycle, *result.call.others]
    assert {entry.family == "request_log": set(source_names(entry.sources)) for entry in known} == {
        True: {"twilio_call_event"},
        False: {"twilio_call_event", "twilio_event_stream", source},
    }


def test_a_recording_ended_its_duration_after_it_began() -> None:
    _, own = OWN_PARAMETERS["recording.processed"]
    body = {"CallSid": CALL_ID, "AccountSid": ACCOUNT, **own}
    (event,) = tell([delivery("twilio_recording_callback", TWILIO_KEY, body, 120)]).events
    assert (event.occurred_at, event.occurred_at_quality, event.duration_s) == (at(54), "derived", 48)


def test_a_summary_alone_says_how_a_call_ended() -> None:
    body = {
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "call_state": "noanswer",
        "processing_state": "complete",
        "end_time": at(30),
        "properties": {"last_sip_response_num": 480},
    }
    record = tell([delivery("twilio_call_summary", TWILIO_KEY, body, 1900)]).record
    assert picked(record, ["status", "outcome", "terminal_source", "ended_at", "sip_response_code"]) == {
        "status": "no-answer",
        "outcome": "no_answer",
        "terminal_source": "twilio_call_summary",
        "ended_at": at(30),
        "sip_response_code": 480,
    }


def test_a_row_that_logs_what_no_callback_told_heals_its_gap() -> None:
    told = tell([callback("completed", "1", 5), logged(parameters("initiated", "0", 0))])
    assert told.record.gaps == [
        {"sequence_number": 0, "name": "initiated", "state": "closed", "closed_by": "poll_heal"}
    ]
