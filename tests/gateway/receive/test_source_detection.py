"""The source of each webhook that a provider may send to one URL."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.sources import SOURCES
from stream.gateway.receive.source_detection import ignored_reason, is_cloud_event, source_of
from stream.service.metrics.label_values import IGNORED

CALL = {"CallSid": "CA1", "AccountSid": "AC1"}
PROGRESS = {**CALL, "CallStatus": "ringing", "CallbackSource": "call-progress-events"}
DEBUGGER = {
    "Sid": "NO1",
    "AccountSid": "AC1",
    "Level": "ERROR",
    "PayloadType": "application/json",
    "Payload": "{}",
    "Timestamp": "2026-03-02T10:00:07Z",
}
STAMP = "Mon, 02 Mar 2026 10:00:55 +0000"

TWILIO: dict[str, tuple[dict[str, Any], str]] = {
    "a status callback": (PROGRESS, "twilio_status_callback"),
    "a terminal one with a recording": (
        {**PROGRESS, "CallStatus": "completed", "RecordingSid": "RE1", "RecordingUrl": "x"},
        "twilio_status_callback",
    ),
    "a terminal one with AMD's result": (
        {**PROGRESS, "CallStatus": "completed", "AnsweredBy": "human", "MachineDetectionDuration": "9"},
        "twilio_status_callback",
    ),
    "of an older sender": (
        {**CALL, "CallStatus": "ringing", "Timestamp": STAMP, "SequenceNumber": "1"},
        "twilio_status_callback",
    ),
    "of an older sender without a number": (
        {**CALL, "CallStatus": "busy", "CallDuration": "0"},
        "twilio_status_callback",
    ),
    "a conference's step": (
        {"ConferenceSid": "CF1", "StatusCallbackEvent": "conference-start", "SequenceNumber": "1"},
        "twilio_conference_callback",
    ),
    "a participant's step, which has a call and a counter": (
        {
            **CALL,
            "ConferenceSid": "CF1",
            "StatusCallbackEvent": "participant-leave",
            "SequenceNumber": "4",
            "Timestamp": STAMP,
            "CallStatus": "completed",
        },
        "twilio_conference_callback",
    ),
    "a recording": (
        {**CALL, "RecordingSid": "RE1", "RecordingStatus": "completed"},
        "twilio_recording_callback",
    ),
    "a conference's recording": (
        {"ConferenceSid": "CF1", "RecordingSid": "RE1", "RecordingStatus": "completed"},
        "twilio_recording_callback",
    ),
    "an AMD result": (
        {**CALL, "AnsweredBy": "machine_start", "MachineDetectionDuration": "3000"},
        "twilio_amd_callback",
    ),
    "an AMD result without its duration": ({**CALL, "AnsweredBy": "unknown"}, "twilio_amd_callback"),
    "a media stream": (
        {**CALL, "StreamSid": "MZ1", "StreamEvent": "stream-started", "Timestamp": STAMP},
        "twilio_other_callback",
    ),
    "SIPREC": ({**CALL, "SiprecSid": "SR1", "SiprecEvent": "siprec-stopped"}, "twilio_other_callback"),
    "a transcription": (
        {**CALL, "TranscriptionSid": "GT1", "TranscriptionEvent": "transcription-content", "SequenceId": "2"},
        "twilio_other_callback",
    ),
    "a dial action": (
        {**CALL, "CallStatus": "in-progress", "DialCallStatus": "busy", "DialCallSid": "CA2"},
        "twilio_other_callback",
    ),
    "a dial action after the caller hung up": (
        {**CALL, "CallStatus": "completed", "DialCallStatus": "completed", "CallDuration": "9"},
        "twilio_other_callback",
    ),
    "a request for instructions": ({**CALL, "CallStatus": "ringing"}, "twilio_other_callback"),
    "one with AMD's result in it": (
        {**CALL, "CallStatus": "in-progress", "AnsweredBy": "human"},
        "twilio_other_callback",
    ),
    "a deprecated conference recording": (
        {"ConferenceSid": "CF1", "EventName": "conference-record-end"},
        "twilio_other_callback",
    ),
    "the Debugger's entry": (DEBUGGER, "twilio_debugger"),
    "the Debugger's entry without its details": (
        {"Sid": "NO1", "PayloadType": "application/json"},
        "twilio_debugger",
    ),
    "a call with the parameters of the Debugger": ({**CALL, **DEBUGGER}, "twilio_other_callback"),
    "an id of something else": ({**DEBUGGER, "Sid": "SM1"}, "twilio_other_callback"),
    "nothing that is known": ({"hello": "world"}, "twilio_other_callback"),
    "nothing at all": ({}, "twilio_other_callback"),
    "empty values say nothing": (
        {**CALL, "RecordingSid": "", "RecordingStatus": "", "AnsweredBy": ""},
        "twilio_other_callback",
    ),
    "the customer's own parameter of the same name comes first": (
        {**CALL, "CallStatus": "ringing", "CallbackSource": ["mine", "call-progress-events"]},
        "twilio_status_callback",
    ),
    "only the customer says so": (
        {**CALL, "CallStatus": "ringing", "CallbackSource": ["call-progress-events", "mine"]},
        "twilio_other_callback",
    ),
    "an empty list": ({**CALL, "CallbackSource": []}, "twilio_other_callback"),
}


@pytest.mark.parametrize("name", TWILIO)
def test_a_form_of_twilio_is_told_by_its_shape(name: str) -> None:
    parameters, expected = TWILIO[name]
    assert expected in SOURCES
    assert source_of("twilio", "/callbacks/twilio", parameters, form=True) == expected
    assert source_of("twilio", "/callbacks/twilio", parameters, form=False) == expected


CLOUD_EVENT = {"specversion": "1.0", "type": "com.twilio.voice.status-callback.call.completed", "id": "EZ1"}


def test_events_of_event_streams_are_known_by_their_envelope_or_by_where_they_come() -> None:
    assert source_of("twilio", "/callbacks/twilio", CLOUD_EVENT, form=False) == "twilio_event_stream"
    assert source_of("twilio", "/callbacks/twilio/event-streams", {}, form=False) == "twilio_event_stream"
    assert (
        source_of("twilio", "/callbacks/twilio/event-streams", PROGRESS, form=True)
        == "twilio_status_callback"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CLOUD_EVENT, True),
        ({"type": "com.twilio.error-logs.error.logged"}, True),
        ({"type": "com.example"}, False),
        ({"type": 1}, False),
        ({}, False),
    ],
)
def test_a_cloud_event_is_known_leniently(body: dict[str, Any], expected: bool) -> None:
    assert is_cloud_event(body) is expected


@pytest.mark.parametrize(
    ("body", "form", "expected"),
    [
        ({"data": {"event_type": "call.hangup"}, "meta": {}}, False, "telnyx_webhook"),
        ({"event_type": "call_hangup", "payload": {}}, False, "telnyx_webhook"),
        ({}, False, "telnyx_webhook"),
        ({"CallSid": "v3:a", "CallStatus": "ringing"}, True, "telnyx_texml_callback"),
        ({"CallSid": "v3:a", "CallStatus": "ringing"}, False, "telnyx_texml_callback"),
        ({"ConferenceSid": "c", "StatusCallbackEvent": "end"}, True, "telnyx_texml_callback"),
        ({"event_type": "call.hangup", "payload": "{}"}, True, "telnyx_webhook"),
        ({"data": "{}", "CallSid": "mine"}, True, "telnyx_webhook"),
        ({}, True, "telnyx_texml_callback"),
    ],
)
def test_telnyx_sends_events_or_forms_like_twilios(body: dict[str, Any], form: bool, expected: str) -> None:
    assert expected in SOURCES
    assert source_of("telnyx", "/callbacks/telnyx", body, form=form) == expected


def stream(kind: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": kind, "id": "EZ1", "data": {}}


def deep() -> Any:
    value: Any = {}
    for _ in range(1000):
        value = {"a": value}
    return value


ABOUT_NO_CALL: dict[str, tuple[str, dict[str, Any], str]] = {
    "a message": ("twilio", {"MessageSid": "SM1", "Body": "hello"}, "message"),
    "its status": ("twilio", {"SmsSid": "SM1", "SmsStatus": "delivered"}, "message"),
    "a fax": ("twilio", {"FaxSid": "FX1", "FaxStatus": "received"}, "fax"),
    "a flow's step": ("twilio", {"FlowSid": "FW1", "ExecutionSid": "FN1"}, "studio"),
    "a verification": ("twilio", {"VerificationSid": "VE1"}, "verify"),
    "a task": ("twilio", {"TaskSid": "WT1", "EventType": "task.created"}, "other_product"),
    "the test of a sink": ("twilio", stream("com.twilio.eventstreams.test-event"), "test_event"),
    "a message in a stream": ("twilio", stream("com.twilio.messaging.message.sent"), "message"),
    "a flow in a stream": ("twilio", stream("com.twilio.studio.flow.step.ended"), "studio"),
    "a verification in a stream": ("twilio", stream("com.twilio.accountsecurity.verify.event"), "verify"),
    "a worker in a stream": ("twilio", stream("com.twilio.taskrouter.worker.updated"), "other_product"),
    "a message of Telnyx": ("telnyx", {"data": {"event_type": "message.received"}}, "message"),
    "one of version 1": ("telnyx", {"event_type": "message_finalized", "payload": {}}, "message"),
    "an older one, without a name": ("telnyx", {"sms_id": "834f", "body": "hello"}, "message"),
    "a fax of Telnyx": ("telnyx", {"data": {"event_type": "fax.received"}}, "fax"),
    "an order of Telnyx": ("telnyx", {"data": {"event_type": "number_order.complete"}}, "other_product"),
}

MAYBE_ABOUT_A_CALL: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing that is known": ("twilio", {"hello": "world"}),
    "a call whose id is odd": ("twilio", {"CallSid": ["CA1", "CA2"], "MessageSid": "SM1"}),
    "a voice event without its call": ("twilio", stream("com.twilio.voice.insights.call-event.gateway")),
    "a logged error": ("twilio", stream("com.twilio.error-logs.error.logged")),
    "a type that is not a text": ("twilio", stream(7)),
    "a type of a thousand levels": ("twilio", stream(deep())),
    "a name of a thousand levels": ("telnyx", {"data": {"event_type": deep()}}),
    "a type of no product": ("twilio", stream("com.twilio")),
    "another sender's event": ("twilio", stream("org.example.fax.sent.now")),
    "a call's event without its leg": ("telnyx", {"data": {"event_type": "call.hangup"}}),
    "an event without a name": ("telnyx", {"data": {"payload": {}}}),
    "an event of an unknown kind": ("telnyx", {"data": {"event_type": "sparkle.lit"}}),
    "no object at all": ("telnyx", {"data": []}),
}


@pytest.mark.parametrize("name", ABOUT_NO_CALL)
def test_what_is_about_no_call_is_known_by_what_it_is_about(name: str) -> None:
    provider, body, expected = ABOUT_NO_CALL[name]
    assert expected in IGNORED
    source = source_of(provider, f"/callbacks/{provider}", body, form=False)
    assert ignored_reason(source, body) == expected


@pytest.mark.parametrize("name", MAYBE_ABOUT_A_CALL)
def test_what_may_be_about_a_call_is_not_dropped(name: str) -> None:
    provider, body = MAYBE_ABOUT_A_CALL[name]
    assert ignored_reason(source_of(provider, f"/callbacks/{provider}", body, form=False), body) is None
