"""Twilio's status callback (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading
from tests.sources.twilio.bodies import ACCOUNT, AT_55, CALL, callback, identity

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


@pytest.fixture
def one(read: Read) -> One:
    def one(**changes: Any) -> Reading:
        (reading,) = read("twilio_status_callback", callback(**changes))
        return reading

    return one


def test_an_answered_call_that_ended_is_read_whole(one: One) -> None:
    assert one() == Reading(
        event=Event(
            key=f"twilio:{CALL}",
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_status_callback",
            family="progress",
            name="completed",
            status="completed",
            outcome="answered",
            sequence_number=3,
            occurred_at="2026-03-02T10:00:55.000000Z",
            occurred_at_quality="second",
            sip_response_code=200,
            duration_s=49,
            attributes={
                "From": "+15005550006",
                "To": "+15005550009",
                "Direction": "outbound-api",
                "ApiVersion": "2010-04-01",
                "CallbackSource": "call-progress-events",
                "Duration": "1",
            },
        ),
        identity_rule="1",
        parts=(3, "completed"),
        occurred_us=AT_55,
        facts={"from": "+15005550006", "to": "+15005550009", "direction": "outbound-api"},
    )


@pytest.mark.parametrize(
    ("word", "name", "outcome"),
    [
        ("queued", "queued", None),
        ("initiated", "initiated", None),
        ("ringing", "ringing", None),
        ("in-progress", "answered", None),
        ("completed", "completed", "answered"),
        ("busy", "completed", "busy"),
        ("no-answer", "completed", "no_answer"),
        ("canceled", "completed", "canceled"),
        ("failed", "completed", "failed"),
    ],
)
def test_each_status_belongs_to_the_event_that_one_subscribes_to(
    one: One, word: str, name: str, outcome: str | None
) -> None:
    event = one(CallStatus=word).event
    assert (event.name, event.status, event.outcome) == (name, word, outcome)


def test_case_1_the_same_number_and_status_twice_are_one_event(one: One) -> None:
    assert identity(one()) == identity(one())


def test_case_2_a_time_stamp_one_second_off_does_not_make_another_event(one: One) -> None:
    assert identity(one(Timestamp="Mon, 02 Mar 2026 10:00:56 +0000")) == identity(one())


def test_case_3_another_call_is_another_event_whatever_its_token_was(one: One) -> None:
    assert identity(one(CallSid="CA0f00000000000000000000000000000002")) != identity(one())


def test_case_4_the_same_number_with_another_status_is_another_event(one: One) -> None:
    assert identity(one(CallStatus="failed")) != identity(one())


def test_case_10_busy_is_terminal_and_keeps_its_zero_seconds(one: One) -> None:
    event = one(CallStatus="busy", CallDuration="0", SipResponseCode="486").event
    assert (event.status, event.outcome, event.duration_s, event.sip_response_code) == (
        "busy",
        "busy",
        0,
        486,
    )


@pytest.mark.parametrize(("sent", "code"), [("404", 404), ("503", 503), ("ABSENT", None)])
def test_case_11_a_failed_call_may_lack_its_sip_code(one: One, sent: str, code: int | None) -> None:
    event = one(CallStatus="failed", SipResponseCode=sent).event
    assert (event.status, event.outcome, event.sip_response_code) == ("failed", "failed", code)


def test_case_12_a_ring_timeout_with_487_is_no_answer_and_not_canceled(one: One) -> None:
    event = one(CallStatus="no-answer", SipResponseCode="487").event
    assert (event.status, event.outcome, event.sip_response_code) == ("no-answer", "no_answer", 487)


def test_case_13_a_call_canceled_while_queued_is_one_complete_event(one: One) -> None:
    event = one(CallStatus="canceled", SequenceNumber="0", CallDuration="0", Duration="0").event
    assert (event.status, event.outcome, event.sequence_number) == ("canceled", "canceled", 0)


def test_case_14_a_missing_duration_is_null_and_not_zero(one: One) -> None:
    assert one(CallDuration="ABSENT").event.duration_s is None


def test_case_15_a_duration_of_zero_stays_zero_and_the_call_answered(one: One) -> None:
    event = one(CallDuration="0").event
    assert (event.duration_s, event.outcome) == (0, "answered")


def test_case_16_minutes_are_never_read_as_seconds(one: One) -> None:
    event = one(CallDuration="ABSENT", Duration="2").event
    assert (event.duration_s, event.attributes["Duration"]) == (None, "2")


def test_case_17_a_child_leg_names_its_parent_and_has_a_key_of_its_own(one: One) -> None:
    reading = one(CallSid="CA0f02", ParentCallSid=CALL, To="client:zoë")
    assert (reading.event.key, reading.event.parent_call_id) == ("twilio:CA0f02", CALL)
    assert reading.facts is not None
    assert (reading.facts["parent_call_id"], reading.facts["to"]) == (CALL, "client:zoë")


def test_an_empty_parent_is_no_parent(one: One) -> None:
    reading = one(ParentCallSid="")
    assert reading.event.parent_call_id is None
    assert reading.facts is not None
    assert "parent_call_id" not in reading.facts


def test_case_21_who_answered_is_a_fact_of_the_call_and_no_status(one: One) -> None:
    reading = one(AnsweredBy="machine_start")
    assert reading.facts is not None
    assert (reading.facts["answered_by"], reading.event.status) == ("machine_start", "completed")


@pytest.mark.parametrize(
    "stamp", ["Mon, 02 Mar 2026 10:0", "Sat, 32 Aug 2026 10:00:00 +0000", "", "2026-03-02T10:00:55Z"]
)
def test_case_32_a_broken_time_stamp_is_null_and_kept_as_it_was(one: One, stamp: str) -> None:
    reading = one(Timestamp=stamp)
    event = reading.event
    assert (event.occurred_at, event.occurred_at_quality, reading.occurred_us) == (None, "unknown", None)
    assert event.attributes["Timestamp"] == stamp


def test_case_31_a_stamp_counts_with_its_offset(one: One) -> None:
    assert one(Timestamp="Mon, 2 Mar 2026 03:00:55 -0700").event.occurred_at == "2026-03-02T10:00:55.000000Z"


def test_case_34_a_stamp_far_in_the_future_is_applied(one: One) -> None:
    event = one(Timestamp="Thu, 01 Jan 2099 00:00:00 +0000").event
    assert event.occurred_at == "2099-01-01T00:00:00.000000Z"


def test_case_41_an_unknown_status_is_kept_and_means_nothing(one: One) -> None:
    reading = one(CallStatus="teleported")
    event = reading.event
    assert (event.name, event.status, event.outcome) == ("unknown", None, None)
    assert event.attributes["CallStatus"] == "teleported"
    assert reading.parts == (3, "teleported")


def test_case_41_an_unknown_parameter_is_kept(one: One) -> None:
    assert one(Sparkle="yes").event.attributes["Sparkle"] == "yes"


def test_case_46_a_customers_own_repeated_parameter_is_kept_as_it_was(one: One) -> None:
    reading = one(tenant=["7", "8"], CallStatus=["ringing", "busy"])
    assert reading.event.attributes["tenant"] == ["7", "8"]
    assert reading.event.status == "busy"
    assert reading.event.attributes["CallStatus"] == ["ringing", "busy"]


def test_case_46_two_different_call_ids_in_one_body_are_an_error(one: One) -> None:
    with pytest.raises(DecodeError, match="invalid_field"):
        one(CallSid=[CALL, "CA0f02"])


def test_case_47_the_account_is_the_one_in_the_body(read: Read) -> None:
    (reading,) = read("twilio_status_callback", callback(AccountSid="AC_sub"), account="AC_main")
    assert reading.event.account == "AC_sub"
    (reading,) = read("twilio_status_callback", callback(AccountSid="ABSENT"), account="AC_main")
    assert reading.event.account == "AC_main"


@pytest.mark.parametrize(
    "address",
    [
        "+15005550006",
        "client:zoë",
        "sip:a@b.example;transport=tls",
        "sim:DE0f",
        "anonymous",
        "+266696687",
        "+1-202-555-0133",
        " 15005550006",
    ],
)
def test_case_48_an_address_is_kept_as_it_was_written(one: One, address: str) -> None:
    reading = one(From=address)
    assert reading.facts is not None
    assert (reading.facts["from"], reading.event.attributes["From"]) == (address, address)


def test_case_48_an_empty_address_is_no_fact(one: One) -> None:
    assert one(From="", To="").facts == {"direction": "outbound-api"}


def test_case_49_a_thousand_parameters_and_a_megabyte_leave_ids_and_facts_small(one: One) -> None:
    reading = one(**{f"P{n}": "x" for n in range(1000)}, From="+" * 1_000_000, To="zo\0\ufffd")
    assert reading.facts is not None
    assert (len(reading.facts["from"]), reading.facts["to"]) == (255, "zo\0\ufffd")
    assert len(reading.event.attributes) > 1000


def test_case_50_tokens_are_not_passed_on(one: One) -> None:
    attributes = one(
        StirPassportToken="eyJ", CallToken="eyJ", StirVerstat="TN-Validation-Passed-A"
    ).event.attributes
    assert "eyJ" not in attributes.values()
    assert attributes["StirVerstat"] == "TN-Validation-Passed-A"


def test_case_57_the_same_number_and_time_on_two_legs_are_two_events(one: One) -> None:
    assert identity(one(CallSid="CA0f02")) != identity(one(CallSid="CA0f03"))


def test_case_59_ids_are_compared_exactly_as_sent(one: One) -> None:
    assert one(CallSid="CAabc").event.key == "twilio:CAabc"
    assert one(CallSid="CAABC").event.key == "twilio:CAABC"
