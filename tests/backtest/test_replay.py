"""What recorded deliveries raise in a backtest: the same as in a worker that took them as they came."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from stream.backtest.recording import RecordedSlice
from stream.backtest.replay import Replay
from tests.agents.batches import TOPICS, Fetched
from tests.backtest.recorded import START_S, job, records_of, slices_of
from tests.core.deliveries import callback
from tests.replay.replaying import TRACES, expected_path, read_trace

COMPARED = ("state", "severity", "confidence", "revision", "occurrences", "starts_at")


def replayed(trace: dict[str, Any], partitions: int, numbers: set[int] | None = None) -> Replay:
    """The trace through the job of a worker, and time going on to its end."""
    policy = trace.get("policy", {}) | {"polled": tuple(trace.get("polled", ()))}
    numbers = numbers if numbers is not None else set(range(partitions))
    replay = Replay(job(**policy), TOPICS, partitions, numbers)
    records = (one for one in records_of(trace, partitions) if one.partition in numbers)
    for one in slices_of(records):
        replay.take(one)
    replay.advance(START_S + trace["until"])
    return replay


def in_short(alert: dict[str, Any]) -> tuple[Any, ...]:
    about = alert["rule"]["id"], alert["scope"]["id"], alert["reason"]["code"]
    return (*about, *(alert[name] for name in COMPARED))


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("name", TRACES)
def test_a_trace_raises_what_it_raises_in_a_worker(name: str, partitions: int) -> None:
    raised = [in_short(orjson.loads(one)) for one in replayed(read_trace(name), partitions).alerts]
    expected = orjson.loads(expected_path(name).read_bytes())["alerts"]
    assert sorted(raised, key=str) == sorted(
        ((one["rule"], one["scope"], one["reason"], *(one[name] for name in COMPARED)) for one in expected),
        key=str,
    )


def test_what_calls_tell_of_an_endpoint_is_counted_at_once() -> None:
    """The alert does not wait for the next delivery or tick."""
    trace = read_trace("failing-endpoint-that-recovers")
    raised_s = 193  # the tenth failure
    replay = Replay(job(), TOPICS, 3, {0, 1, 2})
    for one in slices_of(records_of(trace, 3)):
        if one.second <= START_S + raised_s:
            replay.take(one)
    last = orjson.loads(replay.alerts[-1])
    assert (last["rule"]["id"], last["occurrences"]) == ("webhook.failing", 10)


def test_calls_that_have_settled_take_no_memory() -> None:
    replay = replayed(read_trace("failing-endpoint-that-recovers"), 3)
    kept = replay.bytes
    assert kept > 80 * 600  # each of the calls, and what is known of the endpoint
    replay.advance(START_S + 2 * 86_400)
    assert 0 <= replay.bytes < kept / 20


def test_a_partition_that_is_left_out_counts_scopes_and_begins_no_calls() -> None:
    """A child names its parent, which is in a partition of which no deliveries are read."""
    trace = read_trace("child-legs")
    taken = {one.partition for one in records_of(trace, 7)}
    for left_out in taken:
        replay = replayed(trace, 7, taken - {left_out})
        keys = [key for key in replay.partitions[left_out].states if not key.startswith(b"\xfe")]
        assert keys == []


def test_what_cannot_be_read_is_counted_and_costs_only_itself() -> None:
    replay = replayed({"deliveries": [], "until": 60}, 1)
    good = callback("ringing", "1", 1)
    records = [
        Fetched(TOPICS.callbacks, 0, good.key.encode(), b"{", (), 0),
        Fetched(TOPICS.callbacks, 1, good.key.encode(), good.value, (), 0),
    ]
    replay.take(RecordedSlice(START_S + 61, {0: records}))
    assert (replay.unreadable, list(replay.partitions[0].states)) == (1, [good.key.encode()])
