"""Equal options give equal bytes, and deliveries come in the order in which they are received."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import orjson
import pytest

from stream.core.timestamps import instant
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.options import (
    ALL_SERVED_SOURCES,
    ALL_SOURCES,
    CALLBACK_SOURCES,
    OPTIONAL_SOURCES,
    POLLED_SOURCES,
    Options,
)
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.traffic import Traffic
from tests.simulator.fake_poller import Clock

START_US = 1_760_000_000_000_000


def digest(options: Options, *, with_expected: bool = True) -> str:
    found = hashlib.sha256()
    for record in Traffic(options, with_expected=with_expected):
        found.update(record.topic.encode() + record.key + record.value)
    return found.hexdigest()


def envelopes(options: Options) -> list[dict[str, Any]]:
    return [orjson.loads(record.value) for record in Traffic(options)]


def test_equal_options_give_equal_bytes() -> None:
    options = Options(calls=200, duplicates=0.1, reorder=0.1, drop=0.1, late=0.1, seed=11, start_us=START_US)
    assert digest(options) == digest(options)
    assert digest(options) == digest(options, with_expected=False), "knowing the expected changes nothing"


def test_another_seed_gives_other_calls() -> None:
    one = {record.key for record in Traffic(Options(calls=100, seed=1))}
    other = {record.key for record in Traffic(Options(calls=100, seed=2))}
    assert len(one) == len(other) == 100
    assert not one & other


def test_received_at_grows_with_every_delivery_and_starts_at_the_start() -> None:
    received = [e["received_at"] for e in envelopes(Options(calls=100, reorder=0.3, start_us=START_US))]
    assert received == sorted(received)
    assert len(set(received)) == len(received)
    assert instant(received[0]) == START_US


def test_a_rate_spaces_the_deliveries_evenly() -> None:
    records = list(Traffic(Options(calls=50, rate=200, start_us=START_US)))
    assert {b.at_us - a.at_us for a, b in pairwise(records)} == {5000}


def test_nothing_is_received_before_it_occurred() -> None:
    for envelope in envelopes(Options(calls=200, duplicates=0.1, reorder=0.1, late=0.1, start_us=START_US)):
        if envelope["source"] == "telnyx_webhook":
            occurred = instant(envelope["body"]["data"]["occurred_at"])
            assert occurred is not None
            assert occurred < START_US


def test_a_live_run_tells_of_calls_as_they_take_place() -> None:
    records = list(islice(Traffic(Options(calls=None, rate=50, start_us=START_US)), 2000))
    assert all(record.at_us >= START_US for record in records)
    delays_us = []
    for record in records:
        envelope = orjson.loads(record.value)
        if envelope["source"] == "telnyx_webhook":
            delays_us.append(record.at_us - (instant(envelope["body"]["data"]["occurred_at"]) or 0))
    assert min(delays_us) > 0
    assert sorted(delays_us)[len(delays_us) // 2] < 2_000_000


def test_a_live_run_reaches_its_rate_and_does_not_exceed_it() -> None:
    records = list(Traffic(Options(calls=None, seconds=240, rate=20, start_us=START_US), with_expected=False))
    by_second: dict[int, int] = defaultdict(int)
    for record in records:
        by_second[(record.at_us - START_US) // 1_000_000] += 1
    assert max(by_second.values()) == 20
    last_minute = [by_second[second] for second in range(180, 240)]
    assert sum(last_minute) > 0.8 * 20 * 60


def test_rows_of_a_call_come_after_its_callbacks_among_those_of_other_calls() -> None:
    records = list(Traffic(Options(calls=300, late=0.0, start_us=START_US), topics=("c", "p")))
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
    assert {e["source"] for e in envelopes(Options(calls=100, failing_webhooks=0.3))} == set(ALL_SOURCES)


def test_callbacks_and_rows_go_to_their_own_topics() -> None:
    for record in Traffic(Options(calls=100), topics=("callbacks", "polled")):
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
        {"sources": frozenset({"twilio_call_summary"})},
        {"sources": frozenset({"telnyx_webhook"}), "served": True},
        {"served": True, "time_factor": 0.0},
        {"served": True, "calls": None, "rate": 5.0, "drop": 1.0},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Options(**wrong)


SERVED = Options(calls=200, served=True, drop=0.2, duplicates=0.1, reorder=0.1, start_us=START_US)


def test_in_a_served_run_only_callbacks_are_delivered() -> None:
    traffic = Traffic(SERVED)
    found = {orjson.loads(record.value)["source"] for record in traffic}
    assert found == set(CALLBACK_SOURCES)
    assert SERVED.sources == set(ALL_SERVED_SOURCES)


def test_equal_options_of_a_served_run_give_equal_bytes() -> None:
    assert digest(SERVED) == digest(SERVED) == digest(SERVED, with_expected=False)


def test_a_run_that_is_not_served_has_no_world() -> None:
    assert Traffic(Options()).providers is None


def test_the_world_is_told_by_the_wall_clock_of_each_call_once_in_order() -> None:
    clock = Clock()
    traffic = Traffic(SERVED, now_us=clock)
    assert traffic.expected is not None
    told: list[tuple[str, str, int]] = []

    class Listener(ProviderState):
        def begun(self, call: SimulatedCall) -> None:
            told.append(("begun", call.key, clock.now_us))

        def ended(self, call: SimulatedCall) -> None:
            told.append(("ended", call.key, clock.now_us))

    traffic.providers = Listener(SERVED, clock)
    for delivery in traffic.outgoing():
        clock.now_us = delivery.at_us
        assert ("begun", delivery.call.key) in {(what, key) for what, key, _ in told}
    keys = [call.key for call in traffic.expected.calls]
    assert sorted(key for what, key, _ in told if what == "begun") == sorted(keys)
    assert sorted(key for what, key, _ in told if what == "ended") == sorted(keys)
    places = {(what, key): at for at, (what, key, _) in enumerate(told)}
    assert all(places["begun", key] < places["ended", key] for key in keys)
    moments = [at for _, _, at in told]
    assert moments == sorted(moments)
    assert len(set(moments)) > 100


def test_a_mark_takes_no_deliverys_place() -> None:
    records = list(Traffic(replace(SERVED, rate=200)))
    assert {b.at_us - a.at_us for a, b in pairwise(records)} == {5000}


@pytest.mark.parametrize("more", [(), OPTIONAL_SOURCES], ids=["usual", "all"])
def test_the_calls_of_a_served_finite_run_are_over_before_it_starts(more: Sequence[str]) -> None:
    """A poller asks by time, and not for what is to come."""
    traffic = Traffic(replace(SERVED, calls=1500, sources=SERVED.sources.union(more)))
    for _ in traffic:
        pass
    assert traffic.expected is not None
    legs = [call.leg for call in traffic.expected.calls]
    assert max(leg.ended_us for leg in legs) < START_US
    assert min(leg.began_us for leg in legs) > START_US - 601 * 1_000_000


def test_the_calls_of_a_slow_served_run_took_place_not_long_before_they_are_told_of() -> None:
    clock = Clock()
    slow = replace(SERVED, calls=300, rate=1, late=0.0)
    ago_s = []
    for delivery in Traffic(slow, now_us=clock).outgoing():
        ago_s.append((delivery.at_us - delivery.call.leg.ended_us) / 1_000_000)
    assert min(ago_s) > 300
    assert max(ago_s) < 660
    assert delivery.at_us > START_US + 800 * 1_000_000


def test_a_live_served_run_reaches_its_rate_and_does_not_exceed_it() -> None:
    options = Options(calls=None, seconds=240, rate=20, served=True, start_us=START_US)
    by_second: dict[int, int] = defaultdict(int)
    for record in Traffic(options, with_expected=False):
        by_second[(record.at_us - START_US) // 1_000_000] += 1
    assert max(by_second.values()) == 20
    assert sum(by_second[second] for second in range(180, 240)) > 0.8 * 20 * 60


def test_the_accounts_are_those_that_were_asked_for_and_change_nothing_else() -> None:
    own = replace(SERVED, twilio_account="AC7", telnyx_account="my-account")
    traffic, made_up = Traffic(own), Traffic(SERVED)
    assert [record.key for record in traffic] == [record.key for record in made_up]
    assert traffic.expected is not None
    assert traffic.providers is not None
    assert {call.account for call in traffic.expected.calls} == {"AC7", "my-account"}
    assert (traffic.providers.twilio_account, traffic.providers.telnyx_account) == ("AC7", "my-account")
