"""The outputs and counts of a batch of good records."""

from __future__ import annotations

from stream.engine.batch import Output
from tests.agents.batches import CALLBACKS, KEY, TOPICS, Fetched, Lane, active, record, records, to
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    TWILIO_KEY,
    answered_call,
    callback,
    delivery,
    logged,
    parameters,
)

# -- good records


def test_an_answered_call_is_four_events_one_record_and_no_alert() -> None:
    lane = Lane()
    *some, told = lane.run(records(answered_call()))
    assert [one.topic for one in some] == [TOPICS.ended] + [TOPICS.events] * 4
    assert (told.topic, told.json["scope"]) == (TOPICS.scopes, f"twilio:failures:{ACCOUNT}:outbound")
    assert {one.output.key for one in some} == {KEY}
    assert {one.output.partition for one in some} == {None}
    assert [event.json["name"] for event in to(TOPICS.events, some)] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    assert to(TOPICS.events, some)[3].json["origin"] == {
        "topic": TOPICS.callbacks,
        "partition": 4,
        "offset": 3,
    }
    assert list(lane.states) == [KEY]


def test_a_sequence_number_of_another_format_is_applied_without_one_and_counted_once() -> None:
    lane = Lane()
    odd = [callback("ringing", number, second) for second, number in enumerate(("-1", "1e3", "\u0663", ""))]
    some = lane.run(records([*odd, callback("initiated", "0", 9), callback("queued", None, 9), *odd]))
    events = [one.json for one in to(TOPICS.events, some)]
    assert [one["sequence_number"] for one in events] == [None] * 4 + [0, None]
    assert lane.counted("sequence_numbers_unreadable_total", source=CALLBACKS) == 4


def test_a_failed_call_raises_an_alert_by_scope_and_by_fingerprint_with_the_same_headers() -> None:
    some = Lane().run(records([callback("failed", "1", 3, SipResponseCode="503")]))
    (said,), (active,) = to(TOPICS.alerts, some), to(TOPICS.alerts_active, some)
    alert = said.json
    assert said.output == Output(KEY, said.output.value, said.output.headers)
    assert active.output == Output(alert["fingerprint"].encode(), said.output.value, said.output.headers)


def test_numbers_are_masked_in_all_that_leaves_and_in_what_is_kept() -> None:
    lane = Lane()
    told = parameters("failed", "1", 3) | {"Caller": "+15005550006", "FromCity": "SPRINGFIELD"}
    body = delivery("twilio_status_callback", TWILIO_KEY, told, 4)
    some = lane.run(records([body, logged(told, code=500)]))
    everything = b"".join(one.output.value or b"" for one in some) + b"".join(lane.states.values())
    for secret in (b"5005550006", b"5005550009", b"SPRINGFIELD", b"tenant=7"):
        assert secret not in everything
    assert b"+15" in everything


def test_a_conference_without_a_leg_is_passed_through_and_leaves_no_state() -> None:
    body = {"ConferenceSid": "CF1", "StatusCallbackEvent": "conference-end", "SequenceNumber": "4"}
    one = delivery("twilio_conference_callback", "twilio:conference:CF1", body, 1)
    lane = Lane()
    (event,) = lane.run([record(one, 0)])
    assert (event.topic, event.json["family"], event.json["call_id"]) == (TOPICS.events, "conference", None)
    assert lane.states == {}


def test_the_account_of_an_envelope_serves_where_the_body_names_none() -> None:
    body = {"sid": CALL_ID, "status": "ringing"}
    one = delivery("twilio_call", TWILIO_KEY, body, 1)
    (event,) = Lane().run([record(one, 0)])
    assert event.json["account"] == ACCOUNT


# -- what is counted


def test_every_delivery_is_counted_as_exactly_one_of_applied_late_duplicate_and_dead_lettered() -> None:
    lane = Lane()
    first, second, third, last = answered_call()
    lane.run(records([first, last, third, third, second, first]))
    lane.run([Fetched(TOPICS.callbacks, 9, KEY, b"{}")])
    counts = {
        result: lane.counted("events_processed_total", source=CALLBACKS, result=result)
        for result in ("applied", "late", "duplicate", "dead_lettered")
    }
    assert counts == {"applied": 2, "late": 2, "duplicate": 2, "dead_lettered": 0}
    assert lane.counted("events_processed_total", source="unknown", result="dead_lettered") == 1
    assert lane.counted("events_deduplicated_total", source=CALLBACKS, match="sequence_number") == 2
    labels = {"provider": "twilio", "account": "default", "direction": "outbound", "outcome": "answered"}
    assert lane.counted("calls_ended_total", **labels) == 1


def test_a_call_counts_as_active_until_it_ends_in_this_worker_and_in_the_next() -> None:
    lane = Lane()
    first, second, third, last = records(answered_call())
    lane.run([first, second])
    assert active(lane) == 1
    assert active(Lane(states=lane.states)) == 1
    lane.run([third, last])
    assert active(lane) == 0
    assert active(Lane(states=lane.states)) == 0
