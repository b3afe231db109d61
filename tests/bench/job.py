"""The worker's job in this process: its real processor with its own policy, and what that takes and writes.

No Kafka: records go in as the lanes give them, outputs and states come out and are measured.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiokafka.structs import ConsumerRecord

from agents.processor import CallProcessor
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.engine.batch import Batch
from stream.kafka import topics
from stream.service.metrics.worker import WorkerMetrics
from stream.service.settings import WorkerSettings

PREFIX = "calls."
TURN_S = 0.02

COLLECT_AFTER = (100_000, 20, 20)
"""As a worker's: not imported, for the job also runs with the program of an older tree."""

_OF_THE_DELIVERY = {"revision", "id", "arrival", "updated_at"}
"""The fields of a call record that may depend on the order of arrival."""


def worker_policy(chosen: WorkerSettings | None = None) -> CallPolicy:
    """The policy of a worker with these settings, else with the defaults: all sources are polled."""
    chosen = chosen or WorkerSettings()
    own = {name: getattr(chosen, name) for name in CallPolicy.__struct_fields__ if hasattr(chosen, name)}
    return CallPolicy(**own, polled=chosen.poll_sources)


def record(
    topic: str, partition: int, offset: int, at_us: int, key: bytes | None, value: bytes | None
) -> ConsumerRecord[bytes, bytes]:
    """A record as the lanes get it from aiokafka."""
    sizes = len(key or b""), len(value or b"")
    return ConsumerRecord(topic, partition, offset, at_us // 1000, 0, key, value, None, *sizes, ())


class Written:
    """What was written: records and bytes by topic, and digests by which two programs are compared.

    - `exact`: of all outputs of a topic in order.
    - `knowledge`: of what a reader knows in the end: each call's last record without what depends on the
      order of arrival, and the ids of all events and alerts.
    """

    def __init__(self, names: topics.Topics) -> None:
        self.records: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._names = names
        self._exact: defaultdict[str, Any] = defaultdict(hashlib.sha256)
        self._last: dict[bytes, dict[str, Any]] = {}
        self._ids: set[str] = set()

    def add(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[Any]) -> None:
        own, exact = topic.removeprefix(PREFIX), self._exact[topic]
        headers = [*headers]
        self.records[own] += 1
        self.bytes[own] += len(key or b"") + len(value or b"")
        self.bytes[own] += sum(len(name) + len(said) for name, said in headers)
        exact.update(repr((key, value, headers)).encode())
        if value is None or key is None:
            return
        if topic == self._names.ended:
            self._last[key] = orjson.loads(value)
        elif topic in (self._names.events, self._names.alerts):
            self._ids.add(orjson.loads(value)["id"])

    def state(self, key: bytes, state: bytes | None) -> None:
        """A record of the changelog. How a state is encoded is nobody's business, so it has no digest."""
        self.records["changelog"] += 1
        self.bytes["changelog"] += len(key) + len(state or b"")

    def last_records(self) -> list[dict[str, Any]]:
        """The last record of each call."""
        return [*self._last.values()]

    def digests(self) -> dict[str, str]:
        found = {
            topic.removeprefix(PREFIX): digest.hexdigest()[:16]
            for topic, digest in sorted(self._exact.items())
        }
        last = {
            key.decode(): {name: said[name] for name in said.keys() - _OF_THE_DELIVERY}
            for key, said in self._last.items()
        }
        known = [sorted(self._ids), last]
        return found | {
            "knowledge": hashlib.sha256(orjson.dumps(known, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        }


class Job:
    """A `CallProcessor` and the tables of its partitions. `seconds`: the processor time of all batches.

    `take_turns` is called after each TURN_S of it.
    """

    def __init__(self, take_turns: Callable[[], None] = lambda: None) -> None:
        gc.set_threshold(*COLLECT_AFTER)
        self.names = topics.names(PREFIX)
        self.written = Written(self.names)
        self.tables: dict[int, dict[bytes, bytes]] = {}
        self.due_s: dict[int, int | None] = {}
        self.seconds = 0.0
        self.batches = 0
        self._take_turns = take_turns
        self._turn_ends_s = TURN_S
        self._processor = CallProcessor(
            self.names, worker_policy(), Privacy(), WorkerMetrics(), deployment="calls", errors_limit=1
        )

    def process(self, partition: int, records: Sequence[Any]) -> list[bytes]:
        """Fold and commit these records of a partition. Returns the fetch requests that come of them."""
        if partition not in self.tables:
            self.tables[partition] = {}
            self._processor.partition_assigned(partition, ())
        fetches: list[bytes] = []
        while records:
            made = self._batch(partition, records)
            fetches += [value for _, value, *_ in made.outputs.get(self.names.fetches, ())]
            records = records[made.taken :] if made.taken is not None else ()
        return fetches

    def _batch(self, partition: int, records: Sequence[Any]) -> Batch:
        table = self.tables[partition]
        began = time.process_time()
        made = self._processor.process(partition, records, table.get)
        self.seconds += time.process_time() - began
        for key, state in made.states.items():
            self.written.state(key, state)
            if state is None:
                table.pop(key, None)
            else:
                table[key] = state
        began = time.process_time()
        made.committed()
        self.seconds += time.process_time() - began
        self.batches += 1
        if self.seconds >= self._turn_ends_s:
            self._turn_ends_s = self.seconds + TURN_S
            self._take_turns()
        self.due_s[partition] = made.due_s
        for topic, outputs in sorted(made.outputs.items()):
            for key, value, headers, *_ in outputs:
                self.written.add(topic, key, value, headers)
        return made

    def result(self, count: int) -> dict[str, Any]:
        """CPU µs, records and bytes by topic for each of `count`, and the digests."""
        written = self.written
        return {
            "count": count,
            "us": self.seconds / count * 1e6,
            "batches": self.batches,
            "records": {topic: written.records[topic] / count for topic in sorted(written.records)},
            "bytes": {topic: written.bytes[topic] / count for topic in sorted(written.bytes)},
            "bytes_all": written.bytes.total() / count,
            "digests": written.digests(),
        }
