"""What the lanes say of themselves."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from stream.engine import lanes as lanes_module
from stream.engine.lane import Pace
from stream.engine.lanes import Lanes
from stream.engine.observer import NullObserver
from stream.engine.transactions import Closed


def at_work(*numbers: int) -> Lanes:
    app: Any = SimpleNamespace(conf=SimpleNamespace(id="calls-worker"))
    processor: Any = None
    lanes = Lanes(
        app,
        sources=("callbacks", "ticks"),
        changelog="changelog",
        connection={},
        processor=processor,
        observer=NullObserver(),
        pace=Pace(),
        max_errors_in_a_row=3,
    )
    lanes.gate = 1
    lane: Any = SimpleNamespace(queued=0, errors_in_a_row=0, waiting_s=lambda _: 0.0)
    lanes._lanes = dict.fromkeys(numbers, lane)
    return lanes


def test_that_one_partition_takes_records_says_nothing_of_another() -> None:
    lanes = at_work(0, 1)
    lanes.acknowledged(0)
    assert lanes.progress().written_s is None
    lanes._finished(1)
    written_s = lanes.progress().written_s
    assert written_s is not None
    assert written_s < 10
    lanes._written_at[0] -= 100
    written_s = lanes.progress().written_s
    assert written_s is not None
    assert 100 <= written_s < 110


def test_that_a_broker_answers_a_fetch_is_no_proof_that_it_takes_records() -> None:
    lanes = at_work(0)
    lanes.heard(10**15, {TP("callbacks", 0): 4})
    progress = lanes.progress()
    assert (progress.broker_heard_s is not None, progress.written_s) == (True, None)


def test_a_broker_that_is_behind_is_named_until_records_follow() -> None:
    lanes = at_work(3)
    lanes.behind(TP("callbacks", 3), 500, 0, 300)
    (sentence,) = lanes.progress().waits
    assert sentence.startswith("callbacks-3: offset 500 is next, the broker that answers has 0..300. ")
    lanes.follows(TP("callbacks", 3))
    assert lanes.progress().waits == ()


class Producer:
    """Opens when none of its `fails` is left."""

    def __init__(self, *fails: BaseException) -> None:
        self.fails = list(fails)
        self.opened = 0

    async def open(self) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.opened += 1


async def test_an_assignment_s_lanes_are_opened_however_long_no_broker_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes_module, "REOPEN_EVERY_S", 0.001)
    lanes, producer = at_work(), Producer(*[TimeoutError(), KafkaConnectionError(), OSError(113, "")] * 3)
    lanes._generation = 1
    lane: Any = SimpleNamespace(partition=3, producer=producer)
    await lanes._fence(lane, 1)
    assert (producer.opened, lanes.progress().waits) == (1, ())


async def test_a_lane_is_not_opened_any_more_when_its_assignment_is_over() -> None:
    lanes, producer = at_work(), Producer(TimeoutError())
    lanes._generation = 1
    lane: Any = SimpleNamespace(partition=3, producer=producer)
    fencing = asyncio.create_task(lanes._fence(lane, 1))
    await asyncio.sleep(0.01)
    (sentence,) = lanes.progress().waits
    assert sentence == "partition 3: cannot be opened (TimeoutError): trying again"
    lanes._generation = None
    with pytest.raises(Closed):
        await fencing
    assert producer.opened == 0
