"""The entries of Twilio's error log are sent as Twilio sends them, and a gateway takes each of them."""

from __future__ import annotations

from collections import Counter

import pytest

from stream.simulator.calls.options import EVENT_STREAM, SENT_SOURCES, Options
from stream.simulator.calls.wall_clock import wall_us
from stream.simulator.delivery.webhooks import SigningKeys, gateway_address, twilio_webhook
from stream.simulator.traffic import Traffic
from tests.simulator.delivery.sending import report_of, sent, traffic_of
from tests.simulator.fake_gateway import running_gateway


@pytest.mark.parametrize("public_url", ["", "https://hooks.example.test:8443/in"])
@pytest.mark.parametrize("source", ["twilio_debugger", EVENT_STREAM])
async def test_a_gateway_takes_every_entry_beside_the_callbacks_and_each_failure_raises_one_alert(
    public_url: str, source: str
) -> None:
    traffic = traffic_of(
        60,
        sources=frozenset({"twilio_status_callback", "twilio_call_event", source}),
        failing_webhooks=0.5,
        duplicates=0.2,
        start_us=wall_us(),  # an entry that is years old counts as received now
    )
    async with running_gateway(public_url=public_url) as gateway:
        answers, rows = await sent(traffic, gateway.url, public_url=public_url)
    assert gateway.refused == []
    assert answers.by_kind == Counter({"2xx": len(gateway.requests)})
    report = report_of(traffic, gateway, rows, answers)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    told = [one for one in gateway.requests if b"Payload" in one.body or b"payload" in one.body]
    assert len(told) > 40
    assert {(one.header("Content-Type") or "").partition(";")[0] for one in told} == {
        "application/json" if source == EVENT_STREAM else "application/x-www-form-urlencoded"
    }
    assert {"bodySHA256=" in one.target for one in told} == {source == EVENT_STREAM}
    tokens = [one.header("I-Twilio-Idempotency-Token") for one in told]
    assert (None in tokens) is (source == EVENT_STREAM)


async def test_a_gateway_takes_every_callback_that_there_is_for_what_it_is() -> None:
    traffic = traffic_of(150, sources=frozenset(SENT_SOURCES), failing_webhooks=0.2, start_us=wall_us())
    async with running_gateway() as gateway:
        answers, rows = await sent(traffic, gateway.url)
    assert gateway.refused == []
    report = report_of(traffic, gateway, rows, answers)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    assert traffic.expected is not None
    arrived = {source for call in traffic.expected.calls for source, _ in call.delivered}
    assert arrived == set(SENT_SOURCES)


def test_without_a_token_an_event_is_sent_unsigned() -> None:
    options = Options(calls=40, failing_webhooks=1.0, sources=frozenset({EVENT_STREAM}))
    to = gateway_address("http://127.0.0.1:8080")
    for delivery in Traffic(options).outgoing():
        webhook = twilio_webhook(delivery, to, SigningKeys())
        assert "X-Twilio-Signature" not in webhook.headers
