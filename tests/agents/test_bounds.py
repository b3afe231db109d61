"""What a call costs in the store, and what a tick costs while nothing is due."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from faust.stores import rocksdb

from agents.processor import CallProcessor
from stream.core.call.state import dump, load
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES
from stream.engine.states import DictStates, States
from stream.faust_bridge.store import RocksStates
from stream.service.metrics.worker import WorkerMetrics
from tests.agents.batches import KEY, PARTITION, TOPICS, Lane, a_tick, records
from tests.core.deliveries import answered_call, calls_row, insight

STORE_LIMIT_BYTES = 1024
LIVE, FEW = 20_000, 200
NOW_S = 60


def usual_call() -> bytes:
    """The state of a call that was read completely: four callbacks, its row, six events of Voice Insights."""
    lane = Lane(policy=CallPolicy(polled=POLLED_SOURCES))
    row = calls_row("completed", start_time="Mon, 02 Mar 2026 10:00:06 +0000", duration="49", price="-0.0085")
    names = ("initiated", "ringing", "in-progress", "completed", "metrics", "summary")
    lane.run(records([*answered_call(), row, *(insight(name, at) for at, name in enumerate(names))]))
    lane.run([a_tick(200, 0)])
    return lane.states[KEY]


def test_a_usual_call_is_smaller_than_a_kilobyte_in_the_store() -> None:
    assert len(usual_call()) < STORE_LIMIT_BYTES


def live_calls(count: int) -> Iterator[tuple[bytes, bytes]]:
    """The same call under many keys. None is due before an hour has passed."""
    call = load(usual_call())
    for number in range(count):
        call.key = f"twilio:CA{number:032x}"
        call.due_s = 1_772_445_600 + 3600 + number % 3600
        yield call.key.encode(), dump(call)


class Rocks(RocksStates):
    """The store without Faust around it."""

    def __init__(self, path: Path) -> None:
        self._dbs = {}
        self.rocksdb_options = rocksdb.RocksDBOptions()
        self.read_only = False
        self.folder = path
        self.use_rocksdict = True

    def partition_path(self, partition: int) -> Path:
        return self.folder / f"{partition}.db"


def filled(states: States, count: int) -> States:
    states.write(PARTITION, dict(live_calls(count)), 1)
    return states


def steps(job: Callable[[], Any]) -> int:
    """How many lines of Python a job executes: unlike its time, the same on any machine."""
    executed = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal executed
        executed += event == "line"
        return count

    sys.settrace(count)
    try:
        job()
    finally:
        sys.settrace(None)
    return executed


def tick_steps(states: States) -> int:
    policy = CallPolicy(polled=POLLED_SOURCES)
    metrics = WorkerMetrics(clock=lambda: 1_772_445_600.0)
    processor = CallProcessor(TOPICS, policy, Privacy(), metrics, deployment="calls", errors_limit=1)
    processor.partition_assigned(PARTITION, states.items(PARTITION))
    looked_up: list[bytes] = []

    def get(key: bytes) -> bytes | None:
        looked_up.append(key)
        return states.reader(PARTITION)(key)

    def job() -> None:
        made = processor.process(PARTITION, [a_tick(NOW_S, 0)], get)
        assert (made.states, dict(made.outputs), made.ticked, made.due_s) == ({}, {}, 0, 1_772_449_200)
        made.committed()

    job()
    taken = steps(job)
    assert looked_up == []
    return taken


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_tick_costs_the_same_however_many_calls_have_nothing_due(store: str, tmp_path: Path) -> None:
    few, many = (
        (DictStates(), DictStates()) if store == "memory" else (Rocks(tmp_path / "a"), Rocks(tmp_path / "b"))
    )
    assert tick_steps(filled(many, LIVE)) == tick_steps(filled(few, FEW))
