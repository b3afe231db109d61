"""The error log's entries: which call, when, which level and code, and what of a broken one is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream.core.events import DecodeError
from tests.core.deliveries import ACCOUNT, CALL_ID
from tests.core.error_log.tellings import alert_row, debugger_form, details, notification, streamed
from tests.sources.conftest import Read

ACCOUNT_KEY = f"twilio:account:{ACCOUNT}"
CHILD = "CA" + "1b" * 16


def form(**more: Any) -> dict[str, Any]:
    return debugger_form(details() | more)


Body = Callable[[Any], dict[str, Any]]
BY_RESOURCE: dict[str, Body] = {
    "twilio_debugger": lambda sid: form(resource_sid=sid, webhook=None),
    "twilio_alert": lambda sid: alert_row() | {"resource_sid": sid, "request_url": None},
    "twilio_event_stream": lambda sid: (
        streamed(details(call_id=sid) | {"webhook": None}).envelope.body
        | {"data": streamed({"resource_sid": sid}).envelope.body["data"] | {"correlation_sid": None}}
    ),
}


@pytest.mark.parametrize("source", BY_RESOURCE)
@pytest.mark.parametrize(
    "sid",
    [
        "SM1",
        "CF1",
        "RE1",
        "WS1",
        "FN1",
        "AC1",
        None,
        "",
        CALL_ID.lower(),
        "XX1",
        7,
        {"CA": "CA1"},
        "CA" * 200,
    ],
)
def test_an_entry_that_names_no_call_is_its_accounts(read: Read, source: str, sid: Any) -> None:
    (reading,) = read(source, BY_RESOURCE[source](sid))
    assert (reading.event.key, reading.event.call_id) == (ACCOUNT_KEY, None)
    assert (reading.alarming, reading.answer) == (False, None)


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("twilio_debugger", form()),
        ("twilio_debugger", form(resource_sid=None)),
        (
            "twilio_debugger",
            form(resource_sid="SM1", webhook={"request": {"parameters": {"call_sid": CALL_ID}}}),
        ),
        (
            "twilio_debugger",
            form(resource_sid="", webhook={"request": {"url": f"https://h.test/?CallSid={CALL_ID}"}}),
        ),
        (
            "twilio_debugger",
            form(resource_sid=CALL_ID, webhook={"request": {"parameters": {"CallSid": CHILD}}}),
        ),
        ("twilio_alert", alert_row()),
        ("twilio_alert", alert_row(call_id=None, whole=True)),
        ("twilio_alert", alert_row(call_id=None, url=f"https://h.test/x?a=1&CallSid={CALL_ID}")),
        ("twilio_notification", notification().envelope.body),
        ("twilio_event_stream", streamed(details(call_id=None)).envelope.body),
        ("twilio_event_stream", streamed("{", correlation_sid=CALL_ID).envelope.body),
    ],
)
def test_the_call_is_the_first_that_is_named(read: Read, source: str, body: dict[str, Any]) -> None:
    (reading,) = read(source, body)
    assert (reading.event.key, reading.event.call_id) == (f"twilio:{CALL_ID}", CALL_ID)
    assert reading.event.status is None


@pytest.mark.parametrize("named", ["CALL-42", "CA%2B15005550006", "CA", CALL_ID + "%0A"])
def test_a_parameter_of_the_customers_that_is_no_sid_opens_no_call(read: Read, named: str) -> None:
    """A key holds no number, and a made-up call would be read again and again."""
    row = alert_row(call_id=None, url=f"https://h.test/x?CallSid={named}")
    assert read("twilio_alert", row)[0].event.key == ACCOUNT_KEY


def test_parent_and_child_are_both_kept(read: Read) -> None:
    (reading,) = read(
        "twilio_debugger", form(resource_sid=CALL_ID, webhook={"request": {"parameters": {"CallSid": CHILD}}})
    )
    attributes = reading.event.attributes
    assert attributes["resource_sid"] == CALL_ID
    assert attributes["webhook"]["request"]["parameters"]["CallSid"] == CHILD


@pytest.mark.parametrize(
    "prose", [f"call {CALL_ID} failed", f"https://h.test/?CallSid={CALL_ID} answered 502"]
)
def test_prose_names_no_call(read: Read, prose: str) -> None:
    row = alert_row(call_id=None, url=None) | {"alert_text": prose, "request_url": None}
    assert read("twilio_alert", row)[0].event.key == ACCOUNT_KEY
    more = {"Msg": prose, "msg": prose}
    assert (
        read("twilio_debugger", form(resource_sid=None, webhook=None, more_info=more))[0].event.call_id
        is None
    )


BROKEN = [
    "",
    "{",
    json.dumps(details())[:60],
    "[]",
    '"x"',
    "7",
    json.dumps(json.dumps(details())),
    "[" * 5000,
]


@pytest.mark.parametrize("payload", [*BROKEN, None])
def test_a_broken_payload_costs_only_what_is_in_it(read: Read, payload: str | None) -> None:
    body: dict[str, Any] = debugger_form(payload if payload is not None else "")
    if payload is None:
        del body["Payload"]
    (reading,) = read("twilio_debugger", body)
    event = reading.event
    assert (event.key, event.level, event.error_code) == (ACCOUNT_KEY, "error", None)
    assert (event.occurred_at, reading.remark) == ("2026-03-02T10:00:07.000000Z", "unreadable")
    assert (reading.identity_rule, reading.parts) == ("2", (body["Sid"],))


@pytest.mark.parametrize("payload", [*BROKEN, None, 8, ["x"]])
def test_a_broken_payload_of_a_stream_leaves_its_envelope(read: Read, payload: Any) -> None:
    body = streamed().envelope.body
    body["data"]["payload"] = payload
    (reading,) = read("twilio_event_stream", body)
    assert (reading.event.call_id, reading.event.error_code) == (CALL_ID, "11200")
    assert (reading.remark, reading.alarming, reading.answer) == ("unreadable", True, None)


@pytest.mark.parametrize("data", [None, "x", [], 7])
def test_a_streams_event_without_data_has_its_id(read: Read, data: Any) -> None:
    body = streamed().envelope.body | {"data": data}
    (reading,) = read("twilio_event_stream", body, account=ACCOUNT)
    assert (reading.event.key, reading.parts) == (ACCOUNT_KEY, (body["id"],))


def test_data_may_be_the_text_of_an_object(read: Read) -> None:
    body = streamed().envelope.body
    body["data"] = json.dumps(body["data"])
    assert read("twilio_event_stream", body)[0].event.call_id == CALL_ID


def test_an_entry_without_call_and_account_is_refused(read: Read) -> None:
    with pytest.raises(DecodeError, match="missing_id"):
        read("twilio_alert", {"sid": "NO1"})


def test_an_entry_without_an_id_is_known_by_its_content(read: Read) -> None:
    first, other = (
        read("twilio_alert", alert_row() | {"sid": None}),
        read("twilio_alert", alert_row("12100", sid="")),
    )
    assert {reading.identity_rule for reading in (*first, *other)} == {"4"}
    assert first[0].parts != other[0].parts


@pytest.mark.parametrize(
    ("source", "field", "raw", "level"),
    [
        *[("twilio_debugger", "Level", raw, "error") for raw in ("ERROR", "Error", "error")],
        *[("twilio_debugger", "Level", raw, "warning") for raw in ("WARNING", "Warning", "WARN")],
        *[("twilio_debugger", "Level", raw, None) for raw in ("", "FATAL")],
        ("twilio_debugger", "Level", "INFO", "info"),
        ("twilio_alert", "log_level", "notice", "info"),
        ("twilio_alert", "log_level", "debug", "debug"),
        ("twilio_alert", "log_level", None, None),
        ("twilio_notification", "log", "0", "error"),
        ("twilio_notification", "log", 1, "warning"),
        ("twilio_notification", "log", "2", None),
    ],
)
def test_the_rows_level_counts(read: Read, source: str, field: str, raw: Any, level: str | None) -> None:
    body = {
        "twilio_debugger": debugger_form(),
        "twilio_alert": alert_row(),
        "twilio_notification": notification().envelope.body,
    }[source]
    (reading,) = read(source, {**body, field: raw})
    assert reading.event.level == level
    assert (reading.alarming or reading.answer is not None) == (level == "error")
    if level is None and raw:
        assert reading.event.attributes[field] == raw


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        *((raw, str(raw)) for raw in ("11200", 12100, "4107", "235342434")),
        *((raw, None) for raw in ("32009,SIP: x", "", None, "0", True, "\u0663", {"a": 1})),
    ],
)
def test_a_code_is_digits_and_otherwise_kept_as_sent(read: Read, raw: Any, code: str | None) -> None:
    more = {"ErrorCode": "32009,SIP: no such user"}
    (reading,) = read("twilio_debugger", form(error_code=raw, more_info=more))
    assert reading.event.error_code == code
    if raw not in ("", None):
        assert reading.event.attributes["error_code"] == raw


@pytest.mark.parametrize(
    ("times", "occurred_at", "quality"),
    [
        ({}, "2026-03-02T10:00:07.000000Z", "second"),
        ({"date_generated": None}, "2026-03-02T10:00:08.000000Z", "second"),
        ({"date_generated": "soon"}, "2026-03-02T10:00:08.000000Z", "second"),
        ({"date_generated": "1970-01-01T00:00:00Z"}, "2026-03-02T10:00:08.000000Z", "second"),
        ({"date_generated": "9999-01-01T00:00:00Z"}, "2026-03-02T10:00:08.000000Z", "second"),
        ({"date_generated": "Mon, 02 Mar 2026 10:00:05 +0000"}, "2026-03-02T10:00:05.000000Z", "second"),
        ({"date_generated": None, "date_created": 7}, "2026-03-02T10:00:56.120000Z", "received"),
    ],
)
def test_the_time_is_the_occurrence_then_the_storing_then_the_receipt(
    read: Read, times: dict[str, Any], occurred_at: str, quality: str
) -> None:
    (reading,) = read("twilio_alert", alert_row() | times)
    assert (reading.event.occurred_at, reading.event.occurred_at_quality) == (occurred_at, quality)


@pytest.mark.parametrize(
    ("message_date", "occurred_at"),
    [
        ("Mon, 02 Mar 2026 10:00:05 +0000", "2026-03-02T10:00:05.000000Z"),
        (None, "2026-03-02T10:00:08.000000Z"),
    ],
)
def test_the_time_of_a_notification_is_its_message_s_then_the_storing(
    read: Read, message_date: str | None, occurred_at: str
) -> None:
    row = notification().envelope.body | {
        "message_date": message_date,
        "date_created": "Mon, 02 Mar 2026 10:00:08 +0000",
    }
    (reading,) = read("twilio_notification", row)
    assert reading.event.occurred_at == occurred_at
