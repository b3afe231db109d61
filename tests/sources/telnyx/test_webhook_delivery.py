"""Telnyx' record of one webhook (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Reading, WebhookAnswer

Read = Callable[..., list[Reading]]


def attempt(code: int | None, url: str = "https://hooks.example.test/tx?token=hunter2") -> dict[str, Any]:
    return {
        "status": "delivered" if code else "failed",
        "started_at": "2026-03-02T10:00:55.1Z",
        "finished_at": "2026-03-02T10:00:57.1Z",
        "http": {
            "request": {"url": url, "headers": [["token", "hunter2"]]},
            "response": None if code is None else {"status": code, "body": "hunter2"},
        },
    }


def body(*attempts: dict[str, Any], status: str = "failed", **changes: Any) -> dict[str, Any]:
    return {
        "id": "delivery-1",
        "status": status,
        "finished_at": "2026-03-02T10:00:57.1Z",
        "attempts": list(attempts),
        "webhook": {"id": "e1", "event_type": "call.hangup", "payload": {"call_leg_id": "leg-1"}},
        **changes,
    }


def test_case_55_a_webhook_delivery_is_not_a_call_event(read: Read) -> None:
    own, observed = read("telnyx_webhook_delivery", body(attempt(None), attempt(503)))
    event = own.event
    assert (event.key, event.family, event.name, event.status) == (
        "telnyx:leg-1",
        "delivery",
        "call.hangup",
        None,
    )
    assert own.answer == WebhookAnswer("https://hooks.example.test/tx", None, None, 2.0, "none", 2)
    assert (observed.event.family, observed.event.name, observed.parts) == ("progress", "completed", ("e1",))
    assert "hunter2" not in repr((own, observed))


def test_case_29_a_delivery_is_one_event_in_both_of_telnyx_logs(read: Read) -> None:
    webhook = body(attempt(None))["webhook"]
    metadata = {"delivered_to": "https://hooks.example.test/tx", "status": "failed", "event": webhook}
    row = {"call_leg_id": "leg-1", "name": "call.hangup", "type": "webhook", "metadata": metadata}
    logs = read("telnyx_call_event", row), read("telnyx_webhook_delivery", body(attempt(None)))
    ours = [[(one.event.family, one.identity_rule, one.parts) for one in log] for log in logs]
    assert (
        ours[0]
        == ours[1]
        == [
            ("delivery", "2", ("e1", "https://hooks.example.test/tx")),
            ("progress", "2", ("e1",)),
        ]
    )


def test_a_further_attempt_is_the_same_delivery_and_has_the_newest_answer(read: Read) -> None:
    failover = attempt(200, "https://failover.example.test/tx")
    rows = [body(attempt(500), status="queued"), body(failover, attempt(500), status="delivered")]
    first, last = (read("telnyx_webhook_delivery", row)[0] for row in rows)
    assert first.parts == last.parts
    assert first.answer is None
    assert last.answer == WebhookAnswer("https://failover.example.test/tx", None, 200, 2.0, "2xx", 2)


@pytest.mark.parametrize("webhook", [{"payload": {"call_leg_id": "leg-1"}}, {"call_leg_id": "leg-1"}])
def test_a_delivery_of_something_that_cannot_be_read_is_kept_alone(read: Read, webhook: Any) -> None:
    (own,) = read("telnyx_webhook_delivery", body(webhook=webhook))
    assert (own.event.name, own.identity_rule, own.parts) == ("unknown", "2", ("delivery-1",))


def test_the_event_of_another_call_is_left_out(read: Read) -> None:
    """As in call_events: the state of that call may be in another partition."""
    payload = '{"call_leg_id": "leg-1"}'
    sent = {"id": "e1", "event_type": "call.hangup", "payload": payload, "call_leg_id": "leg-2"}
    (own,) = read("telnyx_webhook_delivery", body(attempt(None), webhook=sent))
    assert own.event.key == "telnyx:leg-2"
