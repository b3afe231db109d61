"""Telnyx' webhooks that are not call progress, and the facts in all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError, Reading, Recording
from tests.sources.telnyx.bodies import AT, EVENT, LEG, SESSION, record, webhook

Read = Callable[..., list[Reading]]
One = Callable[..., Reading]


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
    read_webhook: One, event_type: str, family: str
) -> None:
    event = read_webhook(event_type).event
    assert (event.family, event.name, event.status, event.outcome) == (family, event_type, None, None)


def test_case_40_a_bridge_names_its_own_leg_and_the_session_it_shares(read_webhook: One) -> None:
    other = read_webhook("call.bridged", call_leg_id="other-leg").event
    mine = read_webhook("call.bridged").event
    assert (mine.key, other.key) == (f"telnyx:{LEG}", "telnyx:other-leg")
    assert mine.session_id == other.session_id == SESSION


def test_a_direction_is_kept_in_the_providers_word(read_webhook: One) -> None:
    facts = read_webhook("call.initiated", direction="incoming").facts
    assert facts is not None
    assert facts["direction_detail"] == "incoming"


def test_case_21_the_result_of_machine_detection_is_a_fact_of_the_call(read_webhook: One) -> None:
    reading = read_webhook("call.machine.detection.ended", result="human")
    assert reading.facts is not None
    assert (reading.facts["answered_by"], reading.event.status) == ("human", None)


def test_case_39_what_a_call_cost_is_a_fact_of_the_call(read_webhook: One) -> None:
    facts = read_webhook(
        "call.cost", total_cost="0.0130", cost_parts=[{"currency": "USD", "cost": "0.0130"}]
    ).facts
    assert facts is not None
    assert (facts["price"], facts["price_unit"]) == ("0.0130", "USD")


@pytest.mark.parametrize(("said", "price"), [(0.00001, "0.00001"), (0.013, "0.013"), (2, "2")])
def test_a_cost_that_is_a_number_is_written_out(read_webhook: One, said: float, price: str) -> None:
    facts = read_webhook("call.cost", total_cost=said).facts
    assert facts is not None
    assert facts["price"] == price


def test_case_39_a_saved_recording_is_told_with_its_length(read_webhook: One) -> None:
    reading = read_webhook(
        "call.recording.saved",
        recording_id="rec-1",
        recording_started_at="2026-03-02T10:00:06.000000Z",
        recording_ended_at="2026-03-02T10:00:19.500000Z",
    )
    assert reading.recording == Recording("rec-1", "saved", 13.5)


def test_a_recording_without_an_id_has_its_events(read_webhook: One) -> None:
    assert read_webhook("call.recording.error").recording == Recording(EVENT, "error")


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
    read_webhook: One, event_type: str, payload: dict[str, Any], alarming: bool
) -> None:
    assert read_webhook(event_type, **payload).alarming is alarming


def test_case_50_cards_client_state_and_signed_links_are_not_passed_on(read_webhook: One) -> None:
    payment = read_webhook(
        "call.payment.completed", card_number="hunter2", token="hunter2", result={"x": "hunter2"}
    )
    assert "hunter2" not in repr(payment)
    saved = read_webhook(
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


def test_case_41_an_unknown_event_is_kept_and_its_long_name_cut(read_webhook: One) -> None:
    event = read_webhook("call." + "x" * 5000).event
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
