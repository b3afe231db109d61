"""Telnyx' `webhook_deliveries`: one row a webhook, once its delivery has come to an end.

The rule of this file: it says how a delivery went, in the log's attempts and in this resource's, so that the
two agree. A webhook that failed was tried three times.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from stream.simulator.calls import planted
from stream.simulator.calls.seeded_random import uuid_text
from stream.simulator.calls.time_formats import iso_us

if TYPE_CHECKING:
    from stream.simulator.telnyx.reports import LogRow, TelnyxCall

RETRIED_US = (0, 2_000_000, 5_000_000)
"""When a webhook that fails is tried, from its event on."""

UNANSWERED_US = 2_000_000
"""How long Telnyx waits for an answer."""


class WebhookDelivery(NamedTuple):
    """How the delivery of a webhook (`hook`, its place among the call's) went.

    `answer_us` is how long the application took; of one that failed it never answered.
    """

    hook: int
    id: str
    began_us: int
    answer_us: int
    failed: bool

    @property
    def finished_us(self) -> int:
        """When the last attempt was over."""
        return self.began_us + (RETRIED_US[-1] + UNANSWERED_US if self.failed else self.answer_us)


def deliveries(rng: random.Random, log: list[LogRow]) -> list[WebhookDelivery]:
    """Those of the webhooks in a call's log."""
    return [
        WebhookDelivery(row.hook, uuid_text(rng), row.at_us, 20_000 + rng.randrange(300_000), row.failed)
        for row in log
        if row.hook is not None
    ]


def attempts(failed: bool) -> int:
    """How often a webhook is sent in the end."""
    return len(RETRIED_US) if failed else 1


def delivery_row(call: TelnyxCall, delivery: WebhookDelivery) -> dict[str, Any]:
    """A row of the resource; its attempts are newest first."""
    return {
        "record_type": "webhook_delivery",
        "id": delivery.id,
        "user_id": call.account,
        "status": "failed" if delivery.failed else "delivered",
        "started_at": iso_us(delivery.began_us),
        "finished_at": iso_us(delivery.finished_us),
        "attempts": [_attempt(call, delivery, n) for n in reversed(range(attempts(delivery.failed)))],
        "webhook": call.event(call.hooks[delivery.hook]),
    }


def _attempt(call: TelnyxCall, delivery: WebhookDelivery, number: int) -> dict[str, Any]:
    began_us = delivery.began_us + RETRIED_US[number]
    took_us = UNANSWERED_US if delivery.failed else delivery.answer_us
    http: dict[str, Any] = {
        "request": {"url": call.webhook_url, "headers": [["content-type", "application/json"]]},
        "response": {"status": 200, "headers": [], "body": ""},
    }
    if call.planted is not None:
        http = planted.attempt(call.planted)
    if delivery.failed:
        http["response"] = None
    return {
        "status": "failed" if delivery.failed else "delivered",
        "started_at": iso_us(began_us),
        "finished_at": iso_us(began_us + took_us),
        "errors": [{"code": "timeout", "detail": "no answer"}] if delivery.failed else [],
        "http": http,
    }
