"""A webhook of your own: JSON, signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com).

The id is the same at each attempt for the same alerts, so a receiver can drop what it has had.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import orjson

from stream.notify.alert import example
from stream.notify.grouping import Notification
from stream.notify.sinks.sink import SinkRequest
from stream.notify.wording import headline
from stream.service.tables.notify_tables import SIGNING_KEY, SinkSetting


def request(sink: SinkSetting, told: Notification, now_s: float) -> SinkRequest:
    """`now_s`: Unix time of this attempt."""
    payload = {
        "type": f"callstream.alert.{told.state}",
        "timestamp": told.updated_at,
        "data": {
            "group": told.group._asdict(),
            "route": told.route,
            "severity": told.severity,
            "summary": headline(told),
            "fired": told.fired,
            "resolved": told.resolved,
            "firing_now": told.firing_now,
            "occurrences": told.occurrences,
            "starts_at": told.starts_at,
            "alerts": [example(one) for one in told.alerts],
        },
    }
    body, stamp = orjson.dumps(payload), str(int(now_s))
    headers = {
        "webhook-id": told.id,
        "webhook-timestamp": stamp,
        "webhook-signature": signature(sink.secret, told.id, stamp, body),
    }
    return SinkRequest(sink.url, body, headers)


def signature(secret: str, id_: str, stamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `id.timestamp.body`, with the key behind `whsec_`."""
    key = base64.b64decode(secret.removeprefix(SIGNING_KEY))
    digest = hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
