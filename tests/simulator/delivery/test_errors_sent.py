"""The entries of Twilio's error log are sent as Twilio sends them, and a gateway takes each of them."""

from __future__ import annotations

from collections import Counter

import pytest

from stream.simulator.calls.options import EVENT_STREAM, Options
from stream.simulator.delivery.webhooks import SigningKeys, gateway_address, twilio_webhook
from stream.simulator.traffic import Traffic
from tests.simulator.delivery.sending import report_of, sent, traffic_of
from tests.simulator.fake_gateway import running_gateway


@pytest.mark.parametrize("public_url", ["", "https://hooks.example.test:8443/in"])
async def test_a_gateway_takes_every_event_of_event_streams_beside_the_callbacks(public_url: str) -> None:
    sources = frozenset({"twilio_status_callback", "twilio_call_event", EVENT_STREAM})
    traffic = traffic_of(60, sources=sources, failing_webhooks=0.5, duplicates=0.2)
    async with running_gateway(public_url=public_url) as gateway:
        answers, rows = await sent(traffic, gateway.url, public_url=public_url)
    assert gateway.refused == []
    assert answers.by_kind == Counter({"2xx": len(gateway.requests)})
    report = report_of(traffic, gateway, rows, answers)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    streamed = [request for request in gateway.requests if "bodySHA256=" in request.target]
    assert len(streamed) > 40
    assert {request.header("Content-Type") for request in streamed} == {"application/json"}


def test_without_a_token_an_event_is_sent_unsigned() -> None:
    options = Options(calls=40, failing_webhooks=1.0, sources=frozenset({EVENT_STREAM}))
    to = gateway_address("http://127.0.0.1:8080")
    for delivery in Traffic(options).outgoing():
        webhook = twilio_webhook(delivery, to, SigningKeys())
        assert "X-Twilio-Signature" not in webhook.headers
