"""How Telnyx says that webhooks were delivered: rows of `call_events` and of `webhook_deliveries`.

Both resources tell the same attempts. A failed webhook was tried three times and never answered.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import iso_us
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.scenario import CallLeg
from stream.simulator.calls.seeded_random import uuid_text
from stream.simulator.telnyx.webhooks import TelnyxEvent

WEBHOOK_URL = "https://app.example.test/telnyx"
RETRIED_US = (0, 2_000_000, 5_000_000)
"""When a failing webhook is tried, counted from its event."""

UNANSWERED_US = 2_000_000
"""How long Telnyx waits for an answer."""


class LogRow(NamedTuple):
    """A row of `call_events`. `event`: index of the webhook's event, None for a command.

    `failed`: the webhook was not delivered.
    """

    event: int | None
    name: str
    at_us: int
    failed: bool


class WebhookDelivery(NamedTuple):
    """A row of `webhook_deliveries`. `event`: index of the webhook's event.

    `answer_us`: how long the application took to answer; a failed delivery got no answer.
    """

    event: int
    id: str
    began_us: int
    answer_us: int
    failed: bool

    @property
    def finished_us(self) -> int:
        """When the last attempt was over."""
        return self.began_us + (RETRIED_US[-1] + UNANSWERED_US if self.failed else self.answer_us)


def webhook_url(call: SimulatedCall) -> str:
    """Where the customer has the call's webhooks sent to."""
    return WEBHOOK_URL if call.planted is None else call.planted.url


def attempts(failed: bool) -> int:
    return len(RETRIED_US) if failed else 1


def log_rows(rng: random.Random, leg: CallLeg, events: list[TelnyxEvent], failing: float) -> list[LogRow]:
    """The log of a call: the command that began or answered it, and its webhooks."""
    rows = []
    if leg.direction != "inbound":
        rows.append(LogRow(None, "dial", leg.began_us - 1000, False))
    elif leg.answered_us is not None:
        rows.append(LogRow(None, "answer", leg.answered_us - 1000, False))
    for n, event in enumerate(events):
        rows.append(LogRow(n, event.name, event.at_us, rng.random() < failing))
    return rows


def deliveries(rng: random.Random, log: list[LogRow]) -> list[WebhookDelivery]:
    return [
        WebhookDelivery(row.event, uuid_text(rng), row.at_us, 20_000 + rng.randrange(300_000), row.failed)
        for row in log
        if row.event is not None
    ]


def log_metadata(call: SimulatedCall, row: LogRow, event: dict[str, Any], attempt: int) -> dict[str, Any]:
    """The metadata of a webhook's row; `attempt` may differ between two reads of one row."""
    return {
        "attempt": attempt,
        "delivered_to": webhook_url(call),
        "status": "failed" if row.failed else "delivered",
        "event": event,
    }


def delivery_row(call: SimulatedCall, delivery: WebhookDelivery, event: dict[str, Any]) -> dict[str, Any]:
    """A row of the resource; its attempts are newest first."""
    return {
        "record_type": "webhook_delivery",
        "id": delivery.id,
        "user_id": call.account,
        "status": "failed" if delivery.failed else "delivered",
        "started_at": iso_us(delivery.began_us),
        "finished_at": iso_us(delivery.finished_us),
        "attempts": [_attempt(call, delivery, n) for n in reversed(range(attempts(delivery.failed)))],
        "webhook": event,
    }


def _attempt(call: SimulatedCall, delivery: WebhookDelivery, number: int) -> dict[str, Any]:
    began_us = delivery.began_us + RETRIED_US[number]
    took_us = UNANSWERED_US if delivery.failed else delivery.answer_us
    http: dict[str, Any] = {
        "request": {"url": WEBHOOK_URL, "headers": [["content-type", "application/json"]]},
        "response": {"status": 200, "headers": [], "body": ""},
    }
    if call.planted is not None:
        http = call.planted.fill(planted.ATTEMPT)
    if delivery.failed:
        http["response"] = None
    return {
        "status": "failed" if delivery.failed else "delivered",
        "started_at": iso_us(began_us),
        "finished_at": iso_us(began_us + took_us),
        "errors": [{"code": "timeout", "detail": "no answer"}] if delivery.failed else [],
        "http": http,
    }
