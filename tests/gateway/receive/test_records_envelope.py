"""The raw envelope: the bytes that were sent, under the key that the worker expects."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from stream.core.events import DecodeError, Delivery, Envelope
from stream.core.sources import SOURCES
from stream.gateway.receive.credentials import Signer
from stream.gateway.receive.records import WebhookRecord, record_of
from stream.gateway.receive.request import RequestRefusedError
from stream.kafka.envelope_codec import VALUE_LIMIT_BYTES, read_envelope
from stream.sources import DECODERS
from tests.agents.batches import TOPICS, Fetched, Lane, to
from tests.sources.test_registry import BODIES

RECEIVED_US = 1_772_445_600_000_001
DELIVERY = {
    "token": "t-1",
    "attempt": 2,
    "query": "tenant=7&x=%7E",
    "verified": True,
    "variant": "ed25519 key=0",
    "remote": "192.0.2.1",
}


def envelope_of(source: str, body: Any, account: str | None = "AC1", ordinal: int = 0) -> Envelope:
    at, endpoint = "2026-03-02T10:00:00.000001Z", "/callbacks/twilio"
    return Envelope(source, at, body, RECEIVED_US, account, endpoint, Delivery(verified=True), ordinal)


def landed(source: str, body: Any, ordinal: int = 0) -> WebhookRecord:
    return record_of(envelope_of(source, copy.deepcopy(body), ordinal=ordinal), DELIVERY, orjson.dumps(body))


def test_the_worker_reads_back_what_was_landed() -> None:
    body = {"CallSid": "CA1", "CallStatus": "completed", "E": ["ringing", "", "ringing"], "To": "client:zoë"}
    one = landed("twilio_status_callback", body)
    assert one.key == b"twilio:CA1"
    written = envelope_of("twilio_status_callback", body)
    said = read_envelope(one.value)
    assert {name: getattr(said, name) for name in Envelope.__struct_fields__} == asdict(written)


def test_json_lands_byte_for_byte() -> None:
    raw = b'{"data": {"n": 12345678901234567890123, "n": 1.50, "payload":{"call_leg_id":"l"}}}'
    one = record_of(envelope_of("telnyx_webhook", orjson.loads(raw)), DELIVERY, raw)
    assert one.key == b"telnyx:l"
    assert one.value.endswith(b'"body":' + raw + b"}")


def test_an_event_of_a_subaccount_lands_byte_for_byte_as_that_account_s() -> None:
    raw = b'{"data": {"sid": "CA1", "account_sid": "AC2"}}'
    for subaccounts, account in ((("AC2",), "AC2"), (("AC3",), "AC1")):
        signer = Signer("AC1", frozenset(subaccounts))
        one = record_of(envelope_of("twilio_event_stream", orjson.loads(raw)), DELIVERY, raw, signer)
        assert (one.key, read_envelope(one.value).account) == (b"twilio:CA1", account)
        assert one.value.endswith(b'"body":' + raw + b"}")


def test_only_a_twin_has_an_ordinal() -> None:
    first, second = (landed("twilio_event_stream", {"data": {"sid": "CA1"}}, ordinal=at) for at in (0, 1))
    assert b"ordinal" not in first.value
    assert read_envelope(second.value).ordinal == 1


def test_the_greatest_envelope_lands_and_one_byte_more_does_not() -> None:
    room = VALUE_LIMIT_BYTES - len(landed("twilio_other_callback", {"x": ""}).value)
    assert len(landed("twilio_other_callback", {"x": "y" * room}).value) == VALUE_LIMIT_BYTES
    with pytest.raises(RequestRefusedError, match="larger than an envelope may be"):
        landed("twilio_other_callback", {"x": "y" * (room + 1)})


KEYS: list[tuple[str, dict[str, Any], bytes | None]] = [
    ("twilio_status_callback", {"CallSid": "CA1"}, b"twilio:CA1"),
    ("twilio_status_callback", {"CallSid": ["CA1", "CA1"]}, b"twilio:CA1"),
    ("twilio_status_callback", {"CallSid": ["CA1", "CA2"]}, None),
    ("twilio_status_callback", {"CallSid": ""}, None),
    ("twilio_status_callback", {}, None),
    ("twilio_recording_callback", {"CallSid": "CA1", "ConferenceSid": "CF1"}, b"twilio:CA1"),
    ("twilio_recording_callback", {"ConferenceSid": "CF1"}, b"twilio:conference:CF1"),
    ("twilio_amd_callback", {"CallSid": "CA1", "AnsweredBy": "human"}, b"twilio:CA1"),
    ("twilio_conference_callback", {"ConferenceSid": "CF1"}, b"twilio:conference:CF1"),
    ("twilio_conference_callback", {"ConferenceSid": "CF1", "CallSid": "CA1"}, b"twilio:CA1"),
    ("twilio_other_callback", {"CallSid": "ca1 "}, b"twilio:ca1 "),
    ("twilio_event_stream", {"data": {"sid": "CA1"}}, b"twilio:CA1"),
    ("twilio_event_stream", {"data": '{"CallSid":"CA1"}'}, b"twilio:CA1"),
    ("twilio_event_stream", {"data": {"request": {"parameters": {"call_sid": "CA1"}}}}, b"twilio:CA1"),
    ("twilio_event_stream", {"data": {"sid": "SM1"}}, None),
    ("telnyx_webhook", {"data": {"payload": {"call_leg_id": "l1"}}}, b"telnyx:l1"),
    ("telnyx_webhook", {"event_type": "call_hangup", "payload": {"call_leg_id": "l1"}}, b"telnyx:l1"),
    ("telnyx_webhook", {"data": {"payload": {"conference_id": "c"}}}, b"telnyx:conference:c"),
    ("telnyx_webhook", {"event_type": "call.hangup", "call_leg_id": "l1"}, b"telnyx:l1"),
    ("telnyx_texml_callback", {"CallSid": "v3:zoë", "CallLegId": "l1"}, "telnyx:v3:zoë".encode()),
]


@pytest.mark.parametrize(("source", "body", "key"), KEYS)
def test_the_key_is_the_calls_and_null_where_there_is_none(
    source: str, body: dict[str, Any], key: bytes | None
) -> None:
    assert landed(source, body).key == key


@settings(max_examples=15, deadline=None)
@given(body=BODIES, named=st.booleans())
def test_of_any_body_of_any_source_the_key_is_what_the_worker_expects(body: Any, named: bool) -> None:
    if named:
        body |= {"CallSid": "CA0f01", "call_sid": "CA0f01", "sid": "CA0f01", "call_leg_id": "leg-1"}
    body = orjson.loads(orjson.dumps(body, default=str)) if is_json(body) else {}
    records = [landed(source, body) for source in SOURCES]
    fetched = [Fetched(TOPICS.callbacks, at, one.key, one.value) for at, one in enumerate(records)]
    dead = [dict(letter.output.headers) for letter in to(TOPICS.dead_letters, Lane().run(fetched))]
    assert b"key_mismatch" not in {headers["reason"] for headers in dead}
    without_key = [at for at, one in enumerate(records) if one.key is None]
    assert sorted(int(headers["source_offset"]) for headers in dead) == without_key


def is_json(body: Any) -> bool:
    try:
        orjson.dumps(body)
    except TypeError:
        return False
    return True


def test_a_fault_in_a_decoder_loses_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Envelope) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(DECODERS, "twilio_status_callback", broken)
    assert landed("twilio_status_callback", {"CallSid": "CA1"}).key is None


@given(st.binary(max_size=60))
def test_bytes_that_are_not_an_envelope_are_none(value: bytes) -> None:
    with pytest.raises(DecodeError):
        read_envelope(value)
