"""Twilio's Event Streams: CloudEvents around what callbacks, Voice Insights and the error log tell too."""

from __future__ import annotations

import hashlib
from typing import Any

from stream.provider_api.time_formats import iso_ms, rfc2822
from stream.simulator.twilio.request_log import STATUS_URL

_TYPE = "com.twilio.voice."


def callback_event(call_id: str, kind: str, form: dict[str, Any], at_us: int) -> dict[str, Any]:
    """The CloudEvent of a callback. `kind`: the end of its type."""
    data = {
        "sid": call_id,
        "eventSid": _id("VW", call_id, kind, at_us),
        "timestamp": iso_ms(at_us),
        "requestDateCreated": rfc2822(at_us),
        "request": {"method": "POST", "url": STATUS_URL, "parameters": form},
        "response": {"responseCode": 204, "requestDuration": 38, "contentType": "", "responseBody": ""},
    }
    return _cloud_event(f"status-callback.{kind}", "Voice.WebhookEvent/2", call_id, at_us, data)


def insights_event(call_id: str, kind: str, row: dict[str, Any], at_us: int) -> dict[str, Any]:
    """The CloudEvent of a row of Voice Insights."""
    return _cloud_event(f"insights.{kind}", "VoiceInsights.CallEvent/1", call_id, at_us, row)


def _cloud_event(kind: str, schema: str, call_id: str, at_us: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": _TYPE + kind,
        "source": f"/v1/Calls/{call_id}",
        "id": _id("EZ", call_id, kind, data),
        "time": iso_ms(at_us),
        "datacontenttype": "application/json",
        "dataschema": f"https://events-schemas.twilio.com/{schema}",
        "data": data,
    }


def _id(prefix: str, *parts: Any) -> str:
    return prefix + hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()
