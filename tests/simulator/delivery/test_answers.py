"""Counts and times of answers, for a person and for a program."""

from __future__ import annotations

import pytest

from stream.simulator.delivery.answers import AnswerStats, AttemptResult


def test_quantiles_are_right_within_one_percent() -> None:
    answers = AnswerStats()
    for at in range(1, 1001):
        answers.answered(AttemptResult(204), at / 1000)
    assert answers.quantile_s(0.5) == pytest.approx(0.5, rel=0.01)
    assert answers.quantile_s(0.99) == pytest.approx(0.99, rel=0.01)
    answers.answered(AttemptResult(204), 0.000012345)
    assert answers.quantile_s(0.0) == 0.0000123


def test_what_was_not_answered_took_no_time() -> None:
    answers = AnswerStats()
    answers.answered(AttemptResult(0), 15.0)
    assert answers.quantile_s(0.5) is None
    assert answers.as_json()["p99_ms"] is None
    assert len(answers.lines()) == 2


def test_a_program_gets_every_count_also_those_of_nothing() -> None:
    answers = AnswerStats()
    answers.sent, answers.taken, answers.retried = 3, 1, 1
    for status in (503, 204, 403, 503):
        answers.answered(AttemptResult(status), 0.01)
    answers.gave_up(AttemptResult(403), "a call")
    answers.gave_up(AttemptResult(503), "another")
    said = answers.as_json()
    assert said.pop("p50_ms") == pytest.approx(10, rel=0.01)
    assert said.pop("p99_ms") == pytest.approx(10, rel=0.01)
    kinds = {"2xx": 1, "3xx": 0, "4xx": 1, "5xx": 2, "no_answer": 0, "unreachable": 0}
    assert said == {
        "sent": 3,
        "taken": 1,
        "given_up": 2,
        "refused": 1,
        "retried": 1,
        "answers": kinds,
    }
    assert answers.refusals == ["a call: answered 403"]
    assert answers.lines()[0] == "callbacks           3   sent, 1 taken, 2 given up"
    assert answers.lines()[1] == "attempts            4   1 of them retries: 2 5xx, 1 2xx, 1 4xx"


def test_only_the_first_refusals_are_kept() -> None:
    answers = AnswerStats()
    for at in range(50):
        answers.gave_up(AttemptResult(403), str(at))
    assert answers.refused == 50
    assert len(answers.refusals) == 10
