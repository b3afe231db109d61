"""The call record: whole records of a few calls."""

from __future__ import annotations

import msgspec
import pytest

from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.record import CallRecord, revise
from stream.core.policy import CallPolicy
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    START_US,
    TWILIO_KEY,
    Delivery,
    answered_call,
    at,
    callback,
    calls_row,
    insight,
    telnyx,
    telnyx_event,
)
from tests.core.folding import said_of, tell
from tests.core.lives import live

SAID = {
    "schema_version": 1,
    "key": TWILIO_KEY,
    "provider": "twilio",
    "account": ACCOUNT,
    "account_alias": "default",
    "call_id": CALL_ID,
    "parent_call_id": None,
    "child_call_ids": [],
    "session_id": None,
    "leg_id": None,
    "direction": "outbound",
    "direction_detail": "outbound-api",
    "from": "+15*******06",
    "to": "+15*******09",
    "status": "completed",
    "outcome": "answered",
    "settled": False,
    "terminal_source": "twilio_status_callback",
    "initiated_at": at(0),
    "initiated_at_quality": "second",
    "ringing_at": at(1),
    "ringing_at_quality": "second",
    "answered_at": at(6),
    "answered_at_quality": "second",
    "ended_at": at(55),
    "ended_at_quality": "second",
    "setup_s": 1.0,
    "ring_s": 5.0,
    "duration_s": 49,
    "sip_response_code": 200,
    "error_codes": [],
    "answered_by": None,
    "price": None,
    "price_unit": None,
    "recordings": [],
    "edges": [],
    "insights_levels": {},
    "counts": {"events": 4, "by_family": {"progress": 4}},
    "gaps": [],
    "delivery_audit": [],
    "conflicts": [],
    "verdict": None,
    "truncated": False,
    "sources": ["twilio_status_callback"],
    "completeness": {
        "expected": ["twilio_status_callback"],
        "seen": ["twilio_status_callback"],
        "complete": [],
    },
    "timeline": [
        {
            "family": "progress",
            "name": name,
            "status": status,
            "sequence_number": number,
            "occurred_at": at(second),
            "occurred_at_quality": "second",
            "level": None,
            "edge": None,
            "sources": ["twilio_status_callback"],
        }
        for number, (name, status, second) in enumerate(
            [
                ("initiated", "initiated", 0),
                ("ringing", "ringing", 1),
                ("answered", "in-progress", 6),
                ("completed", "completed", 55),
            ]
        )
    ],
}


def test_the_record_of_an_answered_call() -> None:
    record = tell(answered_call()).record
    assert said_of(record) == SAID
    assert (record.revision, record.updated_at) == (1, at(55.5))


def test_each_fact_has_the_field_of_its_name() -> None:
    names = ["parent_call_id", "session_id", "leg_id", "direction_detail", "from", "to", "from_hash"]
    names += ["to_hash", "answered_by", "price", "price_unit"]
    call = tell(answered_call()).call
    call.facts.update(zip(names, names, strict=True))
    call.arrival.content = 0
    record = revise(call, lifecycle_of(call), at(60), CallPolicy(), settled=True)
    assert record is not None
    said = said_of(record)
    assert {name: said[name] for name in names} == dict(zip(names, names, strict=True))


@pytest.mark.parametrize(
    ("word", "direction"),
    [
        ("inbound", "inbound"),
        ("outbound-api", "outbound"),
        ("outbound-dial", "outbound"),
        ("trunking-originating", "inbound"),
        ("trunking-terminating", "outbound"),
        ("sideways", None),
    ],
)
def test_a_direction_is_one_of_two_words_and_the_providers_own(word: str, direction: str | None) -> None:
    record = tell([callback("completed", "3", 55, Direction=word)]).record
    assert (record.direction, record.direction_detail) == (direction, word)


@pytest.mark.parametrize(("word", "direction"), [("incoming", "inbound"), ("outgoing", "outbound")])
def test_telnyx_direction_is_one_of_the_same_two_words(word: str, direction: str) -> None:
    began = telnyx_event("call.initiated", "e0", 0, direction=word)
    record = tell([telnyx(began), telnyx(telnyx_event("call.hangup", "e1", 9))]).record
    assert (record.direction, record.direction_detail) == (direction, word)


def test_equal_knowledge_is_equal_bytes() -> None:
    first, second = (tell(some).record for some in (answered_call(), answered_call()[::-1]))
    for record in (first, second):
        record.id, record.revision, record.arrival, record.updated_at = "", 0, None, None
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


def test_each_revision_has_an_id_of_its_own_and_a_second_run_the_same_ids() -> None:
    deliveries = [*answered_call(), insight("x", 100), calls_row("failed", received_s=200.0)]
    runs = [[record.id for record in live(deliveries, policy=CallPolicy()).records] for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 4


def test_a_call_that_was_not_answered_rang_until_its_end_and_nobody_talked() -> None:
    record = tell([callback("ringing", "1", 1), callback("no-answer", "2", 31, CallDuration="0")]).record
    assert (record.setup_s, record.ring_s, record.duration_s) == (None, 30.0, None)


def test_times_that_run_backwards_give_no_duration() -> None:
    record = tell(
        [callback("initiated", "0", 9), callback("ringing", "1", 1), callback("busy", "2", 0)]
    ).record
    assert (record.setup_s, record.ring_s) == (None, None)


def test_a_talk_longer_than_time_itself_derives_no_answer() -> None:
    stamp = "Thu, 01 Jan 1970 00:00:10 +0000"
    record = tell([callback("completed", "3", None, Timestamp=stamp, CallDuration="999999999")]).record
    assert (record.answered_at, record.answered_at_quality, record.duration_s) == (
        None,
        "unknown",
        999_999_999,
    )


def test_an_end_without_a_time_takes_that_of_another_report_of_it() -> None:
    record = tell([callback("failed", "3", 9), calls_row("failed")]).record
    assert (record.terminal_source, record.ended_at, record.ended_at_quality) == (
        "twilio_call",
        at(9),
        "second",
    )


def test_missing_numbers_are_open_gaps_and_an_unknown_status_is_not_a_gap() -> None:
    record = tell(
        [callback("completed", "4", 9), callback("teleported", "2", 5), callback("ringing", "1", 1)]
    ).record
    assert record.gaps == [
        {"sequence_number": number, "name": None, "state": "open", "closed_by": None} for number in (0, 3)
    ]


def test_a_huge_sequence_number_opens_no_gaps_of_its_size() -> None:
    record = tell([callback("completed", "999999999", 9)]).record
    assert len(record.gaps) <= 256


def test_a_number_with_two_statuses_is_a_conflict_beside_a_number_whose_status_nobody_knows() -> None:
    said = [callback("ringing", "2", 1), callback("teleported", "0", 2), callback("busy", "2", 3)]
    assert tell(said).record.conflicts == [
        {"field": "sequence_number 2", "values": ["ringing", "busy"], "chosen": "busy"}
    ]
    said = [callback("ringing", "300", 1), callback("busy", "300", 3)]
    assert [conflict["field"] for conflict in tell(said).record.conflicts] == ["sequence_number 300"]


def revisions(deliveries: list[Delivery]) -> list[str | None]:
    """When each record of a call was written."""
    lived = live([*answered_call(), *deliveries], policy=CallPolicy(), until_s=1000)
    return [record.updated_at for record in lived.records]


def test_what_comes_after_the_end_is_one_revision_once_the_call_is_quiet() -> None:
    rows = [insight(f"row {n}", n, received_s=60.0 + 4 * n) for n in range(5)]
    assert revisions([*rows, *rows[:1]]) == [at(55.5), at(81)]
    # A repetition says nothing, so it delays nothing.
    assert revisions([rows[0], insight("row 0", 0, received_s=64.0)]) == [at(55.5), at(65)]


def test_a_poller_whose_clock_is_behind_causes_no_more_revisions() -> None:
    rows = [insight(f"row {n}", n, received_s=20.0 + n) for n in range(3)]
    told = tell([*answered_call(), *rows])
    assert (told.call.arrival.revise_us, len(told.all_of(CallRecord))) == (START_US + 60_500_000, 1)


def test_a_call_that_is_never_quiet_has_a_revision_a_minute_after_the_first_change() -> None:
    rows = [insight(f"row {n}", n, received_s=60.0 + 4 * n) for n in range(25)]
    assert revisions(rows) == [at(55.5), at(120), at(161)]


@pytest.mark.parametrize(
    "late",
    [
        calls_row("failed", received_s=60.3),
        callback("busy", "3", 55, received_s=60.3),
        callback("ringing", "2", 55, received_s=60.3),
        calls_row("completed", received_s=60.3, to="+15005550001"),
    ],
    ids=["another outcome", "another end", "a number twice", "another fact"],
)
def test_an_outcome_or_a_conflict_that_changes_is_written_at_once(late: Delivery) -> None:
    rows = [insight("before", 58, received_s=59.0), late, insight("after", 62, received_s=63.0)]
    assert revisions(rows) == [at(55.5), at(60.3), at(68)]


def test_a_third_value_and_another_choice_are_written_at_once_too() -> None:
    rows = [
        calls_row("completed", received_s=60.0 + n, updated=updated, to=f"+1500555000{number}")
        for n, (number, updated) in enumerate([(1, 60), (2, 59), (2, 61), (2, 62)])
    ]
    assert revisions(rows) == [at(55.5), at(60), at(61), at(62)]


def test_another_cause_of_the_same_hangup_is_written_at_once() -> None:
    hangups = [
        telnyx(telnyx_event("call.hangup", "e3", 55, hangup_cause=cause), received_s=received_s)
        for cause, received_s in (("normal_clearing", 55.5), ("user_busy", 56.3))
    ]
    begun = telnyx(telnyx_event("call.initiated", "e1", 50), received_s=50.0)
    records = live([begun, *hangups], policy=CallPolicy(), until_s=1000).records
    assert [(record.outcome, record.updated_at) for record in records] == [
        ("no_answer", at(55.5)),
        ("busy", at(56.3)),
    ]


def test_the_record_counts_the_delivery_that_decided_it() -> None:
    other_end = callback("completed", "3", 55, received_s=70.0, SipResponseCode="487")
    late_answer = telnyx(telnyx_event("call.answered", "e2", 6), received_s=70.0)
    hangup = telnyx(telnyx_event("call.hangup", "e3", 12, hangup_cause="normal_clearing"))
    counted = []
    for deliveries in ([*answered_call(), other_end], [hangup, late_answer]):
        arrival = tell(deliveries).all_of(CallRecord)[-1].arrival
        counted.append((arrival["deliveries"], arrival["duplicates"], arrival["late"]))
    assert counted == [(5, 1, 0), (2, 0, 1)]


def test_a_call_that_waited_in_the_queue_is_initiated_when_it_is_dialled() -> None:
    queued, initiated, rest = (
        callback("queued", "0", 0),
        callback("initiated", "1", 4),
        callback("failed", "2", 9),
    )
    assert tell([queued, initiated, rest]).record.initiated_at == at(4)
    assert tell([queued, rest]).record.initiated_at == at(0)
