"""The request and the response within an event: of a request log, a delivery log, or an error log.

The attributes are as the provider sent them, so nothing in them is relied on.
"""

from __future__ import annotations

from typing import Any

from stream.core.privacy.free_text import bare_url
from stream.core.timestamps import SECOND_US, iso8601
from stream.timeline.call_timeline import HttpExchange

TIMEOUT_S = 15.0
"""Twilio's longest timeout of a call-related request: without a response after it, it was a timeout."""


def exchange_of(event: dict[str, Any]) -> HttpExchange | None:
    """The exchange that an event tells of; None if it tells of none."""
    said = _object(event.get("attributes"))
    family, provider = event.get("family"), event.get("provider")
    if event.get("name") == "error_logged":
        return _of_error_log(said)
    if family == "delivery":
        return _of_delivery(said)
    if family == "request_log" and provider == "twilio":
        return _of_request_log(_object(said.get("data")) or said)
    return None


def _of_request_log(said: dict[str, Any]) -> HttpExchange | None:
    request, response = _object(said.get("request")), _object(said.get("response"))
    if not request and not response:
        return None
    took_ms = _number(_first(response, "request_duration", "requestDuration", "duration"))
    status = _status(_first(response, "response_code", "responseCode", "code"))
    took_s = None if took_ms is None else took_ms / 1000
    return HttpExchange(
        url=_url(request.get("url")),
        method=_word(request.get("method")),
        status=status,
        result=_result(status, took_s),
        duration_s=took_s,
    )


def _of_error_log(said: dict[str, Any]) -> HttpExchange | None:
    webhook, more = _object(said.get("webhook")), _object(said.get("more_info"))
    request, response = _object(webhook.get("request")), _object(webhook.get("response"))
    url = _url(request.get("url") or more.get("url") or said.get("request_url"))
    if url is None:
        return None
    status = _status(response.get("status_code") or more.get("httpResponse"))
    method = _word(request.get("method") or said.get("request_method"))
    return HttpExchange(url=url, method=method, status=status, result=_result(status, None))


def _of_delivery(said: dict[str, Any]) -> HttpExchange | None:
    """Telnyx says whether a webhook was delivered. Only one of its two logs says where to, only the other one
    when each attempt began and ended.
    """
    metadata, attempts = _object(said.get("metadata")), said.get("attempts")
    tried = [one for one in attempts if type(one) is dict] if type(attempts) is list else []
    url = _url(metadata.get("delivered_to"))
    outcome = metadata.get("status") or said.get("status")
    result = {"delivered": "2xx", "failed": "none"}.get(str(outcome))
    if url is None and result is None and not tried:
        return None
    count = _number(metadata.get("attempt"))
    return HttpExchange(
        url=url,
        result=result,
        duration_s=_took_s(tried[0]) if tried else None,  # the newest comes first
        attempts=int(count) if count else len(tried) or None,
    )


def _took_s(attempt: dict[str, Any]) -> float | None:
    began_us, ended_us = (_moment_us(attempt.get(name)) for name in ("started_at", "finished_at"))
    return None if began_us is None or ended_us is None else (ended_us - began_us) / SECOND_US


def _moment_us(value: Any) -> int | None:
    return iso8601(value) if type(value) is str else None


def _result(status: int | None, took_s: float | None) -> str:
    if status is not None:
        return f"{status // 100}xx"
    return "timeout" if took_s is not None and took_s >= TIMEOUT_S else "none"


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _first(of: dict[str, Any], *names: str) -> Any:
    return next((of[name] for name in names if of.get(name) is not None), None)


def _number(value: Any) -> float | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    return float(value) if type(value) in (int, float) and 0 <= value < 1e9 else None


def _status(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 200 <= number <= 599 else None


def _word(value: Any) -> str | None:
    return value[:16] if type(value) is str else None


def _url(value: Any) -> str | None:
    return bare_url(value) if type(value) is str and value else None
