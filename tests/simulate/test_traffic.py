"""Equal options give equal bytes, and deliveries come in the order in which they are received."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import islice, pairwise
from typing import Any

import orjson
import pytest

from stream.core.instants import instant
from stream.simulate.options import ALL_SOURCES, CALLBACK_SOURCES, POLLED_SOURCES, Options
from stream.simulate.traffic import generate

START_US = 1_760_000_000_000_000


def digest(options: Options, *, with_truth: bool = True) -> str:
    found = hashlib.sha256()
    for record in generate(options, with_truth=with_truth):
        found.update(record.topic.encode() + record.key + record.value)
    return found.hexdigest()


def envelopes(options: Options) -> list[dict[str, Any]]:
    return [orjson.loads(record.value) for record in generate(options)]


def test_equal_options_give_equal_bytes() -> None:
    options = Options(calls=200, duplicates=0.1, reorder=0.1, drop=0.1, late=0.1, seed=11, start_us=START_US)
    assert digest(options) == digest(options)
    assert digest(options) == digest(options, with_truth=False), "knowing the truth changes nothing"


def test_another_seed_gives_other_calls() -> None:
    one = {record.key for record in generate(Options(calls=100, seed=1))}
    other = {record.key for record in generate(Options(calls=100, seed=2))}
    assert len(one) == len(other) == 100
    assert not one & other


def test_received_at_grows_with_every_delivery_and_starts_at_the_start() -> None:
    received = [e["received_at"] for e in envelopes(Options(calls=100, reorder=0.3, start_us=START_US))]
    assert received == sorted(received)
    assert len(set(received)) == len(received)
    assert instant(received[0]) == START_US


def test_a_rate_spaces_the_deliveries_evenly() -> None:
    records = list(generate(Options(calls=50, rate=200, start_us=START_US)))
    assert {b.at_us - a.at_us for a, b in pairwise(records)} == {5000}


def test_nothing_is_received_before_it_occurred() -> None:
    for envelope in envelopes(Options(calls=200, duplicates=0.1, reorder=0.1, late=0.1, start_us=START_US)):
        if envelope["source"] == "telnyx_webhook":
            occurred = instant(envelope["body"]["data"]["occurred_at"])
            assert occurred is not None
            assert occurred < START_US


def test_a_live_run_tells_of_calls_as_they_take_place() -> None:
    records = list(islice(generate(Options(calls=None, rate=50, start_us=START_US)), 2000))
    assert all(record.at_us >= START_US for record in records)
    delays_us = []
    for record in records:
        envelope = orjson.loads(record.value)
        if envelope["source"] == "telnyx_webhook":
            delays_us.append(record.at_us - (instant(envelope["body"]["data"]["occurred_at"]) or 0))
    assert min(delays_us) > 0
    assert sorted(delays_us)[len(delays_us) // 2] < 2_000_000


def test_a_live_run_reaches_its_rate_and_does_not_exceed_it() -> None:
    records = list(generate(Options(calls=None, seconds=240, rate=50, start_us=START_US), with_truth=False))
    by_second: dict[int, int] = defaultdict(int)
    for record in records:
        by_second[(record.at_us - START_US) // 1_000_000] += 1
    assert max(by_second.values()) == 50
    last_minute = [by_second[second] for second in range(180, 240)]
    assert sum(last_minute) > 0.8 * 50 * 60


def test_rows_of_a_call_come_after_its_callbacks_among_those_of_other_calls() -> None:
    records = list(generate(Options(calls=300, late=0.0, start_us=START_US), topics=("c", "p")))
    last_callback = {record.key: at for at, record in enumerate(records) if record.topic == "c"}
    log = [
        (at, record.key)
        for at, record in enumerate(records)
        if orjson.loads(record.value)["source"] == "twilio_call_event"
    ]
    assert all(at > last_callback[key] for at, key in log)
    assert sum(a.topic != b.topic for a, b in pairwise(records)) > 100


def test_only_the_sources_that_were_asked_for_come() -> None:
    for wanted in (set(CALLBACK_SOURCES), {"twilio_call"}, {"telnyx_call_event", "twilio_insights_event"}):
        found = {e["source"] for e in envelopes(Options(calls=100, sources=frozenset(wanted)))}
        assert found == wanted
    assert {e["source"] for e in envelopes(Options(calls=100))} == set(ALL_SOURCES)


def test_callbacks_and_rows_go_to_their_own_topics() -> None:
    for record in generate(Options(calls=100), topics=("callbacks", "polled")):
        source = orjson.loads(record.value)["source"]
        assert record.topic == ("polled" if source in POLLED_SOURCES else "callbacks")


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop": 1.5},
        {"calls": 0},
        {"calls": None},
        {"rate": -1.0},
        {"sources": frozenset({"carrier_pigeon"})},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Options(**wrong)
