"""The AsyncAPI 3 document: topics, keys, headers, policies and schemas of one installation.

The parts of its schemas are components of the document, because a reference starts at the document's root.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

from stream.contracts.documents import DOCUMENTS, document
from stream.contracts.json_schema import Schema
from stream.kafka.topics import POLICIES, names

BINDING_VERSION = "0.5.0"
"""Of Kafka's bindings. (AsyncAPI bindings repository, kafka 0.5.0)"""

_NUMBERS = ("retention.ms", "max.message.bytes", "min.compaction.lag.ms", "delete.retention.ms")
_CALL = "The call: `<provider>:<id of the call>`."


class Channel(NamedTuple):
    """One topic. `values` and `headers`: names of documents, None for none; `key`: what the Kafka key is.

    `note`: the headers of another message, which has nothing else.
    """

    role: str
    description: str
    key: str
    values: str | None
    headers: str | None
    note: str | None = None


CHANNELS: tuple[Channel, ...] = (
    Channel("events", "Each event of each call, once.", _CALL, "event", "event_headers"),
    Channel("ended", "Call records. The newest counts.", _CALL, "call_record", "call_record_headers"),
    Channel("alerts", "The history of alerts.", "The alert's `scope.id`.", "alert", "alert_headers"),
    Channel(
        "alerts_active",
        "Alerts that fire now. A null value removes one.",
        "The alert's `fingerprint`.",
        "alert",
        "alert_headers",
    ),
    Channel(
        "dead_letters",
        "Records that could not be applied, with their own key and value.",
        "The key of the record.",
        None,
        "dead_letter_headers",
        "redriven_headers",
    ),
    Channel("callbacks", "Webhooks as received, not masked.", _CALL, "raw_envelope", None),
    Channel("polled", "Rows of REST resources as read, not masked.", _CALL, "raw_envelope", None),
    Channel("fetches", "Requests to read a call's resources.", _CALL, "fetch_request", None),
)
"""Topics that a consumer may read. The others are callstream's own."""


def asyncapi(prefix: str, partitions: int) -> dict[str, Any]:
    """The document for topics of this prefix."""
    topics = names(prefix)
    schemas: dict[str, Schema] = {}
    used = [
        one for one in DOCUMENTS if any(one in (each.values, each.headers, each.note) for each in CHANNELS)
    ]
    for name in used:
        own = document(name)
        inner = own.pop("$defs", {})
        for keyword in ("$schema", "$id"):
            own.pop(keyword)
        schemas |= {part: _rebased(said) for part, said in {name: own, **inner}.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "callstream",
            "version": version("callstream"),
            "description": "Phone-call events of Twilio and Telnyx. With `isolation.level=read_committed` "
            "each record appears once. Ignore fields and words that you do not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {one.role: _channel(one, getattr(topics, one.role), partitions) for one in CHANNELS},
        "operations": {
            f"send_{one.role}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{one.role}"},
                "summary": one.description,
            }
            for one in CHANNELS
        },
        "components": {
            "messages": {name: said for one in CHANNELS for name, said in _messages(one).items()},
            "schemas": schemas,
        },
    }


def _channel(one: Channel, topic: str, partitions: int) -> dict[str, Any]:
    policy = POLICIES[one.role]
    config: dict[str, Any] = {name: int(policy[name]) for name in _NUMBERS if name in policy}
    return {
        "address": topic,
        "description": one.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(one)},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": partitions,
                "topicConfiguration": {"cleanup.policy": policy["cleanup.policy"].split(","), **config},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _messages(one: Channel) -> dict[str, Any]:
    about = DOCUMENTS[one.values or one.headers or ""]
    key = {"key": {"type": "string", "description": one.key}, "bindingVersion": BINDING_VERSION}
    parts = {"headers": one.headers, "payload": one.values}
    made: dict[str, Any] = {
        one.role: {
            "name": one.role,
            "title": about.title,
            "summary": about.description,
            "bindings": {"kafka": key},
            **{part: _component(name) for part, name in parts.items() if name is not None},
        }
    }
    if one.note is not None:
        about, name = DOCUMENTS[one.note], f"{one.role}_note"
        title, summary = about.title, about.description
        made[name] = {"name": name, "title": title, "summary": summary, "headers": _component(one.note)}
    return made


def _component(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _rebased(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_rebased(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: said.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _rebased(said)
        for name, said in schema.items()
    }
