"""From whole requests to their records."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.events import DecodeError, Envelope
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.records import BATCH_LIMIT, METADATA_LIMIT, PARSED_LEVELS
from stream.gateway.receive.request import FORM, RequestRefusedError, WebhookRequest, headers_of
from stream.kafka.envelope_codec import read_envelope
from stream.sources import DECODERS
from tests.gateway.receive.test_verification import CREDENTIALS, TEXML
from tests.gateway.signing import (
    ACCOUNT,
    STATUS,
    TOKEN,
    telnyx_post,
    twilio_form,
    twilio_json,
)
from tests.gateway.verdicts import landed

UNCHECKED = GatewayCredentials(accept_unsigned=True)
CALL = dict(STATUS)["CallSid"]


def records(
    request: WebhookRequest, credentials: GatewayCredentials = CREDENTIALS
) -> list[tuple[str, bytes | None, dict[str, Any]]]:
    found = landed(request, credentials)
    return [(one.source, one.key, orjson.loads(one.value)) for one in found]


def test_a_status_callback_is_one_record() -> None:
    assert records(twilio_form(target="/callbacks/twilio?tenant=7")) == [
        (
            "twilio_status_callback",
            f"twilio:{CALL}".encode(),
            {
                "v": 1,
                "source": "twilio_status_callback",
                "received_at": "2026-03-02T10:00:00.000001Z",
                "account": ACCOUNT,
                "endpoint": "/callbacks/twilio",
                "delivery": {
                    "token": "token-1",
                    "attempt": None,
                    "query": "tenant=7",
                    "verified": True,
                    "variant": "hmac_sha1 key=1 port=as_sent url=request",
                    "remote": "203.0.113.9",
                },
                "body": dict(STATUS),
            },
        )
    ]


def test_a_get_has_its_parameters_as_the_body_and_no_query_beside_them() -> None:
    request = replace(
        twilio_form(), method="GET", body=b"", target="/callbacks/twilio?tenant=7&" + urlencode(STATUS)
    )
    [(source, key, envelope)] = records(unsigned(request), UNSIGNED)
    assert (source, key) == ("twilio_status_callback", f"twilio:{CALL}".encode())
    assert envelope["body"] == {"tenant": "7", **dict(STATUS)}
    assert envelope["delivery"]["query"] is None


UNSIGNED = replace(CREDENTIALS, accept_unsigned=True)


def test_json_of_telnyx_that_nobody_can_check_is_read_as_json_whatever_its_content_type_says() -> None:
    body = b'{"data":{"event_type":"call.hangup","payload":{"call_leg_id":"l1","to":"&CallSid=CAforged&"}}}'
    [(source, key, value)] = records(telnyx_post(body, media_type=FORM), UNCHECKED)
    assert (source, key) == ("telnyx_webhook", b"telnyx:l1")
    assert value["body"] == orjson.loads(body)


def unsigned(request: WebhookRequest) -> WebhookRequest:
    kept = [pair for pair in request.headers.items() if "signature" not in pair[0].lower()]
    return replace(request, headers=headers_of(kept))


def test_a_batch_of_event_streams_is_a_record_for_each_event_in_its_order() -> None:
    raw = [
        b'{"specversion":"1.0","id":"EZ1","type":"t","data":{"sid":"CA1"}}',
        b'{ "id": "EZ2", "type": "t", "data": "{\\"CallSid\\":\\"CA2\\"}" }',
        b'{"data":{"sid":"CA1"}}',
        b'{"data":{"sid":"CA1"}}',
        b"7",
    ]
    found = landed(twilio_json(b" [" + b",\n".join(raw) + b"]\n"), CREDENTIALS)
    assert [one.key for one in found] == [b"twilio:CA1", b"twilio:CA2", b"twilio:CA1", b"twilio:CA1", None]
    assert {one.source for one in found} == {"twilio_event_stream"}
    assert all(b'"body":' + one in record.value for one, record in zip(raw, found, strict=True))
    assert [read_envelope(one.value).ordinal for one in found[:4]] == [0, 0, 0, 1]
    with pytest.raises(DecodeError, match="body is not an object"):
        read_envelope(found[4].value)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (rb"\ud83d", rb"\ufffd"),
        (rb"\uDE00 x", rb"\ufffd x"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\\\ud83d \\ud83d \n", rb"\\\ufffd \\ud83d \n"),
    ],
)
def test_half_a_character_loses_neither_its_event_nor_its_batch(said: bytes, written: bytes) -> None:
    """An emoji may be cut in two. The worker reads what is written."""
    event = b'{"specversion":"1.0","id":"EZ2","data":{"sid":"CA2","x":"%b"}}'
    first = b'{"specversion":"1.0","id":"EZ1","data":{"sid":"CA1"}}'
    found = landed(twilio_json(b"[" + first + b"," + event % said + b"]"), CREDENTIALS)
    assert [one.key for one in found] == [b"twilio:CA1", b"twilio:CA2"]
    assert b'"body":' + event % written in found[1].value
    assert read_envelope(found[1].value).body == orjson.loads(event % written)
    [alone] = landed(twilio_json(event % said), CREDENTIALS)
    assert alone.key == b"twilio:CA2"


def test_one_event_alone_and_an_empty_batch_are_taken_too() -> None:
    one = b'{"specversion":"1.0","id":"EZ1","data":{"sid":"CA1"}}'
    assert [key for _, key, _ in records(twilio_json(one))] == [b"twilio:CA1"]
    assert records(twilio_json(b"[]")) == []


def test_a_telnyx_event_keeps_its_bytes_and_tells_its_attempt() -> None:
    raw = b'{"data": {"event_type":"call.answered","payload":{"call_leg_id":"l1"}}, "meta": {"attempt": 2}}'
    [(source, key, envelope)] = records(telnyx_post(raw))
    assert (source, key) == ("telnyx_webhook", b"telnyx:l1")
    assert envelope["body"] == orjson.loads(raw)
    assert envelope["delivery"] == {
        "token": None,
        "attempt": 2,
        "query": None,
        "verified": True,
        "variant": "ed25519 key=1 age_s=0",
        "remote": "203.0.113.9",
    }


@pytest.mark.parametrize("meta", [b"null", b"7", b'{"attempt":true}', b'{"attempt":"2"}', b'{"attempt":-1}'])
def test_an_odd_attempt_is_none(meta: bytes) -> None:
    [(_, key, envelope)] = records(
        telnyx_post(b'{"data":{"payload":{"call_leg_id":"l1"}},"meta":' + meta + b"}")
    )
    assert (key, envelope["delivery"]["attempt"]) == (b"telnyx:l1", None)


def test_a_texml_form_sent_to_twilios_address_is_telnyxs() -> None:
    [(source, key, envelope)] = records(telnyx_post(TEXML, target="/callbacks/twilio", media_type=FORM))
    assert (source, key) == ("telnyx_texml_callback", b"telnyx:v3:a")
    assert envelope["account"] == "0c0ffee0-1111-4222-8333-444455556666"


def test_what_nobody_can_read_lands_without_a_key() -> None:
    [(source, key, envelope)] = records(twilio_form([("AccountSid", ACCOUNT), ("Digits", "1")]))
    assert (source, key) == ("twilio_other_callback", None)
    assert envelope["body"] == {"AccountSid": ACCOUNT, "Digits": "1"}


def test_a_call_that_nobody_can_read_is_not_taken_for_a_message() -> None:
    """Whatever its decoder did to the body before it gave up."""
    message = [*STATUS[1:], ("MessageSid", "SM1")]
    for parameters, ignored in (([("CallSid", ""), *message], None), (message, "message")):
        [record] = landed(twilio_form(parameters), CREDENTIALS)
        assert (record.key, record.ignored) == (None, ignored)


def test_a_decoder_that_fails_loses_no_webhook_whatever_it_seems_to_be_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: Envelope) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(DECODERS, "twilio_other_callback", broken)
    [record] = landed(twilio_form([("AccountSid", ACCOUNT), ("MessageSid", "SM1")]), CREDENTIALS)
    assert (record.key, record.ignored) == (None, None)


def test_a_form_that_is_not_utf8_lands_with_its_bytes() -> None:
    request = unsigned(replace(twilio_form(), body=b"CallSid=CA1&CallStatus=ringing&X=%ff"))
    [(_, key, envelope)] = records(request, UNSIGNED)
    assert key == b"twilio:CA1"
    assert base64.b64decode(envelope["delivery"]["original"]) == request.body


def post(body: bytes, media_type: str | None) -> WebhookRequest:
    headers = headers_of([("Content-Type", media_type)] if media_type is not None else [])
    return WebhookRequest(
        method="POST", target="/callbacks/telnyx", headers=headers, body=body, remote="192.0.2.1"
    )


@pytest.mark.parametrize(
    ("request_", "reason", "status"),
    [
        (post(b"{", "application/json"), "malformed", 400),
        (post(b"", None), "malformed", 400),
        (post(b"\xef\xbb\xbf{}", "application/json"), "malformed", 400),
        (post(b'{"a":NaN}', "application/json"), "malformed", 400),
        (post(b'"text"', "application/json"), "malformed", 400),
        (post(b"null", "application/json"), "malformed", 400),
        (post(b"[" * 100_000, "application/json"), "malformed", 400),
        (post(b"[" * 1000 + b"]" * 1000, "application/json"), "malformed", 400),
        (post(b'{"a":' * 1023 + b"{}" + b"}" * 1023, "application/json"), "malformed", 400),
        (post(b"{}", "text/plain"), "unsupported_media_type", 415),
        (post(b"a=1", "multipart/form-data; boundary=x"), "unsupported_media_type", 415),
        (post(b"<x/>", "application/xml"), "unsupported_media_type", 415),
        (post(b"[" + b",".join([b"{}"] * (BATCH_LIMIT + 1)) + b"]", "application/json"), "too_large", 413),
        (post(b"a=" + b"\x01" * 100_000, FORM), "too_large", 413),
    ],
)
def test_what_no_retry_mends_is_refused(request_: WebhookRequest, reason: str, status: int) -> None:
    with pytest.raises(RequestRefusedError) as found:
        landed(request_, UNCHECKED)
    assert (found.value.reason, found.value.status) == (reason, status)


@pytest.mark.parametrize(
    "media_type",
    [None, "application/json; charset=utf-8", "application/cloudevents-batch+json", "APPLICATION/JSON"],
)
def test_json_is_taken_by_any_of_its_names(media_type: str | None) -> None:
    assert isinstance(landed(post(b"{}", media_type), UNCHECKED), list)


def test_a_deep_body_lands_and_the_worker_refuses_it() -> None:
    levels = PARSED_LEVELS - 1
    for begin, end in ((b'{"data":', b"}"), (b"[", b"]")):
        [(_, key, _)] = records(telnyx_post(begin + b"[" * levels + b"]" * levels + end))
        assert key is None


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["GET", "POST"]),
    st.binary(max_size=80) | st.sampled_from([b"CallSid=CA1", b'{"data":{}}', b"[{},[]]"]),
    st.sampled_from([None, FORM, "application/json", "x/y"]),
    st.binary(max_size=20),
)
def test_whatever_comes_is_landed_or_refused(
    method: str, body: bytes, media_type: str | None, tail: bytes
) -> None:
    request = replace(
        post(body, media_type),
        method=method,
        target="/callbacks/twilio?" + tail.decode("utf-8", "surrogateescape"),
    )
    with suppress(RequestRefusedError):
        assert all(orjson.loads(one.value)["v"] == 1 for one in landed(request, UNCHECKED))


def test_the_token_of_the_account_is_in_no_record() -> None:
    found = landed(twilio_form(), CREDENTIALS)
    assert TOKEN.encode() not in found[0].value


def test_metadata_is_bounded_and_always_text() -> None:
    headers = headers_of([("I-Twilio-Idempotency-Token", "t" * 300), ("Content-Type", FORM)])
    request = replace(twilio_form(), target="/callbacks/twilio?q=\udcff", headers=headers)
    [(_, _, envelope)] = records(request, UNCHECKED)
    assert (envelope["delivery"]["token"], envelope["delivery"]["query"]) == ("t" * METADATA_LIMIT, "q=�")
