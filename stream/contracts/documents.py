"""The published documents by name: what `callstream schemas` prints and a role serves at `/schemas/`."""

from __future__ import annotations

from typing import Any, NamedTuple

from stream.contracts.json_schema import DIALECT, Schema, headers_schema, schema_of
from stream.contracts.shapes import RawEnvelope
from stream.contracts.wire_fields import HEADERS
from stream.core.alerting.alert import Alert
from stream.core.call.record import CallRecord
from stream.core.events import Event
from stream.core.fetches import FetchRequest
from stream.core.statuses import STATUSES, TERMINAL

ADDRESS = "https://callstream.io/schemas/"
_OPEN = "Ignore fields and words that you do not know."


def _if(field: str, is_: Schema, then: Schema, otherwise: Schema | None = None) -> Schema:
    made = {"if": {"properties": {field: is_}}, "then": {"properties": then}}
    return made | ({"else": {"properties": otherwise}} if otherwise is not None else {})


class Document(NamedTuple):
    """One schema. `kind`: the type of the record; None: of headers. `conditions`: between its fields."""

    title: str
    description: str
    kind: Any = None
    conditions: tuple[Schema, ...] = ()


DOCUMENTS: dict[str, Document] = {
    "event": Document(
        "Event",
        f"One logical event of a call, once, in the order in which it was applied. {_OPEN}",
        Event,
        (
            _if(
                "occurred_at",
                {"type": "null"},
                {"occurred_at_quality": {"const": "unknown"}},
                {"occurred_at_quality": {"not": {"const": "unknown"}}},
            ),
        ),
    ),
    "call_record": Document(
        "Call record",
        f"The state of a call that has ended, by revision: the highest one replaces the others. {_OPEN}",
        CallRecord,
        (
            _if(
                "outcome",
                {"type": "null"},
                {"status": {"enum": [*(one for one in STATUSES if one not in TERMINAL), None]}},
                {"status": {"enum": [one for one in STATUSES if one in TERMINAL]}},
            ),
            _if("duration_s", {"type": "number"}, {"outcome": {"const": "answered"}}),
        ),
    ),
    "alert": Document(
        "Alert",
        f"What someone should know of a call or an endpoint, by revision of an episode. {_OPEN}",
        Alert,
        (
            _if(
                "state",
                {"const": "resolved"},
                {"ends_at": {"type": "string"}},
                {"ends_at": {"type": "null"}},
            ),
            _if("scope", {"properties": {"type": {"const": "call"}}}, {"call": {"type": "object"}}),
            _if(
                "rule",
                {"properties": {"id": {"pattern": r"^webhook\."}}},
                {"webhook": {"type": "object"}},
            ),
        ),
    ),
    "raw_envelope": Document(
        "Raw envelope",
        "One delivery of a provider, with its body unchanged and not masked.",
        RawEnvelope,
    ),
    "fetch_request": Document(
        "Fetch request", "A request to a poller to read resources of a call.", FetchRequest
    ),
    "event_headers": Document(
        "Headers of an event", "CloudEvents in binary mode, and what a router filters by."
    ),
    "call_record_headers": Document(
        "Headers of a call record", "CloudEvents in binary mode, and what a router filters by."
    ),
    "alert_headers": Document(
        "Headers of an alert", "CloudEvents in binary mode, and what a router filters by."
    ),
    "dead_letter_headers": Document(
        "Headers of a dead letter",
        "Why a record could not be applied and where it came from; key and value are the record's own bytes.",
    ),
    "redriven_headers": Document(
        "Headers of a note about dead letters", "Without key and value: which letters were written back."
    ),
}


def document(name: str, *, closed: bool = False) -> Schema:
    about = DOCUMENTS[name]
    if about.kind is None:
        found = headers_schema(HEADERS[name], closed=closed)
        if name == "dead_letter_headers":
            found.pop("additionalProperties", None)  # the record's own headers follow
    else:
        found = schema_of(about.kind, closed=closed)
    made = {"$schema": DIALECT, "$id": f"{ADDRESS}{name}.json", "title": about.title, **found}
    made["description"] = about.description
    if about.conditions:
        made["allOf"] = [*about.conditions]
    return made
