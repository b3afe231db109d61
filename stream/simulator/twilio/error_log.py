"""Twilio's log of errors and warnings, an entry for each request that the customer's application failed.

Everyone who tells of an entry (the Debugger's webhook, Monitor Alerts, a call's Notifications, Event Streams)
names it by the same `NO` sid and words it in its own way.
(Twilio: "Debugging event webhooks", "Alerts subresource", "Notifications subresource", Event Streams
"Error logs".)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from stream.provider_api.time_formats import iso, iso_ms, rfc2822
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.twilio.callbacks import StatusCallback, parameters
from stream.simulator.twilio.request_log import API_URL, NO_ANSWER, LoggedRequest

NOT_FETCHED, NOT_REACHED, CALLBACK_REFUSED = "11200", "11205", "15003"
"""No usable answer; no connection; a status callback that was answered with an error, which is a warning."""

ERROR, WARNING = "error", "warning"
_COMPONENT = "12000"
_API = API_URL.partition("{")[0]


class LoggedError(NamedTuple):
    """An entry of the log. `at_us`: when the request had failed."""

    sid: str
    code: str
    level: str
    at_us: int
    request: LoggedRequest

    @property
    def answered(self) -> bool:
        """The application answered, with an error."""
        return self.request.answer > 0


def logged_errors(call_id: str, requests: Sequence[LoggedRequest]) -> list[LoggedError]:
    """The entries of a call's failed requests. They take no draw of the run's randomness."""
    return [
        LoggedError(
            "NO" + hashlib.blake2b(f"{call_id} {number}".encode(), digest_size=16).hexdigest(),
            *_code_and_level(request),
            request.at_us + request.duration_ms * 1000,
            request,
        )
        for number, request in enumerate(requests)
        if request.failing and not request.url.startswith(_API)
    ]


def _code_and_level(request: LoggedRequest) -> tuple[str, str]:
    """A callback that cannot be reached is told like instructions that cannot be fetched."""
    if request.answer == NO_ANSWER:
        return NOT_REACHED, ERROR
    if request.step is not None and request.answer > 0:
        return CALLBACK_REFUSED, WARNING
    return NOT_FETCHED, ERROR


class ErrorTelling:
    """How the entries of one call are worded.

    `constant`: the parameters that the call's callbacks share.
    """

    def __init__(
        self, call: SimulatedCall, constant: dict[str, Any], callbacks: Sequence[StatusCallback]
    ) -> None:
        self._call = call
        self._constant = constant
        self._callbacks = callbacks

    def debugger_form(self, entry: LoggedError) -> dict[str, str]:
        """The form that the Debugger posts. A main account has an empty parent."""
        return {
            "AccountSid": self._call.account,
            "Level": entry.level.upper(),
            "ParentAccountSid": "",
            "PayloadType": "application/json",
            "Payload": orjson.dumps(self._payload(entry)).decode(),
            "Sid": entry.sid,
            "Timestamp": iso(entry.at_us),
        }

    def stream_event(self, entry: LoggedError) -> dict[str, Any]:
        """The CloudEvent of Event Streams. Its `data` is in snake case, and has the payload as text."""
        return {
            "specversion": "1.0",
            "type": "com.twilio.error-logs.error.logged",
            "source": "/v1/Errors",
            "id": entry.sid,
            "time": iso_ms(entry.at_us),
            "datacontenttype": "application/json",
            "dataschema": "https://events-schemas.twilio.com/ErrorLogs.Error/2",
            "data": {
                "sid": entry.sid,
                "account_sid": self._call.account,
                "master_account_sid": self._call.account,
                "date_created": iso_ms(entry.at_us),
                "level": entry.level.upper(),
                "product_name": "Programmable Voice",
                "error_code": entry.code,
                "request_sid": None,
                "service_sid": None,
                "correlation_sid": self._call.id,
                "payload": orjson.dumps(self._payload(entry)).decode(),
            },
        }

    def alert_row(self, entry: LoggedError, *, single: bool = False) -> dict[str, Any]:
        """A row of Monitor Alerts. The single form has the request and its answer, too."""
        return {
            "sid": entry.sid,
            "account_sid": self._call.account,
            "resource_sid": self._call.id,
            "service_sid": None,
            "error_code": entry.code,
            "log_level": entry.level,
            "api_version": "2010-04-01",
            "alert_text": urlencode(self._told(entry)),
            "more_info": _dictionary_page(entry),
            "request_method": "POST",
            "request_url": entry.request.url,
            "date_generated": iso(entry.at_us),
            "date_created": iso(entry.at_us),
            "date_updated": iso(entry.at_us + 1_000_000),
            "url": f"https://monitor.twilio.com/v1/Alerts/{entry.sid}",
            **(self._exchange(entry) if single else {}),
        }

    def notification_row(self, entry: LoggedError) -> dict[str, Any]:
        return {
            "sid": entry.sid,
            "account_sid": self._call.account,
            "call_sid": self._call.id,
            "error_code": entry.code,
            "log": "0" if entry.level == ERROR else "1",
            "api_version": "2010-04-01",
            "more_info": _dictionary_page(entry),
            "message_date": rfc2822(entry.at_us),
            "date_created": rfc2822(entry.at_us),
            "date_updated": rfc2822(entry.at_us + 1_000_000),
            "request_method": "POST",
            "request_url": entry.request.url,
            "message_text": urlencode(self._told(entry)),
            "uri": f"/2010-04-01/Accounts/{self._call.account}/Notifications/{entry.sid}.json",
        }

    def _payload(self, entry: LoggedError) -> dict[str, Any]:
        told = self._told(entry)
        request = {
            "method": "POST",
            "url": entry.request.url,
            "headers": self._headers(planted.REQUEST_HEADERS),
            "parameters": self._parameters(entry),
        }
        response = {
            "status_code": entry.request.answer,
            "headers": self._headers(planted.RESPONSE_HEADERS),
            "body": self._body(),
        }
        return {
            "resource_sid": self._call.id,
            "service_sid": None,
            "error_code": entry.code,
            "more_info": {**told, "msg": told["Msg"]},
            "webhook": {
                "type": "application/json",
                "request": request,
                **({"response": response} if entry.answered else {}),
            },
        }

    def _exchange(self, entry: LoggedError) -> dict[str, Any]:
        """Forms, and null where nobody answered."""
        headers, answered = self._headers(planted.RESPONSE_HEADERS), entry.answered
        return {
            "request_variables": urlencode(self._parameters(entry)),
            "request_headers": urlencode(self._headers(planted.REQUEST_HEADERS)),
            "response_headers": urlencode(headers) if answered else None,
            "response_body": self._body() if answered else None,
        }

    def _told(self, entry: LoggedError) -> dict[str, str]:
        """What the text of an entry says, as a form or as an object."""
        url, answer = entry.request.url, entry.request.answer
        said = f"answered {answer}" if entry.answered else "did not answer"
        where = "statusCallback" if entry.code == CALLBACK_REFUSED else "url"
        return {
            where: url,
            "ErrorCode": entry.code,
            "LogLevel": "WARN" if entry.level == WARNING else "ERROR",
            "Msg": f"{url} {said}",
            "sourceComponent": _COMPONENT,
            **({"httpResponse": str(answer)} if entry.answered else {}),
        }

    def _parameters(self, entry: LoggedError) -> dict[str, Any]:
        """Those of the request that failed."""
        step = entry.request.step
        if step is None:
            return {**self._constant, "CallStatus": entry.request.status}
        return parameters(self._call, self._constant, self._callbacks[step])

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        usual = {"Content-Type": "text/html"}
        return usual | ({} if self._call.planted is None else self._call.planted.fill(more))

    def _body(self) -> str:
        said = self._call.planted
        return "<html>bad gateway</html>" if said is None else f"<html>{said.name}, {said.number}</html>"


def _dictionary_page(entry: LoggedError) -> str:
    return f"https://www.twilio.com/docs/errors/{entry.code}"
