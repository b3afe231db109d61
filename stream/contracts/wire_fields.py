"""The same for what the roles write to each other, and for the headers of records."""

from __future__ import annotations

from stream.contracts.field_text import COUNT, ID, TEXT, TIME, Field, field
from stream.core.alerting.rules import SEVERITIES
from stream.core.events import FAMILIES
from stream.core.fetches import FETCH_RESULT, PRIORITIES, REASONS
from stream.core.forgetting import FORGET
from stream.core.insights_edges import EDGES
from stream.core.sources import FETCHED_SOURCES, PROVIDERS, SOURCES
from stream.service.metrics.label_values import DEAD_LETTER_REASONS

WIRE_FIELDS: dict[str, Field] = {
    "RawEnvelope.v": field("Version of the envelope.", 1, const=1),
    "RawEnvelope.source": field(
        f"The kind of delivery; `{FETCH_RESULT}`: a poller's result of a fetch request; `{FORGET}`: a "
        "request to forget the call.",
        "twilio_status_callback",
        known=(*SOURCES, FETCH_RESULT, FORGET),
    ),
    "RawEnvelope.account": field(
        "The provider's id of the account that the signature or the credentials proved; null if unknown.",
        "AC0123456789abcdef0123456789abcdef",
    ),
    "RawEnvelope.endpoint": field(
        "The gateway's path that received it, or the path of the resource that was read.", "/callbacks/twilio"
    ),
    "RawEnvelope.delivery": field("How it came."),
    "RawEnvelope.body": field(
        "What the provider sent, unchanged: the JSON object, the parameters of a form (a repeated one as a "
        "list), or one row of a resource.",
        {"CallSid": "CA8680230f4477433c7935a967bcc6def1", "CallStatus": "completed", "SequenceNumber": "3"},
    ),
    "RawEnvelope.ordinal": field(
        "Which of several identical ones it is, from 0; left out of the first.",
        0,
        optional=True,
        minimum=0,
        maximum=(1 << 31) - 1,
    ),
    "RawDelivery.token": field("The provider's idempotency token of the delivery.", None, optional=True),
    "RawDelivery.attempt": field("The provider's count of its attempts.", None, optional=True, **COUNT),
    "RawDelivery.query": field("The URL's query of a POST, as received.", None, optional=True),
    "RawDelivery.verified": field(
        "Whether a signature was valid, or the account's credentials read it.", True, optional=True
    ),
    "RawDelivery.variant": field(
        "Which form of the URL or which key the signature fitted.", None, optional=True
    ),
    "RawDelivery.remote": field("The address of the client that delivered it.", None, optional=True),
    "RawDelivery.original": field(
        "The body as Base64, where the form cannot be written again from `body`.", "", optional=True
    ),
    "FetchRequest.v": field("Version of the request. Version 1 had one read, without `reads`.", 2, const=2),
    "FetchRequest.reads": field("All reads of the call that are due.", minItems=1, uniqueItems=True),
    "FetchRequest.reason": field("Why it is read.", "ended", enum=[*REASONS]),
    "FetchRequest.due_at": field("Since when any of it is due.", "2026-11-29T00:46:16.000000Z", **TIME),
    "FetchRequest.attempt": field("Counts the attempts of these reads, from 1.", 1, minimum=1),
    "FetchRequest.priority": field("That of the most urgent read.", "heal", enum=[*PRIORITIES]),
    "FetchRead.source": field("The resource to read.", "twilio_insights_event", known=FETCHED_SOURCES),
    "FetchRead.edge": field(
        "The edge of Voice Insights; null for other resources.", "carrier_edge", enum=[*EDGES]
    ),
    "FetchRead.content": field(
        "What the call's last read of it had, 16 hex digits: equal rows are not written again.",
        None,
        pattern="^[0-9a-f]{16}$",
    ),
}

_EVENT_ID = "ecab2b4b-d776-55a3-9da7-34944fd88727"
_UPDATED_AT = field("`updated_at`.", "2026-11-29T00:46:15.000000Z", **TIME)


def _cloud_event(kind: str, schema: str, id_: str) -> dict[str, Field]:
    return {
        "content-type": field("The value is JSON.", "application/json", const="application/json"),
        "ce_specversion": field("CloudEvents 1.0, binary content mode.", "1.0", const="1.0"),
        "ce_id": field(id_, _EVENT_ID, **ID),
        "ce_source": field(
            "The installation and the account's name.", "/callstream/calls/default", pattern="^/callstream/"
        ),
        "ce_type": field(
            "What it is.", f"io.callstream.{kind}", pattern=rf"^io\.callstream\.{kind.split('.')[0]}"
        ),
        "ce_dataschema": field("The schema of the value.", f"https://callstream.io/schemas/{schema}.json"),
        "callstream-provider": field("The provider.", "twilio", enum=[*PROVIDERS]),
        "callstream-account": field(
            "`account_alias`; left out if unknown.", "default", optional=True, **TEXT
        ),
    }


HEADERS: dict[str, dict[str, Field]] = {
    "event_headers": {
        **_cloud_event("event", "event", "The event's `id`."),
        "callstream-family": field("The event's `family`.", "progress", known=FAMILIES),
    },
    "call_record_headers": {
        **_cloud_event("call.ended", "call_record", "The record's `id`."),
        "ce_time": _UPDATED_AT,
        "callstream-outcome": field("The record's `outcome`.", "answered", **TEXT),
    },
    "alert_headers": {
        **_cloud_event("alert.firing", "alert", "The alert's `id`."),
        "ce_time": _UPDATED_AT,
        "ce_subject": field("`scope.id`.", "twilio:CA8680230f4477433c7935a967bcc6def1", **TEXT),
        "callstream-rule": field("`rule.id`.", "call.failed", **TEXT),
        "callstream-severity": field("`severity`.", "warning", enum=[*SEVERITIES]),
    },
    "dead_letter_headers": {
        "reason": field("Why it could not be applied.", "key_mismatch", known=DEAD_LETTER_REASONS),
        "stage": field("Where that was found.", "decode", **TEXT),
        "error": field("The cause, without the delivery's content.", "the value is null"),
        "source_topic": field(
            "The topic that it was read from; of a page or row of a resource, the resource's path.",
            "calls.callbacks.v1",
            **TEXT,
        ),
        "source_partition": field(
            "The partition, in digits; `-1`: it was in no topic.", "4", pattern="^(-1|[0-9]+)$"
        ),
        "source_offset": field(
            "The offset, in digits; `-1`: it was in no topic.", "1042", pattern="^(-1|[0-9]+)$"
        ),
    },
    "redriven_headers": {
        "redriven": field("Offsets of dead letters of this partition, with commas.", "1042,1043", **TEXT),
    },
}
"""By the name of their document. The headers of a dead letter are followed by the record's own."""
