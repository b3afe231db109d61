"""A body that is nested as deeply as the worker takes it is shown like any other, to all tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from stream.api.access.caller import Caller
from stream.api.live.selection import LiveRecord
from stream.api.service import routes
from stream.sources.fields import DEPTH_LIMIT
from tests.api.clients import ACCOUNT_A, ALL, bearer, client
from tests.archive.kept import an_archive, told_by, values
from tests.cases.playing import play

MASKED = "a token without numbers"
NUMBER, MASK = "+14155550123", "+14*******23"
CALL, LEG = "CA" + "1" * 32, "c3f1d6a0-0000-11ef-8000-02420a0d7e70"


def nested(levels: int) -> Any:
    body: Any = NUMBER
    for _ in range(levels):
        body = {"to": body}
    return body


def deliveries() -> list[dict[str, Any]]:
    """A row of Voice Insights and a webhook of Telnyx, each with as many levels as a body may have."""
    row = {
        "call_sid": CALL,
        "account_sid": ACCOUNT_A,
        "timestamp": "2026-03-02T10:00:00Z",
        "edge": "sdk_edge",
        "name": "local",
        "sdk_edge": nested(DEPTH_LIMIT - 1),
    }
    payload = {"call_leg_id": LEG, "call_session_id": LEG, "custom": nested(DEPTH_LIMIT - 3)}
    event = {
        "event_type": "call.initiated",
        "id": "0ccc7b54-0000-4000-8000-000000000001",
        "occurred_at": "2026-03-02T10:00:00.500000Z",
        "payload": payload,
    }
    return [
        {"source": "twilio_insights_event", "endpoint": f"/v1/Voice/{CALL}/Events", "body": row},
        {"path": "/callbacks/telnyx", "at": 0.5, "body": {"data": event}},
    ]


TOLD = told_by(play({"deliveries": deliveries(), "privacy": "full"}).written)


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient[Any]]:
    with an_archive(tmp_path) as (keeper, archive):
        keeper.keep(TOLD)
        with client(archive, routes(), api_token=MASKED) as made:
            yield made


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/calls/twilio:{CALL}",
        f"/v1/calls/twilio:{CALL}/events",
        f"/ui/calls/twilio:{CALL}",
        f"/v1/Voice/{CALL}/Events?Edge=sdk_edge",
        f"/v2/call_events?filter[leg_id]={LEG}",
    ],
)
def test_it_is_shown_by_every_path_and_masked_for_those_who_may_not_read_numbers(
    http: TestClient[Any], path: str
) -> None:
    full, masked = (http.get(path, headers=bearer(token)) for token in (ALL, MASKED))
    assert (full.status_code, NUMBER in full.text) == (200, True)
    assert (masked.status_code, NUMBER in masked.text, MASK in masked.text) == (200, False, True)


def test_it_is_followed_live() -> None:
    [event, *_] = values(TOLD, "events")
    shown = LiveRecord("event", event, "").json(Caller("x", None, False)).decode()
    assert (NUMBER in shown, MASK in shown) == (False, True)
