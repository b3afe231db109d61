"""Telnyx' webhook (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import Event, Reading
from tests.sources.telnyx.bodies import AT, EVENT, LEG, SESSION, record, webhook

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


def test_a_hangup_is_read_whole(read_webhook: One) -> None:
    assert read_webhook(hangup_cause="USER_BUSY", hangup_source="callee", sip_hangup_cause="486") == Reading(
        event=Event(
            key=f"telnyx:{LEG}",
            provider="telnyx",
            account="acme",
            call_id=LEG,
            session_id=SESSION,
            leg_id=LEG,
            source="telnyx_webhook",
            family="progress",
            name="completed",
            status="busy",
            outcome="busy",
            occurred_at="2026-03-02T10:00:19.450211Z",
            occurred_at_quality="exact",
            sip_response_code=486,
            attributes={
                "call_control_id": "v3:abc",
                "connection_id": "1700000000000000001",
                "from": "+15005550006",
                "to": "sip:zoë@example.test",
                "hangup_cause": "USER_BUSY",
                "hangup_source": "callee",
                "event_type": "call.hangup",
            },
        ),
        identity_rule="2",
        parts=(EVENT,),
        occurred_us=AT,
        facts={
            "from": "+15005550006",
            "to": "sip:zoë@example.test",
            "session_id": SESSION,
            "leg_id": LEG,
        },
        hangup="user_busy",
        evidence=(("disconnected_by", "callee"),),
    )


@pytest.mark.parametrize(
    ("event_type", "name", "status"),
    [
        ("call.initiated", "initiated", "initiated"),
        ("call.ringing", "ringing", "ringing"),
        ("call.answered", "answered", "in-progress"),
        ("call.hangup", "completed", "completed"),
    ],
)
def test_four_events_are_a_calls_progress(read_webhook: One, event_type: str, name: str, status: str) -> None:
    event = read_webhook(event_type).event
    assert (event.family, event.name, event.status) == ("progress", name, status)


@pytest.mark.parametrize(
    ("cause", "status", "outcome"),
    [
        ("user_busy", "busy", "busy"),
        ("timeout", "no-answer", "no_answer"),
        ("no_answer", "no-answer", "no_answer"),
        ("call_rejected", "no-answer", "rejected"),
        ("originator_cancel", "canceled", "canceled"),
        ("not_found", "failed", "failed"),
        ("unspecified", "failed", "failed"),
        ("normal_clearing", "completed", None),
        ("time_limit", "completed", None),
        ("alien_abduction", "completed", None),
    ],
)
def test_case_38_a_cause_proves_what_it_can_and_never_an_answer(
    read_webhook: One, cause: str, status: str, outcome: str | None
) -> None:
    reading = read_webhook(hangup_cause=cause)
    assert (reading.event.status, reading.event.outcome, reading.hangup) == (status, outcome, cause)


def test_case_60_a_cause_in_capitals_is_the_same_cause(read_webhook: One) -> None:
    reading = read_webhook(hangup_cause="TIMEOUT")
    assert (reading.event.status, reading.hangup) == ("no-answer", "timeout")
    assert reading.event.attributes["hangup_cause"] == "TIMEOUT"


@pytest.mark.parametrize("cause", [None, 16])
def test_a_hangup_without_a_readable_cause_ends_the_call_all_the_same(read_webhook: One, cause: Any) -> None:
    reading = read_webhook(hangup_cause=cause)
    assert (reading.event.status, reading.event.outcome, reading.hangup) == ("completed", None, "")


@pytest.mark.parametrize(
    ("source", "evidence"),
    [
        ("caller", (("disconnected_by", "caller"),)),
        ("callee", (("disconnected_by", "callee"),)),
        ("unknown", ()),
        ("+15005550006", ()),
        (["callee"], ()),
        (None, ()),
    ],
)
def test_who_hung_up_is_evidence_if_a_party_is_named(
    read_webhook: One, source: Any, evidence: tuple[tuple[str, str], ...]
) -> None:
    assert read_webhook(hangup_source=source).evidence == evidence


def test_a_recording_that_ended_before_it_began_has_no_duration(read_webhook: One) -> None:
    began, ended = "2026-03-02T10:00:09.000000Z", "2026-03-02T10:00:08.000000Z"
    times = {"recording_started_at": began, "recording_ended_at": ended}
    assert read_webhook("call.recording.saved", **times).event.duration_s is None


def test_only_a_hangup_has_a_cause(read_webhook: One) -> None:
    assert read_webhook("siprec.stopped", hangup_cause="16").hangup is None


@pytest.mark.parametrize(
    ("sent", "code"), [("200", 200), ("486", 486), (603, 603), ("16", None), ("700", None)]
)
def test_a_q_850_value_is_not_a_sip_code(read_webhook: One, sent: Any, code: int | None) -> None:
    event = read_webhook(sip_hangup_cause=sent).event
    assert event.sip_response_code == code
    assert event.attributes.get("sip_hangup_cause") == (None if code else sent)


def test_case_35_a_second_attempt_is_the_same_event(read: Read) -> None:
    first, second = (read("telnyx_webhook", webhook(record(), attempt=n))[0] for n in (1, 2))
    assert first == second


def test_case_36_two_digits_at_one_moment_are_two_events(read: Read) -> None:
    digits = [{**record("call.dtmf.received", digit="5"), "id": name} for name in ("a", "b")]
    first, second = (read("telnyx_webhook", webhook(digit))[0] for digit in digits)
    assert (first.parts, second.parts) == (("a",), ("b",))


def test_case_42_a_version_1_envelope_has_no_data(read: Read) -> None:
    body = {
        "webhook_id": EVENT,
        "event_type": "call_hangup",
        "created_at": "2026-03-02T10:00:19.500Z",
        "payload": {
            "call_leg_id": LEG,
            "hangup_cause": "timeout",
            "occurred_at": "2026-03-02T10:00:19.450211Z",
        },
    }
    (reading,) = read("telnyx_webhook", body)
    assert reading == Reading(
        event=Event(
            key=f"telnyx:{LEG}",
            provider="telnyx",
            call_id=LEG,
            leg_id=LEG,
            source="telnyx_webhook",
            family="progress",
            name="completed",
            status="no-answer",
            outcome="no_answer",
            occurred_at="2026-03-02T10:00:19.450211Z",
            occurred_at_quality="exact",
            attributes={"hangup_cause": "timeout", "event_type": "call_hangup"},
        ),
        identity_rule="2",
        parts=(EVENT,),
        occurred_us=AT,
        facts={"leg_id": LEG},
        hangup="timeout",
    )


def test_case_42_a_version_1_event_without_a_time_is_stamped_with_its_making(read: Read) -> None:
    body = {**record("call.answered"), "created_at": "2026-03-02T10:00:06.204Z"}
    del body["occurred_at"]
    (reading,) = read("telnyx_webhook", body)
    assert reading.event.occurred_at == "2026-03-02T10:00:06.204000Z"


def test_case_42_data_and_payload_may_be_json_texts(read: Read) -> None:
    wrapped = {**record(), "payload": json.dumps(record()["payload"])}
    (plain,) = read("telnyx_webhook", webhook(record()))
    assert read("telnyx_webhook", webhook(wrapped)) == [plain]
    assert read("telnyx_webhook", webhook(json.dumps(record()))) == [plain]


def test_case_42_a_get_carries_its_fields_flat(read: Read) -> None:
    flat = {name: value for name, value in record().items() if name != "payload"} | record()["payload"]
    assert read("telnyx_webhook", flat) == read("telnyx_webhook", webhook(record()))


@pytest.mark.parametrize("event_type", ["streaming.started", "siprec.failed"])
def test_case_43_an_event_without_the_calls_prefix_belongs_to_its_leg(
    read_webhook: One, event_type: str
) -> None:
    assert read_webhook(event_type).event.key == f"telnyx:{LEG}"


def test_case_43_a_conferences_time_is_in_its_payload_and_its_key_its_own(read: Read) -> None:
    body = {
        "event_type": "conference.floor.changed",
        "id": EVENT,
        "payload": {"conference_id": "conf-1", "occurred_at": "2026-03-02T10:00:19.450211Z"},
    }
    (reading,) = read("telnyx_webhook", body)
    event = reading.event
    assert (event.key, event.call_id, event.family) == ("telnyx:conference:conf-1", None, "conference")
    assert (event.occurred_at, reading.occurred_us) == ("2026-03-02T10:00:19.450211Z", AT)
    assert event.attributes == {"conference_id": "conf-1"}


def test_case_43_a_conference_event_that_names_a_leg_belongs_to_the_leg(read_webhook: One) -> None:
    assert read_webhook("conference.participant.joined", conference_id="conf-1").event.key == f"telnyx:{LEG}"


def test_case_32_a_broken_time_is_null_and_kept(read: Read) -> None:
    body = webhook({**record("call.answered"), "occurred_at": "2026-03-02T10:0"})
    (reading,) = read("telnyx_webhook", body)
    assert (reading.event.occurred_at, reading.event.occurred_at_quality) == (None, "unknown")
    assert reading.event.attributes["occurred_at"] == "2026-03-02T10:0"


@pytest.mark.parametrize("stamp", ["2026-03-02T10:00:19.450+00:00", "2026-03-02 10:00:19.450000000Z"])
def test_case_33_milliseconds_with_an_offset_are_the_same_instant(read: Read, stamp: str) -> None:
    (reading,) = read("telnyx_webhook", webhook({**record(), "occurred_at": stamp}))
    assert reading.event.occurred_at == "2026-03-02T10:00:19.450000Z"
