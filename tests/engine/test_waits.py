"""A wait is told when it begins, now and then while it lasts, and when it is over."""

from __future__ import annotations

import logging

import pytest

from stream.engine.waits import AGAIN_S, Waits


def test_a_wait_is_logged_when_it_begins_and_every_half_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    waits = Waits(lambda: now)
    with caplog.at_level(logging.WARNING):
        for now in (0.0, 1.0, AGAIN_S - 1, AGAIN_S, AGAIN_S + 1):
            waits.begin("changelog", f"ends at {now:.0f}")
    assert [record.getMessage() for record in caplog.records] == ["ends at 0", "ends at 30"]
    assert waits.sentences() == ("ends at 31",)


def test_the_end_of_a_wait_is_logged_once_and_of_none_never(caplog: pytest.LogCaptureFixture) -> None:
    waits = Waits(lambda: 0.0)
    waits.begin("changelog", "ends at 0")
    with caplog.at_level(logging.WARNING):
        waits.over("changelog")
        waits.over("changelog")
        waits.over("another")
    assert [record.getMessage() for record in caplog.records] == ["ends at 0", "no longer: ends at 0"]
    assert waits.sentences() == ()


def test_waits_are_forgotten_with_their_assignment() -> None:
    waits = Waits(lambda: 0.0)
    waits.begin("changelog", "ends at 0")
    waits.forget()
    assert waits.sentences() == ()
