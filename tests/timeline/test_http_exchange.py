"""Which request and response an event tells of."""

from __future__ import annotations

from typing import Any

import pytest

from stream.timeline.call_timeline import HttpExchange
from stream.timeline.http_exchange import exchange_of

URL = "https://app.example.test/voice"


def log(response: Any, url: Any = URL) -> dict[str, Any]:
    request = {"method": "POST", "url": url}
    return {
        "provider": "twilio",
        "family": "request_log",
        "name": "webhook",
        "attributes": {"request": request, "response": response},
    }


def delivery(**attributes: Any) -> dict[str, Any]:
    return {"provider": "telnyx", "family": "delivery", "name": "call.hangup", "attributes": attributes}


@pytest.mark.parametrize(
    ("event", "exchange"),
    [
        (
            log({"response_code": 200, "request_duration": 38}),
            HttpExchange(url=URL, method="POST", status=200, result="2xx", duration_s=0.038),
        ),
        (
            log({"response_code": "502"}, url=f"{URL}?token=hunter2#x"),
            HttpExchange(url=URL, method="POST", status=502, result="5xx"),
        ),
        (
            log({"response_code": None, "request_duration": 15000}),
            HttpExchange(url=URL, method="POST", result="timeout", duration_s=15.0),
        ),
        (log(None), HttpExchange(url=URL, method="POST", result="none")),
        (log("broken", url=7), HttpExchange(url=None, method="POST", result="none")),
        (
            delivery(metadata={"delivered_to": URL, "status": "failed", "attempt": 3}),
            HttpExchange(url=URL, result="none", attempts=3),
        ),
        (
            delivery(
                status="delivered",
                attempts=[
                    {"started_at": "2026-03-02T10:00:55.1Z", "finished_at": "2026-03-02T10:00:57.1Z"},
                    {"started_at": "2026-03-02T10:00:50.1Z", "finished_at": "2026-03-02T10:00:52.1Z"},
                ],
            ),
            HttpExchange(url=None, result="2xx", duration_s=2.0, attempts=2),
        ),
        (
            {
                "provider": "twilio",
                "family": "other",
                "name": "error_logged",
                "attributes": {"more_info": {"url": URL, "httpResponse": "503"}, "webhook": "broken"},
            },
            HttpExchange(url=URL, status=503, result="5xx"),
        ),
        (
            {
                "provider": "twilio",
                "family": "request_log",
                "name": "com.twilio.voice.api-request.call.created",
                "attributes": {"data": {"request": {"url": URL}, "response": {"responseCode": 201}}},
            },
            HttpExchange(url=URL, status=201, result="2xx"),
        ),
        (delivery(), None),
        ({"provider": "twilio", "family": "progress", "name": "ringing", "attributes": {"url": URL}}, None),
        ({"provider": "twilio", "family": "request_log", "name": "webhook", "attributes": None}, None),
    ],
)
def test_the_exchange_of_an_event(event: dict[str, Any], exchange: HttpExchange | None) -> None:
    assert exchange_of(event) == exchange
