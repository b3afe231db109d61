"""Telnyx' record of one webhook (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable

from stream.core.events import Reading

Read = Callable[..., list[Reading]]


def test_case_55_a_webhook_delivery_is_not_a_call_event(read: Read) -> None:
    body = {
        "id": "delivery-1",
        "status": "failed",
        "finished_at": "2026-03-02T10:00:57.1Z",
        "attempts": [{"status": "failed", "http": {"request": {"headers": [["token", "hunter2"]]}}}],
        "webhook": {"id": "e1", "event_type": "call.hangup", "payload": {"call_leg_id": "leg-1"}},
    }
    (reading,) = read("telnyx_webhook_delivery", body)
    event = reading.event
    assert (event.key, event.family, event.name, event.status) == (
        "telnyx:leg-1",
        "delivery",
        "call.hangup",
        None,
    )
    assert (reading.identity_rule, reading.parts) == ("2", ("delivery-1",))
    assert "hunter2" not in repr(reading)
