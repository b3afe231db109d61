"""A row of Twilio's Voice Insights Events (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading

CALL = "CA0f00000000000000000000000000000001"
ACCOUNT = "AC0f00000000000000000000000000000009"
PATH = f"/v1/Voice/{CALL}/Events"

Read = Callable[..., list[Reading]]


def row(**changes: Any) -> dict[str, Any]:
    body = {
        "timestamp": "2026-03-02T10:00:06.120Z",
        "call_sid": CALL,
        "account_sid": ACCOUNT,
        "edge": "sdk_edge",
        "group": "connection",
        "name": "error",
        "level": "ERROR",
        "carrier_edge": None,
        "sdk_edge": {"error": {"code": 31600, "message": "Busy everywhere"}},
        **changes,
    }
    return {name: value for name, value in body.items() if value != "ABSENT"}


def test_an_error_of_an_edge_is_read_whole(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row())
    assert reading == Reading(
        event=Event(
            key=f"twilio:{CALL}",
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_insights_event",
            family="insights",
            name="error",
            level="error",
            edge="sdk_edge",
            group="connection",
            occurred_at="2026-03-02T10:00:06.120000Z",
            occurred_at_quality="exact",
            error_code="31600",
            attributes={
                "carrier_edge": None,
                "sdk_edge": {"error": {"code": 31600, "message": "Busy everywhere"}},
            },
        ),
        identity_rule="4",
        parts=reading.parts,
        occurred_us=1_772_445_606_120_000,
        alarming=True,
    )


@pytest.mark.parametrize("missing", [None, "ABSENT"])
def test_case_25_null_and_missing_level_and_edge_stay_null(read: Read, missing: str | None) -> None:
    (reading,) = read("twilio_insights_event", row(level=missing, edge=missing))
    assert (reading.event.level, reading.event.edge, reading.alarming) == (None, None, False)


def test_case_25_a_field_that_is_null_here_and_missing_there_is_the_same_row(read: Read) -> None:
    (null,) = read("twilio_insights_event", row(level=None, edge=None))
    (missing,) = read("twilio_insights_event", row(level="ABSENT", edge="ABSENT"))
    assert null.parts == missing.parts


@pytest.mark.parametrize(
    ("sent", "level", "raw"),
    [
        ("DEBUG", "debug", None),
        ("INFO", "info", None),
        ("WARNING", "warning", None),
        ("UNKNOWN", None, "UNKNOWN"),
        (7, None, 7),
    ],
)
def test_a_level_is_one_of_four_words_or_null_with_the_raw_text_kept(
    read: Read, sent: Any, level: str | None, raw: Any
) -> None:
    (reading,) = read("twilio_insights_event", row(level=sent))
    assert (reading.event.level, reading.event.attributes.get("level"), reading.alarming) == (
        level,
        raw,
        False,
    )


def test_case_26_twins_in_one_read_are_two_events_and_the_same_two_when_read_again(read: Read) -> None:
    first, twin, first_again, twin_again = (
        read("twilio_insights_event", row(), ordinal=n)[0].parts for n in (0, 1, 0, 1)
    )
    assert first != twin
    assert (first, twin) == (first_again, twin_again)


def test_case_27_the_same_event_at_two_edges_is_two_events(read: Read) -> None:
    (sdk,) = read("twilio_insights_event", row())
    (carrier,) = read("twilio_insights_event", row(edge="carrier_edge"))
    assert sdk.parts != carrier.parts


@pytest.mark.parametrize(
    ("stamp", "occurred_at", "quality"),
    [
        ("2026-03-02T10:00:06Z", "2026-03-02T10:00:06.000000Z", "second"),
        ("2026-03-02T10:00:06.000Z", "2026-03-02T10:00:06.000000Z", "exact"),
        ("2026-03-02 10:00:06.120345+00:00", "2026-03-02T10:00:06.120345Z", "exact"),
        ("2026-03-02T10:00:06.120345678Z", "2026-03-02T10:00:06.120345Z", "exact"),
    ],
)
def test_case_33_a_stamp_is_as_exact_as_its_digits(
    read: Read, stamp: str, occurred_at: str, quality: str
) -> None:
    (reading,) = read("twilio_insights_event", row(timestamp=stamp))
    assert (reading.event.occurred_at, reading.event.occurred_at_quality) == (occurred_at, quality)


def test_case_32_a_broken_stamp_is_null_and_kept(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row(timestamp="2026-03-02T10:0"))
    assert (reading.event.occurred_at, reading.event.attributes["timestamp"]) == (None, "2026-03-02T10:0")


def test_case_41_names_and_groups_are_an_open_vocabulary(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row(name="quantum-tunnel", group="conversation_relay"))
    assert (reading.event.name, reading.event.group) == ("quantum-tunnel", "conversation_relay")


def test_a_row_without_a_name_is_kept(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row(name=None))
    assert reading.event.name == "unknown"


def test_words_of_any_length_are_cut_and_the_raw_text_kept(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row(name="n" * 5000, edge="e" * 5000, group="g" * 5000))
    event = reading.event
    assert (event.name, event.edge, event.group) == ("n" * 128, "e" * 128, "g" * 128)
    assert (event.attributes["name"], event.attributes["edge"]) == ("n" * 5000, "e" * 5000)


def test_a_conversation_relays_error_has_its_code(read: Read) -> None:
    relay = {"session_id": "VX0f", "sequence_number": 4, "error": {"error_code": 64101, "message": "…"}}
    (reading,) = read("twilio_insights_event", row(sdk_edge=None, conversation_relay_data=relay))
    assert reading.event.error_code == "64101"


def test_a_row_whose_call_is_null_has_the_call_of_its_path(read: Read) -> None:
    (reading,) = read("twilio_insights_event", row(call_sid=None), endpoint=PATH)
    assert reading.event.key == f"twilio:{CALL}"


@pytest.mark.parametrize(("call_sid", "reason"), [(None, "missing_id"), ({}, "invalid_field")])
def test_a_row_without_a_call_cannot_be_read(read: Read, call_sid: Any, reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        read("twilio_insights_event", row(call_sid=call_sid))
    assert error.value.reason == reason


def test_a_summary_is_an_event_for_each_of_its_versions(read: Read) -> None:
    partial, complete, again = (
        read("twilio_call_summary", {"call_sid": CALL, "processing_state": state})[0]
        for state in ("partial", "complete", "complete")
    )
    assert partial.parts != complete.parts
    assert complete.parts == again.parts
    assert (complete.event.family, complete.event.name, complete.identity_rule) == (
        "resource",
        "call_summary",
        "4",
    )


def summary(**said: Any) -> dict[str, Any]:
    return {
        "call_sid": CALL,
        "call_state": "completed",
        "processing_state": "complete",
        "end_time": "2026-03-02T10:00:55Z",
        "duration": 55,
        "connect_duration": 49,
        "answered_by": "human",
        "properties": {"last_sip_response_num": 200},
        **said,
    }


def test_a_summary_says_how_the_call_ended(read: Read) -> None:
    (reading,) = read("twilio_call_summary", summary())
    event = reading.event
    assert (event.status, event.outcome, event.duration_s, event.sip_response_code) == (
        "completed",
        "answered",
        49,
        200,
    )
    assert (event.occurred_at, reading.facts) == ("2026-03-02T10:00:55.000000Z", {"answered_by": "human"})


@pytest.mark.parametrize(
    ("word", "status"), [("fail", "failed"), ("noanswer", "no-answer"), ("undialed", "canceled")]
)
def test_case_60_a_summary_has_its_own_words(read: Read, word: str, status: str) -> None:
    assert read("twilio_call_summary", summary(call_state=word))[0].event.status == status


def test_what_a_summary_does_not_know_yet_is_null(read: Read) -> None:
    fillers = {"call_state": "unknown", "end_time": "", "connect_duration": None, "answered_by": "unknown"}
    (reading,) = read("twilio_call_summary", summary(**fillers, properties={"last_sip_response_num": 0}))
    event = reading.event
    assert (event.status, event.outcome, event.duration_s, event.sip_response_code) == (None,) * 4
    assert (event.occurred_at, reading.facts) == (None, None)


def test_case_28_a_partial_summary_says_nothing_of_how_the_call_ended(read: Read) -> None:
    event = read("twilio_call_summary", summary(processing_state="partial"))[0].event
    assert (event.status, event.outcome, event.duration_s, event.sip_response_code) == (None,) * 4


def test_a_summary_without_a_call_has_the_call_of_its_path(read: Read) -> None:
    (reading,) = read("twilio_call_summary", {"call_sid": None}, endpoint=f"/v1/Voice/{CALL}/Summary")
    assert reading.event.key == f"twilio:{CALL}"
