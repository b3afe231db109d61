"""What of the error log's entries is redacted: parameters, headers, bodies, queries, texts."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.events import Reading
from stream.core.privacy import sensitive_names
from stream.core.privacy.masking import Privacy
from stream.sources.twilio import error_log
from tests.core.deliveries import CALL_ID
from tests.core.error_log.tellings import alert_row, debugger_form, details, notification, streamed
from tests.sources.conftest import Read

SECRETS = ("hunter2", "sess9f", "tok3n", "4141")
SOWN = {
    "From": "+14155550142",
    "CallerName": "JANE ROE",
    "Digits": "4141",
    "AuthToken": "hunter2",
    "SpeechResult": "my name is Jane",
    "SipHeader_Authorization": "Basic hunter2",
}


def sown() -> list[tuple[str, dict[str, Any]]]:
    url = "https://user:hunter2@hooks.example.test/tw?token=tok3n&CallSid=" + CALL_ID
    headers = {"Set-Cookie": "sess9f", "Authorization": "Bearer hunter2", "X-Twilio-Signature": "tok3n"}
    payload = details(url=url, asked=SOWN) | {
        "more_info": {"Msg": f"Got 502 from {url} with password=hunter2", "url": url}
    }
    payload["webhook"]["request"]["headers"] = headers | {"Content-Type": "text/html"}
    payload["webhook"]["response"] |= {"headers": headers, "body": "hello JANE ROE +14155550142 hunter2"}
    variables = "From=%2B14155550142&Digits=4141&AuthToken=hunter2&CallerName=JANE+ROE"
    row = alert_row(url=url, whole=True) | {
        "alert_text": f"Msg=password%3Dhunter2&url={url.replace('&', '%26')}",
        "request_variables": variables,
        "request_headers": "Authorization=Basic+hunter2",
        "response_headers": "Set-Cookie=sess9f",
        "response_body": "hello JANE ROE hunter2",
    }
    prose = row | {"alert_text": f"Failed to reach {url} for +14155550142, password: hunter2"}
    return [
        ("twilio_debugger", debugger_form(payload)),
        ("twilio_event_stream", streamed(payload).envelope.body),
        ("twilio_alert", row),
        ("twilio_alert", prose),
        ("twilio_notification", row | {"call_sid": CALL_ID, "message_text": row["alert_text"]}),
    ]


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
@pytest.mark.parametrize(("source", "body"), sown())
def test_what_is_secret_leaves_in_no_mode_and_what_is_personal_in_full_alone(
    read: Read, mode: str, source: str, body: dict[str, Any]
) -> None:
    (reading,) = read(source, body)
    shown = shown_by(reading, Privacy(mode, "key"))
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "hello JANE" not in shown
    assert ("4155550142" in shown or "JANE" in shown) <= (mode == "full")
    assert reading.event.call_id == CALL_ID
    assert reading.event.attributes


@pytest.mark.parametrize(
    "variables",
    [
        "CallerName=JANE ROE&SpeechResult=my name is Jane",
        '{"CallerName": "JANE ROE", "SpeechResult": ',
        "<Caller>JANE ROE</Caller>",
        "JANE",
        '["JANE ROE", "my name is Jane"]',
        "&".join(f"p{n}=1" for n in range(1000)) + "&CallerName=JANE",
    ],
)
@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
def test_parameters_that_are_not_a_form_are_masked_whole(read: Read, mode: str, variables: str) -> None:
    logged = details()["webhook"] | {"request": {"url": None, "parameters": variables}}
    for source, body in (
        ("twilio_alert", alert_row(whole=True) | {"request_variables": variables}),
        ("twilio_notification", notification().envelope.body | {"request_variables": variables}),
        ("twilio_debugger", debugger_form(details() | {"webhook": logged})),
        ("twilio_event_stream", streamed(details() | {"webhook": logged}).envelope.body),
    ):
        (reading,) = read(source, body)
        shown = shown_by(reading, Privacy(mode, "key"))
        assert ("jane" in shown.lower()) == (mode == "full"), source
        assert ("***" in shown) == (mode != "full"), source


def test_bodies_and_queries_within_lists_are_removed_too(read: Read) -> None:
    deep = [{"response_body": "hello JANE"}, ["see https://h.test/x?token=tok3n now"]]
    (reading,) = read("twilio_debugger", debugger_form(details() | {"more_info": {"seen": deep}}))
    shown = shown_by(reading, Privacy("full"))
    assert "see https://h.test/x now" in shown
    assert [text for text in ("JANE", "tok3n") if text in shown] == []


def test_a_long_name_is_read_once_and_not_for_each_value_below_it(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a list of a hundred thousand under it keeps the gateway's event loop for seconds."""
    names: list[str] = []
    monkeypatch.setattr(
        error_log, "normalised", lambda name: names.append(name) or sensitive_names.normalised(name)
    )
    read("twilio_debugger", debugger_form(details() | {"long_name": [[1, 2], [3, [4, 5]]]}))
    assert names.count("long_name") == 1


def shown_by(reading: Reading, privacy: Privacy) -> str:
    privacy.apply(reading)
    return repr(reading)
