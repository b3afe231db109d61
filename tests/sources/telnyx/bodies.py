"""Bodies of Telnyx' webhooks."""

from __future__ import annotations

from typing import Any

LEG = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"
SESSION = "c3f1ca00-0000-11ef-8000-02420a0d7e70"
EVENT = "5b0f0c1e-1111-4222-8333-444455556666"
AT = 1_772_445_619_450_211


def record(event_type: Any = "call.hangup", **payload: Any) -> dict[str, Any]:
    return {
        "record_type": "event",
        "event_type": event_type,
        "id": EVENT,
        "occurred_at": "2026-03-02T10:00:19.450211Z",
        "payload": {
            "call_control_id": "v3:abc",
            "call_leg_id": LEG,
            "call_session_id": SESSION,
            "connection_id": "1700000000000000001",
            "client_state": "c2VjcmV0",
            "from": "+15005550006",
            "to": "sip:zoë@example.test",
            **payload,
        },
    }


def webhook(data: Any, attempt: int = 1) -> dict[str, Any]:
    return {"data": data, "meta": {"attempt": attempt, "delivered_to": "https://hooks.example.test/tx"}}
