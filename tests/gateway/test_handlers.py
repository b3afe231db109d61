"""What a provider is answered, on a real socket. A fake stands for the producer, which has its own tests."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from stream.gateway.handlers import TOKEN_REUSED
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import FORM
from stream.gateway.receive.telnyx_signature import public_key
from stream.gateway.waiting_bodies import WaitingBodies
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.service.metrics.label_values import CALLBACK_ROUTES
from tests.gateway import signing
from tests.gateway.running_gateway import CREDENTIALS, raw, running_gateway

CALL = b"twilio:CA0f000000000000000000000000000001"


async def test_a_signed_callback_lands_and_is_answered_with_nothing_at_all() -> None:
    async with running_gateway() as gateway:
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, await answer.read()) == (204, b"")
        assert "Content-Type" not in answer.headers
        assert "Server" not in answer.headers
        (landed,) = gateway.sink.landed
        assert (landed.source, landed.key) == ("twilio_status_callback", CALL)
        envelope = json.loads(landed.value)
        assert envelope["delivery"]["verified"] is True
        assert envelope["delivery"]["token"] == "token-1"
        assert envelope["body"] == dict(signing.STATUS)
        assert gateway.sink.limits_s == [5.0]
        received = gateway.counted("webhook_events_received_total", source="twilio_status_callback")
        assert received == 1
        assert gateway.counted("webhook_delivery_delay_seconds_count", source="twilio_status_callback") == 1


async def test_case_3_one_token_on_two_calls_is_two_events_and_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def of_call(number: int) -> signing.WebhookRequest:
        return signing.twilio_form(
            [(name, f"CA{number}" if name == "CallSid" else said) for name, said in signing.STATUS]
        )

    async with running_gateway() as gateway:
        for number in (1, 1, 2, 3):
            assert (await gateway.send(of_call(number))).status == 204
        assert [one.key for one in gateway.sink.landed] == [b"twilio:CA1"] * 2 + [
            b"twilio:CA2",
            b"twilio:CA3",
        ]
        assert gateway.counted("webhook_tokens_reused_total") == 2
    assert [one.message for one in caplog.records if one.levelname == "WARNING"] == [TOKEN_REUSED]


async def test_a_get_callback_is_verified_by_its_query_and_landed() -> None:
    parameters = "CallSid=CA1&CallStatus=ringing&SequenceNumber=1&AccountSid=" + signing.ACCOUNT
    target = f"/callbacks/twilio?{parameters}"
    signature = signing.twilio(f"https://{signing.HOST}{target}")
    async with running_gateway() as gateway:
        answer = await gateway.ask("GET", target, **{"X-Twilio-Signature": signature})
        assert answer.status == 204
        assert gateway.sink.landed[0].key == b"twilio:CA1"


async def test_a_batch_lands_as_one_record_for_each_event_and_an_empty_one_as_none() -> None:
    events = [
        {"specversion": "1.0", "id": f"EV{n}", "type": "com.twilio.voice.twiml.call.requested", "data": {}}
        for n in range(3)
    ]
    async with running_gateway() as gateway:
        answer = await gateway.send(signing.twilio_json(json.dumps(events).encode()))
        assert answer.status == 204
        assert [one.source for one in gateway.sink.landed] == ["twilio_event_stream"] * 3
        assert (await gateway.send(signing.twilio_json(b"[]"))).status == 204


async def test_telnyx_is_told_within_its_own_time() -> None:
    """Case 52."""
    credentials = GatewayCredentials(telnyx_keys=(public_key(signing.public()),))
    body = b'{"data":{"event_type":"call.initiated","id":"e1","payload":{"call_leg_id":"leg"}}}'
    async with running_gateway(credentials) as gateway:
        answer = await gateway.send(signing.telnyx_post(body, timestamp=str(int(time.time()))))
        assert answer.status == 204
        assert gateway.sink.limits_s == [1.5]
        assert gateway.sink.landed[0].key == b"telnyx:leg"


@pytest.mark.parametrize(
    ("error", "reason"), [(BufferFullError(), "overloaded"), (NotAcknowledgedError("late"), "produce_failed")]
)
async def test_what_kafka_does_not_have_is_never_acknowledged(error: Exception, reason: str) -> None:
    """Case 52."""
    async with running_gateway() as gateway:
        gateway.sink.error = error
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        rejected = gateway.counted(
            "webhook_requests_rejected_total", source="twilio_status_callback", reason=reason
        )
        assert rejected == 1
        assert gateway.counted("webhook_events_received_total", source="twilio_status_callback") == 0


async def test_a_wrong_signature_is_refused_without_a_word_and_given_to_the_doctor() -> None:
    """Case 44."""
    async with running_gateway() as gateway:
        answer = await gateway.send(signing.twilio_form(token="another"))
        assert (answer.status, await answer.read()) == (403, b"")
        assert gateway.sink.landed == []
        assert gateway.refused == [("bad_signature", "/callbacks/twilio")]
        rejected = gateway.counted(
            "webhook_requests_rejected_total", source="twilio_status_callback", reason="bad_signature"
        )
        assert rejected == 1


async def test_an_unsigned_probe_is_no_event_and_the_credentials_of_a_url_are_not_written() -> None:
    """Case 45."""
    credentials = ("Authorization", "Basic dXNlcjpodW50ZXIy")
    async with running_gateway() as gateway:
        probe = await gateway.ask("POST", "/callbacks/twilio", b"CallSid=CA1", **{"Content-Type": FORM})
        assert (probe.status, gateway.sink.landed) == (403, [])
        assert gateway.counted("webhook_events_received_total", source="twilio_status_callback") == 0
        assert (await gateway.send(signing.twilio_form(headers=[credentials]))).status == 204
        (landed,) = gateway.sink.landed
        assert b"dXNlcjpodW50ZXIy" not in landed.value


async def test_an_account_that_is_not_configured_is_refused_and_counted() -> None:
    parameters = [(name, "ACffffffff" if name == "AccountSid" else value) for name, value in signing.STATUS]
    async with running_gateway() as gateway:
        assert (await gateway.send(signing.twilio_form(parameters))).status == 403
        assert gateway.refused == [("unknown_account", "/callbacks/twilio")]


async def test_unsigned_webhooks_are_taken_where_that_is_allowed_and_counted() -> None:
    async with running_gateway(replace(CREDENTIALS, accept_unsigned=True)) as gateway:
        body = b"CallSid=CA1&CallStatus=ringing&SequenceNumber=1&CallbackSource=call-progress-events"
        answer = await gateway.ask("POST", "/callbacks/twilio", body, **{"Content-Type": FORM})
        assert answer.status == 204
        unsigned = gateway.counted("webhook_unsigned_events_total", source="twilio_status_callback")
        assert unsigned == 1
        said = await (await gateway.own("/readyz")).json()
        assert "without a signature" in said["reasons"][0]


async def test_what_is_about_no_call_is_taken_and_counted_and_not_written() -> None:
    message = [("AccountSid", signing.ACCOUNT), ("MessageSid", "SM1"), ("Body", "hello")]
    batch = (
        b'[{"type":"com.twilio.eventstreams.test-event","data":{}},'
        b'{"type":"com.twilio.voice.status-callback.call.ringing","data":{}}]'
    )
    async with running_gateway() as gateway:
        assert (await gateway.send(signing.twilio_form(message))).status == 204
        assert gateway.sink.landed == []
        assert (await gateway.send(signing.twilio_json(batch))).status == 204
        assert [one.key for one in gateway.sink.landed] == [None], (
            "one that may be about a call is a dead letter"
        )
        assert gateway.counted("webhook_events_ignored_total", reason="message") == 1
        assert gateway.counted("webhook_events_ignored_total", reason="test_event") == 1
        assert gateway.counted("webhook_events_received_total", source="twilio_other_callback") == 0


@pytest.mark.parametrize("path", ["/", "/callbacks", "/callbacks/twilio/", "/callbacks/telnyx/x", "/etc"])
async def test_another_path_gets_a_bare_404(path: str) -> None:
    async with running_gateway() as gateway:
        answer = await gateway.ask("POST", path, b"x=y")
        assert (answer.status, await answer.read()) == (404, b"")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", CALLBACK_ROUTES)
async def test_another_method_gets_a_bare_405(method: str, path: str) -> None:
    async with running_gateway() as gateway:
        answer = await gateway.ask(method, path)
        assert (answer.status, await answer.read()) == (405, b"")


async def test_telnyx_and_event_streams_are_never_asked_by_get() -> None:
    async with running_gateway() as gateway:
        for path in CALLBACK_ROUTES[1:]:
            assert (await gateway.ask("GET", path)).status == 405
        assert gateway.refused == []


async def test_a_signed_get_that_is_refused_for_its_method_is_handed_to_the_doctor() -> None:
    async with running_gateway() as gateway:
        signatures = ("X-Twilio-Signature", "Telnyx-Signature-Ed25519")
        for path, header in zip(CALLBACK_ROUTES[1:], signatures, strict=True):
            for target in (f"{path}?CallSid=CA1", path + "?" + "&" * 2000):
                assert (await gateway.ask("GET", target, **{header: "x"})).status == 405
            assert (await gateway.ask("PUT", path, **{header: "x"})).status == 405
        assert gateway.refused == [("wrong_method", path) for path in CALLBACK_ROUTES[1:]]
        assert gateway.handlers._in_work == 0


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"not json", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"[" * 3000, "application/json", 400),
        (b"<xml/>", "text/xml", 415),
    ],
)
async def test_what_no_repetition_mends_is_said_so(body: bytes, media_type: str, status: int) -> None:
    async with running_gateway(replace(CREDENTIALS, accept_unsigned=True)) as gateway:
        answer = await gateway.ask("POST", "/callbacks/twilio", body, **{"Content-Type": media_type})
        assert (answer.status, await answer.read()) == (status, b"")
        assert gateway.refused == []
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed")
        assert rejected == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\nx",
        b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nExpect: rabbits\r\nContent-Length: 1\r\n\r\nx",
        b"PUT /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_no_error_has_a_body_or_names_the_software_behind_it(sent: bytes) -> None:
    async with running_gateway(bodies=WaitingBodies(limit_s=0.2)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head[9:10] == b"4", head
        assert b"\r\nserver:" not in head.lower()
        assert b"python" not in head.lower()
        assert b"\r\ncontent-length: 0" in head.lower()
        assert body == b""


async def test_a_sender_that_goes_away_has_its_delivery_landed_all_the_same() -> None:
    async with running_gateway() as gateway:
        gateway.sink.open.clear()
        sending = asyncio.create_task(gateway.send(signing.twilio_form()))
        while not gateway.sink.limits_s:
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        gateway.sink.open.set()
        for _ in range(100):
            if gateway.sink.landed:
                break
            await asyncio.sleep(0.01)
        assert len(gateway.sink.landed) == 1


async def test_an_error_of_our_own_is_a_bare_500_and_the_next_request_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_gateway() as gateway:
        gateway.sink.error = ZeroDivisionError("+15005550006")
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, await answer.read()) == (500, b"")
        gateway.sink.error = None
        assert (await gateway.send(signing.twilio_form())).status == 204
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_not_http_is_counted_and_its_text_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_gateway() as gateway:
        answer = await raw(gateway, b"BREW /callbacks/twilio?To=%2B15005550006 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 400 ")
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed")
        assert rejected == 1
    assert "5005550006" not in caplog.text


async def test_requests_are_counted_by_route_method_and_code() -> None:
    async with running_gateway() as gateway:
        await gateway.send(signing.twilio_form())
        await gateway.ask("OPTIONS", "/pot")
        counted = gateway.counted
        assert counted("http_requests_total", route="/callbacks/twilio", method="POST", code="204") == 1
        assert counted("http_requests_total", route="other", method="other", code="404") == 1
        assert counted("http_request_duration_seconds_count", route="/callbacks/twilio") == 1
