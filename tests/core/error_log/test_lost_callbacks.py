"""A callback that was not delivered: no alert, and the call is read at once, as far as it has not ended."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from stream.core.call.timers import answered, tick
from stream.core.effects import ErrorLogged
from stream.core.fetches import FetchRead, FetchRequest
from stream.core.policy import CallPolicy
from tests.core.deliveries import (
    START_US,
    Delivery,
    answered_call,
    callback,
    calls_row,
    parameters,
    rfc2822,
)
from tests.core.error_log.tellings import alert, debugger, details, notification, streamed
from tests.core.folding import tell
from tests.core.lives import result

POLICY = CallPolicy(polled=("twilio_call",), overdue_s=100)
STATUS_URL = "https://calls.example.test/callbacks/twilio"
REFUSED = debugger(details("15003", url=STATUS_URL, status=404), level="WARNING")
UNREACHABLE = debugger(details("11200", url=STATUS_URL, asked=parameters("ringing", "1", 7), status=None))
OURS = debugger(details("11200", url=STATUS_URL, status=503))
BEGUN = callback("initiated", "0", 0)


@pytest.mark.parametrize(
    "entry", [REFUSED, UNREACHABLE, OURS, notification("15003", log="1", url=STATUS_URL)]
)
def test_the_call_is_read_and_nobody_is_alerted(entry: Delivery) -> None:
    told = tell([BEGUN, entry], policy=POLICY)
    (request,) = told.all_of(FetchRequest)
    assert (request.reads, request.reason, request.priority) == (
        [FetchRead("twilio_call", None)],
        "gap",
        "heal",
    )
    assert told.alerts == []
    (logged,) = told.all_of(ErrorLogged)
    assert logged.about in ("callback", "own_url")


@pytest.mark.parametrize("code", ["91300", "91308", "93101"])
def test_an_event_that_event_streams_could_not_deliver_is_a_lost_callback(code: str) -> None:
    """Else our own outage raises an alert for each call, one more for each event of it."""
    entry = debugger(details(code, url=f"{STATUS_URL}/event-streams", status=503, asked={}))
    told = tell([BEGUN, entry], policy=POLICY)
    assert (told.alerts, len(told.all_of(FetchRequest))) == ([], 1)
    assert told.all_of(ErrorLogged) == [ErrorLogged("error", "callback")]


def test_an_application_that_no_callback_reaches_is_alerted_on_too() -> None:
    asked = parameters("ringing", "1", 7)
    told = tell([BEGUN, debugger(details("11205", asked=asked, status=None)), alert("11205")], policy=POLICY)
    assert told.raised == ["webhook.failing"]
    assert len(told.all_of(FetchRequest)) == 1


def test_a_read_that_fails_is_repeated_and_one_that_ends_the_call_is_the_last() -> None:
    told = tell([BEGUN, REFUSED], policy=POLICY)
    (request,) = told.all_of(FetchRequest)
    now_us = START_US + 9_000_000
    answered(told.call, result(request, outcome="network_error"), now_us, "", POLICY)
    ticked = tick(told.call, now_us + 61_000_000, POLICY)
    (again,) = [effect for effect in ticked.effects if type(effect) is FetchRequest]
    assert (again.reason, again.attempt) == ("gap", 2)
    row = calls_row("completed", received_s=75.0, end_time=rfc2822(55), duration="49")
    assert tell([row], call=ticked.call, policy=POLICY).record.status == "completed"


def test_each_lost_callback_asks_again_and_each_telling_of_it_does_not() -> None:
    second = debugger(details("15003", url=STATUS_URL, status=404), sid="NO2", level="WARNING", second=20)
    told = tell([BEGUN, REFUSED, alert("15003", level="warning"), second], policy=POLICY)
    assert [request.attempt for request in told.all_of(FetchRequest)] == [1, 2]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_telling_that_could_not_be_read_hides_no_lost_callback(order: tuple[int, ...]) -> None:
    """Its entry is known then, but what it was about is not."""
    unreadable = streamed("{", level="WARNING", error_code=None)
    tellings = [unreadable, REFUSED, alert("15003", level="warning")]
    told = tell([BEGUN, *(tellings[n] for n in order)], policy=POLICY)
    assert [request.attempt for request in told.all_of(FetchRequest)] == [1]
    assert len([event for event in told.events if event.name == "error_logged"]) == 1


@pytest.mark.parametrize("told_before", [[BEGUN], []])
def test_an_overdue_call_is_asked_for_as_before(told_before: list[Delivery]) -> None:
    told = tell([*told_before, REFUSED], policy=POLICY)
    ticked = tick(told.call, told.call.arrival.first_us + 101_000_000, POLICY)
    request, alert = ticked.effects
    assert alert.rule.id == "call.no_terminal_event"
    assert (request.reason, request.attempt) == ("overdue", 1)


@pytest.mark.parametrize("polled", [(), ("twilio_call_event",)])
def test_what_is_not_polled_is_not_asked_for(polled: tuple[str, ...]) -> None:
    assert tell([BEGUN, REFUSED], policy=CallPolicy(polled=polled)).all_of(FetchRequest) == []


def test_a_call_that_has_ended_is_read_anyway() -> None:
    ended = tell(answered_call(), policy=POLICY)
    later = tell([REFUSED], call=ended.call, policy=POLICY)
    asked: list[Any] = later.all_of(FetchRequest)
    assert asked == []
    assert [fetch.overdue for fetch in later.call.fetches] == [False]


def test_a_warning_is_no_error_of_the_call() -> None:
    """A refused status callback has no effect on the caller, so it explains no failure."""
    told = tell([callback("failed", "1", 9), REFUSED])
    assert told.record.error_codes == []
