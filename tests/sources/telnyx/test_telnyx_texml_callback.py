"""Telnyx' TeXML callbacks (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Event, Reading, Recording

CALL = "v3:legacy-or-uuid"

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


@pytest.fixture
def one(read: Read) -> One:
    def one(**changes: Any) -> Reading:
        body = {
            "CallSid": CALL,
            "AccountSid": "6a09cdc3-8948-47f0-aa62-74ac943d6c58",
            "CallStatus": "completed",
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "3",
            "Timestamp": "2026-03-02T10:00:00Z",
            **changes,
        }
        (reading,) = read(
            "telnyx_texml_callback", {name: value for name, value in body.items() if value != "ABSENT"}
        )
        return reading

    return one


def test_case_58_a_texml_callback_is_telnyx_with_a_sequence_number(one: One) -> None:
    assert one(
        CallLegId="leg-1", CallSessionId="session-1", CallDuration="49", SipHangupCause="200"
    ) == Reading(
        event=Event(
            key=f"telnyx:{CALL}",
            provider="telnyx",
            account="6a09cdc3-8948-47f0-aa62-74ac943d6c58",
            call_id=CALL,
            session_id="session-1",
            leg_id="leg-1",
            source="telnyx_texml_callback",
            family="progress",
            name="completed",
            status="completed",
            outcome="answered",
            sequence_number=3,
            occurred_at="2026-03-02T10:00:00.000000Z",
            occurred_at_quality="second",
            sip_response_code=200,
            duration_s=49,
            attributes={"CallbackSource": "call-progress-events", "SipHangupCause": "200"},
        ),
        identity_rule="1",
        parts=(3, "completed"),
        occurred_us=1_772_445_600_000_000,
        facts={"leg_id": "leg-1", "session_id": "session-1"},
    )


@pytest.mark.parametrize(
    ("stamp", "occurred_at", "quality"),
    [
        ("Mon, 02 Mar 2026 10:00:18 +0000", "2026-03-02T10:00:18.000000Z", "second"),
        ("2026-03-02T10:00:18Z", "2026-03-02T10:00:18.000000Z", "second"),
        ("2026-03-02 10:00:18.731479Z", "2026-03-02T10:00:18.731479Z", "exact"),
    ],
)
def test_case_33_all_three_documented_stamps_are_read(
    one: One, stamp: str, occurred_at: str, quality: str
) -> None:
    event = one(Timestamp=stamp).event
    assert (event.occurred_at, event.occurred_at_quality) == (occurred_at, quality)


def test_a_q_850_cause_is_not_a_sip_code(one: One) -> None:
    assert one(SipHangupCause="16").event.sip_response_code is None


@pytest.mark.parametrize(
    ("changes", "family"),
    [
        ({"RecordingSid": "rec-1", "RecordingStatus": "completed"}, "recording"),
        ({"ConferenceSid": "conf-1", "StatusCallbackEvent": "join"}, "conference"),
        ({"AnsweredBy": "human"}, "amd"),
        ({"Digits": "5"}, "other"),
        ({"StreamEvent": "stream-started"}, "media"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_callback_that_is_not_progress_is_kept_under_the_same_key(
    one: One, changes: dict[str, str], family: str
) -> None:
    event = one(CallStatus="ABSENT", CallbackSource="ABSENT", **changes).event
    assert (event.key, event.provider, event.family) == (f"telnyx:{CALL}", "telnyx", family)
    assert event.source == "telnyx_texml_callback"


def test_progress_of_a_call_that_is_in_a_conference_is_progress(one: One) -> None:
    event = one(ConferenceSid="conf-1").event
    assert (event.family, event.status) == ("progress", "completed")


def test_case_19_a_texml_recording_is_known_by_its_id_and_status(one: One) -> None:
    reading = one(CallbackSource="ABSENT", RecordingSid="rec-1", RecordingStatus="completed")
    assert (reading.identity_rule, reading.parts) == ("3", ("rec-1", "completed"))
    assert reading.recording == Recording("rec-1", "completed")


def test_a_sip_response_code_of_its_own_wins_over_that_of_the_hangup(one: One) -> None:
    assert one(SipResponseCode="486", SipHangupCause="487").event.sip_response_code == 486
