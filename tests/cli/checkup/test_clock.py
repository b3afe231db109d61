"""The clock: compared only with clocks that are others', and never more exactly than they tell."""

from __future__ import annotations

import pytest

from stream.cli.checkup.check import Check
from stream.cli.checkup.http_probe import Dated, clock

SENT_S = 1_000_000.0


def answer(ahead_s: float, *, host: str = "api.test", took_s: float = 0.2, own: bool = False) -> Dated:
    """An answer after which our clock is `ahead_s` before that of the host."""
    middle_s = SENT_S + took_s / 2
    return Dated(host, own, middle_s - ahead_s - 0.5, SENT_S, SENT_S + took_s)


MEND = "let the machine keep its time by NTP"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], Check("clock", "unknown", "no other machine told its time")),
        (
            [answer(0, own=True)],
            Check("clock", "unknown", "no other machine told its time"),
        ),
        ([answer(1)], Check("clock", "ok", "agrees with api.test to 3 s")),
        (
            [answer(40, took_s=90), answer(0, host="near.test")],
            Check("clock", "ok", "agrees with near.test to 3 s"),
        ),
        ([answer(10)], Check("clock", "warning", "10 s before that of api.test", MEND)),
        ([answer(-10)], Check("clock", "warning", "10 s behind that of api.test", MEND)),
        (
            [answer(400)],
            Check("clock", "failed", "400 s before that of api.test: signatures of Telnyx are refused", MEND),
        ),
        (
            [answer(0), answer(60, host="cached.test")],
            Check("clock", "unknown", "those that were asked do not agree on the time"),
        ),
    ],
)
def test_the_clock(answers: list[Dated], expected: Check) -> None:
    assert clock(answers, 300) == expected
