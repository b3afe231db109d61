"""Event Streams (numbers: the reference's tricky cases)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Reading
from tests.sources.twilio.bodies import ACCOUNT, CALL, callback, identity

KEY = f"twilio:{CALL}"

Read = Callable[..., list[Reading]]


def cloud_event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.twilio.voice.status-callback.recording.processed",
        "id": "EZ0f01",
        "time": "2026-03-02T10:00:56.120Z",
        "data": {"request": {"parameters": {"CallSid": CALL, "AccountSid": ACCOUNT}}},
        **changes,
    }


def test_a_cloud_event_is_known_by_its_id(read: Read) -> None:
    (reading,) = read("twilio_event_stream", cloud_event())
    event = reading.event
    assert (reading.identity_rule, reading.parts) == ("2", ("EZ0f01",))
    assert (event.key, event.account, event.family) == (KEY, ACCOUNT, "recording")
    assert event.name == "com.twilio.voice.status-callback.recording.processed"
    assert event.occurred_at == "2026-03-02T10:00:56.120000Z"


def test_case_42_a_cloud_events_data_may_be_a_json_text(read: Read) -> None:
    text = cloud_event(data=json.dumps(cloud_event()["data"]))
    assert read("twilio_event_stream", text) == read("twilio_event_stream", cloud_event())


def test_an_insights_cloud_event_has_its_level(read: Read) -> None:
    body = cloud_event(
        type="com.twilio.voice.insights.call-event.gateway",
        data={"call_sid": CALL, "level": "ERROR", "edge": "ashburn", "group": "connection"},
    )
    (reading,) = read("twilio_event_stream", body)
    event = reading.event
    assert (event.key, event.family, event.level, event.edge) == (KEY, "insights", "error", "ashburn")
    assert reading.alarming


STATUS = "com.twilio.voice.status-callback."
INSIGHT = "com.twilio.voice.insights.call-event.gateway"


def told(kind: str, parameters: dict[str, Any], **data: Any) -> dict[str, Any]:
    """A callback as Event Streams tells it."""
    request = {"method": "POST", "url": "https://hooks.example.test/tw", "parameters": parameters}
    return cloud_event(type=kind, data={"sid": CALL, "request": request, **data})


@pytest.mark.parametrize(
    ("kind", "source", "form"),
    [
        ("call.completed", "twilio_status_callback", callback()),
        (
            "recording.processed",
            "twilio_recording_callback",
            {"CallSid": CALL, "AccountSid": ACCOUNT, "RecordingSid": "RE1", "RecordingStatus": "completed"},
        ),
        (
            "amd.detected",
            "twilio_amd_callback",
            {"CallSid": CALL, "AccountSid": ACCOUNT, "AnsweredBy": "human"},
        ),
        (
            "stream.updated",
            "twilio_other_callback",
            {"CallSid": CALL, "AccountSid": ACCOUNT, "StreamSid": "MZ1", "StreamEvent": "stream-error"},
        ),
        (
            "transcription.processed",
            "twilio_other_callback",
            {
                "CallSid": CALL,
                "AccountSid": ACCOUNT,
                "TranscriptionSid": "TR1",
                "TranscriptionStatus": "completed",
            },
        ),
        (
            "conference.participant.updated",
            "twilio_conference_callback",
            {"CallSid": CALL, "ConferenceSid": "CF1", "StatusCallbackEvent": "participant-leave"},
        ),
    ],
)
def test_case_29_a_callback_in_a_stream_is_the_callbacks_own_event(
    read: Read, kind: str, source: str, form: dict[str, Any]
) -> None:
    (direct,) = read(source, form, account=ACCOUNT)
    (streamed,) = read("twilio_event_stream", told(STATUS + kind, form), account=ACCOUNT)
    assert identity(streamed) == identity(direct)
    assert (streamed.recording, streamed.facts, streamed.alarming) == (
        direct.recording,
        direct.facts,
        direct.alarming,
    )
    assert streamed.event.name == direct.event.name
    assert streamed.event.occurred_at is not None, "the stream tells when it was, where the callback does not"


def test_a_step_is_known_by_its_type_where_the_sample_has_few_parameters(read: Read) -> None:
    body = told(STATUS + "call.ringing", {"CallStatus": "ringing"}, timestamp="2026-03-02T10:00:03.5Z")
    (reading,) = read("twilio_event_stream", body)
    assert (reading.event.family, reading.event.status, reading.event.call_id) == (
        "progress",
        "ringing",
        CALL,
    )
    assert reading.event.occurred_at == "2026-03-02T10:00:03.500000Z"
    twin = body["type"].replace("voice.", "voice.webhook.")
    assert identity(read("twilio_event_stream", {**body, "type": twin})[0]) == identity(reading)


def test_a_row_of_voice_insights_is_one_event_by_poll_and_by_stream(read: Read) -> None:
    row = {
        "timestamp": "2026-03-02T10:00:05Z",
        "call_sid": CALL,
        "account_sid": ACCOUNT,
        "edge": "sdk_edge",
        "group": "connection",
        "name": "error",
        "level": "ERROR",
        "sdk_edge": {"error": {"code": 31003}},
    }
    polled_row = {**row, "carrier_edge": None, "client_edge": None}
    (polled,) = read("twilio_insights_event", polled_row)
    (streamed,) = read("twilio_event_stream", cloud_event(type=INSIGHT, data=row))
    assert identity(streamed) == identity(polled)
    event = streamed.event
    assert (event.name, event.level, event.edge, event.error_code) == ("error", "error", "sdk_edge", "31003")
    assert event.occurred_at == "2026-03-02T10:00:05.000000Z"
    assert streamed.alarming


def test_a_cloud_event_that_a_batch_repeats_is_one_event(read: Read) -> None:
    body = cloud_event(type=INSIGHT, data={"call_sid": CALL, "name": "ringing"})
    first, again = (read("twilio_event_stream", body, ordinal=number)[0] for number in (0, 1))
    assert identity(first) == identity(again)
    del body["id"]
    first, twin = (read("twilio_event_stream", body, ordinal=number)[0] for number in (0, 1))
    assert identity(first) != identity(twin)


def test_a_step_without_a_status_is_the_cloud_event_itself(read: Read) -> None:
    (reading,) = read("twilio_event_stream", told(STATUS + "call.ringing", {"CallSid": CALL}))
    assert (reading.event.family, reading.identity_rule) == ("other", "2")


def test_a_row_without_its_own_time_has_none(read: Read) -> None:
    """The envelope's time is when it was published."""
    (reading,) = read(
        "twilio_event_stream", cloud_event(type=INSIGHT, data={"call_sid": CALL, "name": "ringing"})
    )
    assert (reading.event.occurred_at, reading.event.occurred_at_quality) == (None, "unknown")


def test_a_summary_is_one_event_by_poll_and_by_stream(read: Read) -> None:
    row = {"call_sid": CALL, "account_sid": ACCOUNT, "processing_state": "complete", "answered_by": "human"}
    (polled,) = read("twilio_call_summary", row)
    kind = "com.twilio.voice.insights.call-summary.complete"
    (streamed,) = read("twilio_event_stream", cloud_event(type=kind, data=json.dumps(row)))
    assert identity(streamed) == identity(polled)
    assert streamed.facts == {"answered_by": "human"}


def test_metrics_have_no_name_but_their_type(read: Read) -> None:
    kind = "com.twilio.voice.insights.call-metrics.sdk"
    (reading,) = read(
        "twilio_event_stream", cloud_event(type=kind, data={"call_sid": CALL, "edge": "sdk_edge"})
    )
    assert (reading.event.family, reading.event.name) == ("insights", kind)


@pytest.mark.parametrize(
    ("kind", "data", "key"),
    [
        ("voice.api-request.conference.modified", {"sid": "CF1"}, "twilio:conference:CF1"),
        ("voice.insights.conference-summary.complete", {"conference_sid": "CF1"}, "twilio:conference:CF1"),
        ("voice.api-request.call.modified", {"sid": CALL}, KEY),
        (
            "voice.insights.conference-participant-summary.complete",
            {"conference_sid": "CF1", "call_sid": CALL},
            KEY,
        ),
    ],
)
def test_an_event_is_of_the_call_or_the_conference_that_is_its_subject(
    read: Read, kind: str, data: dict[str, Any], key: str
) -> None:
    (reading,) = read("twilio_event_stream", cloud_event(type=f"com.twilio.{kind}", data=data))
    assert reading.event.key == key
    assert (reading.identity_rule, reading.parts) == ("2", ("EZ0f01",))


def test_a_finished_dial_names_the_child(read: Read) -> None:
    parameters = {
        "CallSid": CALL,
        "DialCallSid": "CA2",
        "DialCallStatus": "busy",
        "CallStatus": "in-progress",
    }
    (reading,) = read("twilio_event_stream", told("com.twilio.voice.twiml.dial.finished", parameters))
    assert (reading.child_call_id, reading.event.status) == ("CA2", None)


def test_an_answers_body_does_not_leave_and_equal_ones_are_seen_to_be_equal(read: Read) -> None:
    first, second = (
        read(
            "twilio_event_stream",
            told(
                "com.twilio.voice.twiml.call.requested",
                {},
                response={"responseCode": 200, "responseBody": text},
            ),
        )[0].event.attributes["data"]["response"]
        for text in ("PFJlc3BvbnNlLz4=", "PFJlc3BvbnNlPg==")
    )
    assert first.keys() == {"responseCode", "responseBodyHash"}
    assert first["responseBodyHash"] != second["responseBodyHash"]


@pytest.mark.parametrize("parameters", [{"RecordingSid": {}}, {"CallSid": 7}, [], None])
def test_a_callback_that_cannot_be_read_leaves_the_cloud_event(read: Read, parameters: Any) -> None:
    body = told(STATUS + "recording.processed", parameters, call_sid=CALL)
    if isinstance(parameters, dict) and "CallSid" in parameters:
        with pytest.raises(DecodeError, match="invalid_field"):
            read("twilio_event_stream", body)
        return
    (reading,) = read("twilio_event_stream", body)
    assert (reading.event.key, reading.event.family, reading.identity_rule) == (KEY, "recording", "2")
