"""Fetch requests for tests, as the worker writes them, and accounts to read them with."""

from __future__ import annotations

from typing import Any

import msgspec

from stream.core.fetches import FetchRead, FetchRequest, request_id
from stream.poller.resources.account import Account

TWILIO = Account(
    provider="twilio", id="AC1", alias="default", api_url="http://127.0.0.1:1", secret="s", concurrency=4
)
TELNYX = Account(provider="telnyx", id="", alias="default", api_url="http://127.0.0.1:1/v2", secret="s")


def fetch(number: int = 1, **changed: Any) -> FetchRequest:
    """Of call `number`. One read of `source` and `edge`, unless `reads` are given."""
    read = FetchRead(changed.pop("source", "twilio_call"), changed.pop("edge", None))
    said: dict[str, Any] = {
        "key": f"twilio:CA{number}",
        "account": "AC1",
        "reads": [read],
        "reason": "ended",
        "due_at": "2026-03-02T10:00:00.000000Z",
        "attempt": 1,
        "priority": "terminal",
        **changed,
    }
    id_ = request_id(said["key"], said["due_at"], said["reason"], said["attempt"])
    return FetchRequest(**{"id": id_, **said})


def value(request: FetchRequest) -> bytes:
    """As it lies in the topic."""
    return msgspec.json.encode(request)
