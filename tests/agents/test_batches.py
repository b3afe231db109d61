"""Outputs do not depend on the cut of batches, on aborted batches, or on the worker."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.call_folder import ReadRecord
from stream.engine.batch import Record
from tests.agents.batches import POLLED, Fetched, Lane, a_tick, record, records, written
from tests.core.deliveries import Delivery, answered_call, at, callback
from tests.core.mixtures import fetch_results, telnyx_deliveries, twilio_deliveries

deliveries = st.lists(
    st.one_of(twilio_deliveries, telnyx_deliveries(), fetch_results), min_size=1, max_size=10
)
ticked_seconds = st.lists(st.integers(0, 100_000), max_size=4)


def mixed(said: list[Delivery], seconds: list[int]) -> list[Fetched]:
    """Deliveries in order of receipt, with ticks in between, as a lane merges them."""
    timed = [(orjson.loads(one.value)["received_at"], record(one, n)) for n, one in enumerate(said)]
    timed += [(at(second), a_tick(second, n)) for n, second in enumerate(sorted(seconds))]
    return [one for _, one in sorted(timed, key=lambda pair: pair[0])]


@given(deliveries, ticked_seconds)
@settings(max_examples=12, deadline=None)
def test_a_batch_that_was_aborted_comes_to_the_same_again(said: list[Delivery], seconds: list[int]) -> None:
    lane = Lane(POLLED)
    batch = mixed(said, seconds)
    first = lane.processor.process(4, batch, lane.states.get)
    second = lane.processor.process(4, batch, lane.states.get)
    assert written(first.outputs) == written(second.outputs)
    assert first.states == second.states
    assert lane.states == {}


@given(deliveries, ticked_seconds, st.integers(0, 10))
@settings(max_examples=12, deadline=None)
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


def test_nothing_changes_before_the_batch_is_committed() -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    lane.processor.process(4, [a_tick(8000, 1)], lane.states.get)
    assert len(lane.run([a_tick(8000, 1)])) == 1


def test_large_records_are_not_all_read_before_the_first_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    small = callback("ringing", "1", 1)
    large = small._replace(value=small.value[:-1] + b" " * 300_000 + b"}")
    lane = Lane()
    together, read = list[int](), lane.processor.folder.read

    def watched(some: Sequence[Record]) -> list[ReadRecord]:
        together.append(len(some))
        return read(some)

    monkeypatch.setattr(lane.processor.folder, "read", watched)
    lane.run(records([small] * 120 + [large] * 5 + [small]))

    assert together == [24, 24, 24, 24, 24, 1, 1, 4]
    source = "twilio_status_callback"
    assert lane.counted("events_processed_total", source=source, result="duplicate") == 125
