"""One failure is one event and one alert, whichever sources tell it, in any order and any number of times."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.alerting.alert import Alert
from stream.core.call.record import CallRecord
from stream.core.call.state import dump, load
from stream.core.effects import ApplicationAnswered, ErrorLogged, Observed
from stream.core.events import Event
from stream.core.policy import CallPolicy
from tests.core.deliveries import ACCOUNT, Delivery, answered_call, logged, parameters
from tests.core.error_log.tellings import (
    alert,
    debugger,
    details,
    notification,
    request_row,
    streamed,
    tellings,
)
from tests.core.folding import Told, knowledge, tell


def rules(told: Told) -> list[str]:
    return told.raised


def failures(told: Told) -> list[Observed]:
    return [one for one in told.all_of(Observed) if "reported" in one.counters]


def entries(told: Told) -> list[Event]:
    return [event for event in told.events if event.name == "error_logged"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_four_tellings_are_one_event_with_four_observations(order: tuple[int, ...]) -> None:
    told = tell([*answered_call(), *(tellings()[n] for n in order)])
    (event,) = entries(told)
    assert (event.error_code, event.level, event.status) == ("11200", "error", None)
    (item,) = [item for item in told.record.timeline if item.name == "error_logged"]
    assert item.sources == ["twilio_alert", "twilio_debugger", "twilio_event_stream", "twilio_notification"]
    # The earliest time: a notification says a second later.
    assert item.occurred_at == "2026-03-02T10:00:07.000000Z"
    assert item.level == "error"
    assert told.record.error_codes == ["11200"]
    assert told.all_of(ErrorLogged) == [ErrorLogged("error", "application")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_request_log_and_the_error_log_raise_one_alert(order: tuple[int, ...]) -> None:
    reports = [request_row(), debugger(), alert(whole=True)]
    told = tell([*answered_call(), *(reports[n] for n in order)])
    assert rules(told) == ["webhook.failing"]
    (one,) = failures(told)
    assert one.scope == f"twilio:endpoint:{ACCOUNT}:https://hooks.example.test/tw/answer"
    assert one.sample is not None
    assert one.sample[1].startswith("answered 502")
    # The application's answers are counted from the request log, where all of them are.
    assert len(told.all_of(ApplicationAnswered)) == 1


def test_any_number_of_failures_raise_as_many_alerts_in_any_order() -> None:
    reports: list[Delivery] = []
    for n, second in enumerate((3, 5, 9, 30)):
        sid = f"NO{n:032x}"
        reports += [debugger(sid=sid, second=second), alert(sid=sid, second=second), request_row(second + 1)]
    reports += [request_row(100), debugger(sid="NO" + "f" * 32, second=150)]
    seen = set()
    for seed in range(30):
        shuffled = reports.copy()
        random.Random(seed).shuffle(shuffled)
        told = tell(shuffled)
        seen.add(tuple(rules(told)))
        assert len(entries(told)) == 5
    assert seen == {("webhook.failing",) * 6}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_request_without_a_response_has_no_time_and_is_the_same_failure(order: tuple[int, ...]) -> None:
    reports = [request_row(second=None, code=None), debugger(details("11205", status=None))]
    assert rules(tell([reports[n] for n in order])) == ["webhook.failing"]


@given(
    st.lists(st.tuples(st.sampled_from((3, 9, 25, 60)), st.integers(0, 5)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_as_many_alerts_are_raised_in_any_order_and_repetition(
    told: list[tuple[int, int]], order: random.Random
) -> None:
    """Each second has a failure, which any of its six reports may tell."""
    reports = [failure(second)[which] for second, which in told]
    shuffled = reports + [one for one in reports if order.random() < 0.5]
    order.shuffle(shuffled)
    assert rules(tell(shuffled)) == rules(tell(reports))


def failure(second: int) -> list[Delivery]:
    about: dict[str, Any] = {"sid": f"NO{second}", "second": second}
    tellings_ = [debugger(**about), streamed(**about), alert(**about), alert(whole=True, **about)]
    return [*tellings_, notification(**about), request_row(second)]


def test_two_entries_of_one_second_are_two_failures() -> None:
    """The URL and its fallback, or two verbs."""
    told = tell([debugger(), debugger(sid="NO2", second=7)])
    assert rules(told) == ["webhook.failing"] * 2
    assert len(entries(told)) == 2


def test_a_failure_elsewhere_or_at_another_time_is_another_one() -> None:
    assert len(rules(tell([debugger(), request_row(url="https://hooks.example.test/tw/other")]))) == 2
    assert len(rules(tell([debugger(), request_row(second=40)]))) == 2


def test_an_update_of_an_entry_is_neither_an_event_nor_an_alert() -> None:
    told = tell([alert(), alert(whole=True, received_s=200.0), alert(second=6, received_s=300.0)])
    assert (len(entries(told)), rules(told)) == (1, ["webhook.failing"])


@pytest.mark.parametrize(
    ("first", "rule"),
    [
        (streamed(payload="{", level="UNHEARD", error_code=None), "webhook.failing"),
        (debugger(details(code=""), level="INFO"), "webhook.failing"),
        # Without the URL it is an error of the call, and stays the only alert.
        (streamed(payload={"error_code": "11200"}), "call.error_event"),
    ],
)
def test_what_a_later_telling_fills_in_raises_the_alert_that_is_owed(first: Delivery, rule: str) -> None:
    told = tell([first, alert(), debugger(), request_row()])
    assert (rules(told), len(entries(told))) == ([rule], 1)
    later = tell([alert()], call=tell([first]).call)
    assert len(entries(later)) == 0
    assert rules(later) == ([rule] if rule == "webhook.failing" else [])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_gravest_level_that_is_told_is_the_entrys(order: tuple[int, ...]) -> None:
    reports = [debugger(level="UNHEARD"), alert(level="warning")]
    told = tell([*answered_call(), *(reports[n] for n in order)])
    (item,) = [item for item in told.record.timeline if item.name == "error_logged"]
    assert item.level == "warning"


def test_what_was_told_survives_the_store() -> None:
    call = load(dump(tell([debugger()]).call))
    assert rules(tell([alert(), request_row(), notification()], call=call)) == []


@pytest.mark.parametrize(
    ("code", "level", "status", "expected", "seen"),
    [
        ("11200", "ERROR", 502, "webhook.failing", "answered 502"),
        ("11205", "ERROR", None, "webhook.failing", "no answer"),
        ("12100", "ERROR", 200, "webhook.failing", "answered 200, which the provider could not use"),
        ("12200", "WARNING", 200, None, None),
        ("13227", "ERROR", None, "call.error_event", None),
        ("13224", "WARNING", None, None, None),
        ("32021", "WARNING", None, None, None),
        ("4107", "ERROR", None, "call.error_event", None),
        ("11200", "NEW", 502, None, None),
        ("11200", "INFO", 502, None, None),
    ],
)
def test_level_and_code_decide_which_alert_is_raised(
    code: str, level: str, status: int | None, expected: str | None, seen: str | None
) -> None:
    told = tell([debugger(details(code, status=status), level=level)])
    assert rules(told) == ([expected] if expected else [])
    assert [one.sample[1] for one in failures(told) if one.sample] == ([seen] if seen else [])
    assert told.call.error_codes == ([code] if level == "ERROR" else [])


OWN = "https://calls.example.test/hooks/callbacks/twilio"


@pytest.mark.parametrize(
    ("public_url", "alerts"),
    [("", 0), ("https://calls.example.test/hooks", 0), ("https://other.example.test", 1)],
)
def test_a_failing_request_to_ourselves_is_counted_and_raises_no_alert(public_url: str, alerts: int) -> None:
    told = tell([debugger(details(url=OWN))], policy=CallPolicy(public_url=public_url))
    assert len(rules(told)) == alerts
    about = "application" if alerts else "own_url"
    assert told.all_of(ErrorLogged) == [ErrorLogged("error", about)]


@pytest.mark.parametrize(
    ("public_url", "counted"),
    [("", 0), ("https://calls.example.test/hooks", 0), ("https://other.example.test", 2)],
)
def test_rows_about_requests_to_ourselves_are_no_answers_of_the_application(
    public_url: str, counted: int
) -> None:
    rows = [
        logged(parameters(status, str(number), number), code=code, url=OWN)
        for number, (status, code) in enumerate((("ringing", 503), ("in-progress", 204)))
    ]
    told = tell(rows, policy=CallPolicy(public_url=public_url))
    assert len(told.all_of(ApplicationAnswered)) == counted
    endpoint = {one.scope for one in told.all_of(Observed) if ":endpoint:" in one.scope}
    assert bool(endpoint) is bool(counted)
    assert len(told.events) == 4, "the rows and what they tell"


def test_a_request_of_the_customer_to_the_api_is_not_his_application() -> None:
    told = tell([debugger(details(url="https://api.twilio.com/2010-04-01/Accounts"))])
    assert rules(told) == ["call.error_event"]


def test_an_entry_opens_ends_and_reopens_no_call() -> None:
    """Nobody has seen the call yet: there is a placeholder, without a status."""
    told = tell(tellings())
    assert (told.call.ended, told.call.lifecycle) == (False, [])
    assert told.all_of(CallRecord) == []
    ended = tell([*answered_call(), *tellings()])
    assert ended.record.status == "completed"
    without = tell(answered_call())
    assert knowledge(ended.call)["lifecycle"] == knowledge(without.call)["lifecycle"]


def test_many_failures_of_one_call_are_bounded_and_none_is_silent() -> None:
    told = tell([debugger(sid=f"NO{n}", second=n) for n in range(60)])
    assert len(rules(told)) == 60
    assert len(told.call.arrival.failures) == 32


def test_no_alert_carries_the_answers_body() -> None:
    effects: list[Any] = tell(tellings()).effects
    alerts = [effect for effect in effects if type(effect) in (Alert, Observed)]
    assert alerts
    assert "bad gateway" not in repr(effects)
    assert "sess=" not in repr(effects)
