"""Which calls a backfill reads."""

from __future__ import annotations

from typing import Any

import orjson

from stream.poller.schedule.planning import EndedCall, Span, ended_calls

NOON_US = 1_772_452_800_000_000
HOUR = Span(NOON_US, NOON_US + 3_600_000_000)


def envelope_of(**row: Any) -> bytes:
    """A row of Calls in its envelope; it ended at 12:30 unless it says otherwise."""
    whole = {
        "sid": "CA1",
        "status": "completed",
        "direction": "inbound",
        "from": "+15005550006",
        "to": "+15005550009",
        "start_time": "Mon, 02 Mar 2026 12:20:00 +0000",
        "end_time": "Mon, 02 Mar 2026 12:30:00 +0000",
    } | row
    envelope = {"v": 1, "source": "twilio_call", "received_at": "2026-03-02T13:00:00Z", "body": whole}
    return orjson.dumps(envelope)


def sids(*rows: bytes) -> list[str]:
    return [call.call_id for call in ended_calls(rows, HOUR)]


def test_calls_that_ended_in_the_span_are_found_with_their_edges() -> None:
    assert ended_calls([envelope_of(), envelope_of(sid="CA2", to="client:agent")], HOUR) == [
        EndedCall("CA1", ("carrier_edge",)),
        EndedCall("CA2", ("carrier_edge", "sdk_edge", "client_edge")),
    ]


def test_an_end_belongs_to_one_span_only() -> None:
    on_the_hour = [
        envelope_of(sid="CA1", end_time="Mon, 02 Mar 2026 12:00:00 +0000"),
        envelope_of(sid="CA2", end_time="Mon, 02 Mar 2026 13:00:00 +0000"),
        envelope_of(sid="CA3", end_time="Mon, 02 Mar 2026 11:59:59 +0000"),
    ]
    assert sids(*on_the_hour) == ["CA1"]
    after = Span(HOUR.until_us, HOUR.until_us + 1)
    assert [call.call_id for call in ended_calls(on_the_hour, after)] == ["CA2"]


def test_the_start_of_a_call_without_an_end_counts_as_its_end() -> None:
    start = "Mon, 02 Mar 2026 12:10:00 +0000"
    assert sids(envelope_of(status="failed", end_time=None, start_time=start)) == ["CA1"]
    assert sids(envelope_of(status="failed", end_time=None, start_time=None)) == []


def test_an_ongoing_call_is_not_read() -> None:
    assert sids(envelope_of(status="in-progress", end_time=None), envelope_of(status="dancing")) == []


def test_a_broken_row_is_skipped_alone() -> None:
    broken = [
        b"",
        b"[]",
        b'{"v": 1}',
        envelope_of(sid=None),
        envelope_of(sid=7),
        envelope_of(end_time="32 Aug", status=7),
    ]
    assert sids(*broken, envelope_of(sid="CA9", direction=None)) == ["CA9"]
    assert sids(envelope_of(**{"from": None, "to": 5, "end_time": 7})) == ["CA1"]
