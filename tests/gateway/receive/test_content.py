"""Only what a signature covers is written to Kafka."""

from __future__ import annotations

import inspect
import time
from dataclasses import replace
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.gateway.receive import records as landing
from stream.gateway.receive.request import FORM, RequestRefusedError, WebhookRequest
from stream.gateway.receive.verification import VerifiedRequest
from tests.gateway.receive.test_records import records
from tests.gateway.receive.test_verification import CREDENTIALS, EVENT, TEXML, get, judged, with_header
from tests.gateway.running_gateway import running_gateway
from tests.gateway.signing import ACCOUNT, HOST, STATUS, telnyx_post, twilio, twilio_form, twilio_json
from tests.gateway.verdicts import verified

FORGED = urlencode({"AccountSid": ACCOUNT, "CallSid": "CAforged", "CallStatus": "completed"})


def said(request: WebhookRequest) -> bytes:
    """All that lands of a request as verified; empty where it is refused."""
    try:
        found = landing.records_of(
            verified(request, CREDENTIALS), endpoint="/callbacks/twilio", received_us=0
        )
    except RequestRefusedError:
        return b""
    return b"".join(one.value for one in found)


def test_a_signed_body_of_telnyx_lets_no_query_in() -> None:
    seen = telnyx_post(EVENT)
    assert judged(replace(seen, method="GET", target=f"/callbacks/twilio?{FORGED}")) == "bad_signature"
    assert judged(replace(seen, method="GET", target=f"/callbacks/telnyx?{FORGED}")) == "bad_signature"


def test_the_query_beside_a_body_of_telnyx_is_signed_by_nobody_and_does_not_land() -> None:
    for target in ("/callbacks/telnyx", "/callbacks/twilio"):
        [(_, key, envelope)] = records(replace(telnyx_post(EVENT), target=f"{target}?{FORGED}"))
        assert key == b"telnyx:l1"
        assert envelope["delivery"]["query"] is None
        assert "CAforged" not in orjson.dumps(envelope).decode()


def test_the_query_beside_a_form_of_twilio_is_signed_and_is_evidence() -> None:
    [(_, _, envelope)] = records(twilio_form(target="/callbacks/twilio?tenant=7"))
    assert envelope["delivery"]["query"] == "tenant=7"
    assert envelope["body"] == dict(STATUS)


def test_a_parameter_of_the_query_never_stands_for_one_of_the_body() -> None:
    [(_, key, envelope)] = records(twilio_form(target=f"/callbacks/twilio?{FORGED}"))
    assert key == f"twilio:{dict(STATUS)['CallSid']}".encode()
    assert envelope["body"] == dict(STATUS)


@pytest.mark.parametrize("tail", [f"#&{FORGED}", f"#?{FORGED}", "#"])
def test_what_follows_a_fragment_is_not_signed_and_does_not_land(tail: str) -> None:
    for query in ("?" + urlencode(STATUS), ""):
        target = f"/callbacks/twilio{query}"
        request = get(target + tail, twilio(f"https://{HOST}{target}"))
        assert b"CAforged" not in said(request)
        assert b"CAforged" not in said(replace(twilio_form(), target="/callbacks/twilio" + tail))


def test_a_get_with_a_body_that_nothing_covers_is_refused() -> None:
    target = "/callbacks/twilio?" + urlencode(STATUS)
    request = get(target, twilio(f"https://{HOST}{target}"))
    assert isinstance(judged(request), VerifiedRequest)
    assert judged(replace(request, body=FORGED.encode())) == "bad_signature"


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data", "", "x/y"])
def test_a_body_of_twilio_that_is_not_a_form_and_not_hashed_in_the_url_is_refused(media_type: str) -> None:
    bare = with_header(twilio_form(signed=[]), "Content-Type", media_type)
    assert judged(replace(bare, body=b'{"CallSid":"CAforged"}')) == "bad_signature"
    assert judged(with_header(twilio_form(), "Content-Type", media_type)) == "bad_signature"


def test_a_hash_of_the_body_outside_of_what_was_signed_covers_nothing() -> None:
    body = b'{"specversion":"1.0","id":"EZ1","data":{"sid":"CAforged"}}'
    request = twilio_json(body, signed_url=f"https://{HOST}/callbacks/twilio/event-streams")
    assert judged(request) == "bad_signature"
    assert judged(replace(request, target=request.target.replace("?", "#?"))) == "bad_signature"


def test_what_telnyx_signed_is_read_by_what_it_is_and_not_by_a_header_that_nobody_signed() -> None:
    hidden = orjson.dumps({"data": {"payload": {"call_leg_id": "l1", "from_display_name": f"&{FORGED}&"}}})
    [(source, key, _)] = records(telnyx_post(hidden, media_type=FORM))
    assert (source, key) == ("telnyx_webhook", b"telnyx:l1")
    with pytest.raises(RequestRefusedError):
        records(telnyx_post(TEXML, media_type="application/json"))


def test_a_body_that_telnyx_signed_is_not_a_query() -> None:
    """Else a customer's text inside the body could be read as parameters."""
    hidden = orjson.dumps({"data": {"payload": {"call_leg_id": "l1", "from_display_name": f"&{FORGED}&"}}})
    for path in ("/callbacks/twilio", "/callbacks/telnyx"):
        replayed = replace(telnyx_post(hidden), method="GET", target=f"{path}?{hidden.decode()}")
        assert judged(replayed) == "bad_signature"
        assert judged(replace(replayed, body=b"")) == "bad_signature"


def test_a_header_is_evidence_and_no_more() -> None:
    one, other = (
        records(with_header(twilio_form(), "I-Twilio-Idempotency-Token", token))[0] for token in ("a", "b")
    )
    assert (one[2]["delivery"]["token"], other[2]["delivery"]["token"]) == ("a", "b")
    assert one[2] | {"delivery": None} == other[2] | {"delivery": None}


def test_landing_is_handed_nothing_of_a_request_but_what_was_verified() -> None:
    """By construction: who cannot see the request cannot land an unsigned part of it."""
    assert list(inspect.signature(landing.records_of).parameters) == ["verified", "endpoint", "received_us"]
    assert not hasattr(landing, "WebhookRequest")
    assert not hasattr(landing, "ParsedRequest")


SIGNED = [
    twilio_form(target="/callbacks/twilio?tenant=7"),
    get(
        "/callbacks/twilio?" + urlencode(STATUS),
        twilio(f"https://{HOST}/callbacks/twilio?{urlencode(STATUS)}"),
    ),
    twilio_json(b'[{"specversion":"1.0","id":"EZ1","data":{"sid":"CA1"}}]'),
    telnyx_post(EVENT),
    telnyx_post(TEXML, media_type=FORM),
]
_PIECES = [FORGED, "&", "?", "#", "%23", "bodySHA256=", '{"CallSid":"CAforged"}', ";", "/", "\\", "@"]


@settings(max_examples=75, deadline=None)
@given(
    st.sampled_from(SIGNED),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from([None, FORM, "application/json", "text/plain", "multipart/form-data; boundary=x"]),
    st.sampled_from([None, "/callbacks/twilio", "/callbacks/telnyx", "/callbacks/twilio/event-streams"]),
    st.lists(st.sampled_from(_PIECES), max_size=4).map("".join),
    st.sampled_from([None, b"", FORGED.encode()]),
)
def test_a_captured_signed_request_lends_its_signature_to_no_other_content(
    seen: WebhookRequest, method: str, media_type: str | None, path: str | None, tail: str, body: bytes | None
) -> None:
    """Everything is varied that no signature covers, and what one covers too."""
    target = seen.target if path is None else path + "?"
    varied = replace(seen, method=method, target=target + tail, body=seen.body if body is None else body)
    if media_type is not None:
        varied = with_header(varied, "Content-Type", media_type)
    assert b"CAforged" not in said(varied)


async def test_a_forged_query_reaches_no_topic_through_a_real_socket() -> None:
    async with running_gateway(CREDENTIALS) as gateway:
        seen = telnyx_post(EVENT, timestamp=str(int(time.time())))
        forged = replace(seen, method="GET", target=f"/callbacks/twilio?{FORGED}")
        assert (await gateway.send(forged)).status == 403
        signed = twilio(f"https://{HOST}/callbacks/twilio?a=1")
        sent = get(f"/callbacks/twilio?a=1#&{FORGED}", signed)
        await gateway.send(sent)
        assert not any(b"CAforged" in one.value for one in gateway.sink.landed)
