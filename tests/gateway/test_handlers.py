"""What a provider is answered, on a real socket. What the broker does is the lander's tests' business."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import logging
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from aiohttp import http_parser

from stream.gateway.failed_verifications import BURST
from stream.gateway.handlers import RequestLimits
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.request import FORM, headers_of
from stream.gateway.receive.telnyx_signature import public_key
from stream.gateway.waiting_bodies import WaitingBodies
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.service.metrics.label_values import CALLBACK_ROUTES
from tests.gateway import signing
from tests.gateway.running_gateway import CREDENTIALS, RunningGateway, running_gateway

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
    async with running_gateway() as gateway:
        answer = await gateway.send(signing.twilio_form(token="another"))
        assert (answer.status, await answer.read()) == (403, b"")
        assert gateway.sink.landed == []
        assert gateway.refused == [("bad_signature", "/callbacks/twilio")]
        rejected = gateway.counted(
            "webhook_requests_rejected_total", source="twilio_status_callback", reason="bad_signature"
        )
        assert rejected == 1


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


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_and_its_connection_ended(chunked: bool) -> None:
    async def parts() -> object:
        for _ in range(80):
            yield b"x" * 1024

    async with running_gateway() as gateway:
        url = f"http://127.0.0.1:{gateway.port}/callbacks/twilio"
        data = parts() if chunked else b"x" * 80 * 1024
        async with gateway.client.post(url, data=data, headers={"Content-Type": FORM}) as answer:
            assert (answer.status, answer.headers["Connection"]) == (413, "close")
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="too_large")
        assert rejected == 1


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


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with running_gateway(bodies=WaitingBodies(limit_s=0.2)) as gateway:
        head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
        answer = await raw(gateway, head + b"abc")
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "packed",
    ["Content-Encoding: gzip", "Content-Encoding: identity, br", "Transfer-Encoding: gzip, chunked"],
)
async def test_a_packed_body_is_refused_before_any_of_it_is_there(packed: str) -> None:
    async with running_gateway() as gateway:
        length = "" if "Transfer" in packed else "Content-Length: 1000000\r\n"
        head = f"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\n{packed}\r\n{length}\r\n"
        began = time.monotonic()
        answer = await raw(gateway, head.encode())
        assert answer.startswith(b"HTTP/1.1 415 ")
        assert answer.endswith(b"\r\n\r\n")
        assert time.monotonic() - began < 1, "its body was waited for"
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed")
        assert rejected == 1


async def test_a_body_that_says_that_it_is_not_packed_is_taken() -> None:
    form = signing.twilio_form(headers=[("Content-Encoding", "identity")])
    async with running_gateway() as gateway:
        assert (await gateway.send(form)).status == 204


async def test_nothing_is_unpacked_also_where_no_route_is() -> None:
    bomb = gzip.compress(b"x" * (1 << 24))
    async with running_gateway() as gateway:
        sent = "POST /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
        sent += f"Content-Length: {len(bomb)}\r\n\r\n"
        with unpacking_forbidden():
            assert (await raw(gateway, sent.encode() + bomb)).startswith(b"HTTP/1.1 404 ")


async def test_who_is_gone_or_cut_off_before_its_body_is_read_is_no_fault_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\n"
    async with running_gateway() as gateway:
        for _ in range(5):
            await raw(gateway, head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000)
            with socket.create_connection(("127.0.0.1", gateway.port)) as one:
                one.sendall(head + b"Content-Length: 10\r\n\r\n")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with asyncio.timeout(5):
            while (
                gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed") < 10
            ):
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_bodies_that_do_not_come_take_no_place_of_those_that_do() -> None:
    head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
    async with running_gateway(limits=RequestLimits(at_once=2), bodies=WaitingBodies(at_most=3)) as gateway:
        stalled = [asyncio.create_task(raw(gateway, head)) for _ in range(5)]
        answered, _ = await asyncio.wait(stalled, timeout=1)
        assert {one.result()[:13] for one in answered} == {b"HTTP/1.1 503 "}
        assert all(b"\r\nRetry-After: 1\r\n" in one.result() for one in answered)
        assert len(answered) == 2, "the oldest make room for those that come"
        assert (await gateway.send(signing.twilio_form())).status == 204
        for one in stalled:
            one.cancel()


def limited_at(gateway: RunningGateway, address: str) -> None:
    for _ in range(BURST + 10):
        gateway.failures.record_failure(address, time.monotonic(), 0.0)


BEHIND_A_PROXY = replace(CREDENTIALS, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))


async def test_an_address_whose_signatures_fail_is_told_to_come_again_later_and_nobody_else() -> None:
    attacker, other = (("X-Forwarded-For", f"203.0.113.{n}") for n in (66, 7))
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        wrong = signing.twilio_form(token="another", headers=[attacker])
        answers = [await gateway.send(wrong) for _ in range(25)]
        assert [one.status for one in answers[:20]] == [403] * 20
        assert {one.status for one in answers[21:]} == {429}
        assert answers[-1].headers["Retry-After"] == "1"
        assert answers[-1].headers["Connection"] == "close"
        assert (await gateway.send(signing.twilio_form(headers=[other]))).status == 204
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="rate_limited")
        assert rejected >= 4


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
async def test_whoever_shares_a_providers_address_does_not_shut_it_out(provider: str) -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    wrong = signing.twilio_form(token="another", headers=[shared])
    body = b'{"data":{"event_type":"call.answered","id":"e1","payload":{"call_leg_id":"l1"}}}'
    good = signing.twilio_form()
    if provider == "telnyx":
        good = signing.telnyx_post(body, timestamp=str(int(time.time())))
    good = replace(good, headers=headers_of((*good.headers.items(), shared)))
    async with running_gateway(
        replace(BEHIND_A_PROXY, telnyx_keys=(public_key(signing.public()),))
    ) as gateway:
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(wrong)).status == 429
        assert (await gateway.send(good)).status == 204


@pytest.mark.parametrize(
    "parameters",
    [
        [*signing.STATUS, ("Body", "x" * 10_000)],
        [*signing.STATUS, *((f"p{n}", "") for n in range(100))],
    ],
    ids=["large", "many parameters"],
)
async def test_of_a_limited_address_nothing_is_verified_that_costs_much(
    parameters: signing.Parameters,
) -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        sent = signing.twilio_form(parameters, headers=[shared])
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(sent)).status == 429
    async with running_gateway(BEHIND_A_PROXY) as gateway:
        assert (await gateway.send(sent)).status == 204


async def test_of_a_limited_address_nothing_is_verified_that_many_keys_may_have_signed() -> None:
    shared = ("X-Forwarded-For", "203.0.113.66")
    tokens = {signing.ACCOUNT: ("1", "2", "3", "4", signing.TOKEN)}
    async with running_gateway(replace(BEHIND_A_PROXY, twilio_tokens=tokens)) as gateway:
        limited_at(gateway, "203.0.113.66")
        assert (await gateway.send(signing.twilio_form(headers=[shared]))).status == 429


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)])
async def test_a_proxy_that_does_not_tell_its_clients_apart_shuts_nobody_out(
    trusted: tuple[str, ...],
) -> None:
    credentials = replace(CREDENTIALS, trusted_proxies=tuple(map(ipaddress.ip_network, trusted)))
    async with running_gateway(credentials) as gateway:
        for _ in range(30):
            assert (await gateway.send(signing.twilio_form(token="another"))).status == 403
        assert (await gateway.send(signing.twilio_form())).status == 204


async def test_an_address_that_has_verified_is_never_limited() -> None:
    credentials = replace(CREDENTIALS, trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))
    async with running_gateway(credentials) as gateway:
        assert (await gateway.send(signing.twilio_form())).status == 204
        for _ in range(30):
            assert (await gateway.send(signing.twilio_form(token="another"))).status == 403
        assert (await gateway.send(signing.twilio_form())).status == 204


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
async def test_the_public_port_says_nothing_of_the_gateways_health(path: str) -> None:
    async with running_gateway() as gateway:
        answer = await gateway.ask("GET", path)
        assert (answer.status, await answer.read()) == (404, b"")
        assert (await gateway.own(path)).status == 200


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


async def test_a_connection_that_asks_for_nothing_is_cut() -> None:
    async with running_gateway() as gateway:
        assert await raw(gateway, b"POST /callbacks/twi") == b""
        assert gateway.connections.cut == 1


async def test_a_connection_between_two_requests_is_left_alone() -> None:
    async with running_gateway() as gateway:
        for _ in range(2):
            assert (await gateway.send(signing.twilio_form())).status == 204
            await asyncio.sleep(0.5)
        assert gateway.connections.cut == 0


async def test_who_is_connected_when_it_closes_gets_an_answer_and_is_told_that_it_is_the_last() -> None:
    async with running_gateway() as gateway:
        assert (await gateway.ask("GET", "/nothing")).headers.get("Connection") != "close"
        gateway.connections.closing = True
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, answer.headers["Connection"]) == (204, "close")


async def test_too_many_at_once_are_told_at_once_to_come_again() -> None:
    async with running_gateway(limits=RequestLimits(at_once=3)) as gateway:
        gateway.sink.open.clear()
        held = [asyncio.create_task(gateway.send(signing.twilio_form())) for _ in range(3)]
        while gateway.handlers.in_work < 3:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert time.monotonic() - began < 0.5
        gateway.sink.open.set()
        assert [one.status for one in await asyncio.gather(*held)] == [204] * 3
        assert gateway.counted("webhook_requests_rejected_total", source="unknown", reason="overloaded") == 1


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


async def test_what_is_no_http_is_counted_and_its_text_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_ready_means_that_the_broker_takes_writes() -> None:
    async with running_gateway() as gateway:
        answer = await gateway.own("/readyz")
        assert (answer.status, await answer.json()) == (200, {"status": "ok", "reasons": []})
        gateway.trouble = "the broker does not answer"
        answer = await gateway.own("/readyz")
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["the broker does not answer"]
        assert (await gateway.own("/livez")).status == 200


async def test_a_gateway_is_not_live_when_something_beside_its_doors_has_died() -> None:
    async def dies() -> None:
        raise ZeroDivisionError

    async with running_gateway() as gateway:
        assert (await gateway.own("/livez")).status == 200
        gateway.beside.append(asyncio.create_task(dies(), name="the watch"))
        await asyncio.wait(gateway.beside)
        answer = await gateway.own("/livez")
        assert (answer.status, (await answer.json())["reasons"]) == (503, ["the watch has ended"])
        gateway.beside.pop().exception()


async def test_a_gateway_that_believes_nobody_says_so() -> None:
    async with running_gateway(GatewayCredentials()) as gateway:
        said = await (await gateway.own("/readyz")).json()
        assert "every webhook is refused" in said["reasons"][0]
        assert (await gateway.send(signing.twilio_form())).status == 403


@contextmanager
def unpacking_forbidden() -> Iterator[None]:
    """Fails where a body was unpacked; that alone would only end its connection."""
    unpacked = []

    def seen(*_: object, **__: object) -> bool:
        unpacked.append(1)
        return True

    before = http_parser.DeflateBuffer.feed_data
    http_parser.DeflateBuffer.feed_data = seen  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        http_parser.DeflateBuffer.feed_data = before  # type: ignore[method-assign]
    assert not unpacked


async def raw(gateway: RunningGateway, sent: bytes) -> bytes:
    """What a client of raw bytes is sent until its connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
