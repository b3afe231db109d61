"""Rows of calls of which not every source has told: each field is the provider's, or null."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stream.core.statuses import TERMINAL
from stream.provider_api.http_types import Row
from tests.api.compatible.simulated import Simulated, simulated

CALLS = 60


def invented(theirs: Any, ours: Any) -> list[str]:
    """The paths of values that are neither the provider's nor null."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            f"{name}.{path}".rstrip(".")
            for name, said in ours.items()
            for path in invented(theirs.get(name), said)
        ]
    return [] if ours is None or ours == theirs else [""]


def told(row: Row) -> set[str]:
    return {name for name, said in row.items() if said is not None}


def pairs(found: Simulated) -> list[tuple[Row, Row]]:
    """Each call as the provider has it and as we do."""
    theirs = found.provider("calls", {"PageSize": "1000"}).body["calls"]
    ours = {row["sid"]: row for row in found.callstream("calls", {"PageSize": "1000"}).body["calls"]}
    assert ours.keys() == {row["sid"] for row in theirs}
    return [(row, ours[row["sid"]]) for row in theirs]


def test_callbacks_alone_tell_who_called_whom_and_how_it_ended(tmp_path: Path) -> None:
    with simulated(tmp_path, calls=CALLS, leave_out=lambda event: event["source"] == "twilio_call") as found:
        rows = pairs(found)
        one = found.callstream("call", call=rows[0][0]["sid"]).body
    assert [invented(*pair) for pair in rows] == [[]] * len(rows)
    always = {"sid", "account_sid", "status", "direction", "from", "to", "end_time", "uri"}
    assert all(always <= told(ours) for _, ours in rows)
    assert all((ours["duration"] is None) == (theirs["duration"] is None) for theirs, ours in rows)
    assert one == rows[0][1]
    assert {name for _, ours in rows for name in told(ours)} == {
        *(*always, "duration", "parent_call_sid", "price", "price_unit", "api_version", "subresource_uris"),
    }


def test_a_row_that_was_read_too_early_goes_on_with_what_callbacks_told(tmp_path: Path) -> None:
    def is_last(event: dict[str, Any]) -> bool:
        return event["source"] == "twilio_call" and event["status"] in TERMINAL

    with simulated(tmp_path, calls=CALLS, looks_every=6, leave_out=is_last) as found:
        rows = pairs(found)
    assert [invented(*pair) for pair in rows] == [[]] * len(rows)
    early = [(theirs, ours) for theirs, ours in rows if ours["date_created"]]
    assert len(early) > 10
    for theirs, ours in early:
        for name in ("status", "end_time", "duration", "from", "date_created"):
            assert ours[name] == theirs[name]
        assert ours["date_updated"] is None


def log_of(ask: Any) -> list[Row]:
    rows: list[Row] = ask("call_events", {"page[size]": "250"}).body["data"]
    return rows


def test_webhooks_alone_are_rows_that_say_nothing_of_their_delivery(tmp_path: Path) -> None:
    def is_logged(event: dict[str, Any]) -> bool:
        return event["family"] in ("delivery", "request_log")

    with simulated(tmp_path, calls=CALLS, leave_out=is_logged) as found:
        theirs = [row for row in log_of(found.provider) if row["type"] == "webhook"]
        ours = log_of(found.callstream)
    assert len(ours) == len(theirs) > 20
    for one, other in zip(theirs, ours, strict=True):
        assert invented(one, other) == []
        assert [other["metadata"][name] for name in ("attempt", "delivered_to", "status")] == [None] * 3
        assert told(other) == told(one)


def test_what_a_log_of_deliveries_tells_alone_is_told(tmp_path: Path) -> None:
    def is_log(event: dict[str, Any]) -> bool:
        return event["source"] == "telnyx_call_event" and event["family"] in ("delivery", "request_log")

    with simulated(tmp_path, calls=CALLS, looks_every=6, leave_out=is_log) as found:
        theirs = [row for row in log_of(found.provider) if row["type"] == "webhook"]
        ours = log_of(found.callstream)
    assert [invented(*pair) for pair in zip(theirs, ours, strict=True)] == [[]] * len(theirs)
    assert {row["metadata"]["status"] for row in ours} >= {"delivered", "failed"}


def test_masked_numbers_are_found_by_what_they_mask(tmp_path: Path) -> None:
    with simulated(tmp_path, calls=CALLS, mode="masked") as found:
        theirs = found.provider("calls", {"PageSize": "1000"}).body["calls"]
        for row in theirs[:10]:
            ours = found.callstream("calls", {"To": row["to"], "PageSize": "1000"}).body["calls"]
            assert row["sid"] in {one["sid"] for one in ours}
            assert row["to"] not in {one["to"] for one in ours if one["to"].startswith("+")}
        assert found.callstream("calls", {"To": "+33987654321"}).body["calls"] == []
        payloads = [row["metadata"]["event"]["payload"] for row in log_of(found.provider) if row["metadata"]]
        rows = found.callstream("call_events", {"filter[to]": payloads[0]["to"]}).body["data"]
        assert payloads[0]["call_leg_id"] in {row["call_leg_id"] for row in rows}
