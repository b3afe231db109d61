"""Telnyx' webhook (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Event, Reading, Recording

LEG = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"
SESSION = "c3f1ca00-0000-11ef-8000-02420a0d7e70"
EVENT = "5b0f0c1e-1111-4222-8333-444455556666"
AT = 1_772_445_619_450_211

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


def record(event_type: Any = "call.hangup", **payload: Any) -> dict[str, Any]:
    return {
        "record_type": "event",
        "event_type": event_type,
        "id": EVENT,
        "occurred_at": "2026-03-02T10:00:19.450211Z",
        "payload": {
            "call_control_id": "v3:abc",
            "call_leg_id": LEG,
            "call_session_id": SESSION,
            "connection_id": "1700000000000000001",
            "client_state": "c2VjcmV0",
            "from": "+15005550006",
            "to": "sip:zoë@example.test",
            **payload,
        },
    }


def webhook(data: Any, attempt: int = 1) -> dict[str, Any]:
    return {"data": data, "meta": {"attempt": attempt, "delivered_to": "https://hooks.example.test/tx"}}


@pytest.fixture
def one(read: Read) -> One:
    def one(event_type: Any = "call.hangup", **payload: Any) -> Reading:
        (reading,) = read("telnyx_webhook", webhook(record(event_type, **payload)), account="acme")
        return reading

    return one


def test_a_hangup_is_read_whole(one: One) -> None:
    assert one(hangup_cause="USER_BUSY", hangup_source="callee", sip_hangup_cause="486") == Reading(
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
def test_four_events_are_a_calls_progress(one: One, event_type: str, name: str, status: str) -> None:
    event = one(event_type).event
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
    one: One, cause: str, status: str, outcome: str | None
) -> None:
    reading = one(hangup_cause=cause)
    assert (reading.event.status, reading.event.outcome, reading.hangup) == (status, outcome, cause)


def test_case_60_a_cause_in_capitals_is_the_same_cause(one: One) -> None:
    reading = one(hangup_cause="TIMEOUT")
    assert (reading.event.status, reading.hangup) == ("no-answer", "timeout")
    assert reading.event.attributes["hangup_cause"] == "TIMEOUT"


@pytest.mark.parametrize("cause", [None, 16])
def test_a_hangup_without_a_readable_cause_ends_the_call_all_the_same(one: One, cause: Any) -> None:
    reading = one(hangup_cause=cause)
    assert (reading.event.status, reading.event.outcome, reading.hangup) == ("completed", None, "")


def test_only_a_hangup_has_a_cause(one: One) -> None:
    assert one("siprec.stopped", hangup_cause="16").hangup is None


@pytest.mark.parametrize(
    ("sent", "code"), [("200", 200), ("486", 486), (603, 603), ("16", None), ("700", None)]
)
def test_a_q_850_value_is_no_sip_code(one: One, sent: Any, code: int | None) -> None:
    event = one(sip_hangup_cause=sent).event
    assert event.sip_response_code == code
    assert event.attributes.get("sip_hangup_cause") == (None if code else sent)


def test_case_35_a_second_attempt_is_the_same_event(read: Read) -> None:
    first, second = (read("telnyx_webhook", webhook(record(), attempt=n))[0] for n in (1, 2))
    assert first == second


def test_case_36_two_digits_at_one_moment_are_two_events(read: Read) -> None:
    digits = [{**record("call.dtmf.received", digit="5"), "id": name} for name in ("a", "b")]
    first, second = (read("telnyx_webhook", webhook(digit))[0] for digit in digits)
    assert (first.parts, second.parts) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("event_type", "family"),
    [
        ("call.recording.saved", "recording"),
        ("call.recording.error", "recording"),
        ("call.recording.transcription.saved", "transcription"),
        ("call.transcription", "transcription"),
        ("call.machine.detection.ended", "amd"),
        ("call.machine.premium.greeting.ended", "amd"),
        ("conference.participant.joined", "conference"),
        ("conference.recording.saved", "conference"),
        ("streaming.failed", "media"),
        ("siprec.started", "media"),
        ("call.fork.started", "media"),
        ("call.playback.ended", "media"),
        ("call.speak.started", "media"),
        ("call.bridged", "other"),
        ("call.cost", "other"),
        ("call.teleported", "other"),
    ],
)
def test_case_39_every_other_event_has_its_family_and_no_status(
    one: One, event_type: str, family: str
) -> None:
    event = one(event_type).event
    assert (event.family, event.name, event.status, event.outcome) == (family, event_type, None, None)


def test_case_40_a_bridge_names_its_own_leg_and_the_session_it_shares(one: One) -> None:
    other = one("call.bridged", call_leg_id="other-leg").event
    mine = one("call.bridged").event
    assert (mine.key, other.key) == (f"telnyx:{LEG}", "telnyx:other-leg")
    assert mine.session_id == other.session_id == SESSION


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
def test_case_43_an_event_without_the_calls_prefix_belongs_to_its_leg(one: One, event_type: str) -> None:
    assert one(event_type).event.key == f"telnyx:{LEG}"


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


def test_case_43_a_conference_event_that_names_a_leg_belongs_to_the_leg(one: One) -> None:
    assert one("conference.participant.joined", conference_id="conf-1").event.key == f"telnyx:{LEG}"


def test_case_32_a_broken_time_is_null_and_kept(read: Read) -> None:
    body = webhook({**record("call.answered"), "occurred_at": "2026-03-02T10:0"})
    (reading,) = read("telnyx_webhook", body)
    assert (reading.event.occurred_at, reading.event.occurred_at_quality) == (None, "unknown")
    assert reading.event.attributes["occurred_at"] == "2026-03-02T10:0"


@pytest.mark.parametrize("stamp", ["2026-03-02T10:00:19.450+00:00", "2026-03-02 10:00:19.450000000Z"])
def test_case_33_milliseconds_with_an_offset_are_the_same_instant(read: Read, stamp: str) -> None:
    (reading,) = read("telnyx_webhook", webhook({**record(), "occurred_at": stamp}))
    assert reading.event.occurred_at == "2026-03-02T10:00:19.450000Z"


@pytest.mark.parametrize(
    ("sent", "direction"), [("incoming", "inbound"), ("outgoing", "outbound"), ("sideways", "sideways")]
)
def test_a_direction_is_in_one_vocabulary(one: One, sent: str, direction: str) -> None:
    facts = one("call.initiated", direction=sent).facts
    assert facts is not None
    assert facts["direction"] == direction


def test_case_21_the_result_of_machine_detection_is_a_fact_of_the_call(one: One) -> None:
    reading = one("call.machine.detection.ended", result="human")
    assert reading.facts is not None
    assert (reading.facts["answered_by"], reading.event.status) == ("human", None)


def test_case_39_what_a_call_cost_is_a_fact_of_the_call(one: One) -> None:
    facts = one("call.cost", total_cost="0.0130", cost_parts=[{"currency": "USD", "cost": "0.0130"}]).facts
    assert facts is not None
    assert (facts["price"], facts["price_unit"]) == ("0.0130", "USD")


def test_case_39_a_saved_recording_is_told_with_its_length(one: One) -> None:
    reading = one(
        "call.recording.saved",
        recording_id="rec-1",
        recording_started_at="2026-03-02T10:00:06.000000Z",
        recording_ended_at="2026-03-02T10:00:19.500000Z",
    )
    assert reading.recording == Recording("rec-1", "saved", 13.5)


def test_a_recording_without_an_id_has_its_events(one: One) -> None:
    assert one("call.recording.error").recording == Recording(EVENT, "error")


@pytest.mark.parametrize(
    ("event_type", "payload", "alarming"),
    [
        ("call.recording.error", {}, True),
        ("streaming.failed", {}, True),
        ("call.conversation.start_failed", {}, True),
        ("call.cost", {"status": "error"}, True),
        ("call.cost", {"status": "success"}, False),
        ("call.hangup", {}, False),
    ],
)
def test_an_event_that_says_so_itself_is_alarming(
    one: One, event_type: str, payload: dict[str, Any], alarming: bool
) -> None:
    assert one(event_type, **payload).alarming is alarming


def test_case_50_cards_client_state_and_signed_links_are_not_passed_on(one: One) -> None:
    payment = one("call.payment.completed", card_number="hunter2", token="hunter2", result={"x": "hunter2"})
    assert "hunter2" not in repr(payment)
    saved = one(
        "call.recording.saved",
        client_state="hunter2",
        recording_urls={"mp3": "https://s3.example.test/a.mp3?X-Amz-Signature=hunter2"},
        sip_headers=[{"name": "Identity", "value": "hunter2"}, {"name": "X-Mine", "value": "kept"}],
    )
    assert "hunter2" not in repr(saved)
    assert saved.event.attributes["recording_urls"] == {"mp3": "https://s3.example.test/a.mp3"}
    assert saved.event.attributes["sip_headers"] == [
        {"name": "Identity"},
        {"name": "X-Mine", "value": "kept"},
    ]


def test_case_41_an_unknown_event_is_kept_and_its_long_name_cut(one: One) -> None:
    event = one("call." + "x" * 5000).event
    assert (len(event.name), event.family) == (128, "other")
    assert event.attributes["event_type"] == "call." + "x" * 5000


def test_an_event_without_an_id_is_known_by_what_it_says(read: Read) -> None:
    no_id = [{**record(name), "id": None} for name in ("call.answered", "call.dtmf.received")]
    progress, digit = (read("telnyx_webhook", webhook(data))[0] for data in no_id)
    assert (progress.identity_rule, progress.parts) == ("1b", ("in-progress", AT))
    assert digit.identity_rule == "4"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (webhook(record(call_leg_id=None)), "missing_id"),
        (webhook(record(call_leg_id={})), "invalid_field"),
        (webhook({**record(), "id": {}}), "invalid_field"),
        (webhook({**record(), "payload": []}), "invalid_field"),
        (webhook({**record(), "payload": "{"}), "invalid_field"),
        (webhook(record(5)), "invalid_field"),
        (webhook([record()]), "invalid_field"),
        (webhook("[" * 100), "invalid_field"),
        (webhook("[" * 40 + "]" * 40), "too_deep"),
        ({}, "missing_id"),
    ],
    ids=range(10),
)
def test_a_body_without_a_leg_or_of_wrong_types_cannot_be_read(
    read: Read, body: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DecodeError) as error:
        read("telnyx_webhook", body)
    assert error.value.reason == reason
