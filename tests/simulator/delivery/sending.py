"""Sends the callbacks of simulated calls to a gateway, and keeps what would be written to Kafka."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson

from stream.gateway.receive.request import FORM, WebhookRequest
from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.check.report import CheckReport
from stream.simulator.delivery.answers import AnswerStats
from stream.simulator.delivery.retries import twilio_retries
from stream.simulator.delivery.webhook_sender import WebhookPlan, WebhookSender
from stream.simulator.delivery.webhooks import gateway_address
from stream.simulator.run import deliver
from stream.simulator.traffic import Traffic
from tests.simulator.fake_gateway import FakeGateway, signing_keys
from tests.simulator.outputs import compared, outputs_of

ONLY_CALLBACKS = frozenset(CALLBACK_SOURCES)
ONLY_TWILIO = frozenset({"twilio_status_callback"})
EAGER = twilio_retries("rc=5&rp=all")


class Rows:
    """Stands for Kafka: keeps what a writer would write."""

    def __init__(self) -> None:
        self.records: list[SourceRecord] = []

    async def append(self, record: SourceRecord) -> None:
        self.records.append(record)

    async def flush(self) -> None:
        pass

    async def acknowledged(self) -> None:
        pass


def traffic_of(calls: int = 20, **options: Any) -> Traffic:
    options = {"sources": ONLY_CALLBACKS, "seed": 11, "start_us": 1_760_000_000_000_000, **options}
    return Traffic(Options(calls=calls, **options))


async def sent(traffic: Traffic, url: str, *, public_url: str = "", **plan: Any) -> tuple[AnswerStats, Rows]:
    """Deliver all of it, with waits of nearly nothing."""
    rows = Rows()
    plan = {"twilio": EAGER, "retry_scale": 0.001, **plan}
    async with WebhookSender(
        WebhookPlan(gateway=gateway_address(url, public_url), signing=signing_keys(), **plan)
    ) as sender:
        await deliver(traffic, rows, sender)  # type: ignore[arg-type]
    return sender.answers, rows


def report_of(traffic: Traffic, gateway: FakeGateway, rows: Rows, answers: AnswerStats) -> CheckReport:
    assert traffic.expected is not None
    report = compared(traffic.expected, outputs_of([*gateway.written, *rows.records]))
    report.answered(answers)
    return report


def is_form(request: WebhookRequest) -> bool:
    return (request.header("Content-Type") or "").startswith(FORM)


def callback_of(request: WebhookRequest) -> str:
    """Identifies the callback that a request carries."""
    if is_form(request):
        body = request.body.decode()
        entry = body.partition("&Sid=NO")[2][:32]
        return entry or body.partition("CallSid=")[2][:34] + body.partition("CallStatus=")[2]
    return str(orjson.loads(request.body)["data"]["id"])


def by_callback(gateway: FakeGateway) -> dict[str, list[WebhookRequest]]:
    found: dict[str, list[WebhookRequest]] = defaultdict(list)
    for request in gateway.requests:
        found[callback_of(request)].append(request)
    return found
