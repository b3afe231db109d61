"""Odd spellings, numbers and types in Twilio's status callback: kept raw, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Reading
from tests.sources.twilio.bodies import AT_55, identity

One = Callable[..., Reading]


@pytest.mark.parametrize(
    ("word", "status"),
    [("cancelled", "canceled"), ("noanswer", "no-answer"), ("fail", "failed"), ("BUSY", "busy")],
)
def test_case_60_other_spellings_are_one_status_and_the_raw_word_is_kept(
    read_callback: One, word: str, status: str
) -> None:
    reading = read_callback(CallStatus=word)
    assert (reading.event.status, reading.event.attributes["CallStatus"]) == (status, word)
    assert identity(reading) == identity(read_callback(CallStatus=status))


@pytest.mark.parametrize("raw", ["", "-1", "1e3", " 2", "٣", "9" * 20, 2.0, -2, True, 10**12, [], {"a": 1}])
def test_an_odd_sequence_number_is_kept_raw_and_the_event_known_by_its_time(
    read_callback: One, raw: Any
) -> None:
    reading = read_callback(SequenceNumber=raw)
    assert reading.event.sequence_number is None
    assert reading.event.attributes["SequenceNumber"] == raw
    assert (reading.identity_rule, reading.parts) == ("1b", ("completed", AT_55))


@pytest.mark.parametrize(("raw", "number"), [("0", 0), ("007", 7), (8, 8), ("999999999", 999_999_999)])
def test_a_sequence_number_is_one_to_nine_digits_or_a_json_integer(
    read_callback: One, raw: Any, number: int
) -> None:
    reading = read_callback(SequenceNumber=raw)
    assert (reading.event.sequence_number, reading.identity_rule) == (number, "1")
    assert "SequenceNumber" not in reading.event.attributes


def test_a_callback_without_a_number_is_known_by_status_and_time(read_callback: One) -> None:
    reading = read_callback(SequenceNumber="ABSENT", Timestamp="ABSENT")
    assert (reading.identity_rule, reading.parts) == ("1b", ("completed", None))


def test_the_sip_code_of_nobody_is_kept_raw(read_callback: One) -> None:
    event = read_callback(SipResponseCode="16").event
    assert (event.sip_response_code, event.attributes["SipResponseCode"]) == (None, "16")


@pytest.mark.parametrize(("sent", "code"), [("13224", "13224"), (31600, "31600"), ("0", None), ("", None)])
def test_an_error_code_is_text_and_zero_is_none(read_callback: One, sent: Any, code: str | None) -> None:
    assert read_callback(ErrorCode=sent).event.error_code == code


def test_numbers_may_come_as_json_numbers(read_callback: One) -> None:
    event = read_callback(CallDuration=49, SipResponseCode=200, SequenceNumber=3).event
    assert (event.duration_s, event.sip_response_code, event.sequence_number) == (49, 200, 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"CallSid": "ABSENT"}, "missing_id"),
        ({"CallSid": ""}, "missing_id"),
        ({"CallSid": None}, "missing_id"),
        ({"CallSid": {"a": "b"}}, "invalid_field"),
        ({"CallSid": 5}, "invalid_field"),
        ({"CallSid": "C" * 300}, "invalid_field"),
        ({"CallStatus": {"a": "b"}}, "invalid_field"),
        ({"CallStatus": 5}, "invalid_field"),
        ({"From": 15005550006}, "invalid_field"),
        ({"To": [1]}, "invalid_field"),
    ],
)
def test_a_body_without_a_call_or_of_wrong_types_cannot_be_read(
    read_callback: One, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DecodeError) as error:
        read_callback(**changes)
    assert error.value.reason == reason


@pytest.mark.parametrize(("levels", "reads"), [(31, True), (32, False), (200, False)])
def test_a_body_nested_over_32_levels_cannot_be_read(read_callback: One, levels: int, reads: bool) -> None:
    deep: Any = "x"
    for _ in range(levels):
        deep = [deep]
    if reads:
        assert read_callback(SequenceNumber=deep).event.sequence_number is None
    else:
        with pytest.raises(DecodeError, match="too_deep"):
            read_callback(SequenceNumber=deep)
