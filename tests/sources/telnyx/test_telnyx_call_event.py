"""A row of Telnyx' call_events (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.delivery.audit import sent_of
from stream.core.events import DecodeError, Event, Reading, WebhookAnswer

LEG = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"
SESSION = "c3f1ca00-0000-11ef-8000-02420a0d7e70"
EVENT = "5b0f0c1e-1111-4222-8333-444455556666"
STAMP = "2026-03-02T10:00:19.450211Z"
AT = 1_772_445_619_450_211

Read = Callable[..., list[Reading]]


def inner(**payload: Any) -> dict[str, Any]:
    return {
        "record_type": "event",
        "event_type": "call.hangup",
        "id": EVENT,
        "occurred_at": STAMP,
        "payload": {"call_leg_id": LEG, "call_session_id": SESSION, "hangup_cause": "timeout", **payload},
    }


def row(**metadata: Any) -> dict[str, Any]:
    return {
        "record_type": "call_event",
        "call_leg_id": LEG,
        "call_session_id": SESSION,
        "event_timestamp": STAMP,
        "name": "call.hangup",
        "type": "webhook",
        "metadata": {
            "attempt": 1,
            "delivered_to": "https://user:pw@hooks.example.test/tx?token=secret",
            "status": "delivered",
            "event": inner(),
            **metadata,
        },
    }


def test_a_webhooks_row_tells_its_delivery_and_the_event_inside_it(read: Read) -> None:
    own, observed = read("telnyx_call_event", row())
    assert own == Reading(
        event=Event(
            key=f"telnyx:{LEG}",
            provider="telnyx",
            call_id=LEG,
            session_id=SESSION,
            leg_id=LEG,
            source="telnyx_call_event",
            family="delivery",
            name="call.hangup",
            occurred_at=STAMP,
            occurred_at_quality="exact",
            attributes={
                "record_type": "call_event",
                "type": "webhook",
                "metadata": {
                    "attempt": 1,
                    "delivered_to": "https://hooks.example.test/tx",
                    "status": "delivered",
                },
            },
        ),
        identity_rule="2",
        parts=(EVENT, "https://hooks.example.test/tx"),
        occurred_us=AT,
        answer=WebhookAnswer("https://hooks.example.test/tx", None, None, None, "2xx", 1),
        sent=sent_of(observed, own.answer),
    )
    assert observed.event.source == "telnyx_call_event"


def test_case_29_the_event_inside_is_the_webhooks_own(read: Read) -> None:
    (direct,) = read("telnyx_webhook", {"data": inner()})
    _, observed = read("telnyx_call_event", row())
    observed.event.source = "telnyx_webhook"
    assert observed == direct


def test_case_35_a_further_attempt_changes_the_row_and_not_its_identity(read: Read) -> None:
    first, _ = read("telnyx_call_event", row(attempt=1, status="in_progress"))
    last, _ = read("telnyx_call_event", row(attempt=3, status="delivered"))
    assert first.parts == last.parts
    assert (first.answer, last.answer.attempts if last.answer else None) == (None, 3)


def test_a_further_attempt_at_a_url_that_is_not_told_is_the_same_row(read: Read) -> None:
    first, _ = read("telnyx_call_event", row(attempt=1, status="in_progress", delivered_to=None))
    last, _ = read("telnyx_call_event", row(attempt=3, status="delivered", delivered_to=None))
    assert first.parts == last.parts


def test_a_delivery_to_the_failover_url_is_another_row_of_the_same_event(read: Read) -> None:
    first, event = read("telnyx_call_event", row())
    failover, same_event = read("telnyx_call_event", row(delivered_to="https://failover.example.test/tx"))
    assert first.parts != failover.parts
    assert event == same_event


def test_case_55_a_failed_row_is_a_failed_delivery_and_no_failed_call(read: Read) -> None:
    own, _ = read("telnyx_call_event", row(status="failed"))
    assert (own.event.status, own.event.outcome, own.alarming) == (None, None, False)
    assert own.answer == WebhookAnswer("https://hooks.example.test/tx", None, None, None, "none", 1)


def test_case_26_identical_rows_are_told_apart_by_their_place(read: Read) -> None:
    command = {**row(), "type": "command", "metadata": {}}
    first, twin = (read("telnyx_call_event", command, ordinal=n)[0] for n in (0, 1))
    assert first.parts != twin.parts


@pytest.mark.parametrize("metadata", [{}, None])
def test_a_row_may_have_no_metadata(read: Read, metadata: Any) -> None:
    (own,) = read("telnyx_call_event", {**row(), "metadata": metadata})
    assert (own.event.family, own.event.name, own.answer) == ("delivery", "call.hangup", None)


def test_a_command_is_a_logged_request_and_no_delivery(read: Read) -> None:
    command = {**row(), "type": "command", "name": "answer", "metadata": {"status": "failed"}}
    (own,) = read("telnyx_call_event", command)
    assert (own.event.family, own.event.name, own.answer) == ("request_log", "answer", None)


def test_case_41_a_row_of_an_unknown_type_is_kept(read: Read) -> None:
    (own,) = read("telnyx_call_event", {**row(), "type": "telegram", "metadata": {}})
    assert own.event.family == "other"


def test_metadata_may_be_the_event_itself(read: Read) -> None:
    own, observed = read("telnyx_call_event", {**row(), "metadata": inner()})
    assert (own.event.attributes["metadata"], observed.parts) == ({"record_type": "event"}, (EVENT,))


def test_a_row_without_a_leg_has_the_leg_of_its_event(read: Read) -> None:
    own, observed = read("telnyx_call_event", {**row(), "call_leg_id": None})
    assert own.event.key == observed.event.key == f"telnyx:{LEG}"
    assert own.event.leg_id == LEG


def test_an_event_that_does_not_name_its_leg_has_the_rows(read: Read) -> None:
    _, observed = read("telnyx_call_event", row(event=inner(call_leg_id=None, call_session_id=None)))
    assert (observed.event.leg_id, observed.event.session_id) == (LEG, SESSION)


def test_the_event_of_another_leg_is_left_to_that_leg(read: Read) -> None:
    assert len(read("telnyx_call_event", row(event=inner(call_leg_id="other")))) == 1


def test_an_event_that_cannot_be_read_does_not_lose_its_row(read: Read) -> None:
    (own,) = read("telnyx_call_event", row(event={**inner(), "payload": []}))
    assert own.event.attributes["metadata"]["event"]["id"] == EVENT


def test_an_old_row_has_its_time_under_another_name(read: Read) -> None:
    old = {**row(), "occurred_at": STAMP}
    del old["event_timestamp"]
    own, _ = read("telnyx_call_event", old)
    assert own.event.occurred_at == STAMP


def test_case_32_a_broken_time_is_null_and_kept(read: Read) -> None:
    own, _ = read("telnyx_call_event", {**row(), "event_timestamp": "2026-03-02"})
    assert (own.event.occurred_at, own.event.attributes["event_timestamp"]) == (None, "2026-03-02")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**row(), "call_leg_id": None, "metadata": {}}, "missing_id"),
        ({**row(), "call_leg_id": []}, "invalid_field"),
        ({**row(), "metadata": "x"}, "invalid_field"),
    ],
    ids=["no leg", "leg is a list", "metadata is a text"],
)
def test_a_row_without_a_leg_or_of_wrong_types_cannot_be_read(
    read: Read, body: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DecodeError) as error:
        read("telnyx_call_event", body)
    assert error.value.reason == reason
