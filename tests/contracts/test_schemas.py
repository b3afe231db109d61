"""What the core writes matches the closed schemas, and they refuse anything else."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, get_args

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from stream.contracts.documents import DOCUMENTS, document
from stream.contracts.json_schema import DESCRIBED, NotDescribedError, example_of, schema_of
from stream.core.alerting.alert import Alert
from stream.core.alerting.conditions import take
from stream.core.alerting.scopes import Told
from stream.core.call.record import CallRecord
from stream.core.effects import Observed
from stream.core.events import Event
from stream.core.fetches import FetchRequest
from stream.core.policy import CallPolicy
from stream.core.sources import FETCHED_SOURCES
from stream.kafka.envelope_codec import dead_letter_headers
from tests.contracts.closed import off_schema, validator
from tests.core.deliveries import (
    START_US,
    TWILIO_KEY,
    Delivery,
    answered_call,
    callback,
    insight,
    telnyx,
    telnyx_event,
)
from tests.core.folding import tell
from tests.core.mixtures import several
from tests.e2e.harness import ReadRecord

NAMES = {Event: "event", CallRecord: "call_record", Alert: "alert", FetchRequest: "fetch_request"}
POLLED = CallPolicy(polled=FETCHED_SOURCES)


def written(effect: Any) -> dict[str, Any]:
    """An effect as a consumer reads it."""
    read: dict[str, Any] = orjson.loads(msgspec.json.encode(effect))
    return read


def wrong(name: str, record: dict[str, Any]) -> list[str]:
    """The closed schema's errors for a record."""
    return sorted(error.message for error in validator(name).iter_errors(record))


@given(several)
@settings(max_examples=16, deadline=None)
def test_whatever_is_told_of_a_call_is_what_its_schema_says(deliveries: list[Delivery]) -> None:
    for effect in tell(deliveries, policy=POLLED).effects:
        if type(effect) in NAMES:
            assert wrong(NAMES[type(effect)], written(effect)) == []


FAILED = [
    callback("initiated", "0", 0),
    callback("failed", "1", 3, SipResponseCode="503", ErrorCode="13224"),
]


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = example_of(document(name))
    return found


def an_alert() -> dict[str, Any]:
    return written(tell(FAILED).alerts[0])


def a_webhook_alert() -> dict[str, Any]:
    told = Told(scope="twilio:endpoint:AC1:https://hooks.example.test/tw", heard_us=START_US)
    for second in range(10):
        told.add(Observed(told.scope, START_US + second, START_US, ("answers", "failing"), (TWILIO_KEY, "x")))
    return written(take(None, told, CallPolicy())[1][0])


def an_event() -> dict[str, Any]:
    return written(tell(FAILED).events[0])


def a_record() -> dict[str, Any]:
    return written(tell(answered_call()).record)


def a_request() -> dict[str, Any]:
    return written(tell(answered_call(), policy=POLLED).all_of(FetchRequest)[0])


EXAMPLES = {
    "alert": an_alert,
    "webhook_alert": a_webhook_alert,
    "event": an_event,
    "record": a_record,
    "request": a_request,
    "envelope": partial(example, "raw_envelope"),
    "letter": partial(example, "dead_letter_headers"),
    "event_headers": partial(example, "event_headers"),
}
DOCUMENT_OF = {
    "webhook_alert": "alert",
    "record": "call_record",
    "request": "fetch_request",
    "envelope": "raw_envelope",
    "letter": "dead_letter_headers",
}
GONE = object()

WRONG: list[tuple[str, str, Any, str]] = [
    # (which record, path, value instead, what the schema says of it)
    ("alert", "colour", "red", "Additional properties are not allowed ('colour' was unexpected)"),
    ("alert", "call.note", "x", "is not valid under any of the given schemas"),
    ("alert", "scope.name", "x", "Additional properties are not allowed ('name' was unexpected)"),
    ("alert", "reason.note", "x", "Additional properties are not allowed ('note' was unexpected)"),
    ("alert", "rule.note", "x", "Additional properties are not allowed ('note' was unexpected)"),
    ("alert", "evidence.0.note", "x", "Additional properties are not allowed ('note' was unexpected)"),
    ("alert", "fingerprint", GONE, "'fingerprint' is a required property"),
    ("alert", "id", "2f1d7d1e-9f3f-4c0e-8b55-2a1b3c4d5e6f", "does not match"),
    ("alert", "state", "resolved", "None is not of type 'string'"),
    ("alert", "ends_at", "2026-03-02T10:00:03.000000Z", "is not of type 'null'"),
    ("alert", "state", "open", "'open' is not one of ['firing', 'resolved']"),
    ("alert", "severity", "fatal", "'fatal' is not one of"),
    ("alert", "rule.id", "call.odd", "'call.odd' is not one of"),
    ("alert", "call", None, "None is not of type 'object'"),
    ("alert", "scope.type", "galaxy", "'galaxy' is not one of"),
    ("alert", "evidence", 21, "is too long"),
    ("alert", "starts_at", "2026-03-02T10:00:03Z", "does not match"),
    ("alert", "detected_at", "2026-03-02T10:00:03.000000+00:00", "does not match"),
    ("alert", "updated_at", "2026-03-02 10:00:03.000000Z", "does not match"),
    ("alert", "revision", 0, "0 is less than the minimum of 1"),
    ("alert", "occurrences", 1.5, "1.5 is not of type 'integer'"),
    ("alert", "account", "", "'' should be non-empty"),
    ("alert", "labels.colour", 3, "3 is not of type 'string'"),
    ("webhook_alert", "webhook", None, "None is not of type 'object'"),
    ("webhook_alert", "webhook.endpoint", "https://u:p@hooks.example.test/", "is not valid under any"),
    ("webhook_alert", "webhook.endpoint", "https://hooks.example.test/?tenant=7", "is not valid under any"),
    ("event", "key", "nexmo:1", "does not match"),
    ("event", "late", None, "None is not of type 'boolean'"),
    ("event", "level", "ERROR", "'ERROR' is not one of"),
    ("event", "status", "cancelled", "'cancelled' is not one of"),
    ("event", "source", "carrier_pigeon", "'carrier_pigeon' is not one of"),
    ("event", "sequence_number", "1", "'1' is not of type 'integer', 'null'"),
    ("event", "sequence_number", -1, "-1 is less than the minimum of 0"),
    ("event", "occurred_at", None, "'unknown' was expected"),
    ("event", "duration_s", "49", "'49' is not of type 'number', 'null'"),
    ("event", "sip_response_code", 16, "16 is less than the minimum of 100"),
    ("event", "origin.offset", GONE, "'offset' is a required property"),
    ("record", "from", GONE, "'from' is a required property"),
    ("record", "status", "ringing", "'ringing' is not one of"),
    ("record", "outcome", None, "'completed' is not one of"),
    ("record", "outcome", "busy", "'answered' was expected"),
    ("record", "duration_s", -1, "-1 is less than the minimum of 0"),
    ("record", "revision", 0, "0 is less than the minimum of 1"),
    ("record", "counts.by_family.gossip", 1, "'gossip' is not one of"),
    ("record", "gaps", [{"sequence_number": 1, "state": "lost", "closed_by": None}], "'lost' is not one of"),
    ("record", "conflicts", [{"field": "to", "values": ["a"], "chosen": "a"}], "is too short"),
    ("record", "timeline.0.sources", [], "[] should be non-empty"),
    ("record", "completeness.complete", GONE, "'complete' is a required property"),
    ("request", "reason", "curious", "'curious' is not one of"),
    ("request", "reads.0.source", "twilio_status_callback", "'twilio_status_callback' is not one of"),
    ("request", "reads.0.edge", "cliff_edge", "'cliff_edge' is not one of"),
    ("request", "reads.0.content", "0f", "does not match"),
    ("request", "reads", [], "[] should be non-empty"),
    ("request", "attempt", 0, "0 is less than the minimum of 1"),
    ("request", "priority", "high", "'high' is not one of"),
    ("request", "due_at", "2026-03-02T10:00:03Z", "does not match"),
    ("envelope", "v", 2, "1 was expected"),
    ("envelope", "source", "carrier_pigeon", "'carrier_pigeon' is not one of"),
    ("envelope", "received_at", "2026-03-02T10:00:03Z", "does not match"),
    ("envelope", "body", "CallSid=CA1", "'CallSid=CA1' is not of type 'object'"),
    ("envelope", "body", GONE, "'body' is a required property"),
    ("envelope", "delivery.secret", "x", "Additional properties are not allowed ('secret' was unexpected)"),
    ("envelope", "ordinal", -1, "-1 is less than the minimum of 0"),
    ("letter", "reason", "bad_luck", "'bad_luck' is not one of"),
    ("letter", "source_offset", "-2", "does not match"),
    ("letter", "stage", GONE, "'stage' is a required property"),
    ("event_headers", "ce_id", GONE, "'ce_id' is a required property"),
    ("event_headers", "ce_specversion", "0.3", "'1.0' was expected"),
    ("event_headers", "ce_type", "io.callstream.call.ended", "does not match"),
    ("event_headers", "traceparent", "00", "Additional properties are not allowed"),
]


@pytest.mark.parametrize("sample", EXAMPLES)
def test_the_records_that_are_spoilt_below_are_right_as_they_are(sample: str) -> None:
    assert wrong(DOCUMENT_OF.get(sample, sample), EXAMPLES[sample]()) == []


@pytest.mark.parametrize(("sample", "path", "value", "reason"), WRONG)
def test_a_wrong_record_is_refused_for_its_reason(sample: str, path: str, value: Any, reason: str) -> None:
    record = copy.deepcopy(EXAMPLES[sample]())
    place: Any = record
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is GONE:
        del place[last]
    elif value == 21:
        place[last] = place[last] * 21
    else:
        place[last] = value
    told = wrong(DOCUMENT_OF.get(sample, sample), record)
    assert any(reason in one for one in told), told


def test_an_error_event_and_a_telnyx_failure_are_told_as_the_schema_says() -> None:
    alerts = tell([insight("error", level="ERROR", sdk_edge={"error": {"code": 31600}})]).alerts
    alerts += tell([telnyx(telnyx_event("call.speak.failed", "e1", 4))]).alerts
    assert [wrong("alert", written(alert)) for alert in alerts] == [[], []]


# -- the schemas themselves


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_example_is_what_its_schema_says_open_and_closed(name: str) -> None:
    Draft202012Validator.check_schema(document(name))
    found = example(name)
    assert wrong(name, found) == []
    assert [*Draft202012Validator(document(name)).iter_errors(found)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_field_has_a_description_and_an_example(name: str) -> None:
    found = document(name)
    for one in (found, *found.get("$defs", {}).values()):
        for field, about in one["properties"].items():
            assert about["description"].endswith("."), field
            assert "examples" in about or "$ref" in str(about), field


@pytest.mark.parametrize("kind", NAMES)
def test_a_schema_lists_the_fields_that_a_record_has_in_its_order(kind: type[Any]) -> None:
    found = document(NAMES[kind])
    fields = {
        field.encode_name: msgspec.UnsetType not in get_args(field.type)
        for field in msgspec.structs.fields(kind)
    }
    assert [*found["properties"]] == [*fields]
    assert found["required"] == [name for name, always in fields.items() if always]


def test_no_description_is_of_a_field_that_is_gone() -> None:
    fields: set[tuple[str, str]] = set()
    for name, about in DOCUMENTS.items():
        if about.kind is not None:
            parts = {about.kind.__name__: document(name), **document(name).get("$defs", {})}
            fields |= {(kind, field) for kind, part in parts.items() for field in part["properties"]}
    used = {f"{kind}.{name}" if f"{kind}.{name}" in DESCRIBED else name for kind, name in fields}
    assert {*DESCRIBED} == used


def test_a_reader_is_told_of_growing_vocabularies_and_held_to_fixed_ones() -> None:
    source, status = (document("event")["properties"][name] for name in ("source", "status"))
    assert "enum" not in source
    assert "`twilio_call`" in source["description"]
    assert status["enum"][-1] is None
    assert [*Draft202012Validator(document("event")).iter_errors(example("event") | {"colour": "red"})] == []


def test_a_field_without_a_description_is_an_error_that_says_what_to_add() -> None:
    class Thing(msgspec.Struct):
        colour: str

    with pytest.raises(NotDescribedError, match=r'Thing\.colour is not described: add "Thing\.colour"'):
        schema_of(Thing)


def test_a_plain_object_has_a_shape_or_is_an_error() -> None:
    class Verdict(msgspec.Struct):
        evidence: dict[str, Any]

    with pytest.raises(NotDescribedError, match=r"Verdict\.evidence is a plain object"):
        schema_of(Verdict)


def test_what_a_run_has_written_is_held_against_values_and_headers() -> None:
    value = orjson.dumps(example("event") | {"colour": "red"})
    headers = tuple(
        (name, said.encode()) for name, said in example("event_headers").items() if name != "ce_id"
    )
    written_ = [ReadRecord("t", 0, 0, b"k", value, headers), ReadRecord("t", 0, 1, b"k", None, ())]
    assert off_schema("events", written_) == [
        "events, event_headers, $: 'ce_id' is a required property",
        "events, event, $: Additional properties are not allowed ('colour' was unexpected)",
    ]


def test_the_headers_of_a_dead_letter_that_was_in_no_topic_are_what_their_schema_says() -> None:
    headers = dead_letter_headers("too_large", "gateway", "too large", "calls.callbacks.v1", -1, -1, ())
    assert wrong("dead_letter_headers", {name: said.decode() for name, said in headers}) == []
