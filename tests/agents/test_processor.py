"""The job of a batch: what is bad costs only itself, and nothing depends on which records share a batch."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents.processor
from agents.processor import FaultyWorkerError
from stream.core.call import load
from stream.core.events import SOURCES, Envelope, Reading
from stream.core.fetches import request_id
from stream.core.policy import Policy
from stream.core.schedule import LADDERS
from stream.runtime.lanes.batch import Output
from stream.sources import DECODERS
from tests.agents.batches import TOPICS, Fetched, Lane, Written, a_tick, record, records, to, written
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    TWILIO_KEY,
    Delivery,
    answered_call,
    at,
    callback,
    delivery,
    fetched,
    insight,
    knowledge,
    logged,
    parameters,
)
from tests.core.mixtures import fetch_results, telnyx_deliveries, twilio_deliveries

KEY = TWILIO_KEY.encode()
CALLBACKS = "twilio_status_callback"


def shown(some: list[Written]) -> list[tuple[str, bytes | None, Any, int | None]]:
    return [(one.topic, one.output.key, one.json, one.output.partition) for one in some]


# -- good records


def test_an_answered_call_is_four_events_one_record_and_no_alert() -> None:
    lane = Lane()
    some = lane.run(records(answered_call()))
    assert [one.topic for one in some] == [TOPICS.ended] + [TOPICS.events] * 4
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


def test_a_failed_call_raises_an_alert_by_scope_and_by_fingerprint_with_its_cloud_event_headers() -> None:
    some = Lane().run(records([callback("failed", "1", 3, SipResponseCode="503")]))
    (said,), (active,) = to(TOPICS.alerts, some), to(TOPICS.alerts_active, some)
    alert = said.json
    assert said.output == Output(KEY, said.output.value, said.output.headers)
    assert active.output == Output(alert["fingerprint"].encode(), said.output.value, said.output.headers)
    assert dict(said.output.headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": alert["id"].encode(),
        "ce_source": b"/callstream/calls/default",
        "ce_type": b"io.callstream.alert.firing",
        "ce_subject": KEY,
        "ce_time": at(3.5).encode(),
        "ce_dataschema": b"https://callstream.io/schemas/alert.json",
        "ce_partitionkey": KEY,
        "callstream-severity": b"warning",
        "callstream-rule": b"call.failed",
    }


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


def active(lane: Lane) -> float:
    return lane.counted("calls_active", provider="twilio", account="default", direction="outbound")


def test_a_call_counts_as_active_until_it_ends_in_this_worker_and_in_the_next() -> None:
    lane = Lane()
    first, second, third, last = records(answered_call())
    lane.run([first, second])
    assert active(lane) == 1
    assert active(Lane(states=lane.states)) == 1
    lane.run([third, last])
    assert active(lane) == 0
    assert active(Lane(states=lane.states)) == 0


# -- what cannot be applied


def envelope(**changes: Any) -> bytes:
    raw = orjson.loads(callback("ringing", "1", 1).value)
    return orjson.dumps(raw | changes)


def with_body(**changes: Any) -> bytes:
    return envelope(body=parameters("ringing", "1", 1) | changes)


def without(name: str) -> bytes:
    body = parameters("ringing", "1", 1)
    del body[name]
    return envelope(body=body)


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def insights_with(payload: bytes) -> bytes:
    raw = insight("x", sdk_edge="HERE").value
    return raw.replace(b'"HERE"', payload)


BAD: list[tuple[str, bytes | None, bytes | None]] = [
    # (reason, key, value)
    ("not_json", KEY, b"not json"),
    ("not_json", KEY, b""),
    ("not_json", KEY, b'{"v": 1'),
    ("not_json", KEY, b"\xff\xfe\x00"),
    ("not_json", KEY, b'{"v": NaN}'),
    ("not_json", KEY, b'{"v": 1, "body": "\\ud800"}'),
    ("not_an_object", KEY, None),
    ("not_an_object", KEY, b"null"),
    ("not_an_object", KEY, b"[1]"),
    ("not_an_object", KEY, b'"text"'),
    ("unsupported_version", KEY, envelope(v=2)),
    ("unsupported_version", KEY, envelope(v="1")),
    ("unsupported_version", KEY, envelope(v=True)),
    ("unsupported_version", KEY, b"{}"),
    ("unknown_source", KEY, envelope(source="carrier_pigeon")),
    ("unknown_source", KEY, envelope(source="")),
    ("invalid_field", KEY, envelope(source=None)),
    ("invalid_field", KEY, envelope(source=["twilio_status_callback"])),
    ("invalid_field", KEY, envelope(received_at="yesterday")),
    ("invalid_field", KEY, envelope(received_at=None)),
    ("invalid_field", KEY, envelope(received_at="2026-03-02T10:00:00.12345xZ")),
    ("invalid_field", KEY, envelope(received_at="2026-02-30T10:00:00.123456Z")),
    ("invalid_field", KEY, envelope(body=None)),
    ("invalid_field", KEY, envelope(body=[1])),
    ("invalid_field", KEY, envelope(account=5)),
    ("invalid_field", KEY, envelope(endpoint={})),
    ("invalid_field", KEY, envelope(ordinal="1")),
    ("invalid_field", KEY, envelope(ordinal=-1)),
    ("invalid_field", KEY, with_body(To={"a": 1})),
    ("invalid_field", KEY, with_body(CallSid=7)),
    ("invalid_field", KEY, with_body(CallSid="C" * 300)),
    ("invalid_field", KEY, with_body(CallSid=[CALL_ID, "CA2"])),
    ("missing_id", KEY, without("CallSid")),
    ("missing_id", KEY, with_body(CallSid="")),
    ("missing_id", KEY, envelope(body={})),
    ("key_mismatch", None, with_body()),
    ("key_mismatch", b"", with_body()),
    ("key_mismatch", b"twilio:CA-other", with_body()),
    ("key_mismatch", KEY.upper(), with_body()),
    ("key_mismatch", b"\xff", with_body()),
    ("key_mismatch", CALL_ID.encode(), with_body()),
    ("too_large", KEY, with_body(Note="x" * (1 << 20))),
    ("too_large", KEY, b"x" * 1_000_000),
    ("too_deep", KEY, deep(2000)),
    ("too_deep", KEY, insights_with(deep(40))),
    ("too_deep", KEY, insights_with(deep(900))),
]


@pytest.mark.parametrize(("reason", "key", "value"), BAD)
def test_a_bad_record_is_a_dead_letter_with_its_bytes_and_its_reason(
    reason: str, key: bytes | None, value: bytes | None
) -> None:
    lane = Lane()
    own = [("traceparent", b"00-1"), ("reason", b"mine")]
    (letter,) = lane.run([Fetched(TOPICS.callbacks, 77, key, value, own)])
    assert (letter.topic, letter.output.key, letter.output.value) == (TOPICS.dead_letters, key, value)
    headers = list(letter.output.headers)
    assert [header for header in headers if header[0] != "error"] == [
        ("reason", reason.encode()),
        ("stage", b"decode"),
        ("source_topic", TOPICS.callbacks.encode()),
        ("source_partition", b"4"),
        ("source_offset", b"77"),
        *own,
    ]
    assert lane.states == {}
    assert lane.processor._errors_in_a_row == {4: 0}


def test_of_a_poison_mix_all_good_records_are_applied_and_all_bad_ones_kept_for_their_reason() -> None:
    good = [
        one
        for n in range(500)
        for one in (
            callback("initiated", "0", 0, call_id=f"CA{n:032x}"),
            callback("ringing", "1", 1, call_id=f"CA{n:032x}"),
            callback("in-progress", "2", 6, call_id=f"CA{n:032x}"),
            callback("completed", "3", 55, call_id=f"CA{n:032x}", CallDuration="49"),
        )
    ]
    chance = random.Random(7)
    mix: list[Fetched] = []
    reasons: list[str] = []
    for one in good:
        mix.append(record(one, len(mix)))
        if len(mix) % 3 == 2:
            reason, key, value = chance.choice([bad for bad in BAD if len(bad[2] or b"") < 100_000])
            mix.append(Fetched(TOPICS.callbacks, len(mix), key, value, [("h", b"%d" % len(mix))]))
            reasons.append(reason)
    lane = Lane()
    some = [one for start in range(0, len(mix), 700) for one in lane.run(mix[start : start + 700])]
    assert len(to(TOPICS.events, some)) == 2000
    assert len(to(TOPICS.ended, some)) == 500
    letters = to(TOPICS.dead_letters, some)
    assert [dict(letter.output.headers)["reason"].decode() for letter in letters] == reasons
    bad = [one for one in mix if one.headers]
    assert [(letter.output.key, letter.output.value) for letter in letters] == [
        (one.key, one.value) for one in bad
    ]
    clean = Lane()
    clean.run(records(good))
    states = [{key: knowledge(load(state)) for key, state in one.states.items()} for one in (lane, clean)]
    assert states[0] == states[1]


@pytest.mark.parametrize("number", ["", "-1", "1e3", " 2", "٣", "9" * 20, "1" * 10, "0x1", "1.0"])
def test_an_odd_sequence_number_is_applied_without_one_and_kept_as_it_came(number: str) -> None:
    some = Lane().run(records([callback("ringing", number, 1)]))
    event = to(TOPICS.events, some)[0].json
    assert (event["sequence_number"], event["attributes"]["SequenceNumber"]) == (None, number)
    assert to(TOPICS.dead_letters, some) == []


@pytest.mark.parametrize("number", ["999999999", "000000007"])
def test_a_large_sequence_number_is_one_and_costs_no_memory(number: str) -> None:
    lane = Lane()
    some = lane.run(records([callback("ringing", number, 1)]))
    assert to(TOPICS.events, some)[0].json["sequence_number"] == int(number)
    assert len(lane.states[KEY]) < 500


@pytest.mark.parametrize("stamp", ["Mon, 32 Aug 2026 10:00:00 +0000", "... 10:0", "", "25:61", "2026-13-01"])
def test_a_broken_date_is_applied_without_a_time_and_kept_as_it_came(stamp: str) -> None:
    some = Lane().run(records([callback("ringing", "1", None, Timestamp=stamp)]))
    event = to(TOPICS.events, some)[0].json
    assert (event["occurred_at"], event["occurred_at_quality"]) == (None, "unknown")
    assert event["attributes"]["Timestamp"] == stamp


def test_unknown_statuses_names_and_fields_are_applied_and_passed_on() -> None:
    lane = Lane()
    some = lane.run(
        records(
            [callback("teleported", "1", 1, Colour="red"), insight("quantum-jitter", level="LOUD", edge=None)]
        )
    )
    assert to(TOPICS.dead_letters, some) == []
    progress, insights = (event.json for event in to(TOPICS.events, some))
    assert (progress["status"], progress["attributes"]["CallStatus"]) == (None, "teleported")
    assert progress["attributes"]["Colour"] == "red"
    assert (insights["name"], insights["level"], insights["edge"]) == ("quantum-jitter", None, None)


def test_a_tick_without_a_time_is_a_dead_letter() -> None:
    lane = Lane()
    some = lane.run([Fetched(TOPICS.ticks, 1, None, value) for value in (b"{}", b"x", None, b'{"now": 5}')])
    assert [dict(one.output.headers)["reason"] for one in some] == [b"invalid_field"] * 4


# -- errors of our own


def faulty(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    """A decoder that fails on bodies with this marker, after it has begun."""
    right = DECODERS["twilio_status_callback"]

    def decode(said: Envelope) -> list[Reading]:
        if marker in said.body:
            raise ZeroDivisionError("our own fault, with +15005550006 in it")
        return right(said)

    monkeypatch.setitem(DECODERS, "twilio_status_callback", decode)


def half_way(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    """A fold that changes the call and then fails, on attributes with this marker."""
    right = agents.processor.fold

    def fold(call: Any, readings: list[Reading], *rest: Any) -> Any:
        folded = right(call, readings, *rest)
        if marker in readings[0].event.attributes:
            raise KeyError("half-way")
        return folded

    monkeypatch.setattr(agents.processor, "fold", fold)


@pytest.mark.parametrize("break_it", [faulty, half_way])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_error_of_our_own_costs_its_record_and_leaves_the_call_as_if_it_had_not_come(
    monkeypatch: pytest.MonkeyPatch, break_it: Any, place: int, size: int
) -> None:
    break_it(monkeypatch, "Cursed")
    good = records(answered_call())
    cursed = record(callback("failed", "7", 30, Cursed="yes"), 100)
    mix = [*good[:place], cursed, *good[place:]]
    lane, clean = Lane(), Lane()
    some = [one for start in range(0, len(mix), size) for one in lane.run(mix[start : start + size])]
    expected = [one for start in range(0, len(good), size) for one in clean.run(good[start : start + size])]
    (letter,) = to(TOPICS.dead_letters, some)
    headers = dict(letter.output.headers)
    assert (headers["reason"], headers["stage"]) == (b"internal_error", b"fold")
    assert b"555" not in headers["error"]
    assert letter.output.value == cursed.value
    others = [one for one in some if one.topic != TOPICS.dead_letters]
    assert sorted(shown(others), key=str) == sorted(shown(expected), key=str)
    assert lane.states == clean.states
    assert active(lane) == active(clean)


def test_a_call_that_left_the_table_in_the_same_batch_stays_out_when_a_later_record_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half_way(monkeypatch, "Cursed")
    lane = Lane()
    lane.run(records(answered_call()))
    lane.run([a_tick(8000, 10), record(callback("failed", "7", 30, Cursed="yes"), 100)])
    assert lane.states == {}


def test_as_many_errors_in_a_row_as_the_limit_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty(monkeypatch, "Cursed")
    lane = Lane(errors_limit=3)
    cursed = [record(callback("ringing", "1", 1, Cursed="yes"), n) for n in range(3)]
    lane.run(cursed[:2])
    with pytest.raises(FaultyWorkerError):
        lane.run(cursed[2:])


def test_a_good_record_in_between_starts_the_count_of_errors_anew_and_a_bad_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulty(monkeypatch, "Cursed")
    cursed = record(callback("ringing", "1", 1, Cursed="yes"), 1)
    good, bad = record(callback("ringing", "1", 1), 2), Fetched(TOPICS.callbacks, 3, KEY, b"x")
    Lane(errors_limit=3).run([cursed, cursed, good, cursed, cursed])
    with pytest.raises(FaultyWorkerError):
        Lane(errors_limit=3).run([cursed, cursed, bad, cursed])


def test_a_call_whose_stored_state_cannot_be_read_costs_its_own_records_only() -> None:
    lane = Lane()
    lane.states[KEY] = b"\xc1 no state"
    other = callback("ringing", "1", 1, call_id="CA-other")
    some = lane.run(records([callback("ringing", "1", 1), other]))
    assert [one.topic for one in some] == [TOPICS.dead_letters, TOPICS.events]
    assert lane.states[KEY] == b"\xc1 no state"


# -- fetches


def test_an_end_asks_for_the_resource_and_its_result_is_the_calls_next_step() -> None:
    lane = Lane(POLLED)
    (asked,) = to(TOPICS.fetches, lane.run(records(answered_call())))
    assert asked.output == Output(KEY, asked.output.value, (), None)
    assert asked.json == {
        "v": 1,
        "id": request_id(TWILIO_KEY, "twilio_call", None, "ended", 1),
        "key": TWILIO_KEY,
        "account": ACCOUNT,
        "source": "twilio_call",
        "edge": None,
        "reason": "ended",
        "due_at": at(55),
        "attempt": 1,
        "priority": "heal",
    }
    assert lane.run([record(fetched(), 7)]) == []
    assert load(lane.states[KEY]).complete == 1 << SOURCES.index("twilio_call")
    (again,) = to(TOPICS.fetches, lane.run([a_tick(150, 8)]))
    assert (again.json["source"], again.json["edge"]) == ("twilio_insights_event", "carrier_edge")
    assert lane.counted("fetches_requested_total", source="twilio_call", reason="ended") == 1
    assert lane.counted("fetches_answered_total", source="twilio_call", outcome="success") == 1


def test_a_result_is_no_delivery_of_a_provider() -> None:
    lane = Lane(POLLED)
    lane.run(records([*answered_call(), fetched()]))
    assert load(lane.states[KEY]).arrival.deliveries == 4
    assert lane.counted("events_processed_total", source="unknown", result="applied") == 0


def test_a_result_for_a_call_that_has_left_the_table_makes_none() -> None:
    lane = Lane(POLLED)
    assert lane.run([record(fetched(), 7)]) == []
    assert lane.states == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "twilio:another"}, b"key_mismatch"),
        ({"source": "nothing"}, b"invalid_field"),
        ({"outcome": "perhaps"}, b"invalid_field"),
        ({"attempt": "one"}, b"invalid_field"),
        ({"content": "-1"}, b"invalid_field"),
    ],
)
def test_a_result_that_cannot_be_read_is_a_dead_letter(change: dict[str, Any], reason: bytes) -> None:
    lane = Lane(POLLED)
    odd = orjson.loads(fetched().value)
    odd["body"] |= change
    (letter,) = lane.run([record(Delivery(TWILIO_KEY, orjson.dumps(odd)), 7)])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, reason)


def test_a_result_whose_content_no_state_can_hold_costs_only_itself() -> None:
    lane = Lane(POLLED)
    lane.run(records(answered_call()))
    odd = orjson.loads(fetched(complete=False).value)
    odd["body"]["content"] = "f" * 17
    (letter,) = lane.run([record(Delivery(TWILIO_KEY, orjson.dumps(odd)), 7)])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, b"invalid_field")


# -- an aborted batch, and batches of any size

deliveries = st.lists(
    st.one_of(twilio_deliveries, telnyx_deliveries(), fetch_results), min_size=1, max_size=10
)
POLLED = Policy(polled=(*LADDERS, "telnyx_webhook_delivery"), overdue_s=50, settle_s=30_000, max_age_s=40_000)
ticked_seconds = st.lists(st.integers(0, 100_000), max_size=4)


def mixed(said: list[Delivery], seconds: list[int]) -> list[Fetched]:
    """Deliveries in the order of their receipt, with ticks in between: as a lane would merge them."""
    timed = [(orjson.loads(one.value)["received_at"], record(one, n)) for n, one in enumerate(said)]
    timed += [(at(second), a_tick(second, n)) for n, second in enumerate(sorted(seconds))]
    return [one for _, one in sorted(timed, key=lambda pair: pair[0])]


@given(deliveries, ticked_seconds)
@settings(max_examples=30, deadline=None)
def test_a_batch_that_was_aborted_comes_to_the_same_again(said: list[Delivery], seconds: list[int]) -> None:
    lane = Lane(POLLED)
    batch = mixed(said, seconds)
    first = lane.processor.process(4, batch, lane.states.get)
    second = lane.processor.process(4, batch, lane.states.get)
    assert written(first.outputs) == written(second.outputs)
    assert first.states == second.states
    assert lane.states == {}


@given(deliveries, ticked_seconds, st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_nothing_depends_on_which_records_share_a_batch(
    said: list[Delivery], seconds: list[int], size: int
) -> None:
    batch = mixed(said, seconds)
    whole, split = Lane(POLLED), Lane(POLLED)
    at_once = whole.run(batch)
    in_parts = [one for start in range(0, len(batch), size) for one in split.run(batch[start : start + size])]
    assert at_once == sorted(in_parts, key=lambda one: one.topic)
    assert whole.states == split.states


@given(deliveries, ticked_seconds, st.integers(0, 10))
@settings(max_examples=30, deadline=None)
def test_another_worker_goes_on_as_the_first_would_have(
    said: list[Delivery], seconds: list[int], taken_over: int
) -> None:
    batch = mixed(said, seconds)
    alone, first = Lane(POLLED), Lane(POLLED)
    expected = alone.run(batch[:taken_over]), alone.run(batch[taken_over:])
    told = first.run(batch[:taken_over])
    second = Lane(POLLED, states=first.states)
    assert (told, second.run(batch[taken_over:])) == expected
    assert second.states == alone.states


# -- ticks


def test_a_call_is_settled_once_when_its_window_closes_and_leaves_the_table() -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    assert lane.run([a_tick(7255, 1)]) == []
    (settled,) = lane.run([a_tick(7256, 2)])
    assert settled.topic == TOPICS.ended
    told = settled.json
    assert (told["settled"], told["revision"], told["updated_at"]) == (True, 2, at(7256))
    assert lane.states == {}
    assert lane.run([a_tick(7257, 3)]) == []
    assert lane.counted("table_evictions_total", table="calls", reason="terminal_ttl") == 1


def test_a_missing_number_is_a_gap_after_its_grace_and_closes_when_it_comes() -> None:
    lane = Lane()
    first, second, third, _ = records(answered_call())
    lane.run([first, third])
    lane.run([a_tick(16, 1)])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 0
    lane.run([a_tick(17, 2)])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 1
    assert Lane(states=lane.states).counted("sequence_gaps_open", source=CALLBACKS) == 1
    lane.run([second])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 0
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="late_arrival") == 1


def test_a_number_that_comes_within_the_grace_was_never_a_gap() -> None:
    lane = Lane()
    first, second, third, _ = records(answered_call())
    lane.run([first, third, second, a_tick(17, 1)])
    assert lane.counted("sequence_gaps_detected_total", source="twilio_status_callback") == 0


def test_a_gap_healed_by_the_request_log_is_closed_by_a_poll_and_expires_where_nothing_comes() -> None:
    lane = Lane()
    first, *_, last = records(answered_call())
    lane.run([first, last, a_tick(67, 1)])
    assert lane.counted("sequence_gaps_detected_total", source=CALLBACKS) == 2
    some = lane.run([record(logged(parameters("ringing", "1", 1)), 50)])
    assert to(TOPICS.ended, some)[-1].json["gaps"] == [
        {"sequence_number": 1, "state": "closed", "closed_by": "poll_heal"},
        {"sequence_number": 2, "state": "open", "closed_by": None},
    ]
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="poll_heal") == 1
    lane.run([a_tick(9000, 2)])
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="expired") == 1


def test_a_call_that_does_not_end_is_overdue_and_leaves_at_its_greatest_age() -> None:
    lane = Lane()
    lane.run(records(answered_call()[:3]))
    lane.run([a_tick(14400, 1)])
    assert lane.counted("calls_overdue", provider="twilio") == 0
    lane.run([a_tick(14401, 2)])
    assert (
        lane.counted("calls_overdue", provider="twilio"),
        Lane(states=lane.states).counted("calls_overdue", provider="twilio"),
    ) == (1, 1)
    assert lane.run([a_tick(86400, 3)]) == []
    assert list(lane.states) == [KEY]
    lane.run([a_tick(86401, 4)])
    assert (lane.states, lane.counted("calls_overdue", provider="twilio"), active(lane)) == ({}, 0, 0)
    assert lane.counted("table_evictions_total", table="calls", reason="max_age") == 1


def test_an_overdue_call_that_ends_after_all_is_overdue_no_more() -> None:
    lane = Lane()
    *before, last = records(answered_call())
    lane.run([*before, a_tick(14401, 1)])
    lane.run([last])
    assert lane.counted("calls_overdue", provider="twilio") == 0


def test_nothing_changes_before_the_batch_is_committed() -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    lane.processor.process(4, [a_tick(8000, 1)], lane.states.get)
    assert len(lane.run([a_tick(8000, 1)])) == 1


def test_more_calls_than_one_tick_looks_at_are_settled_by_the_next_ones_in_any_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents.processor, "LOOKED_AT_PER_TICK", 3)
    ended = records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(8))
    ticks = [a_tick(9000 + n, n) for n in range(3)]
    whole, split = Lane(), Lane()
    at_once = whole.run([*ended, *ticks])
    split.run(ended)
    settled = [len(split.run([tick])) for tick in ticks]
    assert settled == [3, 3, 2]
    assert len(to(TOPICS.ended, at_once)) == 16
    assert (whole.states, split.states) == ({}, {})


def test_a_call_that_a_tick_fails_on_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    right = agents.processor.tick

    def tick(call: Any, now_us: int, policy: Any) -> Any:
        if call.key.endswith("CA1"):
            call.ended = False
            raise ZeroDivisionError
        return right(call, now_us, policy)

    monkeypatch.setattr(agents.processor, "tick", tick)
    lane = Lane()
    lane.run(records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(3)))
    before = lane.states[b"twilio:CA1"]
    lane.run([a_tick(9000, 1)])
    assert lane.states == {b"twilio:CA1": before}
    assert lane.counted("processing_errors_total", agent="ticks", error="other") == 1


def test_the_account_of_an_envelope_serves_where_the_body_names_none() -> None:
    body = {"sid": CALL_ID, "status": "ringing"}
    one = delivery("twilio_call", TWILIO_KEY, body, 1)
    (event,) = Lane().run([record(one, 0)])
    assert event.json["account"] == ACCOUNT
