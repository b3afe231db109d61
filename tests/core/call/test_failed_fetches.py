"""A failed read is requested again with a growing pause; a result that is not awaited changes nothing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from stream.core.call.state import dump
from stream.core.call.timers import answered
from stream.core.effects import FetchAnswered
from stream.core.fetches import FetchRequest
from stream.core.policy import CallPolicy
from tests.core.deliveries import START_US, answered_call
from tests.core.folding import tell
from tests.core.lives import POLICY, live, result, success


def test_without_an_account_it_is_asked_for_as_rarely_as_may_be() -> None:
    steps = live(answered_call(), lambda *_: {"outcome": "no_account"}).steps("twilio_call")
    assert {round(b - a) for a, b in pairwise(steps)} == {600}


def test_a_fetch_that_failed_takes_no_step_and_is_asked_again_ever_more_slowly() -> None:
    def refused(request: FetchRequest, after_s: float) -> dict[str, Any]:
        return {"outcome": "auth_error"} if after_s < 1000 else success(request, after_s)

    steps = live(answered_call(), refused).steps("twilio_call")
    pauses = [round(b - a) for a, b in pairwise(steps)]
    assert pauses == [60, 120, 240, 480, 600]


def test_a_poller_whose_clock_is_behind_does_not_have_a_call_asked_for_without_a_pause() -> None:
    def steps(outcome: str) -> list[list[float]]:
        answers = {"outcome": outcome}
        lives = (live(answered_call(), lambda *_: answers, until_s=7000, behind_s=s) for s in (0, 3600))
        return [[round(step) for step in lived.steps("twilio_insights_event")] for lived in lives]

    for outcome in ("server_error", "no_account", "not_ready"):
        right, behind = steps(outcome)
        assert behind == right


def test_an_answer_ends_the_growing_pauses() -> None:
    fails = [True, True, False, True, False, False, False]
    outcomes = iter(["server_error" if failed else "not_ready" for failed in fails])

    def flapping(request: FetchRequest, after_s: float) -> dict[str, Any]:
        return {"outcome": next(outcomes)} if request.source == "twilio_call" else success(request, after_s)

    steps = live(answered_call(), flapping, policy=CallPolicy(polled=("twilio_call",))).steps("twilio_call")
    assert [round(b - a) for a, b in pairwise(steps)] == [60, 120, 30, 60, 270, 1500]


def test_a_request_that_nobody_answers_is_not_repeated() -> None:
    """The request stays in Kafka until a poller answers it."""
    lived = live(answered_call(), lambda *_: None, until_s=7000)
    assert [asked.attempt for asked in lived.asked] == [1] * 4


def test_a_result_that_came_twice_or_too_late_changes_nothing() -> None:
    told = tell(answered_call(), policy=POLICY)
    request = told.all_of(FetchRequest)[0]
    came = result(request, outcome="not_ready")
    first = answered(told.call, came, START_US + 60_000_000, "", POLICY)
    before = dump(told.call)
    assert first == [FetchAnswered("twilio_call", "not_ready")]
    assert answered(told.call, came, START_US + 61_000_000, "", POLICY) == []
    other = msgspec.structs.replace(came, source="twilio_call_summary")
    assert answered(told.call, other, START_US + 61_000_000, "", POLICY) == []
    assert dump(told.call) == before
