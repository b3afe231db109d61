"""Bad records become dead letters with bytes and reason and affect no other. Odd values are kept as sent."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import orjson
import pytest

from stream.core.call.state import load
from tests.agents.batches import KEY, TOPICS, Fetched, Lane, record, records, to
from tests.core.deliveries import CALL_ID, callback, insight, parameters
from tests.core.folding import knowledge


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
    assert lane.processor.partitions[4].errors_in_a_row == 0


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


def test_a_tick_without_a_time_is_a_dead_letter() -> None:
    lane = Lane()
    some = lane.run([Fetched(TOPICS.ticks, 1, None, value) for value in (b"{}", b"x", None, b'{"now": 5}')])
    assert [dict(one.output.headers)["reason"] for one in some] == [b"invalid_field"] * 4


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


def test_a_bad_record_and_what_was_read_with_it_do_not_stay_in_memory() -> None:
    lane, bad = Lane(), Fetched(TOPICS.callbacks, 0, KEY, b"not json")
    kept = weakref.ref(bad)
    gc.disable()
    try:
        lane.run([bad])
        del bad
        assert kept() is None
    finally:
        gc.enable()


def test_a_bad_record_whose_turn_does_not_come_stays_until_the_next_garbage_collection() -> None:
    bad = Fetched(TOPICS.callbacks, 0, KEY, b"not json")
    kept = weakref.ref(bad)
    Lane().processor.folder.read([bad])
    del bad
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("value", "reason"), [(b"[]", "not_json"), (None, "not_json"), (b'{"kind": "x"}', "unknown_source")]
)
def test_a_record_of_the_scopes_topic_that_nobody_knows_is_a_dead_letter(
    value: bytes | None, reason: str
) -> None:
    (dead,) = to(TOPICS.dead_letters, Lane().run([Fetched(TOPICS.scopes, 0, KEY, value)]))
    headers = dict(dead.output.headers)
    assert (headers["reason"], dead.output.value) == (reason.encode(), value)
