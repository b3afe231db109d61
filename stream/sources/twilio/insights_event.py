"""Twilio's Voice Insights: a row of Events is an observation of one edge of the media network.

Names, groups and levels are an open vocabulary; edge and level are often null, and null stays null. A row has
no id: it is identified by its content, identical rows by their position in one complete read.
"""

from __future__ import annotations

import re
from typing import Any

from stream.core.events import Envelope, Event, Reading
from stream.core.identity import content_hash
from stream.core.insights_edges import NETWORK_EDGES
from stream.sources import fields, redaction

_PATH = re.compile(r"/Voice/([^/]+)/(?:Events|Summary)")
_PAYLOADS = ("carrier_edge", "sip_edge", "sdk_edge", "client_edge", "conversation_relay_data")

_CLIENT_FACTS = frozenset(
    (
        *("get-user-media:denied", "get-user-media:failed", "ice-connection-state:failed"),
        *("dtls-transport-state:failed", "pc-connection-state:failed"),
        *("ice-gathering-state:none", "ice-gathering-state:timeout"),
        *("network-quality-warning-raised", "network-quality-warning-cleared", "ice-connectivity-lost"),
        *("constant-audio-input-level", "reconnected"),
        *("disconnected-by-local", "disconnected-by-remote", "rejected-by-local", "cancel"),
    )
)
"""Events of clients that may say why a call ended, by group and name, name, or group."""


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    return [event_of(envelope.body, envelope, call_of_path(envelope))]


def event_of(body: dict[str, Any], envelope: Envelope, call_id: str | None) -> Reading:
    """The reading of a row of Events, from any source. `call_id`: used if the row has none."""
    # A row with a null field and a row without this field are the same.
    present = {name: value for name, value in body.items() if value is not None}
    identity = (content_hash(present), envelope.ordinal)
    row = redaction.without_secrets(body)

    call_id = take_call_id(row) or fields.required_identifier(call_id, "call_sid")
    account = fields.lenient_identifier(row.get("account_sid"))
    if account is not None:
        del row["account_sid"]
    occurred_us, occurred_at, quality = fields.iso8601_stamp(row.get("timestamp"))
    if occurred_us is not None:
        del row["timestamp"]
    level = fields.level(row.get("level"))
    if level is not None:
        del row["level"]
    event = Event(
        key=f"twilio:{call_id}",
        provider="twilio",
        account=account or envelope.account,
        call_id=call_id,
        source=envelope.source,
        family="insights",
        name=fields.word(row, "name") or "unknown",
        level=level,
        edge=fields.word(row, "edge"),
        group=fields.word(row, "group"),
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        error_code=_error_code(row),
        attributes=row,
    )
    reading = Reading(event, "4", identity, occurred_us, alarming=level == "error")
    if event.edge not in NETWORK_EDGES:
        reading.evidence = _of_client(event)
    return reading


def _of_client(event: Event) -> tuple[tuple[str, str], ...]:
    """What an event of a client says of why the call ended. (Twilio: Voice SDKs, "Voice Insights events")."""
    for said in (f"{event.group}:{event.name}", event.name, str(event.group)):
        if said in _CLIENT_FACTS:
            return (("media", said),)
    return ()


def take_call_id(row: dict[str, Any]) -> str | None:
    """Move the call's id out of the row."""
    return fields.identifier(row.pop("call_sid", None), "call_sid")


def call_of_path(envelope: Envelope) -> str | None:
    path = _PATH.search(envelope.endpoint or "")
    return path[1] if path else None


def _error_code(row: dict[str, Any]) -> str | None:
    """The code in the edge's payload: `error.code`, or `error_code` in one of ConversationRelay's objects."""
    for name in _PAYLOADS:
        payload = row.get(name)
        if type(payload) is not dict:
            continue
        for inner in (payload, *payload.values()):
            if type(inner) is dict and (code := fields.error_code(inner.get("error_code"))):
                return code
        error = payload.get("error")
        if type(error) is dict and (code := fields.error_code(error.get("code"))):
            return code
    return None
