"""Twilio's callbacks but progress, and what names no call (numbers: the reference's tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading, Recording
from tests.sources.twilio.bodies import ACCOUNT, CALL

KEY = f"twilio:{CALL}"

Read = Callable[..., list[Reading]]


def recording(**changes: Any) -> dict[str, Any]:
    return {
        "CallSid": CALL,
        "AccountSid": ACCOUNT,
        "RecordingSid": "RE0f01",
        "RecordingStatus": "completed",
        "RecordingDuration": "48",
        "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC0f/Recordings/RE0f01",
        "ErrorCode": "0",
        **changes,
    }


def conference(**changes: Any) -> dict[str, Any]:
    return {
        "ConferenceSid": "CF0f01",
        "AccountSid": ACCOUNT,
        "StatusCallbackEvent": "participant-join",
        "SequenceNumber": "2",
        "Timestamp": "Mon, 02 Mar 2026 10:00:55 +0000",
        **changes,
    }


def test_case_19_a_recording_is_known_by_its_id_and_status(read: Read) -> None:
    (reading,) = read("twilio_recording_callback", recording())
    assert reading == Reading(
        event=Event(
            key=KEY,
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_recording_callback",
            family="recording",
            name="completed",
            duration_s=48,
            attributes={
                "RecordingSid": "RE0f01",
                "RecordingStatus": "completed",
                "RecordingDuration": "48",
                "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC0f/Recordings/RE0f01",
                "ErrorCode": "0",
            },
        ),
        identity_rule="3",
        parts=("RE0f01", "completed"),
        recording=Recording("RE0f01", "completed", 48),
    )


def test_case_20_an_absent_recording_is_an_event_without_a_url(read: Read) -> None:
    (reading,) = read(
        "twilio_recording_callback", {"CallSid": CALL, "RecordingSid": "RE1", "RecordingStatus": "absent"}
    )
    assert (reading.event.name, reading.recording) == ("absent", Recording("RE1", "absent"))


def test_a_recording_without_an_id_is_kept_by_its_content(read: Read) -> None:
    (reading,) = read("twilio_recording_callback", {"CallSid": CALL, "RecordingStatus": "failed"})
    assert (reading.identity_rule, reading.recording, reading.event.family) == ("4", None, "recording")


def test_case_21_an_amd_result_is_one_a_call(read: Read) -> None:
    body = {"CallSid": CALL, "AnsweredBy": "machine_end_beep", "MachineDetectionDuration": "4100"}
    (reading,) = read("twilio_amd_callback", body)
    assert (reading.event.family, reading.identity_rule, reading.parts) == ("amd", "3", ())
    assert reading.facts == {"answered_by": "machine_end_beep"}
    assert reading.event.status is None


def test_case_22_a_conferences_callback_is_not_call_progress_though_it_names_call_and_number(
    read: Read,
) -> None:
    (reading,) = read("twilio_conference_callback", conference(CallSid=CALL, CallStatus="in-progress"))
    event = reading.event
    assert (event.key, event.family, event.name, event.status) == (
        KEY,
        "conference",
        "participant-join",
        None,
    )
    assert (event.sequence_number, reading.identity_rule) == (2, "3")
    assert reading.parts == ("CF0f01", 2, "participant-join")
    assert event.occurred_at == "2026-03-02T10:00:55.000000Z"


def test_a_conference_of_no_call_has_its_own_key(read: Read) -> None:
    event = read("twilio_conference_callback", conference(StatusCallbackEvent="conference-end"))[0].event
    assert (event.key, event.call_id) == ("twilio:conference:CF0f01", None)


@pytest.mark.parametrize(
    ("parameters", "family", "name"),
    [
        ({"StreamSid": "MZ0f", "StreamEvent": "stream-error"}, "media", "stream-error"),
        ({"SiprecSid": "SR0f", "SiprecEvent": "siprec-started"}, "media", "siprec-started"),
        ({"TranscriptionEvent": "transcription-content"}, "transcription", "transcription-content"),
        ({"DialCallStatus": "completed", "CallStatus": "in-progress"}, "other", "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_callbacks_are_told_apart_by_the_event_that_they_name(
    read: Read, parameters: dict[str, str], family: str, name: str
) -> None:
    (reading,) = read(
        "twilio_other_callback", {"CallSid": CALL, "Timestamp": "2026-03-02T10:00:55.5Z", **parameters}
    )
    event = reading.event
    assert (event.family, event.name, event.status) == (family, name, None)
    assert (event.occurred_at, event.occurred_at_quality) == ("2026-03-02T10:00:55.500000Z", "exact")


@pytest.mark.parametrize(
    "source",
    [
        "twilio_recording_callback",
        "twilio_amd_callback",
        "twilio_conference_callback",
        "twilio_other_callback",
        "twilio_event_stream",
        "twilio_call_summary",
        "telnyx_webhook_delivery",
    ],
)
def test_a_delivery_that_names_neither_call_nor_conference_cannot_be_read(read: Read, source: str) -> None:
    with pytest.raises(DecodeError, match="missing_id"):
        read(source, {"Sparkle": "yes"})
