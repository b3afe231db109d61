"""What each field of events and call records means, with an example: for the schemas.

A field is found by its type and name, else by its name alone: one name means one thing in every record.
"""

from __future__ import annotations

from stream.contracts.field_text import COUNT, ID, SIP, TEXT, TIME, Field, field
from stream.core.call.timeline_entry import LEVELS, QUALITIES
from stream.core.delivery.audit import RESULTS
from stream.core.events import FAMILIES, SCHEMA_VERSION
from stream.core.forgetting import FORGET
from stream.core.sources import PROVIDERS, SOURCES
from stream.core.statuses import STATUSES
from stream.core.verdicts.table import FAULTS
from stream.service.metrics.label_values import OUTCOMES

_QUALITY = "How exact that time is: `exact` (milliseconds), `second`, `derived`, `received`, `unknown`."


def _quality_of(what: str) -> Field:
    return field(f"How exact {what} is.", "second", enum=[*QUALITIES])


def _hash_of(what: str) -> Field:
    return field(
        f"`{what}` as the privacy mode `hashed` shows it, equal for equal numbers. Only beside a mask, and "
        "where the worker has a privacy key.",
        "h:4f0c9d1e7a35b268",
        optional=True,
        **TEXT,
    )


_CALL = "CA8680230f4477433c7935a967bcc6def1"
_SOURCE = "twilio_status_callback"

FIELDS: dict[str, Field] = {
    # -- what several records have
    "schema_version": field(
        "Version of the record's fields. Fields may be added; any other change is a new topic.",
        SCHEMA_VERSION,
        const=SCHEMA_VERSION,
    ),
    "id": field(
        "Version 5 UUID, a function of the record's content: the same record always has the same id.",
        "ecab2b4b-d776-55a3-9da7-34944fd88727",
        **ID,
    ),
    "key": field(
        "The call, and the Kafka key: the provider and its id of the call. What belongs to no call has "
        "`conference:` or `account:` after the provider.",
        f"twilio:{_CALL}",
        pattern="^(twilio|telnyx):.+$",
    ),
    "provider": field("The provider of the call.", "twilio", enum=[*PROVIDERS]),
    "account": field(
        "The provider's id of the account, as sent; else of the account whose key or credentials proved the "
        "delivery. Null if unknown.",
        "AC0123456789abcdef0123456789abcdef",
        **TEXT,
    ),
    "account_alias": field(
        "The account's name in callstream's settings, as in the label `account` of metrics; null if unknown.",
        "default",
        **TEXT,
    ),
    "call_id": field("The provider's own id of the call.", _CALL, **TEXT),
    "parent_call_id": field("The call that dialled this one; null if none or unknown.", None, **TEXT),
    "session_id": field("Telnyx' session, which several legs share.", None, **TEXT),
    "leg_id": field("Telnyx' id of the leg: it links a TeXML call and its Call Control leg.", None, **TEXT),
    "source": field(
        "The kind of delivery; `forget` where an operator had the call forgotten.",
        _SOURCE,
        known=(*SOURCES, FORGET),
    ),
    "family": field("The kind of event.", "progress", known=FAMILIES),
    "name": field(
        "Of call progress `queued`, `initiated`, `ringing`, `answered` or `completed`; of others the "
        "provider's name. `forgotten`: delete what you keep of this call.",
        "completed",
        **TEXT,
    ),
    "status": field(
        "The call's status, in Twilio's words for every provider.", "completed", enum=[*STATUSES]
    ),
    "outcome": field("How the call ended; null until it has ended.", "answered", enum=[*OUTCOMES]),
    "level": field("Severity as the provider sent it; null if it sent none.", None, enum=[*LEVELS]),
    "edge": field(
        "Where Voice Insights measured: `carrier_edge`, `sip_edge`, `sdk_edge`, `client_edge`.", None
    ),
    "sequence_number": field(
        "The provider's number of the event in its call, from 0; null without one.",
        3,
        minimum=0,
        maximum=999_999_999,
    ),
    "occurred_at": field(
        "When it happened, by the provider's clock; null if unknown.", "2026-11-29T00:46:15.000000Z", **TIME
    ),
    "occurred_at_quality": field(_QUALITY, "second", enum=[*QUALITIES]),
    "received_at": field("When callstream received the delivery.", "2026-11-29T00:46:16.246029Z", **TIME),
    "sip_response_code": field("The call's last SIP response code.", 200, **SIP),
    "topic": field("The source topic of the delivery.", "calls.callbacks.v1", **TEXT),
    "partition": field("Its partition.", 4, **COUNT),
    "offset": field("Its offset.", 1042, **COUNT),
    "direction": field("The direction of the call.", "outbound", enum=["inbound", "outbound"]),
    "from": field("The caller, as the privacy mode leaves it (masked by default).", "+12*******45"),
    "to": field("The callee, as the privacy mode leaves it (masked by default).", "+14*******91"),
    "from_hash": _hash_of("from"),
    "to_hash": _hash_of("to"),
    "updated_at": field(
        "When the delivery that decided this revision was received.",
        "2026-11-29T00:46:16.246029Z",
        always=True,
        **TIME,
    ),
    "revision": field("Counts the revisions, from 1. The highest one replaces the others.", 1, minimum=1),
    # -- event
    "Event.call_id": field("The provider's own id of the call; null if it is about no call.", _CALL, **TEXT),
    "Event.parent_call_id": field("The call that dialled this one, if the delivery says it.", None, **TEXT),
    "Event.status": field(
        "The status that the event gives the call; null if it gives none.", "completed", enum=[*STATUSES]
    ),
    "Event.outcome": field("How the call ended, if this event ends it.", "answered", enum=[*OUTCOMES]),
    "Event.group": field("The group of a Voice Insights event, as sent.", None, **TEXT),
    "Event.error_code": field("The provider's error code, as text.", None, **TEXT),
    "Event.duration_s": field(
        "Seconds, as the event said (0 stays 0): of the call at its end, of a recording, of a detection.",
        49,
        **COUNT,
    ),
    "Event.late": field("Whether an event that follows it had arrived before.", False),
    "Event.attributes": field(
        "What else the delivery said, in the provider's own names, as the privacy mode leaves it.",
        {"ApiVersion": "2010-04-01", "To": "+14*******91"},
    ),
    "Event.origin": field("The position in Kafka of the delivery that was applied.", always=True),
    # -- call record
    "CallRecord.child_call_ids": field(
        "The calls that this one dialled, sorted.", [], uniqueItems=True, items=TEXT
    ),
    "CallRecord.direction_detail": field(
        "The provider's own word for the direction.", "outbound-api", **TEXT
    ),
    "CallRecord.settled": field("Whether this is the last revision: the call has left the table.", False),
    "CallRecord.terminal_source": field(
        "The source that decided how the call ended.", _SOURCE, known=SOURCES
    ),
    "CallRecord.initiated_at": field("When dialling began.", "2026-11-29T00:45:20.000000Z", **TIME),
    "CallRecord.initiated_at_quality": _quality_of("`initiated_at`"),
    "CallRecord.ringing_at": field("When it began to ring.", "2026-11-29T00:45:22.000000Z", **TIME),
    "CallRecord.ringing_at_quality": _quality_of("`ringing_at`"),
    "CallRecord.answered_at": field("When it was answered.", "2026-11-29T00:45:26.000000Z", **TIME),
    "CallRecord.answered_at_quality": _quality_of("`answered_at`"),
    "CallRecord.ended_at": field("When it ended.", "2026-11-29T00:46:15.000000Z", **TIME),
    "CallRecord.ended_at_quality": _quality_of("`ended_at`"),
    "CallRecord.setup_s": field(
        "Seconds from dialling to ringing (post-dial delay); null if either is unknown.", 2.0, **COUNT
    ),
    "CallRecord.ring_s": field("Seconds from ringing to the answer or the end.", 4.0, **COUNT),
    "CallRecord.duration_s": field("Seconds of talk; null unless the call was answered.", 49, **COUNT),
    "CallRecord.error_codes": field(
        "The provider's error codes of the call, as texts, sorted.", [], uniqueItems=True, items=TEXT
    ),
    "CallRecord.answered_by": field(
        "The result of answering machine detection, in the provider's word.", "human", **TEXT
    ),
    "CallRecord.price": field("The price, as the provider's decimal text.", "-0.01300", **TEXT),
    "CallRecord.price_unit": field("The currency of the price (ISO 4217).", "USD", **TEXT),
    "CallRecord.recordings": field("The call's recordings, sorted by id.", []),
    "CallRecord.edges": field(
        "The edges of Voice Insights that have reported, sorted.",
        ["carrier_edge"],
        uniqueItems=True,
        items=TEXT,
    ),
    "CallRecord.insights_levels": field(
        "How many Voice Insights events of each level there are.",
        {"info": 3},
        propertyNames={"enum": [*LEVELS]},
        additionalProperties={"type": "integer", **COUNT},
    ),
    "CallRecord.counts": field("How many events the call has."),
    "CallRecord.gaps": field("Callbacks that were missing, sorted.", []),
    "CallRecord.delivery_audit": field(
        "Callbacks that the provider's own records say were sent, and that did not come in time.", []
    ),
    "AuditedCallback.name": field("The name of the callback's event.", "answered", **TEXT),
    "AuditedCallback.sequence_number": field("Its number; null without one.", 2, **COUNT),
    "AuditedCallback.endpoint": field(
        "The URL that it was sent to, without query.", "https://app.example.test/voice/status", **TEXT
    ),
    "AuditedCallback.result": field(
        "What became of it. `missing`: it did not come though its endpoint leads to us.",
        "missing",
        enum=[*RESULTS],
    ),
    "CallRecord.conflicts": field("Fields on which sources disagree, sorted.", []),
    "CallRecord.verdict": field(
        "Whose fault it was that the call did not succeed; null if it succeeded or lost a simultaneous dial. "
        "It changes by revision.",
        None,
    ),
    "Verdict.fault": field("Whose fault it was; `unknown` where nothing says so.", "callee", enum=[*FAULTS]),
    "Verdict.confidence": field(
        "How sure that is; null for `unknown`.", "high", enum=["low", "medium", "high"]
    ),
    "Verdict.reason": field("Why, in a sentence.", "The called line was busy.", **TEXT),
    "Verdict.evidence": field("All that was looked at, the deciding facts first.", minItems=1),
    "VerdictEvidence.fact": field("The kind of fact.", "sip_response_code", **TEXT),
    "VerdictEvidence.value": field("What was reported.", "486", **TEXT),
    "VerdictEvidence.at": field("When it was last so.", "2026-11-29T00:46:15.000000Z", **TIME),
    "VerdictEvidence.fault": field("Whose fault it speaks for.", "callee", enum=[*FAULTS]),
    "VerdictEvidence.sources": field(
        "The sources that have reported it, sorted.", [_SOURCE], uniqueItems=True, items={"known": SOURCES}
    ),
    "VerdictEvidence.detail": field(
        "Of a request: its URL, without query.", "https://app.example.test/voice", **TEXT
    ),
    "CallRecord.truncated": field("Whether the call had more events than are remembered of one.", False),
    "CallRecord.sources": field(
        "The sources that have reported the call, sorted.",
        [_SOURCE],
        uniqueItems=True,
        minItems=1,
        items={"known": SOURCES},
    ),
    "CallRecord.completeness": field("What was expected of the sources, and what came."),
    "CallRecord.timeline": field("The call's events in order; the newest are left out of a very long one."),
    "CallRecord.arrival": field("How the deliveries arrived. Depends on the order of arrival.", always=True),
    "RecordedAudio.id": field(
        "The provider's id of the recording.", "RE0123456789abcdef0123456789abcdef", **TEXT
    ),
    "RecordedAudio.status": field("Its status, in the provider's word.", "completed", **TEXT),
    "RecordedAudio.duration_s": field("Its length in seconds.", 47, **COUNT),
    "RecordCounts.events": field("All of them.", 5, **COUNT),
    "RecordCounts.by_family": field(
        "By family.",
        {"insights": 1, "progress": 4},
        propertyNames={"known": FAMILIES},
        additionalProperties={"type": "integer", **COUNT},
    ),
    "SequenceGap.sequence_number": field(
        "The missing number; null for a provider without numbers.", 2, **COUNT
    ),
    "SequenceGap.name": field("The name of the missing event; null where it is not known.", "answered"),
    "SequenceGap.state": field("`open`: still missing; `closed`: see `closed_by`.", "closed"),
    "SequenceGap.closed_by": field("What closed it; null while it is open.", "poll_heal"),
    "FieldConflict.field": field("The field.", "status", **TEXT),
    "FieldConflict.values": field("The values, sorted.", ["busy", "completed"], minItems=2, uniqueItems=True),
    "FieldConflict.chosen": field("The value that the record has.", "completed"),
    "ReadCompleteness.expected": field(
        "Sources that should report the call.", [_SOURCE], items={"known": SOURCES}
    ),
    "ReadCompleteness.seen": field("Sources that have reported it.", [_SOURCE], items={"known": SOURCES}),
    "ReadCompleteness.complete": field(
        "Resources that were read completely; filled in when all reads are done.",
        [],
        items={"known": SOURCES},
    ),
    "TimelineItem.status": field("The status that the event gave the call.", "completed", enum=[*STATUSES]),
    "TimelineItem.sources": field(
        "The sources that have reported the event, sorted.",
        [_SOURCE],
        uniqueItems=True,
        minItems=1,
        items={"known": SOURCES},
    ),
    "Arrival.deliveries": field("Deliveries of the call.", 5, minimum=1),
    "Arrival.duplicates": field("Those that brought nothing new.", 1, **COUNT),
    "Arrival.late": field("Those that came after their successor.", 0, **COUNT),
    "Arrival.first_received_at": field("When the first was received.", "2026-11-29T00:45:21.046029Z", **TIME),
    "Arrival.last_received_at": field("When the last was received.", "2026-11-29T00:46:16.246029Z", **TIME),
}
