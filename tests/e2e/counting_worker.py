"""A worker with the smallest job that can tell lost from repeated records: each key counts its records.

Everything it writes is a function of the records and their order. A state is `[numbers seen by topic as bit
masks, deliveries applied]`; each record makes one output with its position among its key's deliveries, so
that a repetition in another order would show.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from stream.engine.batch import Batch, Output, Record
from stream.faust_bridge.app import build_app
from stream.faust_bridge.process import run
from stream.kafka import topics
from stream.service import settings
from tests.engine.fakes import NullObserver

SETTINGS = settings.load()
NAMES = topics.names(SETTINGS.topic_prefix)
DELAY_S = float(os.environ.get("COUNTING_DELAY_S", "0"))
RAISE_EVERY = int(os.environ.get("COUNTING_RAISE_EVERY", "0"))


class Counting:
    """Counts records, and prints which partitions were assigned and revoked."""

    def __init__(self) -> None:
        self.calls = 0

    def process(
        self, partition: int, records: Sequence[Record], get: Callable[[bytes], bytes | None]
    ) -> Batch:
        states: dict[bytes, Any] = {}
        outputs: list[Output] = []
        self.calls += 1
        if RAISE_EVERY and self.calls % RAISE_EVERY == 0:
            raise RuntimeError("the counting worker was told to fail")
        if DELAY_S:
            time.sleep(DELAY_S)
        for record in records:
            tick = record.topic == NAMES.ticks
            key = b"tick:%d" % partition if tick else record.key or b""
            number = 0 if tick else orjson.loads(record.value or b"")["s"]
            state = states.get(key) or orjson.loads(get(key) or b'{"seen":{},"n":0}')
            state["n"] += 1
            if not tick:
                mask = int(state["seen"].get(record.topic, "0"), 16)
                state["seen"][record.topic] = f"{mask | 1 << number:x}"
            states[key] = state
            body = {
                "key": key.decode(),
                "topic": record.topic,
                "offset": record.offset,
                "s": number,
                "n": state["n"],
            }
            outputs.append(Output(key, orjson.dumps(body)))
        encoded: dict[bytes, bytes | None] = {key: orjson.dumps(state) for key, state in states.items()}
        return Batch(encoded, {NAMES.events: outputs}, due_s=0)  # a tick each second

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        keys = [key for key, _ in items if not key.startswith(b"tick:")]  # ticks come as time passes
        print(f"opened {partition} with {len(keys)} states", flush=True)

    def partition_revoked(self, partition: int) -> None:
        print(f"closed {partition}", flush=True)


logging.basicConfig(
    stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
)
app = build_app(SETTINGS, Counting(), NullObserver())


if __name__ == "__main__":
    sys.exit(run(app))
