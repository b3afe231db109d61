"""The timeline of a call, from the records that a worker writes of recorded traffic."""

from __future__ import annotations

import random
from collections import Counter
from copy import deepcopy

import msgspec
import pytest

from stream.timeline.call_timeline import Disagreement, ExpectedReport, PhaseDuration, ReportedSources
from stream.timeline.timeline_of import timeline_of
from tests.replay.replaying import TRACES
from tests.timeline.recorded import lines_of, recorded, recorded_calls

CALLBACK, LOG, CALL = "twilio_status_callback", "twilio_call_event", "twilio_call"


def test_a_callback_that_only_the_request_log_has_is_shown_as_one_that_never_came() -> None:
    assert lines_of(recorded("gap-healed-by-a-poll").timeline.rows) == [
        f"0 provider>callstream received {CALLBACK} initiated",
        f"1 provider>callstream received {CALLBACK} ringing",
        f"6 provider>callstream never_came {LOG} answered, callback never came: only the provider's records "
        "have it",
        f"6 provider>application read {LOG} webhook, POST https://hooks.example.test/tw/status: 204 in "
        "0.038 s",
        f"55 provider>callstream received {CALLBACK} completed, 49 s",
        "66 callstream>callstream received - resolved delivery.gap: A resource of the provider has what was "
        "missing.",
    ]


def test_a_callback_that_nothing_tells_of_stands_behind_the_one_before_it() -> None:
    rows = recorded("gap-expired").timeline.rows
    assert lines_of(rows)[1:3] == [
        "? provider>callstream never_came - callback 1 never came: nothing closed the gap",
        "? provider>callstream never_came - callback 2 never came: nothing closed the gap",
    ]
    assert [(row.kind, row.position_s, row.sequence_number) for row in rows] == [
        ("event", 0, 0),
        ("missing", 0, 1),
        ("missing", 0, 2),
        ("event", 55, 3),
        ("alert", 66, None),
    ]


def test_the_answers_of_the_application_stand_between_the_callbacks() -> None:
    assert lines_of(recorded("webhook-fails-with-fallback").timeline.rows) == [
        f"0 provider>callstream received {CALLBACK} initiated",
        f"1 provider>callstream received {CALLBACK} ringing",
        "2 provider>application received twilio_debugger error logged, POST https://app.example.test/answer: "
        "502, error, code 11200",
        f"2 provider>application read {LOG} webhook, POST https://app.example.test/answer: 502 in 0.038 s",
        f"3 provider>application read {LOG} webhook, POST https://fallback.example.test/answer: 200 in "
        "0.038 s",
        f"6 provider>callstream received {CALLBACK} answered",
        f"55 provider>callstream received {CALLBACK} completed, 49 s",
    ]


def test_a_hangup_has_its_cause_and_a_detection_its_result() -> None:
    assert (
        recorded("telnyx-v1-v2-mix").timeline.rows[2].text == "completed, normal_clearing, hung up by callee"
    )
    assert recorded("amd").timeline.rows[3].text == "amd, machine_end_beep, 3.4 s"


def test_a_detail_that_is_no_word_is_left_out() -> None:
    record, events, alerts = deepcopy(recorded("amd"))
    events[3]["attributes"]["AnsweredBy"] = "+14155550123 <script>"
    assert timeline_of(record, events, alerts).rows[3].text == "amd, 3.4 s"


def test_what_an_edge_reports_is_told_by_the_edge() -> None:
    timeline = recorded("client-network-trouble").timeline
    assert [(row.sender, row.text) for row in timeline.rows if row.family == "insights"] == [
        ("sdk_edge", "sdk_edge network-quality-warning-raised high-packet-loss, warning"),
        ("sdk_edge", "sdk_edge ice-connection-state disconnected, warning"),
        ("sdk_edge", "sdk_edge ice-connection-state failed, error"),
        ("sdk_edge", "sdk_edge connection error, error, code 53405"),
    ]
    assert timeline.verdict is not None
    assert (timeline.verdict.fault, timeline.verdict.reason) == (
        "network",
        "The client's media connection failed.",
    )


def test_the_facts_of_a_call_say_how_sure_they_are() -> None:
    timeline = recorded("conflict-of-durations").timeline
    assert timeline.durations == [
        PhaseDuration("setup", 1.0, "second", reported=False),
        PhaseDuration("ring", 5.0, "second", reported=False),
        PhaseDuration("talk", 52, "second", reported=True),
    ]
    assert timeline.conflicts[0] == Disagreement("duration_s", ["49", "52"], "52")
    assert [(phase.name, phase.offset_s, phase.quality) for phase in timeline.phases] == [
        ("initiated", 0, "second"),
        ("ringing", 1, "second"),
        ("answered", 6, "second"),
        ("ended", 58, "second"),
    ]


def test_an_answer_that_no_source_timed_is_marked_as_derived() -> None:
    timeline = recorded("no-answered-event").timeline
    assert (timeline.phases[2].offset_s, timeline.phases[2].quality) == (6, "derived")
    assert timeline.durations[1:] == [
        PhaseDuration("ring", 5.0, "derived", reported=False),
        PhaseDuration("talk", 49, "derived", reported=True),
    ]


def test_the_talk_of_a_telnyx_call_is_a_difference_of_times() -> None:
    assert recorded("telnyx-v1-v2-mix").timeline.durations == [
        PhaseDuration("talk", 35.0, "exact", reported=False)
    ]


def test_a_source_that_has_not_reported_yet_is_still_expected() -> None:
    timeline = recorded("gap-healed-by-a-poll").timeline
    assert timeline.completeness == ReportedSources(
        [LOG, CALLBACK],
        [ExpectedReport(CALL, "2026-03-02T10:00:55.000000Z", "2026-03-02T10:30:55.000000Z")],
        [],
        [],
    )


def test_a_source_that_a_settled_call_lacks_never_came() -> None:
    record, events, alerts = deepcopy(recorded("gap-healed-by-a-poll"))
    assert record is not None
    timeline = timeline_of(record | {"settled": True}, events, alerts)
    assert timeline.completeness == ReportedSources([LOG, CALLBACK], [], [CALL], [])


def test_a_call_that_has_not_ended_has_the_facts_of_its_events() -> None:
    _, events, _ = recorded("amd")
    timeline = timeline_of(None, events[:2], [])
    assert (timeline.ended, timeline.status, timeline.outcome, timeline.direction) == (
        False,
        "ringing",
        None,
        "outbound",
    )
    assert (timeline.from_, timeline.to) == ("+15*******06", "+15*******09")
    assert [(phase.name, phase.offset_s) for phase in timeline.phases] == [
        ("initiated", 0),
        ("ringing", 1),
        ("answered", None),
        ("ended", None),
    ]


def test_before_the_end_the_alert_tells_what_is_missing() -> None:
    _, events, alerts = deepcopy(recorded("gap-expired"))
    alerts[0] |= {"state": "firing", "call": {"missing_sequence_numbers": [1]}}
    rows = timeline_of(None, events[:1], alerts).rows
    assert [row.text for row in rows][:2] == ["initiated", "callback 1 never came: it may still come"]


def test_an_event_that_is_newer_than_the_record_is_shown_by_what_it_says() -> None:
    record, events, alerts = recorded("amd")
    assert record is not None
    older = record | {"timeline": record["timeline"][:-1], "sources": [CALLBACK]}
    assert lines_of(timeline_of(older, events, alerts).rows) == lines_of(recorded("amd").timeline.rows)


def test_an_item_whose_event_is_no_longer_kept_is_shown_by_the_record() -> None:
    record, _, _ = recorded("amd")
    rows = timeline_of(record, [], []).rows
    assert [(row.name, row.received_at, row.event_id) for row in rows][:2] == [
        ("initiated", None, None),
        ("ringing", None, None),
    ]
    assert len(rows) == len(recorded("amd").timeline.rows)


@pytest.mark.parametrize(
    ("result", "arrival"),
    [
        ("late", "late"),
        ("missing", "never_came"),
        ("refused_by_us", "received"),
        ("refused_by_application", "received"),
    ],
)
def test_the_delivery_audit_is_told_at_its_callback(result: str, arrival: str) -> None:
    record, events, alerts = recorded("amd")
    audited = {
        "name": "answered",
        "status": "in-progress",
        "sequence_number": 2,
        "endpoint": "https://a.example.test/cb",
        "result": result,
    }
    assert record is not None
    rows = timeline_of(record | {"delivery_audit": [audited]}, events, alerts).rows
    (answered,) = [row for row in rows if row.name == "answered"]
    assert (answered.arrival, [one.result for one in answered.audit]) == (arrival, [result])


def test_a_callback_that_never_came_is_not_the_delivery_that_the_provider_logged() -> None:
    record = recorded("telnyx-v1-v2-mix").record
    assert record is not None
    saved = record["timeline"][-1] | {"name": "call.recording.saved", "sequence_number": None, "status": None}
    both = [
        saved | {"family": family, "sources": ["telnyx_call_event"]} for family in ("delivery", "recording")
    ]
    audited = {
        "name": "call.recording.saved",
        "status": None,
        "sequence_number": None,
        "endpoint": "https://a.test/",
    }
    first = saved | {"family": "recording", "sources": ["telnyx_webhook"]}
    told = {"timeline": [first, *both], "delivery_audit": [audited | {"result": "missing"}]}
    rows = timeline_of(record | told, [], []).rows
    assert [(row.family, row.seen_by) for row in rows if row.arrival == "never_came"] == [
        ("recording", ["telnyx_call_event"])
    ]


def test_a_callback_of_a_conference_is_not_the_one_of_the_call_with_its_number() -> None:
    record, events, alerts = recorded("webhook-fails-with-fallback")
    assert record is not None
    joined = record["timeline"][-1] | {
        "family": "conference",
        "name": "participant-join",
        "sequence_number": 2,
    }
    audited = {
        "name": "participant-join",
        "status": None,
        "sequence_number": 2,
        "endpoint": "https://a.test/",
    }
    told = {"timeline": [*record["timeline"], joined], "delivery_audit": [audited | {"result": "missing"}]}
    rows = timeline_of(record | told, events, alerts).rows
    assert [(row.kind, row.name) for row in rows if row.arrival == "never_came"] == [
        ("event", "participant-join")
    ]


@pytest.mark.parametrize("trace", TRACES)
def test_every_event_is_shown_once_and_in_order(trace: str) -> None:
    for call in list(recorded_calls(trace).values())[:5]:
        rows = call.timeline.rows
        shown = Counter(row.event_id for row in rows if row.kind == "event")
        assert shown == Counter(event["id"] for event in call.events)
        assert [row.alert.id for row in rows if row.alert is not None] == [
            alert["id"] for alert in sorted(call.alerts, key=lambda one: str(one["starts_at"]))
        ]
        positions = [row.position_s for row in rows]
        assert positions == sorted(positions)


@pytest.mark.parametrize("trace", ["gap-healed-by-a-poll", "webhook-fails-with-fallback", "child-legs"])
def test_the_order_in_which_the_events_are_given_does_not_matter(trace: str) -> None:
    call = recorded(trace)
    shuffled = call.events.copy()
    random.Random(16).shuffle(shuffled)
    assert timeline_of(call.record, shuffled, call.alerts) == call.timeline


def test_a_timeline_is_json_with_the_names_of_the_call_record() -> None:
    told = msgspec.json.decode(msgspec.json.encode(recorded("amd").timeline))
    assert (told["from"], told["to"]) == ("+15*******06", "+15*******09")


def test_nothing_is_no_call() -> None:
    with pytest.raises(ValueError, match="a call without"):
        timeline_of(None, [], [])
