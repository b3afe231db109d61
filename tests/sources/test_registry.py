"""Properties of every source, for any body."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.events import FAMILIES, DecodeError, Envelope, Reading
from stream.core.identity import event_id
from stream.core.sources import SOURCE_BY_NAME, SOURCES
from stream.core.statuses import STATUSES
from stream.sources import DECODERS

FIELDS = """
CallSid AccountSid CallStatus SequenceNumber Timestamp CallbackSource CallDuration SipResponseCode
ErrorCode ParentCallSid From To Direction AnsweredBy RecordingSid RecordingStatus RecordingDuration
ConferenceSid StatusCallbackEvent StreamEvent CallLegId CallSessionId SipHangupCause
sid call_sid account_sid status duration date_updated end_time parent_call_sid
request response parameters url method response_code request_duration response_body call_status
sequence_number timestamp edge group name level sdk_edge error code conversation_relay_data
data meta event_type id webhook_id occurred_at created_at payload call_leg_id call_session_id
conference_id hangup_cause sip_hangup_cause cost_parts total_cost currency recording_id
recording_started_at recording_ended_at metadata event attempt delivered_to type
webhook attempts time event_timestamp value
Sid ParentAccountSid Level Payload PayloadType TimeStamp resource_sid correlation_sid alert_text message_text
error_code more_info log_level log date_generated message_date request_url request_variables headers body
"""
"""Names that decoders read, of all sources, so that their values get every type."""

NAMES = st.sampled_from(FIELDS.split()) | st.text(string.printable, max_size=10)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(
        [
            "CA0f01",
            "completed",
            "3",
            "call-progress-events",
            "call.hangup",
            "call.recording.saved",
            "webhook",
            "https://u:p@h.test/x?q",
            "Mon, 02 Mar 2026 10:00:55 +0000",
            "2026-03-02T10:00:19.450211Z",
            '{"call_leg_id": "l"}',
            '{"resource_sid": "CA0f01", "webhook": {"request": {"url": "https://h.test/x?CallSid=CA0f01"}}}',
            "Msg&ErrorCode=11200&url=https%3A%2F%2Fh.test%2Fx",
            "x" * 5000,
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=10,
)
BODIES = st.dictionaries(NAMES, JSON, max_size=12)


def delivery(source: str, body: dict[str, Any], endpoint: str | None) -> Envelope:
    return Envelope(
        source=source,
        received_at="2026-03-02T10:00:56.120000Z",
        received_us=1_772_445_656_120_000,
        account=None,
        endpoint=endpoint,
        body=body,
    )


def test_every_source_has_a_decoder() -> None:
    assert set(DECODERS) == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_body_is_read_or_refused_and_what_is_read_is_well_formed(
    source: str, data: st.DataObject
) -> None:
    body = data.draw(BODIES)
    # Half of the bodies name their call, so that more than the refusal is tried.
    if data.draw(st.booleans()):
        body |= {"CallSid": "CA0f01", "call_sid": "CA0f01", "sid": "CA0f01", "call_leg_id": "leg-1"}
    endpoint = data.draw(st.sampled_from([None, "/2010-04-01/Accounts/AC0f/Calls/CA0f01/Events.json", "/x"]))
    before = msgspec.json.encode(body)
    first = decoded(DECODERS[source], source, before, endpoint)
    again = decoded(DECODERS[source], source, before, endpoint)
    assert first == again
    for reading in first:
        is_well_formed(reading, source)


def decoded(
    decode: Callable[[Envelope], list[Reading]], source: str, body: bytes, endpoint: str | None
) -> list[Reading]:
    try:
        readings = decode(delivery(source, msgspec.json.decode(body), endpoint))
    except DecodeError as refused:
        return refusal(refused)
    assert readings
    return readings


def refusal(error: DecodeError) -> list[Reading]:
    assert error.reason in {"missing_id", "invalid_field", "too_deep"}
    return []


def is_well_formed(reading: Reading, source: str) -> None:
    event = reading.event
    assert msgspec.json.encode(reading)
    assert event_id(event.key, event.family, reading.identity_rule, reading.parts)
    assert event.key.partition(":")[0] == event.provider == SOURCE_BY_NAME[source].provider
    assert len(event.key) <= 300
    assert event.source == source
    assert event.family in FAMILIES
    assert event.status is None or event.status in STATUSES
    assert event.level in (None, "debug", "info", "warning", "error")
    assert all(0 < len(word) <= 128 for word in (event.name, event.edge, event.group) if word is not None)
    assert (
        (event.occurred_at is None)
        == (reading.occurred_us is None)
        == (event.occurred_at_quality == "unknown")
    )
    facts = reading.facts or {}
    assert all(isinstance(fact, str) and 0 < len(fact) <= 255 for fact in facts.values())
    assert reading.answer is None or "@" not in reading.answer.endpoint


@pytest.mark.parametrize("source", SOURCES)
def test_a_body_nested_over_32_levels_is_refused_by_every_source(source: str) -> None:
    deep: Any = "x"
    for _ in range(40_000):
        deep = [deep]
    body = {"CallSid": "CA0f01", "call_sid": "CA0f01", "sid": "CA0f01", "data": {"x": deep}, "metadata": deep}
    with pytest.raises(DecodeError, match="too_deep"):
        DECODERS[source](delivery(source, body, None))


@pytest.mark.parametrize("source", [one.name for one in SOURCE_BY_NAME.values() if one.family is not None])
def test_a_delivery_has_the_family_that_the_table_of_sources_names(source: str) -> None:
    body: dict[str, Any] = {"CallSid": "CA0f01", "AccountSid": "AC0f01"}
    if SOURCE_BY_NAME[source].polled:
        body = {"sid": "CA0f01", "call_sid": "CA0f01", "webhook": {"payload": {"call_leg_id": "leg-1"}}}
        body["account_sid"] = "AC0f01"
        body["request"] = {"parameters": {"CallSid": "CA0f01"}}
    first, *_ = DECODERS[source](delivery(source, body, None))
    assert first.event.family == SOURCE_BY_NAME[source].family
