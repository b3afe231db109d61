"""What the worker's job costs and writes, without Kafka: one job of JOBS in this process.

    python -m tests.bench.offline life --calls 500

Prints JSON. `tests.bench.pairs` runs it on two trees in turn.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import click

from stream.kafka.partitions import partition_of
from stream.simulator.calls.call import SourceRecord
from stream.simulator.calls.options import Options
from stream.simulator.traffic import Traffic
from tests.bench import life
from tests.bench.callbacks import callbacks
from tests.bench.job import Job, record
from tests.bench.life import TakeTurns

BATCH = 1000
PARTITIONS = 4
OPEN_CALLS = 500
START_S = life.START_S


def callback(calls: int, seed: int = 1, take_turns: TakeTurns = lambda: None) -> dict[str, Any]:
    """CPU µs and bytes of a status callback, reads planned and none of them due later than at once."""
    return _deliveries(callbacks(20 * calls, OPEN_CALLS, seed=seed, start_s=START_S), take_turns)


def mixed(calls: int, seed: int = 1, take_turns: TakeTurns = lambda: None) -> dict[str, Any]:
    """CPU µs and bytes of a delivery of any source: callbacks and the rows that pollers read."""
    start_us = START_S * life.SECOND_US
    options = Options(calls=calls, duplicates=0.05, reorder=0.02, planted=False, seed=seed, start_us=start_us)
    return _deliveries(Traffic(options, with_expected=False), take_turns)


JOBS: dict[str, Callable[[int, int, TakeTurns], dict[str, Any]]] = {
    "callback": callback,
    "mixed": mixed,
    "life": life.measure,
}


def _deliveries(records: Iterable[SourceRecord], take_turns: TakeTurns) -> dict[str, Any]:
    job, offsets = Job(take_turns), defaultdict[tuple[str, int], int](int)
    waiting: list[list[Any]] = [[] for _ in range(PARTITIONS)]
    count = 0
    for topic, key, value, at_us in records:
        partition = partition_of(key, PARTITIONS)
        offset = offsets[topic, partition]
        offsets[topic, partition] += 1
        batch = waiting[partition]
        batch.append(record(topic, partition, offset, at_us, key, value))
        count += 1
        if len(batch) == BATCH:
            job.process(partition, batch)
            batch.clear()
    for partition, batch in enumerate(waiting):
        job.process(partition, batch)
    return job.result(count)


@click.command()
@click.argument("job", type=click.Choice([*JOBS]))
@click.option("--calls", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--in-turns",
    is_flag=True,
    help="Wait for a line now and then, first of all and after each line of its own.",
)
def main(job: str, calls: int, seed: int, in_turns: bool) -> None:
    """Run one job and print its result."""

    def take_turns() -> None:
        if in_turns:
            print(flush=True)
            sys.stdin.readline()

    if in_turns:
        sys.stdin.readline()
    print(json.dumps(JOBS[job](calls, seed, take_turns)))


if __name__ == "__main__":
    main()
