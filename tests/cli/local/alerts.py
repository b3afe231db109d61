"""Alert records as they are in Kafka."""

from __future__ import annotations

from typing import Any

import orjson

from stream.cli.local.notices import AlertNotice, read_notice

ALERT: dict[str, Any] = {
    "detected_at": "2026-11-21T13:18:20.041696Z",
    "severity": "critical",
    "rule": {"id": "webhook.failing", "version": 1},
    "provider": "twilio",
    "state": "firing",
    "scope": {"type": "endpoint", "id": "twilio:endpoint:AC1:https://app.example.test/voice"},
    "call": {"id": "CA1"},
    "reason": {"text": "The application answered 502 at https://app.example.test/voice."},
}


def notice(
    at: str,
    *,
    text: str = "The call failed.",
    call: str = "CA1",
    state: str = "firing",
    code: str = "failed",
    revision: int = 1,
) -> AlertNotice:
    """The notice of a call's alert."""
    record = ALERT | {
        "detected_at": at,
        "rule": {"id": "call.failed"},
        "scope": {"type": "call", "id": f"twilio:{call}"},
        "reason": {"text": text, "code": code},
        "state": state,
        "revision": revision,
    }
    found = read_notice(orjson.dumps(record))
    assert found is not None
    return found
