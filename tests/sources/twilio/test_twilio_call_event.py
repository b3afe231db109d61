"""A row of Twilio's Call Events (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream.core.delivery.audit import sent_of
from stream.core.events import DecodeError, Event, Reading, WebhookAnswer

CALL = "CA0f00000000000000000000000000000001"
ACCOUNT = "AC0f00000000000000000000000000000009"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Events.json"
AT_56 = 1_772_445_656_000_000

Read = Callable[..., list[Reading]]


def row(*, url: str = "https://hooks.example.test/tw/status", **parameters: Any) -> dict[str, Any]:
    return {
        "request": {
            "method": "POST",
            "url": url,
            "parameters": {
                "call_sid": CALL,
                "account_sid": ACCOUNT,
                "from": "+15005550006",
                "to": "+15005550009",
                "call_status": "completed",
                "sequence_number": "3",
                "callback_source": "call-progress-events",
                "timestamp": "Mon, 02 Mar 2026 10:00:55 +0000",
                "call_duration": "49",
                **parameters,
            },
        },
        "response": {
            "response_code": 204,
            "request_duration": 38,
            "content_type": None,
            "response_body": "",
            "date_created": "Mon, 02 Mar 2026 10:00:56 +0000",
        },
    }


def answered(**changes: Any) -> dict[str, Any]:
    changed = row()
    changed["response"].update(changes)
    return changed


def answer(read: Read, body: dict[str, Any]) -> WebhookAnswer | None:
    return read("twilio_call_event", body, endpoint=PATH)[0].answer


def test_a_row_tells_what_the_application_answered_and_the_progress_inside_it(read: Read) -> None:
    own, inner = read("twilio_call_event", row(), endpoint=PATH)
    assert own == Reading(
        event=Event(
            key=f"twilio:{CALL}",
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_call_event",
            family="request_log",
            name="webhook",
            occurred_at="2026-03-02T10:00:56.000000Z",
            occurred_at_quality="second",
            attributes={
                "request": row()["request"],
                "response": {"response_code": 204, "request_duration": 38, "content_type": None},
            },
        ),
        identity_rule="4",
        parts=own.parts,
        occurred_us=AT_56,
        answer=WebhookAnswer("https://hooks.example.test/tw/status", "POST", 204, 0.038, "2xx"),
        sent=sent_of(inner, own.answer),
    )
    assert inner == Reading(
        event=Event(
            key=f"twilio:{CALL}",
            provider="twilio",
            account=ACCOUNT,
            call_id=CALL,
            source="twilio_call_event",
            family="progress",
            name="completed",
            status="completed",
            outcome="answered",
            sequence_number=3,
            occurred_at="2026-03-02T10:00:55.000000Z",
            occurred_at_quality="second",
            duration_s=49,
            attributes={
                "From": "+15005550006",
                "To": "+15005550009",
                "CallbackSource": "call-progress-events",
            },
        ),
        identity_rule="1",
        parts=(3, "completed"),
        occurred_us=1_772_445_655_000_000,
        facts={"from": "+15005550006", "to": "+15005550009"},
    )


def test_case_29_a_callback_and_its_log_row_and_its_event_stream_are_one_event(read: Read) -> None:
    parameters = {
        "CallSid": CALL,
        "CallStatus": "completed",
        "SequenceNumber": "3",
        "CallbackSource": "call-progress-events",
        "Timestamp": "Mon, 02 Mar 2026 10:00:55 +0000",
    }
    stream = {
        "type": "com.twilio.voice.status-callback.call.completed",
        "id": "EZ0f01",
        "data": {"sid": CALL, "request": {"parameters": parameters}},
    }
    seen = [
        read("twilio_status_callback", parameters)[0],
        read("twilio_call_event", row(), endpoint=PATH)[1],
        read("twilio_event_stream", stream)[0],
    ]
    identities = {(one.event.key, one.event.family, one.identity_rule, one.parts) for one in seen}
    assert identities == {(f"twilio:{CALL}", "progress", "1", (3, "completed"))}


def test_case_30_unknown_and_nested_parameters_are_preserved(read: Read) -> None:
    own, inner = read("twilio_call_event", row(add_ons={"results": {"a": [1]}}, x_mine="1"), endpoint=PATH)
    assert own.event.attributes["request"]["parameters"]["add_ons"] == {"results": {"a": [1]}}
    assert inner.event.attributes["add_ons"] == {"results": {"a": [1]}}
    assert inner.event.attributes["x_mine"] == "1"


def test_case_26_identical_rows_are_told_apart_by_their_place(read: Read) -> None:
    first, again, twin = (read("twilio_call_event", row(), endpoint=PATH, ordinal=n)[0] for n in (0, 0, 1))
    assert first.parts == again.parts
    assert first.parts != twin.parts


def test_the_order_of_a_rows_keys_does_not_make_another_row(read: Read) -> None:
    turned = {name: dict(reversed(value.items())) for name, value in reversed(row().items())}
    assert read("twilio_call_event", turned)[0].parts == read("twilio_call_event", row())[0].parts


@pytest.mark.parametrize(
    "url",
    [
        "https://api.twilio.com/2010-04-01/Accounts/AC0f/Calls.json",
        "https://API.dublin.ie1.Twilio.com:443/2010-04-01/Accounts",
    ],
)
def test_an_api_request_of_the_customer_is_not_an_answer_of_the_application(read: Read, url: str) -> None:
    own, *_ = read("twilio_call_event", row(url=url), endpoint=PATH)
    assert (own.event.name, own.answer) == ("api_request", None)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.twilio.com.evil.test/x",
        "https://api.twilio.com@hooks.example.test/x",
        "https://handler.twilio.com/x",
    ],
)
def test_a_host_that_only_looks_like_twilios_api_is_the_application(read: Read, url: str) -> None:
    own, *_ = read("twilio_call_event", row(url=url), endpoint=PATH)
    assert own.event.name == "webhook"


@pytest.mark.parametrize(
    ("response", "code", "code_class"),
    [
        ({"response_code": 200}, 200, "2xx"),
        ({"response_code": 302}, 302, "3xx"),
        ({"response_code": "404"}, 404, "4xx"),
        ({"response_code": 503}, 503, "5xx"),
        ({"response_code": None}, None, "none"),
        ({"response_code": 0, "request_duration": 15_001}, None, "timeout"),
    ],
)
def test_the_answers_class_tells_an_error_from_a_timeout_from_silence(
    read: Read, response: dict[str, Any], code: int | None, code_class: str
) -> None:
    found = answer(read, answered(**response))
    assert found is not None
    assert (found.response_code, found.code_class) == (code, code_class)


def test_a_row_without_a_response_was_never_answered(read: Read) -> None:
    found = answer(read, {**row(), "response": None})
    assert found == WebhookAnswer("https://hooks.example.test/tw/status", "POST", None, None, "none")


def test_a_row_without_a_request_has_the_call_of_its_path(read: Read) -> None:
    (own,) = read("twilio_call_event", {"request": None, "response": None}, endpoint=PATH)
    assert (own.event.key, own.event.account, own.event.name, own.answer) == (
        f"twilio:{CALL}",
        ACCOUNT,
        "unknown",
        None,
    )


def test_a_row_that_names_no_call_at_all_cannot_be_read(read: Read) -> None:
    with pytest.raises(DecodeError, match="missing_id"):
        read("twilio_call_event", {"request": None, "response": None})


@pytest.mark.parametrize("body", [{"request": []}, {"response": "x"}])
def test_a_request_or_response_that_is_not_an_object_cannot_be_read(read: Read, body: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="invalid_field"):
        read("twilio_call_event", body, endpoint=PATH)


def test_the_progress_of_another_call_is_left_to_that_call(read: Read) -> None:
    assert len(read("twilio_call_event", row(call_sid="CA0f02"), endpoint=PATH)) == 1


def test_a_request_for_instructions_is_not_progress(read: Read) -> None:
    body = row()
    parameters = body["request"]["parameters"]
    for name in ("callback_source", "timestamp", "sequence_number", "call_duration"):
        del parameters[name]
    parameters["call_status"] = "in-progress"
    assert len(read("twilio_call_event", body, endpoint=PATH)) == 1


def test_case_22_a_conferences_callback_in_the_log_is_not_progress(read: Read) -> None:
    body = row(conference_sid="CF0f", status_callback_event="participant-join")
    _, observed = read("twilio_call_event", body, endpoint=PATH)
    assert (observed.event.family, observed.event.status, observed.event.name) == (
        "conference",
        None,
        "participant-join",
    )


def test_progress_that_cannot_be_read_does_not_lose_its_row(read: Read) -> None:
    assert len(read("twilio_call_event", row(call_status={"a": "b"}), endpoint=PATH)) == 1


def test_case_32_a_cut_off_response_date_loses_only_itself(read: Read) -> None:
    own, _ = read("twilio_call_event", answered(date_created="Mon, 02 Mar 2026 10:0"), endpoint=PATH)
    assert (own.event.occurred_at, own.event.occurred_at_quality) == (None, "unknown")
    assert own.event.attributes["response"]["date_created"] == "Mon, 02 Mar 2026 10:0"


def test_case_50_passwords_tokens_cards_and_bodies_are_not_passed_on(read: Read) -> None:
    body = row(
        url="https://user:hunter2@hooks.example.test/tw?token=hunter2#rc=3",
        call_token="hunter2",
        stir_passport_token="hunter2",
        payment_card_number="hunter2",
        SecurityCode="hunter2",
    )
    body["response"]["response_body"] = "<Response>hunter2</Response>"
    readings = read("twilio_call_event", body, endpoint=PATH)
    assert "hunter2" not in repr(readings)
    assert readings[0].answer is not None
    assert readings[0].answer.endpoint == "https://hooks.example.test/tw"
