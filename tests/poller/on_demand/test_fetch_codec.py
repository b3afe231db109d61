"""Fetch requests from bytes, and results to bytes that the worker reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_fields

from stream.core.events import DecodeError, Envelope
from stream.core.fetches import FetchResult, ReadOutcome, result_of
from stream.poller.on_demand.fetch_codec import account_for, read_request
from stream.poller.on_demand.pending import result_value
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from tests.poller.asked import TELNYX, TWILIO, fetch, value


def test_a_request_is_read_as_the_worker_wrote_it() -> None:
    request = fetch(7, source="twilio_insights_event", edge="carrier_edge", priority="heal")
    assert read_request(value(request)) == request


def test_a_request_of_version_1_is_one_with_a_single_read() -> None:
    request = fetch(7, source="twilio_insights_event", edge="carrier_edge")
    said = {**orjson.loads(value(request)), "v": 1, "source": "twilio_insights_event", "edge": "carrier_edge"}
    del said["reads"]
    assert read_request(orjson.dumps(said)) == replace_fields(request, v=1)


def test_a_field_that_is_not_known_yet_does_no_harm() -> None:
    said = {**orjson.loads(value(fetch(7))), "later": [1]}
    assert read_request(orjson.dumps(said)) == fetch(7)


def reads(*sources: str) -> list[dict[str, Any]]:
    return [{"source": source, "edge": None} for source in sources]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"v": 3}, "unsupported_version"),
        ({"v": 1}, "invalid_field"),
        ({"reads": [{"source": "twilio_status_callback", "edge": None}]}, "unknown_source"),
        (
            {"reads": [{"source": "telnyx_webhook_delivery", "edge": None}], "key": "telnyx:1"},
            "unknown_source",
        ),
        ({"reads": []}, "invalid_field"),
        ({"reads": [{"source": "twilio_call", "edge": None}] * 2}, "invalid_field"),
        (
            {"reads": [{"source": name, "edge": None} for name in ("twilio_call", "telnyx_call_event")]},
            "invalid_field",
        ),
        ({"priority": "soon"}, "invalid_field"),
        ({"key": "telnyx:1"}, "invalid_field"),
        ({"key": "twilio:"}, "invalid_field"),
        ({"key": "twilio"}, "invalid_field"),
        ({"attempt": "one"}, "invalid_field"),
        ({"attempt": 0}, "invalid_field"),
        ({"attempt": 1 << 31}, "invalid_field"),
    ],
)
def test_what_cannot_be_served_is_told_by_its_reason_and_not_repeated(
    changed: dict[str, Any], reason: str
) -> None:
    said = {**orjson.loads(value(fetch(15005550001))), **changed}
    with pytest.raises(DecodeError) as caught:
        read_request(orjson.dumps(said))
    assert caught.value.reason == reason
    assert "15005550001" not in str(caught.value)
    assert "soon" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "not_an_object"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b"[]", "invalid_field"),
        (b"{}", "invalid_field"),
        (b'{"x":' + b"[" * 60_000, "too_deep"),
        (value(fetch(key="twilio:CA" + "1" * 1_040_000)), "too_large"),
    ],
)
def test_what_is_not_a_request_is_told_by_its_reason(raw: bytes | None, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_request(raw)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_error_with_a_reason(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        read_request(raw)


OTHER = replace(TWILIO, id="AC2")


@pytest.mark.parametrize(
    ("key", "source", "account", "accounts", "found"),
    [
        ("twilio:CA1", "twilio_call", "AC2", [TELNYX, TWILIO, OTHER], OTHER),
        ("twilio:CA1", "twilio_call", "AC3", [TELNYX, TWILIO, OTHER], None),
        ("twilio:CA1", "twilio_call", None, [TELNYX, TWILIO], None),
        ("twilio:CA1", "twilio_call", "", [TELNYX], None),
        ("telnyx:1", "telnyx_call_event", None, [TWILIO, TELNYX], TELNYX),
        ("telnyx:1", "telnyx_call_event", "whose", [TWILIO, TELNYX], TELNYX),
        ("telnyx:1", "telnyx_call_event", "AC1", [TWILIO, TELNYX], TELNYX),
        ("telnyx:1", "telnyx_call_event", None, [TWILIO], None),
        ("telnyx:1", "telnyx_call_event", None, [TELNYX, replace(TELNYX, id="t2")], None),
        ("telnyx:1", "telnyx_call_event", "t2", [TELNYX, replace(TELNYX, id="t2")], replace(TELNYX, id="t2")),
    ],
)
def test_a_request_is_for_the_account_that_it_names(
    key: str, source: str, account: str | None, accounts: list[Account], found: Account | None
) -> None:
    assert account_for(fetch(key=key, source=source, account=account), accounts) == found


def test_a_result_says_what_was_asked_and_what_it_came_to() -> None:
    request = fetch(7, source="twilio_insights_event", edge="carrier_edge", attempt=3)
    (read,) = request.reads
    came = ReadResult("success", rows=4, complete=True, content="0123456789abcdef")
    written = result_value(request, {read: came}, 1_772_445_600_000_001)
    envelope = orjson.loads(written)
    body = envelope.pop("body")
    assert envelope == {
        "v": 1,
        "source": "fetch_result",
        "received_at": "2026-03-02T10:00:00.000001Z",
        "account": "AC1",
        "endpoint": None,
        "delivery": {},
    }
    as_read = Envelope("fetch_result", envelope["received_at"], body, account="AC1")
    assert result_of(as_read) == FetchResult(
        fetch_id=request.id,
        key="twilio:CA7",
        reason="ended",
        attempt=3,
        reads=[ReadOutcome("twilio_insights_event", "carrier_edge", "success", 4, True, "0123456789abcdef")],
    )
