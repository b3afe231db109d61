"""Twilio's status callback (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.core.events import DecodeError, Event, Reading
from tests.sources.twilio.bodies import ACCOUNT, AT_55, CALL, callback, identity

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


def test_an_answered_call_that_ended_is_read_whole(read_callback: One) -> None:
    assert read_callback() == Reading(
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
        facts={"from": "+15005550006", "to": "+15005550009", "direction_detail": "outbound-api"},
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
    read_callback: One, word: str, name: str, outcome: str | None
) -> None:
    event = read_callback(CallStatus=word).event
    assert (event.name, event.status, event.outcome) == (name, word, outcome)


def test_case_1_the_same_number_and_status_twice_are_one_event(read_callback: One) -> None:
    assert identity(read_callback()) == identity(read_callback())


def test_case_2_a_time_stamp_one_second_off_does_not_make_another_event(read_callback: One) -> None:
    assert identity(read_callback(Timestamp="Mon, 02 Mar 2026 10:00:56 +0000")) == identity(read_callback())


def test_case_3_another_call_is_another_event_whatever_its_token_was(read_callback: One) -> None:
    assert identity(read_callback(CallSid="CA0f00000000000000000000000000000002")) != identity(
        read_callback()
    )


def test_case_4_the_same_number_with_another_status_is_another_event(read_callback: One) -> None:
    assert identity(read_callback(CallStatus="failed")) != identity(read_callback())


def test_case_10_busy_is_terminal_and_keeps_its_zero_seconds(read_callback: One) -> None:
    event = read_callback(CallStatus="busy", CallDuration="0", SipResponseCode="486").event
    assert (event.status, event.outcome, event.duration_s, event.sip_response_code) == (
        "busy",
        "busy",
        0,
        486,
    )


@pytest.mark.parametrize(("sent", "code"), [("404", 404), ("503", 503), ("ABSENT", None)])
def test_case_11_a_failed_call_may_lack_its_sip_code(read_callback: One, sent: str, code: int | None) -> None:
    event = read_callback(CallStatus="failed", SipResponseCode=sent).event
    assert (event.status, event.outcome, event.sip_response_code) == ("failed", "failed", code)


def test_case_12_a_ring_timeout_with_487_is_no_answer_and_not_canceled(read_callback: One) -> None:
    event = read_callback(CallStatus="no-answer", SipResponseCode="487").event
    assert (event.status, event.outcome, event.sip_response_code) == ("no-answer", "no_answer", 487)


def test_case_13_a_call_canceled_while_queued_is_one_complete_event(read_callback: One) -> None:
    event = read_callback(CallStatus="canceled", SequenceNumber="0", CallDuration="0", Duration="0").event
    assert (event.status, event.outcome, event.sequence_number) == ("canceled", "canceled", 0)


def test_case_14_a_missing_duration_is_null_and_not_zero(read_callback: One) -> None:
    assert read_callback(CallDuration="ABSENT").event.duration_s is None


def test_case_15_a_duration_of_zero_stays_zero_and_the_call_answered(read_callback: One) -> None:
    event = read_callback(CallDuration="0").event
    assert (event.duration_s, event.outcome) == (0, "answered")


def test_case_16_minutes_are_never_read_as_seconds(read_callback: One) -> None:
    event = read_callback(CallDuration="ABSENT", Duration="2").event
    assert (event.duration_s, event.attributes["Duration"]) == (None, "2")


def test_case_17_a_child_leg_names_its_parent_and_has_a_key_of_its_own(read_callback: One) -> None:
    reading = read_callback(CallSid="CA0f02", ParentCallSid=CALL, To="client:zoë")
    assert (reading.event.key, reading.event.parent_call_id) == ("twilio:CA0f02", CALL)
    assert reading.facts is not None
    assert (reading.facts["parent_call_id"], reading.facts["to"]) == (CALL, "client:zoë")


def test_an_empty_parent_is_not_a_parent(read_callback: One) -> None:
    reading = read_callback(ParentCallSid="")
    assert reading.event.parent_call_id is None
    assert reading.facts is not None
    assert "parent_call_id" not in reading.facts


def test_case_21_who_answered_is_a_fact_of_the_call_and_no_status(read_callback: One) -> None:
    reading = read_callback(AnsweredBy="machine_start")
    assert reading.facts is not None
    assert (reading.facts["answered_by"], reading.event.status) == ("machine_start", "completed")


@pytest.mark.parametrize(
    "stamp", ["Mon, 02 Mar 2026 10:0", "Sat, 32 Aug 2026 10:00:00 +0000", "", "2026-03-02T10:00:55Z"]
)
def test_case_32_a_broken_time_stamp_is_null_and_kept_as_it_was(read_callback: One, stamp: str) -> None:
    reading = read_callback(Timestamp=stamp)
    event = reading.event
    assert (event.occurred_at, event.occurred_at_quality, reading.occurred_us) == (None, "unknown", None)
    assert event.attributes["Timestamp"] == stamp


def test_case_31_a_stamp_counts_with_its_offset(read_callback: One) -> None:
    assert (
        read_callback(Timestamp="Mon, 2 Mar 2026 03:00:55 -0700").event.occurred_at
        == "2026-03-02T10:00:55.000000Z"
    )


def test_case_34_a_stamp_far_in_the_future_is_applied(read_callback: One) -> None:
    event = read_callback(Timestamp="Thu, 01 Jan 2099 00:00:00 +0000").event
    assert event.occurred_at == "2099-01-01T00:00:00.000000Z"


def test_case_41_an_unknown_status_is_kept_and_means_nothing(read_callback: One) -> None:
    reading = read_callback(CallStatus="teleported")
    event = reading.event
    assert (event.name, event.status, event.outcome) == ("unknown", None, None)
    assert event.attributes["CallStatus"] == "teleported"
    assert reading.parts == (3, "teleported")


def test_case_41_an_unknown_parameter_is_kept(read_callback: One) -> None:
    assert read_callback(Sparkle="yes").event.attributes["Sparkle"] == "yes"


def test_case_46_a_customers_own_repeated_parameter_is_kept_as_it_was(read_callback: One) -> None:
    reading = read_callback(tenant=["7", "8"], CallStatus=["ringing", "busy"])
    assert reading.event.attributes["tenant"] == ["7", "8"]
    assert reading.event.status == "busy"
    assert reading.event.attributes["CallStatus"] == ["ringing", "busy"]


def test_case_46_two_different_call_ids_in_one_body_are_an_error(read_callback: One) -> None:
    with pytest.raises(DecodeError, match="invalid_field"):
        read_callback(CallSid=[CALL, "CA0f02"])


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
def test_case_48_an_address_is_kept_as_it_was_written(read_callback: One, address: str) -> None:
    reading = read_callback(From=address)
    assert reading.facts is not None
    assert (reading.facts["from"], reading.event.attributes["From"]) == (address, address)


def test_case_48_an_empty_address_is_not_a_fact(read_callback: One) -> None:
    assert read_callback(From="", To="").facts == {"direction_detail": "outbound-api"}


def test_case_49_a_thousand_parameters_and_a_megabyte_leave_ids_and_facts_small(read_callback: One) -> None:
    reading = read_callback(**{f"P{n}": "x" for n in range(1000)}, From="+" * 1_000_000, To="zo\0\ufffd")
    assert reading.facts is not None
    assert (len(reading.facts["from"]), reading.facts["to"]) == (255, "zo\0\ufffd")
    assert len(reading.event.attributes) > 1000


def test_case_50_tokens_are_not_passed_on(read_callback: One) -> None:
    attributes = read_callback(
        StirPassportToken="eyJ", CallToken="eyJ", StirVerstat="TN-Validation-Passed-A"
    ).event.attributes
    assert "eyJ" not in attributes.values()
    assert attributes["StirVerstat"] == "TN-Validation-Passed-A"


def test_case_57_the_same_number_and_time_on_two_legs_are_two_events(read_callback: One) -> None:
    assert identity(read_callback(CallSid="CA0f02")) != identity(read_callback(CallSid="CA0f03"))


def test_case_59_ids_are_compared_exactly_as_sent(read_callback: One) -> None:
    assert read_callback(CallSid="CAabc").event.key == "twilio:CAabc"
    assert read_callback(CallSid="CAABC").event.key == "twilio:CAABC"
