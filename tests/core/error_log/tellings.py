"""The four tellings of one entry of Twilio's error log, as the providers write them, with fictional data."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.core.deliveries import ACCOUNT, CALL_ID, TWILIO_KEY, Delivery, at, delivery, rfc2822

SID = "NO" + "0e" * 16
URL = "https://hooks.example.test/tw/answer?tenant=7"
ASKED = {"CallSid": CALL_ID, "AccountSid": ACCOUNT, "CallStatus": "in-progress", "Direction": "inbound"}


def _text(code: str, url: str, **more: str) -> dict[str, str]:
    told = {"Msg": "", "sourceComponent": "12000", "ErrorCode": code, "url": url.partition("?")[0]}
    return told | {"LogLevel": "WARN" if code == "15003" else "ERROR"} | more


def details(
    code: str = "11200",
    *,
    url: str = URL,
    status: int | None = 502,
    asked: dict[str, str] = ASKED,
    call_id: str | None = CALL_ID,
) -> dict[str, Any]:
    """`Payload` of the Debugger, `data.payload` of Event Streams."""
    return {
        "resource_sid": call_id,
        "service_sid": None,
        "error_code": code,
        "more_info": _text(code, url),
        "webhook": {
            "type": "application/json",
            "request": {
                "method": "POST",
                "url": url,
                "headers": {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "sess=9f"},
                "parameters": asked,
            },
            "response": {"status_code": status, "headers": {}, "body": "<html>bad gateway</html>"},
        },
    }


def debugger_form(
    payload: Any = None, *, sid: str = SID, second: int = 7, level: str = "ERROR"
) -> dict[str, str]:
    return {
        "AccountSid": ACCOUNT,
        "Level": level,
        "ParentAccountSid": "",
        "PayloadType": "application/json",
        "Sid": sid,
        "Timestamp": at(second)[:19] + "Z",
        "Payload": payload if type(payload) is str else json.dumps(payload or details()),
    }


def debugger(
    payload: Any = None,
    *,
    sid: str = SID,
    second: int = 7,
    level: str = "ERROR",
    received_s: float = 8.0,
    key: str = TWILIO_KEY,
) -> Delivery:
    form = debugger_form(payload, sid=sid, second=second, level=level)
    return delivery("twilio_debugger", key, form, received_s, "/callbacks/twilio")


def alert_row(
    code: str = "11200",
    *,
    sid: str = SID,
    second: int = 7,
    url: str | None = URL,
    call_id: str | None = CALL_ID,
    level: str = "error",
    whole: bool = False,
) -> dict[str, Any]:
    """A row of Monitor Alerts; `whole`: as it is fetched by itself."""
    row: dict[str, Any] = {
        "sid": sid,
        "account_sid": ACCOUNT,
        "resource_sid": call_id,
        "service_sid": None,
        "error_code": code,
        "log_level": level,
        "api_version": "2010-04-01",
        "alert_text": urlencode(_text(code, url or "", httpResponse="502")),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "request_method": "POST" if url else None,
        "request_url": url,
        "date_generated": at(second)[:19] + "Z",
        "date_created": at(second + 1)[:19] + "Z",
        "date_updated": at(second + 3)[:19] + "Z",
        "url": f"https://monitor.twilio.com/v1/Alerts/{sid}",
    }
    if whole:
        row |= {
            "request_variables": urlencode(ASKED),
            "request_headers": None,
            "response_headers": "Content-Type=text%2Fhtml&Set-Cookie=sess%3D9f",
            "response_body": "<html>bad gateway</html>",
        }
    return row


def alert(code: str = "11200", *, received_s: float = 70.0, **more: Any) -> Delivery:
    return delivery("twilio_alert", TWILIO_KEY, alert_row(code, **more), received_s, "/v1/Alerts")


def notification(
    code: str = "11200",
    *,
    sid: str = SID,
    second: int = 8,
    log: str = "0",
    url: str = URL,
    received_s: float = 130.0,
) -> Delivery:
    row = {
        "sid": sid,
        "account_sid": ACCOUNT,
        "call_sid": CALL_ID,
        "error_code": code,
        "log": log,
        "message_text": urlencode(_text(code, url) | {"statusCallback": url}),
        "message_date": rfc2822(second),
        "date_created": rfc2822(second),
        "date_updated": rfc2822(second + 1),
        "request_method": None,
        "request_url": "" if code == "15003" else url,
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Notifications/{sid}.json",
    }
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Notifications.json"
    return delivery("twilio_notification", TWILIO_KEY, row, received_s, path)


def streamed(
    payload: Any = None,
    *,
    sid: str = SID,
    second: int = 7,
    level: str = "ERROR",
    received_s: float = 9.0,
    **data: Any,
) -> Delivery:
    body = {
        "specversion": "1.0",
        "type": "com.twilio.error-logs.error.logged",
        "source": "/v1/Accounts",
        "id": sid,
        "time": at(second + 1.12),
        "data": {
            "sid": sid,
            "account_sid": ACCOUNT,
            "master_account_sid": ACCOUNT,
            "date_created": at(second)[:23] + "Z",
            "level": level,
            "product_name": "Programmable Voice",
            "error_code": "11200",
            "correlation_sid": CALL_ID,
            "payload": payload if type(payload) is str else json.dumps(payload or details()),
        }
        | data,
    }
    return delivery("twilio_event_stream", TWILIO_KEY, body, received_s)


def tellings() -> list[Delivery]:
    """All four, and the alert as it is fetched by itself."""
    return [debugger(), streamed(), alert(), alert(whole=True), notification()]


def request_row(second: int | None = 8, url: str = URL, code: int | None = 502) -> Delivery:
    """The request log's row of the failing request, 15 minutes later. `second` None: without a response."""
    row: dict[str, Any] = {
        "request": {"method": "POST", "url": url, "parameters": {"call_sid": CALL_ID}},
        "response": None,
    }
    if second is not None:
        row["response"] = {
            "response_code": code,
            "request_duration": 38,
            "date_created": rfc2822(second),
        }
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Events.json"
    return delivery("twilio_call_event", TWILIO_KEY, row, 1000.0, path)
