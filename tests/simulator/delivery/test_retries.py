"""A provider sends again what its rules say, as often as they say, and then gives up."""

from __future__ import annotations

import pytest

from stream.simulator.delivery.answers import AttemptResult
from stream.simulator.delivery.retries import (
    AttemptTimeouts,
    RetryPolicy,
    TelnyxRetries,
    TwilioRetries,
    twilio_retries,
)

UNREACHABLE, NO_ANSWER = AttemptResult(0, connected=False), AttemptResult(0)


def waits(policy: RetryPolicy, answer: AttemptResult, each_takes_s: float = 0.0) -> list[float]:
    """How long is waited before each further attempt, where all of them are answered so."""
    found: list[float] = []
    spent_s = 0.0
    while True:
        spent_s += each_takes_s
        wait_s = policy.wait_s(answer, len(found) + 1, spent_s)
        if wait_s is None:
            return found
        found.append(wait_s)
        spent_s += wait_s


@pytest.mark.parametrize(
    ("text", "retried"),
    [
        ("", {"unreachable"}),
        ("rp=5xx", {"503"}),
        ("rp=4xx,rt", {"403", "429", "no_answer"}),
        ("#rc=1&rp=all", {"unreachable", "no_answer", "403", "429", "503"}),
        ("rc=0&rp=all", set()),
    ],
)
def test_twilio_repeats_what_the_overrides_name(text: str, retried: set[str]) -> None:
    answers = {
        "unreachable": UNREACHABLE,
        "no_answer": NO_ANSWER,
        "302": AttemptResult(302),
        "403": AttemptResult(403),
        "429": AttemptResult(429),
        "503": AttemptResult(503),
    }
    assert {name for name, answer in answers.items() if waits(twilio_retries(text), answer)} == retried


def test_twilio_waits_longer_each_time_and_stops_at_its_count_or_its_total_time() -> None:
    assert waits(twilio_retries("rc=3&rp=all"), AttemptResult(503)) == [0.5, 1.0, 2.0]
    assert waits(twilio_retries("rc=5&rp=all"), AttemptResult(503)) == [0.5, 1.0, 2.0, 4.0]
    assert waits(twilio_retries("rc=5&rp=all&tt=3000"), AttemptResult(503)) == [0.5, 1.0]
    assert waits(twilio_retries("rc=5&rp=all&rt=5000"), NO_ANSWER, each_takes_s=5.0) == [0.5, 1.0]


def test_no_attempt_of_twilio_outlasts_what_is_left_of_its_total_time() -> None:
    policy = twilio_retries("ct=1000&rt=5000&tt=12000")
    assert policy.limits(0.0) == AttemptTimeouts(1.0, 5.0, 12.0)
    assert policy.limits(11.5) == AttemptTimeouts(0.5, 0.5, 0.5)
    assert twilio_retries("") == TwilioRetries()
    assert TwilioRetries().limits(0.0) == AttemptTimeouts(5.0, 15.0, 15.0)


@pytest.mark.parametrize(
    "text",
    ["rc=6", "rc=-1", "rc=", "rt=99", "tt=20000", "ct=soon", "rp=6xx", "rp=", "retries=3", "rc=²", "rc"],
)
def test_overrides_that_twilio_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        twilio_retries(text)


def test_overrides_about_edges_and_server_names_change_nothing_here() -> None:
    assert twilio_retries("sni=n&e=dublin,frankfurt") == TwilioRetries()


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (AttemptResult(500), True),
        (AttemptResult(503), True),
        (AttemptResult(408), True),
        (AttemptResult(429), True),
        (NO_ANSWER, True),
        (UNREACHABLE, True),
        (AttemptResult(302), False),
        (AttemptResult(400), False),
        (AttemptResult(403), False),
    ],
    ids=str,
)
def test_telnyx_repeats_5xx_408_429_and_no_answer(answer: AttemptResult, again: bool) -> None:
    assert waits(TelnyxRetries(), answer) == ([1.0, 2.0, 4.0, 8.0, 16.0] if again else [])
    assert TelnyxRetries().limits(100.0) == AttemptTimeouts(2.0, 2.0, 2.0)


def test_telnyx_tries_its_failover_address_before_it_waits() -> None:
    policy = TelnyxRetries(waits_s=(1.0, 2.0), failover=True)
    assert waits(policy, AttemptResult(503)) == [0.0, 1.0, 0.0, 2.0, 0.0]
    assert [policy.is_failover(attempt) for attempt in range(1, 7)] == [False, True] * 3
    assert waits(policy, AttemptResult(403)) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (AttemptResult(204), ("2xx", True, False, False)),
        (AttemptResult(302), ("3xx", False, False, True)),
        (AttemptResult(403), ("4xx", False, False, True)),
        (AttemptResult(429), ("4xx", False, False, False)),
        (AttemptResult(503), ("5xx", False, True, False)),
        (NO_ANSWER, ("no_answer", False, True, False)),
        (UNREACHABLE, ("unreachable", False, False, False)),
    ],
    ids=str,
)
def test_an_answer_says_what_is_known_of_the_delivery(
    answer: AttemptResult, said: tuple[str, bool, bool, bool]
) -> None:
    assert (answer.kind, answer.taken, answer.doubtful, answer.refused) == said
