"""A row of Twilio's Calls resource (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading

CALL = "CA0f00000000000000000000000000000001"
ACCOUNT = "AC0f00000000000000000000000000000009"
STAMPS = {
    "date_created": "Mon, 02 Mar 2026 10:00:00 +0000",
    "date_updated": "Mon, 02 Mar 2026 10:01:10 +0000",
    "start_time": "Mon, 02 Mar 2026 10:00:06 +0000",
    "end_time": "Mon, 02 Mar 2026 10:00:55 +0000",
}
UPDATED = 1_772_445_670_000_000

One = Callable[..., Reading]


@pytest.fixture
def one(read: Callable[..., list[Reading]]) -> One:
    def one(**changes: Any) -> Reading:
        row = {
            "sid": CALL,
            "account_sid": ACCOUNT,
            "parent_call_sid": None,
            "status": "completed",
            "direction": "outbound-api",
            "from": "+15005550006",
            "to": "+15005550009",
            "duration": "49",
            "price": None,
            "price_unit": "USD",
            "answered_by": None,
            **STAMPS,
            **changes,
        }
        (reading,) = read("twilio_call", row)
        return reading

    return one


def test_a_row_says_what_the_call_is_as_of_its_last_update(one: One) -> None:
    assert one() == Reading(
        event=Event(
            key=f"twilio:{CALL}",
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_call",
            family="resource",
            name="call",
            status="completed",
            outcome="answered",
            occurred_at="2026-03-02T10:00:55.000000Z",
            occurred_at_quality="second",
            duration_s=49,
            attributes={
                "parent_call_sid": None,
                "direction": "outbound-api",
                "from": "+15005550006",
                "to": "+15005550009",
                "price": None,
                "price_unit": "USD",
                "answered_by": None,
                **STAMPS,
            },
        ),
        identity_rule="3",
        parts=(CALL, "completed"),
        occurred_us=1_772_445_655_000_000,
        facts={
            "from": "+15005550006",
            "to": "+15005550009",
            "direction_detail": "outbound-api",
            "price_unit": "USD",
        },
        as_of_us=UPDATED,
    )


def test_case_23_a_row_with_its_price_filled_is_the_same_event_with_newer_facts(one: One) -> None:
    later = one(price="-0.0130", date_updated="Mon, 02 Mar 2026 10:05:00 +0000")
    assert (later.identity_rule, later.parts) == (one().identity_rule, one().parts)
    assert later.facts is not None
    assert (later.facts["price"], later.as_of_us) == ("-0.0130", 1_772_445_900_000_000)


def test_case_14_a_null_duration_stays_null(one: One) -> None:
    event = one(status="busy", duration=None).event
    assert (event.duration_s, event.outcome) == (None, "busy")


@pytest.mark.parametrize(
    ("status", "stamp"),
    [
        ("queued", "2026-03-02T10:00:00.000000Z"),
        ("ringing", None),
        ("in-progress", "2026-03-02T10:00:06.000000Z"),
        ("busy", "2026-03-02T10:00:55.000000Z"),
    ],
)
def test_a_row_is_stamped_with_the_time_its_status_began(one: One, status: str, stamp: str | None) -> None:
    event = one(status=status).event
    assert (event.occurred_at, event.occurred_at_quality) == (stamp, "second" if stamp else "unknown")


def test_case_31_the_offset_of_a_rows_stamp_counts(one: One) -> None:
    event = one(end_time="Mon, 2 Mar 2026 03:00:55 -0700").event
    assert event.occurred_at == "2026-03-02T10:00:55.000000Z"


def test_case_32_an_impossible_date_loses_only_itself(one: One) -> None:
    reading = one(end_time="Sat, 32 Aug 2026 25:00:00 +0000", date_updated="Mon, 02 Mar 2026 10:0")
    assert (reading.event.occurred_at, reading.as_of_us) == (None, None)
    assert reading.event.attributes["end_time"] == "Sat, 32 Aug 2026 25:00:00 +0000"


def test_case_17_a_child_row_names_its_parent(one: One) -> None:
    reading = one(parent_call_sid="CA0f99")
    assert reading.event.parent_call_id == "CA0f99"
    assert reading.facts is not None
    assert reading.facts["parent_call_id"] == "CA0f99"


def test_case_41_an_unknown_status_is_kept(one: One) -> None:
    reading = one(status="teleported")
    assert (reading.event.status, reading.event.attributes["status"]) == (None, "teleported")
    assert reading.parts == (CALL, "teleported")


def test_case_60_a_row_spelled_cancelled_is_canceled(one: One) -> None:
    reading = one(status="cancelled")
    assert (reading.event.status, reading.parts) == ("canceled", (CALL, "canceled"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"sid": None}, "missing_id"), ({"sid": {}}, "invalid_field"), ({"status": []}, "invalid_field")],
)
def test_a_row_without_a_call_cannot_be_read(one: One, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        one(**changes)
    assert error.value.reason == reason
