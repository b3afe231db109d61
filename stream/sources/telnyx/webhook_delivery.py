"""Telnyx' record of one webhook: whether it was delivered, after how many attempts, and what was answered.

Like a row of `call_events` it has two parts: the delivery, and the event that was delivered. Both logs tell
the same delivery: it is known by the event's id and the URL. It changes while it is tried again, and is one
event.
(Telnyx: "List webhook deliveries".)
"""

from __future__ import annotations

from typing import Any

from stream.core.delivery.audit import sent_of
from stream.core.events import Envelope, Event, Reading, WebhookAnswer
from stream.sources import fields, redaction
from stream.sources.telnyx import webhook


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    row = {name: said for name, said in envelope.body.items() if name != "webhook"}
    sent = fields.object_in(envelope.body.get("webhook"))
    observed = webhook.observed_in(sent, envelope.account, envelope.source)
    payload = fields.object_in(sent.get("payload")) or sent
    leg_id = fields.identifier(payload.get("call_leg_id"), "call_leg_id")
    delivery_id = fields.identifier(row.get("id"), "id")
    attempts = _attempts(row)
    first_endpoint = _endpoint(attempts[-1]) if attempts else None
    attributes: dict[str, Any] = redaction.without_secrets(row)
    for attempt in _attempts(attributes):
        # Headers with signatures, and the bodies of request and response.
        attempt.pop("http", None)
    event = Event(
        key=fields.telnyx_key(leg_id, payload),
        provider="telnyx",
        account=envelope.account,
        call_id=leg_id,
        session_id=fields.lenient_identifier(payload.get("call_session_id")),
        leg_id=leg_id,
        source=envelope.source,
        family="delivery",
        name=fields.word(sent.copy(), "event_type") or "unknown",
        attributes=attributes,
    )
    occurred_us = fields.take_stamp(event, attributes, "finished_at")
    own = fields.by_content(envelope, event, occurred_us)
    parts = delivery_identity(observed, first_endpoint) or (delivery_id,)
    if parts != (None,):
        own = Reading(event, "2", parts, occurred_us)
    own.answer = _answer(row, attempts)
    own.evidence = webhook.lost(event.name) if row.get("status") == "failed" else ()
    if observed is None or observed.event.key != event.key:
        return [own]
    own.sent = sent_of(observed, own.answer)
    return [own, observed]


def delivery_identity(observed: Reading | None, endpoint: str | None) -> tuple[Any, ...]:
    """What identifies the delivery of an event that has an id to a URL; empty of another. A failover's URL is
    another delivery.
    """
    if observed is None or observed.identity_rule != "2" or endpoint is None:
        return ()
    return (*observed.parts, endpoint)


def _attempts(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The newest comes first."""
    attempts = row.get("attempts")
    return [one for one in attempts if type(one) is dict] if type(attempts) is list else []


def _endpoint(attempt: dict[str, Any]) -> str | None:
    url = fields.object_in(fields.object_in(attempt.get("http")).get("request")).get("url")
    return redaction.bare_web_url(url) if type(url) is str else None


def _answer(row: dict[str, Any], attempts: list[dict[str, Any]]) -> WebhookAnswer | None:
    """What the application answered to the last attempt; None while it is open or where no URL is told."""
    endpoint, status = _endpoint(attempts[0]) if attempts else None, row.get("status")
    if endpoint is None or status not in ("delivered", "failed"):
        return None
    http = fields.object_in(attempts[0].get("http"))
    method = fields.object_in(http.get("request")).get("method")
    code = fields.whole_number(fields.object_in(http.get("response")).get("status"))
    code = code if code is not None and 200 <= code <= 599 else None
    began_us = fields.iso8601_stamp(attempts[0].get("started_at"))[0]
    ended_us = fields.iso8601_stamp(attempts[0].get("finished_at"))[0]
    took_s = (ended_us - began_us) / 1_000_000 if began_us is not None and ended_us is not None else None
    code_class = f"{code // 100}xx" if code is not None else "2xx" if status == "delivered" else "none"
    method = method[:16] if type(method) is str else None
    return WebhookAnswer(endpoint, method, code, took_s, code_class, len(attempts))
