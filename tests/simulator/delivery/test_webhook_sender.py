"""Callbacks over a real socket: retries, time limits, the bound in flight, and the check of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter

import orjson
import pytest

from stream.broker.ports import free_port
from stream.gateway.receive.request import WebhookRequest
from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import Options
from stream.simulator.delivery.retries import TelnyxRetries, twilio_retries
from stream.simulator.delivery.webhook_sender import WebhookPlan, WebhookSender
from stream.simulator.delivery.webhooks import gateway_address
from stream.simulator.run import deliver
from tests.simulator.delivery.sending import (
    EAGER,
    Rows,
    by_callback,
    callback_of,
    is_form,
    report_of,
    sent,
    traffic_of,
)
from tests.simulator.fake_gateway import WRITTEN_BUT_FAILED, FakeGateway, running_gateway, signing_keys


@pytest.mark.parametrize(
    "public_url", ["", "https://hooks.example.test", "https://hooks.example.test:8443/in"]
)
async def test_a_gateway_takes_every_callback_and_what_it_lands_is_the_truth(public_url: str) -> None:
    traffic = traffic_of(
        60,
        sources=Options().sources,
        duplicates=0.15,
        reorder=0.15,
        drop=0.05,
        late=0.05,
        failed=0.2,
    )
    async with running_gateway(public_url=public_url) as gateway:
        answers, rows = await sent(traffic, gateway.url, public_url=public_url)
    assert gateway.refused == []
    assert answers.by_kind == Counter({"2xx": len(gateway.requests)})
    assert answers.sent == answers.taken == len(gateway.requests)
    assert len(rows.records) + answers.sent == traffic.deliveries
    report = report_of(traffic, gateway, rows, answers)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    assert report.events_expected > 200
    endpoints = {
        (request.target.partition("?")[0], request.header("User-Agent")) for request in gateway.requests
    }
    assert endpoints == {
        ("/callbacks/twilio", "TwilioProxy/1.1"),
        ("/callbacks/telnyx", "telnyx-webhooks"),
    }


async def test_what_was_answered_503_comes_again_under_the_same_token_or_id_until_it_is_taken() -> None:
    seen: Counter[str] = Counter()

    def busy_twice(request: WebhookRequest, number: int) -> int:
        seen[callback_of(request)] += 1
        return 503 if seen[callback_of(request)] < 3 else 204

    traffic = traffic_of(telnyx=0.5)
    async with running_gateway(busy_twice) as gateway:
        answers, rows = await sent(traffic, gateway.url)
    assert set(seen.values()) == {3}
    assert (answers.sent, answers.taken, answers.given_up) == (len(seen), len(seen), 0)
    assert answers.retried == 2 * len(seen)
    assert answers.by_kind == Counter({"5xx": 2 * len(seen), "2xx": len(seen)})
    for attempts in by_callback(gateway).values():
        if is_form(attempts[0]):
            assert len({(a.body, a.header("I-Twilio-Idempotency-Token")) for a in attempts}) == 1
        else:
            assert [orjson.loads(a.body)["meta"]["attempt"] for a in attempts] == [1, 2, 3]
            assert len({a.header("telnyx-signature-ed25519") for a in attempts}) == 3
    assert report_of(traffic, gateway, rows, answers).ok


async def test_twilio_without_overrides_does_not_repeat_what_was_answered_503() -> None:
    traffic = traffic_of(telnyx=0.0)
    async with running_gateway(lambda request, number: 503) as gateway:
        answers, _ = await sent(traffic, gateway.url, twilio=twilio_retries(""))
    assert len(gateway.requests) == answers.sent == answers.given_up
    assert answers.refused == answers.retried == 0


async def test_a_slow_gateway_is_cut_off_at_each_providers_limit() -> None:
    traffic = traffic_of(4, telnyx=0.5, seed=3)
    began = time.monotonic()
    async with running_gateway(delay_s=1.0) as gateway:
        answers, rows = await sent(
            traffic,
            gateway.url,
            twilio=twilio_retries("rc=1&rp=all&rt=100"),
            telnyx=TelnyxRetries(answer_s=0.1, waits_s=(1.0,)),
        )
        # It is slow after it has landed them: they are there, and the provider does not know.
        assert time.monotonic() - began < 0.9
    assert answers.by_kind == Counter({"no_answer": 2 * answers.sent})
    assert answers.given_up == answers.sent
    assert answers.quantile_s(0.5) is None
    report = report_of(traffic, gateway, rows, answers)
    assert report.ok, "\n".join(report.lines())
    assert report.events_expected == report.events_found == report.landed == answers.sent


async def test_a_dead_gateway_is_tried_again_and_then_given_up_and_nothing_is_expected_of_it() -> None:
    traffic = traffic_of(telnyx=0.5)
    answers, _ = await sent(
        traffic,
        f"http://127.0.0.1:{free_port(0)}",
        twilio=twilio_retries("rc=2"),
        telnyx=TelnyxRetries(waits_s=(1.0, 1.0)),
    )
    assert answers.sent == answers.given_up > 0
    assert answers.by_kind == Counter({"unreachable": 3 * answers.sent})
    assert traffic.expected is not None
    assert not list(traffic.expected.expected())
    assert not list(traffic.expected.possible())


async def test_a_gateway_without_the_tls_that_was_asked_for_is_not_reached() -> None:
    async with running_gateway() as gateway:
        url = gateway.url.replace("http://", "https://")
        answers, _ = await sent(
            traffic_of(3), url, twilio=twilio_retries(""), telnyx=TelnyxRetries(waits_s=(1,))
        )
    assert answers.by_kind == Counter({"unreachable": answers.sent * 2})
    assert not gateway.requests


async def test_one_that_comes_back_gets_all_that_was_sent_meanwhile() -> None:
    traffic = traffic_of(30)
    async with running_gateway(lambda request, number: 503 if number < 60 else 204) as gateway:
        answers, rows = await sent(traffic, gateway.url, twilio=twilio_retries("rc=5&rp=5xx"))
    assert answers.given_up == 0
    assert report_of(traffic, gateway, rows, answers).ok


async def test_no_more_than_the_bound_are_in_flight() -> None:
    async with running_gateway(delay_s=0.01) as gateway:
        await sent(traffic_of(40), gateway.url, in_flight=7)
    assert gateway.most_at_once == 7


async def test_with_one_at_a_time_the_order_is_that_of_sending() -> None:
    def order(requests: list[WebhookRequest]) -> list[str]:
        return [callback_of(request) for request in requests]

    async with running_gateway() as first, running_gateway() as second:
        await sent(traffic_of(reorder=0.3, duplicates=0.2), first.url, in_flight=1)
        await sent(traffic_of(reorder=0.3, duplicates=0.2), second.url, in_flight=1)
    assert order(first.requests) == order(second.requests)
    of_one = [r.body for r in first.requests if is_form(r)]
    assert of_one == [r.body for r in second.requests if is_form(r)]


async def test_a_duplicate_is_the_same_but_for_what_the_provider_counts() -> None:
    async with running_gateway() as gateway:
        await sent(traffic_of(40, telnyx=0.4, duplicates=0.9), gateway.url, in_flight=1)
    thirds = 0
    for requests in by_callback(gateway).values():
        if is_form(requests[0]):
            assert len({request.body for request in requests}) == 1
            tokens = [request.header("I-Twilio-Idempotency-Token") for request in requests]
            assert len(set(tokens[:2])) == 1
            assert len(set(tokens)) == (2 if len(tokens) > 2 else 1)
            thirds += len(tokens) > 2
        else:
            bodies = [orjson.loads(request.body) for request in requests]
            assert [body["meta"].pop("attempt") for body in bodies] == list(range(1, len(bodies) + 1))
            assert all(body == bodies[0] for body in bodies)
    assert thirds


async def test_telnyx_tries_the_failover_address_at_once_and_says_where_it_delivered() -> None:
    traffic = traffic_of(telnyx=1.0)
    async with running_gateway(lambda request, number: 500) as first, running_gateway() as second:
        answers, _ = await sent(traffic, first.url, failover=gateway_address(second.url))
    assert answers.taken == answers.sent == len(first.requests) == len(second.requests)
    metas = [orjson.loads(request.body)["meta"] for request in second.requests]
    assert {meta["attempt"] for meta in metas} == {2}
    assert {meta["delivered_to"] for meta in metas} == {second.url + "/callbacks/telnyx"}


async def test_a_redirect_is_not_followed() -> None:
    async with running_gateway(lambda request, number: 302) as gateway:
        answers, _ = await sent(traffic_of(5, telnyx=0.5), gateway.url)
    assert {request.target.partition("?")[0] for request in gateway.requests} == {
        "/callbacks/twilio",
        "/callbacks/telnyx",
    }
    assert answers.by_kind == Counter({"3xx": answers.sent})
    assert answers.refused == answers.given_up == answers.sent


async def test_what_was_given_up_may_have_landed_and_neither_is_a_difference() -> None:
    def half(request: WebhookRequest, number: int) -> int:
        return (WRITTEN_BUT_FAILED, 503, 204)[number % 3]

    traffic = traffic_of(60, failed=0.5, telnyx=0.4)
    async with running_gateway(half) as gateway:
        answers, rows = await sent(
            traffic, gateway.url, twilio=twilio_retries(""), telnyx=TelnyxRetries(waits_s=())
        )
    report = report_of(traffic, gateway, rows, answers)
    assert report.ok, "\n".join(report.lines())
    assert report.given_up == answers.given_up == pytest.approx(answers.sent * 2 / 3, abs=1)
    assert report.landed == pytest.approx(answers.sent / 3, abs=1)
    assert f"{report.landed:,} events of them came out all the same" in "\n".join(report.lines())


async def test_what_was_taken_and_did_not_come_out_is_missing() -> None:
    traffic = traffic_of(telnyx=0.4)
    async with running_gateway() as gateway:
        answers, rows = await sent(traffic, gateway.url)
    del gateway.written[3]
    assert report_of(traffic, gateway, rows, answers).differences["event_missing"] == 1


async def test_what_the_gateway_refused_for_good_is_a_difference_without_a_number_or_a_secret() -> None:
    traffic = traffic_of()
    unwanted: list[str] = []

    def refuse_the_first(request: WebhookRequest, number: int) -> int:
        unwanted.append(callback_of(request))
        return 403 if unwanted[-1] == unwanted[0] else 204

    async with running_gateway(refuse_the_first) as gateway:
        answers, rows = await sent(traffic, gateway.url)
    report = report_of(traffic, gateway, rows, answers)
    assert report.differences == {"delivery_refused": 1}
    (example,) = report.examples["delivery_refused"]
    assert re.fullmatch(
        r"(twilio:CA[0-9a-f]{32} twilio_status_callback|telnyx:[0-9a-f-]{36} telnyx_webhook): answered 403",
        example,
    )
    assert report.given_up == 0


async def test_what_was_refused_and_came_out_all_the_same_is_unexpected() -> None:
    traffic = traffic_of(telnyx=0.0)
    async with running_gateway() as gateway:
        await sent(traffic_of(telnyx=0.0), gateway.url)
        written, gateway.status_of = list(gateway.written), lambda request, number: 403
        answers, rows = await sent(traffic, gateway.url)
    gateway.written = written
    assert report_of(traffic, gateway, rows, answers).differences["event_unexpected"] == answers.sent


async def test_a_paced_run_sends_each_at_its_time() -> None:
    traffic = traffic_of(calls=None, seconds=0.6, rate=50)  # type: ignore[arg-type]
    began = time.monotonic()
    async with running_gateway() as gateway:
        await sent(traffic, gateway.url)
    assert 0.4 < time.monotonic() - began < 3
    assert len(gateway.requests) > 3


async def test_a_failure_of_kafka_ends_the_run() -> None:
    class Broken(Rows):
        async def append(self, record: SourceRecord) -> None:
            raise ConnectionError("gone")

    traffic = traffic_of(200, sources=Options().sources)
    async with running_gateway() as gateway:
        with pytest.raises(ConnectionError, match="gone"):
            async with WebhookSender(
                WebhookPlan(gateway=gateway_address(gateway.url), signing=signing_keys())
            ) as sender:
                await deliver(traffic, Broken(), sender)  # type: ignore[arg-type]


async def test_leaving_in_the_middle_leaves_nothing_running() -> None:
    async def interrupted(gateway: FakeGateway) -> None:
        traffic = traffic_of(5)
        plan = WebhookPlan(gateway=gateway_address(gateway.url), signing=signing_keys(), twilio=EAGER)
        async with WebhookSender(plan) as sender:
            for delivery in traffic.outgoing():
                await sender.send(delivery)
            while not gateway.requests:
                await asyncio.sleep(0.01)
            raise InterruptedError

    async with running_gateway(delay_s=5.0) as gateway:
        with pytest.raises(InterruptedError):
            await interrupted(gateway)
        assert not [task for task in asyncio.all_tasks() if "WebhookSender" in repr(task.get_coro())]


async def test_more_exceptions_of_our_own_than_requests_at_once_do_not_hang_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("stream.simulator.delivery.webhook_sender.twilio_webhook", broken)
    plan = WebhookPlan(gateway=gateway_address("http://127.0.0.1:9"), signing=signing_keys(), in_flight=1)

    async def sent_all() -> None:
        async with WebhookSender(plan) as sender:
            for delivery in list(traffic_of(4, telnyx=0.0).outgoing())[:3]:
                await sender.send(delivery)

    async with asyncio.timeout(5) as limit:
        with pytest.raises(KeyError, match="ours"):
            await sent_all()
    assert not limit.expired()


async def test_an_exception_of_our_own_ends_the_run() -> None:
    def fail() -> None:
        raise KeyError("ours")

    async with running_gateway() as gateway:
        plan = WebhookPlan(gateway=gateway_address(gateway.url), signing=signing_keys())
        sender = WebhookSender(plan)
        sender.answers.answered = lambda *_: fail()  # type: ignore[method-assign]
        delivery = next(traffic_of(5).outgoing())
        with pytest.raises(KeyError, match="ours"):
            async with sender:
                await sender.send(delivery)
        with pytest.raises(KeyError, match="ours"):
            await sender.send(delivery)
