"""Which of several statuses wins, and that disagreements are reported."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core import effects
from stream.core.call.record import CallRecord
from tests.core.deliveries import ENDED, callback, calls_row
from tests.core.folding import picked, summary, tell


@pytest.mark.parametrize("order", [*permutations(("callback", "row"))])
def test_the_calls_resource_decides_over_a_callback_whatever_came_first(order: tuple[str, ...]) -> None:
    said = {
        "callback": callback("completed", "3", 55, CallDuration="49"),
        "row": calls_row("failed", end_time=ENDED),
    }
    told = tell(said[name] for name in order)
    assert picked(told.record, ["status", "outcome", "duration_s", "terminal_source", "conflicts"]) == {
        "status": "failed",
        "outcome": "failed",
        "duration_s": None,
        "terminal_source": "twilio_call",
        "conflicts": [{"field": "status", "values": ["completed", "failed"], "chosen": "failed"}],
    }
    assert told.all_of(effects.StateConflict) == [effects.StateConflict("twilio", "status")]
    assert len(told.all_of(effects.CallEnded)) == 1


@pytest.mark.parametrize(
    "order", [*permutations((("completed", "2"), ("busy", "3"), ("failed", None)))], ids=str
)
def test_of_two_ends_by_callback_the_higher_number_wins_and_then_the_higher_rank(
    order: tuple[tuple[str, str | None], ...],
) -> None:
    told = tell(callback(status, number, 9) for status, number in order)
    assert summary(told) == ("busy", "busy")
    assert len([alert for alert in told.alerts if alert.rule.id == "call.failed"]) <= 1


@pytest.mark.parametrize("order", [*permutations(("completed", "failed", "canceled", "busy"))], ids=str)
def test_without_numbers_the_rank_decides(order: tuple[str, ...]) -> None:
    assert summary(tell(callback(status, None, 9) for status in order)) == ("completed", "answered")


def test_sources_that_disagree_on_a_number_are_a_conflict_that_is_counted_once() -> None:
    told = tell([callback("completed", "3", 55), calls_row("completed", direction="inbound")])
    told = tell([calls_row("completed", direction="inbound", price="1")], call=told.call, offset=2)
    conflicts = told.record.conflicts
    assert conflicts == [
        {"field": "direction_detail", "values": ["inbound", "outbound-api"], "chosen": "inbound"}
    ]
    assert told.all_of(effects.StateConflict) == []


def test_a_record_says_a_lower_value_of_a_conflict_that_has_as_many_as_it_keeps() -> None:
    told = tell(callback("completed", "3", 55, To=f"+150055500{last}") for last in range(29, 20, -1))
    told = tell([callback("completed", "3", 55, To="+15005550020")], call=told.call, offset=9)
    (record,) = told.all_of(CallRecord)
    assert record.conflicts[0]["values"] == [f"+15*******{last}" for last in range(20, 28)]
