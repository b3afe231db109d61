"""Which of several statuses wins, and that disagreements are reported."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core import effects
from stream.core.call.record import CallRecord
from stream.core.conflicts import RULES
from stream.service.metrics.label_values import CONFLICT_FIELDS
from tests.core.deliveries import ENDED, Delivery, at, callback, calls_row, logged, parameters, rfc2822
from tests.core.folding import picked, summary, tell
from tests.core.verdicts import reports


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
    assert told.raised.count("call.failed") <= 1
    assert "call.failed" not in told.firing


@pytest.mark.parametrize("order", [*permutations(("completed", "failed", "canceled", "busy"))], ids=str)
def test_without_numbers_the_rank_decides(order: tuple[str, ...]) -> None:
    assert summary(tell(callback(status, None, 9) for status in order)) == ("completed", "answered")


def test_an_end_without_a_time_has_that_of_another_report_of_the_same_end() -> None:
    ends = [callback("busy", "1", 3), callback("failed", "2", 9), calls_row("failed")]
    for order in permutations(ends):
        record = tell(order).record
        assert picked(record, ["status", "ended_at", "ended_at_quality"]) == {
            "status": "failed",
            "ended_at": at(9),
            "ended_at_quality": "second",
        }


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


TALKED = callback("completed", "3", 55, CallDuration="49", SipResponseCode="200")
DISAGREEING: dict[str, tuple[list[Delivery], list[dict[str, object]]]] = {
    "durations of two sources": (
        [TALKED, calls_row("completed", end_time=ENDED, duration="12")],
        [{"field": "duration_s", "values": ["12", "49"], "chosen": "12"}],
    ),
    "a second is not a conflict": ([TALKED, calls_row("completed", end_time=ENDED, duration="50")], []),
    "a callback and its row of the request log": (
        [TALKED, logged(parameters("completed", "3", 59) | {"CallDuration": "40", "SipResponseCode": "486"})],
        [
            {"field": "duration_s", "values": ["40", "49"], "chosen": "49"},
            {
                "field": "ended_at",
                "values": [f"2026-03-02T10:00:{s}.000000Z" for s in (55, 59)],
                "chosen": "",
            },
            {"field": "sip_response_code", "values": ["200", "486"], "chosen": "486"},
        ],
    ),
    "SIP codes of two sources": (
        [
            callback("failed", "1", 9, SipResponseCode="503"),
            reports.summary(call_state="fail", last_sip_response_num=480),
        ],
        [{"field": "sip_response_code", "values": ["480", "503"], "chosen": "503"}],
    ),
    "ends of two sources": (
        [TALKED, calls_row("completed", end_time=rfc2822(59), duration="49")],
        [{"field": "ended_at", "values": [f"2026-03-02T10:00:{s}.000000Z" for s in (55, 59)], "chosen": ""}],
    ),
    "times in whole seconds": ([TALKED, calls_row("completed", end_time=rfc2822(57), duration="49")], []),
    "answers of two sources": (
        [callback("in-progress", "2", 6), calls_row("in-progress", start_time=rfc2822(20)), TALKED],
        [
            {
                "field": "answered_at",
                "values": [f"2026-03-02T10:00:{s}.000000Z" for s in ("06", 20)],
                "chosen": "",
            }
        ],
    ),
    "an answer that a resource puts before the callback's": (
        [callback("in-progress", "2", 20), calls_row("in-progress", start_time=rfc2822(6)), TALKED],
        [{"field": "answered_at", "values": [at(6), at(20)], "chosen": at(20)}],
    ),
    "two ends of one source": ([callback("completed", None, 50), callback("completed", None, 59)], []),
    "durations where nobody talked": (
        [callback("busy", "2", 9, CallDuration="0"), calls_row("busy", end_time=rfc2822(9), duration="7")],
        [],
    ),
}


@pytest.mark.parametrize("name", DISAGREEING)
def test_of_values_that_differ_both_are_kept_and_one_is_chosen(name: str) -> None:
    deliveries, expected = DISAGREEING[name]
    for order in permutations(deliveries):
        told = tell(order)
        chosen = {"ended_at": told.record.ended_at, "answered_at": told.record.answered_at}
        wanted = [one | {"chosen": one["chosen"] or chosen[str(one["field"])]} for one in expected]
        assert told.record.conflicts == wanted
        counted = sorted(effect.field for effect in told.all_of(effects.StateConflict))
        assert counted == [one["field"] for one in expected]


def test_every_rule_has_a_label_and_says_what_wins() -> None:
    assert {rule.field for rule in RULES} - {*CONFLICT_FIELDS} == {"every other field"}
    assert all(rule.wins.endswith(".") for rule in RULES)
