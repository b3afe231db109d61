"""A resources that a test fills by hand, and what it is filled with."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, Route
from stream.provider_api.time_formats import iso_us, rfc2822
from stream.simulator.rest.credentials import ApiCredentials

ACCOUNT = "AC" + "0f" * 16
TOKEN = "the token"
KEY, SECRET = "SK" + "0a" * 16, "the secret"
TELNYX_KEY = "KEY-stub"
KEYS = ApiCredentials(twilio_tokens=(TOKEN,), twilio_api_keys={KEY: SECRET}, telnyx=(TELNYX_KEY,))
NOW_US = 1_772_445_600_000_000
"""Mon, 02 Mar 2026 10:00:00 +0000."""
S = 1_000_000
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls"

Row = dict[str, Any]


@dataclass
class FakeResources:
    """Lists, newest first, whatever the time is."""

    rows: list[Row] = field(default_factory=list)
    logs: dict[str, list[Row]] = field(default_factory=dict)
    events: dict[str, list[Row]] = field(default_factory=dict)
    summaries: dict[str, Row] = field(default_factory=dict)
    alert_rows: list[Row] = field(default_factory=list)
    notes: dict[str, list[Row]] = field(default_factory=dict)
    telnyx: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    twilio_account: str = ACCOUNT
    telnyx_account: str = "telnyx-account"

    def calls(self, now_us: int) -> Sequence[Row]:
        return self.rows

    def call(self, sid: str, now_us: int) -> Row | None:
        return next((row for row in self.rows if row["sid"] == sid), None)

    def call_events(self, sid: str, now_us: int) -> list[Row] | None:
        return self.logs.get(sid, None if self.call(sid, now_us) is None else [])

    def insights(self, sid: str, now_us: int) -> list[Row] | None:
        return self.events.get(sid, None if self.call(sid, now_us) is None else [])

    def summary(self, sid: str, now_us: int) -> Row | None:
        return self.summaries.get(sid)

    def alerts(self, now_us: int) -> Sequence[Row]:
        return self.alert_rows

    def alert(self, sid: str, now_us: int) -> Row | None:
        return next((row for row in self.alert_rows if row["sid"] == sid), None)

    def notifications(self, sid: str, now_us: int) -> list[Row] | None:
        return self.notes.get(sid, None if self.call(sid, now_us) is None else [])

    def telnyx_events(self, now_us: int) -> Sequence[Row]:
        return self.telnyx

    def telnyx_leg(self, leg_id: str, now_us: int) -> list[Row]:
        return [row for row in self.telnyx if row["call_leg_id"] == leg_id]

    def webhook_deliveries(self, now_us: int) -> Sequence[Row]:
        return self.deliveries


def sid(number: int) -> str:
    return f"CA{number:032x}"


def call(
    number: int, created_s: int, *, start_s: int | None = None, end_s: int | None = None, **more: Any
) -> Row:
    """A row of Calls; times in seconds after NOW_US."""

    def at(second: int | None) -> str | None:
        return None if second is None else rfc2822(NOW_US + second * S)

    return {
        "sid": sid(number),
        "account_sid": ACCOUNT,
        "parent_call_sid": None,
        "status": "completed" if end_s is not None else "in-progress",
        "direction": "outbound-api",
        "from": "+15005550006",
        "to": "+15005550009",
        "date_created": at(created_s),
        "date_updated": at(created_s),
        "start_time": at(start_s),
        "end_time": at(end_s),
        "duration": None if None in (start_s, end_s) else str(end_s - start_s),
        "price": None,
        "uri": f"{CALLS}/{sid(number)}.json",
        **more,
    }


def logged(number: int, code: int = 204) -> Row:
    """A row of the request log."""
    return {
        "request": {
            "method": "POST",
            "url": "https://hooks.example.test/tw/status",
            "parameters": {"call_sid": sid(1), "call_status": "completed", "sequence_number": str(number)},
        },
        "response": {
            "response_code": code,
            "request_duration": 38,
            "date_created": rfc2822(NOW_US + number * S),
        },
    }


def insight(number: int, edge: str | None = "carrier_edge", name: str = "ringing") -> Row:
    """A row of Voice Insights' events."""
    return {
        "timestamp": iso_us(NOW_US + number * S),
        "call_sid": sid(1),
        "account_sid": ACCOUNT,
        "edge": edge,
        "group": "connection",
        "name": name,
        "level": None if edge is None else "INFO",
        "carrier_edge": {"n": number},
    }


def leg(number: int) -> str:
    return f"c3f1d6a0-0000-11ef-8000-{number:012x}"


def telnyx_event(number: int, at_s: float, name: str = "call.hangup", **payload: Any) -> Row:
    """A row of call_events of a webhook; `number` is its leg."""
    at = iso_us(NOW_US + int(at_s * S))
    event = {
        "record_type": "event",
        "event_type": name,
        "id": f"event-{number}-{name}",
        "occurred_at": at,
        "payload": {"call_leg_id": leg(number), "connection_id": "17", "from": "+15005550006", **payload},
    }
    return {
        "record_type": "call_event",
        "call_leg_id": leg(number),
        "call_session_id": f"session-{number // 2}",
        "event_timestamp": at,
        "name": name,
        "type": "webhook",
        "metadata": {"attempt": 1, "delivered_to": "https://x.test/t", "status": "delivered", "event": event},
    }


def command(number: int, at_s: float) -> Row:
    """A row of call_events of a command."""
    return {**telnyx_event(number, at_s, "dial"), "type": "command", "metadata": {}}


def delivery(number: int, started_s: float, took_s: float = 1, status: str = "delivered") -> Row:
    """A row of webhook_deliveries."""
    started, finished = (iso_us(NOW_US + int(at * S)) for at in (started_s, started_s + took_s))
    return {
        "record_type": "webhook_delivery",
        "id": f"delivery-{number}",
        "user_id": "user",
        "status": status,
        "started_at": started,
        "finished_at": finished,
        "attempts": [{"status": status, "started_at": started, "http": {"response": {"status": 204}}}],
        "webhook": {
            "record_type": "event",
            "id": f"event-{number}",
            "event_type": "call.hangup" if number % 2 else "call.answered",
            "occurred_at": started,
            "payload": {"call_leg_id": leg(number)},
        },
    }


def basic(user: str = ACCOUNT, secret: str = TOKEN) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


BEARER = f"Bearer {TELNYX_KEY}"


def answered(
    routes: Sequence[Route], name: str, url: str, authorization: str, now_us: int = NOW_US, **names: str
) -> ApiResponse:
    """What a route answers, refusals too."""
    (route,) = (one for one in routes if one.name == name)
    parts = urlsplit(url)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    request = ApiRequest(parts.path, names, parameters, authorization, "http://stub.test:8083", now_us)
    try:
        return route.respond(request)
    except ApiError as refused:
        return refused.response
